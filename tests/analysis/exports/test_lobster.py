"""LOBSTER files say what happened to the book: an independent reader rebuilds it from messages alone."""

import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from marginquake.analysis.exports.event_book import BookEvent, EventBook
from marginquake.analysis.exports.lobster import lobster_paths, price_scale, write_lobster
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.frames.run_frames import RunFrames, load_run
from marginquake.sim.core.records import COMMAND, Cause, EventKind
from marginquake.sim.runs.directory import RunDirectoryError
from marginquake.sim.runs.event_log import log_folder, parts_of
from marginquake.sim.studies import run as running
from tests.oracles.lobster_reader import read_book, read_messages, rebuilt, resting
from tests.support.command_line import marginquake
from tests.support.faults.seals import seal_run
from tests.support.paths import TESTS, TINY

pytestmark = pytest.mark.model
LEVELS = 5
WARMUP_S = 10.0
"""Of all these scenarios."""
TARGETS = (
    "populations.crowd.take_profit_share=1",
    "populations.crowd.take_profit_offset=3%",
    "populations.crowd.stop_share=1",
    "populations.crowd.entry_time=2s",
)
MARKETS: dict[str, tuple[Path, tuple[str, ...]]] = {
    "stops and take-profits": (TINY, TARGETS),
    "self-trades end the aggressor": (TINY, ("venue.self_trade_prevention=cancel_taker",)),
    "coarse ticks": (TINY, ("contract.tick_size=10",)),
    "inverse": (TINY, ("contract.type=inverse",)),
    "pauses": (TINY, ("venue.circuit_breaker={move: 0.3%, window: 5s, pause: 1s}",)),
    "two markets": (TESTS / "golden" / "two_markets.yaml", ("record.map_every=5s",)),
    "parts of a checkpointed run": (TINY, ()),
}


@pytest.fixture(scope="module", params=MARKETS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> RunFrames:
    """A run that keeps all events."""
    file, overrides = MARKETS[request.param]
    loaded = running.load_scenario(file, [*overrides, "record.events=all", "record.series_every=100ms"])
    every = "2s" if request.param.startswith("parts") else None
    out = tmp_path_factory.mktemp("runs")
    return load_run(running.run(loaded, out=out, figures=False, checkpoint_every=every).path)


def written(run: RunFrames, folder: Path) -> Iterator[tuple[MarketFrames, Path, Path, int]]:
    for market in run.markets.values():
        files = write_lobster(run, market, folder, LEVELS)
        yield market, files.messages, files.orderbook, files.scale


def test_the_book_rebuilt_from_messages_is_the_orderbook_file_row_by_row(run: RunFrames, tmp_path: Path) -> None:
    for _, message, orderbook, _ in written(run, tmp_path):
        messages, rows = read_messages(message), read_book(orderbook)
        assert len(messages) == len(rows) > 1000
        for number, (row, mine) in enumerate(zip(rows, rebuilt(messages, LEVELS), strict=True)):
            assert row == mine, f"row {number}: {messages[number]}"
        times = [Decimal(each.time) for each in messages]
        assert times == sorted(times)
        assert all(re.fullmatch(r"\d+\.\d{9}", each.time) for each in messages)


def test_the_book_is_the_one_that_the_run_saw(run: RunFrames, tmp_path: Path) -> None:
    for market, message, orderbook, scale in written(run, tmp_path):
        messages, rows = read_messages(message), read_book(orderbook)
        ends = np.array([float(each.time) for each in messages])
        series, checked = market.series, 0
        for place, time_s in enumerate(series["time_s"]):
            last = int(np.searchsorted(ends, time_s + WARMUP_S + 1e-7, side="right")) - 1
            if last < 0:
                continue
            for column, name in ((0, "best_ask"), (2, "best_bid")):
                price = abs(int(rows[last][column]))
                seen = np.nan if price == 9_999_999_999 else price / scale
                np.testing.assert_allclose(seen, series[name][place], rtol=1e-12, err_msg=f"{name} at {time_s}")
            checked += 1
        assert checked > 100


def test_depth_is_that_of_the_maps(run: RunFrames, tmp_path: Path) -> None:
    """Every resting order, not the best levels alone: bins of the recorded maps."""
    for market, message, _, scale in written(run, tmp_path):
        messages, levels, contract = read_messages(message), market.map, market.contract
        assert levels is not None
        tick = contract.to_price(1.0)
        due = iter(range(len(levels.time_s)))
        place = next(due)
        ends = [*(float(each.time) for each in messages[1:]), np.inf]
        for end, orders in zip(ends, resting(messages), strict=True):
            if end <= levels.time_s[place] + WARMUP_S + 1e-7:
                continue
            side, price, size = np.array(list(orders.values())).T
            for sign, recorded in ((1, levels.bid_depth[place]), (-1, levels.ask_depth[place])):
                own = side == sign
                edges = levels.price_edges - 0.5 * tick
                mine = np.histogram(price[own] / scale, edges, weights=size[own])[0]
                expected = contract.notional(mine, levels.price_centers / tick)
                np.testing.assert_allclose(expected, recorded, rtol=1e-9)
            place = next(due, -1)
            if place < 0:
                break
        assert place < 0, "every map was compared"


def test_messages_are_the_runs_own_events(run: RunFrames, tmp_path: Path) -> None:
    table = run.events.to_pandas()
    for market, message, _, _ in written(run, tmp_path):
        own = table[table["market"] == market.name]
        counts = Counter(each.type for each in read_messages(message))
        assert counts["4"] == int((own["kind"] == "FILL").sum())
        executed = sum(int(each.size) for each in read_messages(message) if each.type == "4")
        assert executed == int(own.loc[own["kind"] == "FILL", "quantity_lots"].sum())
        assert set(counts) <= set("1234")


def test_files_are_named_as_lobster_names_them(run: RunFrames, tmp_path: Path) -> None:
    for market, message, orderbook, _ in written(run, tmp_path):
        for path, kind in ((message, "message"), (orderbook, "orderbook")):
            assert re.fullmatch(rf"{market.name}_1970-01-01_0_\d+_{kind}_{LEVELS}\.csv", path.name)
        assert (message, orderbook) == lobster_paths(run, market, tmp_path, LEVELS)
        assert {len(row) for row in read_book(orderbook)} == {4 * LEVELS}


def test_take_profits_that_never_fire_are_not_in_the_book(tmp_path: Path) -> None:
    """Their ACCEPTED looks like that of a resting order: only the record of conditional orders tells."""
    loaded = running.load_scenario(TINY, [*TARGETS, "populations.crowd.take_profit_offset=10%"])
    run = load_run(running.run(loaded, out=tmp_path, figures=False).path)
    table = run.events.to_pandas()
    import pyarrow.parquet as pq

    [part] = parts_of(log_folder(run.path, COMMAND), "main")
    sent = pq.ParquetFile(part).read().to_pandas()
    targets = set(sent.loc[sent["cause"] == int(Cause.VOLUNTARY), "order_id"])
    accepted = set(table.loc[table["kind"] == "ACCEPTED", "order_id"])
    assert targets & accepted, "some wait"
    submitted = {int(each.order_id) for each in read_messages(write_lobster(run, run.first, tmp_path).messages)}
    assert not targets & submitted


# ---- by hand -------------------------------------------------------------------------------------------------------


def event(kind: EventKind, order: int, lots: int, price: int, side: int = 1, maker: int = 0) -> BookEvent:
    return BookEvent(7, order, maker, lots, price, int(kind), side)


def changes(*events: BookEvent, waits: tuple[int, ...] = ()) -> list[tuple[int, int, int, int, int]]:
    return [change[1:] for change in EventBook(waits.__contains__).apply(events)]


def test_what_is_modified_keeps_its_place_or_comes_again() -> None:
    rests = event(EventKind.ACCEPTED, 1, 9, 100)
    assert changes(rests, event(EventKind.MODIFIED, 1, 4, 100))[1:] == [(2, 1, 5, 100, 1)], "partial cancel"
    assert changes(rests, event(EventKind.MODIFIED, 1, 9, 100))[1:] == [], "as it was"
    assert changes(rests, event(EventKind.MODIFIED, 1, 12, 100))[1:] == [(3, 1, 9, 100, 1), (1, 1, 12, 100, 1)]
    assert changes(rests, event(EventKind.MODIFIED, 1, 9, 98))[1:] == [(3, 1, 9, 100, 1), (1, 1, 9, 98, 1)]


def test_a_modified_order_that_trades_rests_with_what_is_left_after_its_last_fill() -> None:
    book = event(EventKind.ACCEPTED, 1, 9, 100), event(EventKind.ACCEPTED, 2, 3, 104, -1)
    other = event(EventKind.ACCEPTED, 3, 2, 105, -1)
    moved = event(EventKind.MODIFIED, 1, 9, 105)
    first, second = event(EventKind.FILL, 1, 3, 104, 1, 2), event(EventKind.FILL, 1, 2, 105, 1, 3)
    assert changes(*book, other, moved, first, second)[3:] == [
        (3, 1, 9, 100, 1),
        (4, 2, 3, 104, -1),
        (4, 3, 2, 105, -1),
        (1, 1, 4, 105, 1),
    ]
    own = event(EventKind.CANCELLED, 3, 2, 105, -1)
    assert changes(*book, other, moved, first, own)[-2:] == [(3, 3, 2, 105, -1), (1, 1, 6, 105, 1)], "a self-trade"
    ended = event(EventKind.EXPIRED, 1, 6, 105)
    assert changes(*book, other, moved, first, ended)[-1] == (4, 2, 3, 104, -1), "nothing of it rests"


def test_what_never_was_in_the_book_makes_no_message() -> None:
    waits = event(EventKind.ACCEPTED, 5, 9, 90)
    quiet = [
        event(EventKind.REJECTED, 6, 9, 90),
        event(EventKind.EXPIRED, 7, 9, 90),
        event(EventKind.TRIGGERED, 5, 9, 95),
        event(EventKind.CANCELLED, 5, 9, 90),
        event(EventKind.TAKEOVER, 0, 9, 90),
        event(EventKind.ADL, 0, 9, 90),
        event(EventKind.FUNDING, 0, 9, 90),
    ]
    assert changes(waits, *quiet, waits=(5,)) == []


def test_events_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="order 2 does not rest"):
        changes(event(EventKind.FILL, 1, 3, 104, 1, 2))
    with pytest.raises(ValueError, match="order 2 has 3 lots, and 4 are taken"):
        changes(event(EventKind.ACCEPTED, 2, 3, 104, -1), event(EventKind.FILL, 1, 4, 104, 1, 2))


# ---- the command ---------------------------------------------------------------------------------------------------


def test_the_command_writes_prints_and_does_not_write_over(run: RunFrames, tmp_path: Path) -> None:
    folder = tmp_path / "lobster"
    made = marginquake("export", run.path, "--lobster", folder, "--levels", 2, "--date", "2024-08-05")
    assert made.exit_code == 0, made.output
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) == 2 * len(run.markets)
    assert all("_2024-08-05_0_" in name and name.endswith("_2.csv") for name in names)
    assert made.stdout.splitlines()[-1] == str(folder / made.stdout.splitlines()[-1].rpartition("/")[2])
    again = marginquake("export", run.path, "--lobster", folder, "--levels", 2, "--date", "2024-08-05")
    assert (again.exit_code, "is there already" in again.stderr) == (2, True)
    assert marginquake("export", run.path, "--lobster", folder, "--levels", 2, "--date", "2024-08-05",
                       "--replace").exit_code == 0  # fmt: skip


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "say what to write"),
        (("--lobster", "x", "--date", "5.8.24"), "--date 5.8.24: write it as"),
        (("--lobster", "nowhere/x"), "no folder nowhere"),
        (("--events", "x.txt"), "must end in .parquet or .csv"),
        (("--lobster", "x", "--market", "b"), "--market b: the run has main"),
        (("--lobster", "x"), "run with record.events: all"),
    ],
)
def test_a_mistake_is_one_sentence_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    short = ["duration=1s", "warmup=1s", "index.shocks=[]", "record.events=fills"]
    path = running.run(running.load_scenario(TINY, short), out="runs", figures=False).path
    result = marginquake("export", path, *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["runs"]


def test_a_run_of_before_says_that_it_lacks_the_record(tmp_path: Path) -> None:
    import shutil

    short = ["duration=1s", "warmup=1s", "index.shocks=[]"]
    path = running.run(running.load_scenario(TINY, short), out=tmp_path, figures=False).path
    shutil.rmtree(path / "conditional_orders")
    seal_run(path)
    run = load_run(path)
    with pytest.raises(RunDirectoryError, match="made by an older marginquake"):
        write_lobster(run, run.first, tmp_path)


@pytest.mark.parametrize(("tick", "scale"), [("1", 10_000), ("0.0001", 10_000), ("0.00001", 100_000)])
def test_prices_are_whole_numbers_whatever_the_tick(tick: str, scale: int) -> None:
    from marginquake.sim.core.contract import ContractSpec

    fields = {"tick_size": tick, "lot_size": "1000", "money_unit": "0.00001"}
    assert price_scale(ContractSpec.from_fields("main", fields, 10, 10)) == scale
