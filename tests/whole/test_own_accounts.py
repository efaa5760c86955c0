"""Accounts of a user's own in a market: every row is found again, as the file has it, wherever accounts are named."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from marginquake.agents import AGENT_TYPES
from marginquake.sim.core.margin import default_brackets
from marginquake.sim.core.problems import ScenarioError
from marginquake.sim.core.records import Side
from marginquake.sim.rules.formulas.liquidation_price import (
    bankruptcy_price,
    bracketed_liquidation_price,
    notional_brackets,
)
from marginquake.sim.runs.directory import RunData
from marginquake.sim.scenario.loader import load_scenario
from marginquake.sim.studies import run as running
from tests.support.command_line import marginquake
from tests.support.paths import TINY
from tests.support.whole_market import simulate

pytestmark = pytest.mark.model

PRICE, TICK, LOT = 100_000.0, 1.0, 0.001
Rows = list[dict[str, Any]]
SHORT_RUN = ("duration=1s", "warmup=1s")


def made(count: int, seed: int = 3, spread: float = 0.01) -> Rows:
    """Accounts that can all be, with entries up to `spread` from the start."""
    draw = np.random.default_rng(seed)
    return [
        {
            "id": f"A-{place:04d}",
            "side": str(draw.choice(["long", "long", "short"])),
            "leverage": float(draw.choice([2, 3, 5, 10, 20, 25])),
            "collateral": round(float(draw.uniform(500, 20_000)), 2),
            "entry_price": round(PRICE * (1 + float(draw.uniform(-spread, spread))), 1),
        }
        for place in range(count)
    ]


def written(path: Path, rows: Rows, *left_out: str) -> Path:
    names = [name for name in rows[0] if name not in left_out]
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def taking(path: Path, *overrides: str) -> tuple[str, ...]:
    return (f"populations.crowd.accounts={{file: {path}}}", *overrides)


def by_id(accounts: Any) -> dict[str, dict[str, Any]]:
    """Rows of `accounts` that have an id."""
    names = list(accounts)
    return {
        str(row[names.index("id")]): dict(zip(names, row, strict=True))
        for row in zip(*accounts.values(), strict=True)
        if row[names.index("id")]
    }


@pytest.fixture(scope="module")
def rows() -> Rows:
    return made(500)


@pytest.fixture(scope="module")
def big_run(rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory with 500 accounts of one's own, some of which a fall calls."""
    folder = tmp_path_factory.mktemp("own")
    path = written(folder / "book.csv", rows)
    shock = "index.shocks=[{at: 2s, log_return: -6%, over: 4s}]"
    loaded = running.load_scenario(TINY, taking(path, "duration=14s", "warmup=5s", shock))
    return running.run(loaded, out=folder / "runs").path


@pytest.fixture(scope="module")
def found(big_run: Path) -> dict[str, dict[str, Any]]:
    return by_id(pq.read_table(big_run / "accounts.parquet").to_pydict())


# ---- 500 rows ------------------------------------------------------------------------------------------------------


def test_every_row_is_an_account_as_the_file_has_it(rows: Rows, found: dict[str, dict[str, Any]]) -> None:
    assert sorted(found) == [row["id"] for row in rows]
    for line, row in enumerate(rows, start=2):
        account = found[row["id"]]
        assert (account["line"], account["left_out"], account["population"]) == (line, "", "crowd")
        assert account["deposit"] == pytest.approx(row["collateral"], abs=1e-6)
        assert account["leverage"] == pytest.approx(row["leverage"], rel=row["leverage"] * 1e-6)
        assert np.sign(account["position_start"]) == (1 if row["side"] == "long" else -1)
        assert account["entry_start"] == pytest.approx(row["entry_price"], abs=TICK / 2 + 1e-9)
        notional = abs(account["position_start"]) * LOT * account["entry_start"]
        missing = row["collateral"] * row["leverage"] - notional
        assert -1e-6 <= missing < LOT * account["entry_start"] + 1e-6
        profit = account["position_start"] * LOT * (PRICE - account["entry_start"])
        assert account["equity_start"] - account["deposit"] == pytest.approx(profit, abs=0.01 * abs(notional))


def test_all_other_accounts_have_no_id(big_run: Path) -> None:
    accounts = pq.read_table(big_run / "accounts.parquet").to_pydict()
    others = [place for place, name in enumerate(accounts["population"]) if name != "crowd"]
    assert {accounts["id"][place] for place in others} == {""}
    assert {accounts["line"][place] for place in others} == {0}


def test_longs_are_as_many_lots_as_shorts(big_run: Path) -> None:
    assert sum(pq.read_table(big_run / "accounts.parquet")["position_start"].to_pylist()) == 0


def test_every_id_is_in_the_report(rows: Rows, big_run: Path) -> None:
    page = (big_run / "report.html").read_text(encoding="utf-8")
    section = page[page.index("Your accounts") :]
    assert {row["id"] for row in rows} <= set(re.findall(r"A-\d{4}", section))


def test_ids_stand_beside_account_numbers_in_explain_and_liquidations(
    big_run: Path, found: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    names = {account["row"]: name for name, account in found.items()}
    said = marginquake("explain", big_run).stdout
    (row, name) = re.findall(r"account (\d+) \((A-\d{4})\)", said)[0]
    assert names[int(row)] == name
    told = json.loads(marginquake("liquidations", big_run, "--accounts", "--json").stdout)["main"]["accounts"]
    called = {name for name, account in found.items() if account["margin_called"]}
    assert len(called) > 20
    assert {each["id"] for each in told if each["called"]} - {""} == called
    assert all(names.get(each["account"], "") == each["id"] for each in told)
    shown = marginquake("liquidations", big_run, "--accounts").stdout
    assert called <= set(re.findall(r"A-\d{4}", shown))
    table = tmp_path / "risk.csv"
    assert marginquake("risk", big_run, "--accounts", table, "--horizon", "5s", "--volatility", "60%").exit_code == 0
    with table.open(newline="", encoding="utf-8") as stream:
        forecasts = list(csv.DictReader(stream))
    assert forecasts
    assert all(names.get(int(each["account"]), "") == each["id"] for each in forecasts)


def test_the_report_of_a_run_names_calls_by_id_in_its_cascades(big_run: Path) -> None:
    from marginquake.analysis.causes import causal_tree
    from marginquake.analysis.frames.run_frames import load_run
    from marginquake.analysis.report.icicle import icicle

    market = load_run(big_run).markets["main"]
    tree = causal_tree(market)
    cells = icicle(tree, max(tree.cascades, key=lambda cascade: len(cascade.calls)), market.account_ids)
    assert [market.account_ids.get(row, "") for row in cells["account"]] == cells["id"]
    assert any(cells["id"])


def test_a_run_with_a_book_is_replayed(big_run: Path) -> None:
    recorded, again = running.replay(big_run)
    assert recorded == again


def test_a_run_without_a_book_has_no_more_columns_than_before() -> None:
    data = simulate(*SHORT_RUN)
    assert not {"id", "line", "left_out"} & set(data.accounts)
    assert data.summary["accounts_left_out"] == 0


# ---- what a row lacks ----------------------------------------------------------------------------------------------


def run_of(path: Path, *overrides: str) -> RunData:
    return simulate(*taking(path, *SHORT_RUN, *overrides))


@pytest.mark.parametrize("column", ["side", "leverage", "collateral", "entry_price"])
def test_a_column_that_is_missing_is_drawn_and_the_others_stay(column: str, rows: Rows, tmp_path: Path) -> None:
    traits = ("populations.crowd.long_share=25%", "populations.crowd.entry_offset={distribution: uniform, "
              "minimum: 1%, maximum: 1.5%}", "populations.crowd.leverage=4",
              "populations.crowd.deposit=7000")  # fmt: skip
    found = by_id(run_of(written(tmp_path / "book.csv", rows, column), *traits).accounts)
    assert len(found) == 500
    sides, offsets = [], []
    for row in rows:
        account = found[row["id"]]
        side = np.sign(account["position_start"])
        sides.append(side)
        offsets.append(side * (account["entry_start"] / PRICE - 1))
        assert side != 0
        if column != "side":
            assert side == (1 if row["side"] == "long" else -1)
        if column != "entry_price":
            assert account["entry_start"] == pytest.approx(row["entry_price"], abs=TICK / 2 + 1e-9)
        leverage = 4 if column == "leverage" else row["leverage"]
        assert account["leverage"] == pytest.approx(leverage, rel=leverage * 1e-6)
        deposit = 7000 if column == "collateral" else row["collateral"]
        assert account["deposit"] == pytest.approx(deposit, abs=1e-6)
    if column == "side":
        assert np.mean(np.array(sides) > 0) == pytest.approx(0.25, abs=0.06)
    if column == "entry_price":
        assert 0.0095 < min(offsets) < max(offsets) < 0.0155


def test_an_empty_cell_is_drawn_and_its_neighbours_are_not(tmp_path: Path) -> None:
    rows = made(30)
    for row in rows[::3]:
        row["leverage"] = ""
    found = by_id(run_of(written(tmp_path / "book.csv", rows), "populations.crowd.leverage=7").accounts)
    leverages = [found[row["id"]]["leverage"] for row in rows]
    wanted = [7 if row["leverage"] == "" else row["leverage"] for row in rows]
    np.testing.assert_allclose(leverages, wanted, rtol=3e-5)


def test_two_of_leverage_collateral_and_notional_give_the_third(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    path.write_text(
        "id,side,leverage,collateral,notional,entry_price\n"
        "lc,long,10,1000,,100000\nln,long,10,,10000,100000\ncn,long,,1000,10000,100000\n"
        "all,long,10,1000,10000,100000\nnotional,short,,,-10000,100000\nnone,long,10,1000,0,\n"
    )
    found = by_id(run_of(path, "populations.crowd.leverage=125").accounts)
    for name in ("lc", "ln", "cn", "all"):
        account = found[name]
        assert (account["position_start"], round(account["leverage"], 6)) == (100, 10)
        assert account["deposit"] == pytest.approx(1000)
    assert found["notional"]["position_start"] == -100
    assert found["notional"]["deposit"] == pytest.approx(10_000 / 125)
    assert (found["none"]["position_start"], found["none"]["deposit"]) == (0, pytest.approx(1000))


def test_a_drawn_leverage_is_lowered_to_what_the_venue_allows_at_the_notional(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    path.write_text("id,side,notional,entry_price\nsmall,long,40000,100000\nlarge,long,2M,100000\n")
    found = by_id(run_of(path, "populations.crowd.leverage=125").accounts)
    assert [round(found[name]["leverage"], 2) for name in ("small", "large")] == [125, 75]
    assert [found[name]["left_out"] for name in ("small", "large")] == ["", ""]


def test_notional_may_be_at_the_price_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    path.write_text("id,side,collateral,notional,entry_price\na,long,5000,10000,125000\n")
    at = "populations.crowd.accounts={file: %s, notional_at: %s}"
    lots = [
        by_id(simulate(at % (path, price), *SHORT_RUN, "warmup=0").accounts)["a"]["position_start"]
        for price in ("entry_price", "start_price")
    ]
    assert lots == [80, 100]


def test_draws_of_a_row_do_not_depend_on_what_other_rows_say(tmp_path: Path) -> None:
    rows = made(40)
    first = by_id(run_of(written(tmp_path / "a.csv", rows, "leverage")).accounts)
    for row in rows[:20]:
        row["entry_price"] = 200_000_000.0
    second = by_id(run_of(written(tmp_path / "b.csv", rows, "leverage")).accounts)
    for row in rows[20:]:
        assert second[row["id"]]["leverage"] == first[row["id"]]["leverage"]
        assert second[row["id"]]["position_start"] == first[row["id"]]["position_start"]


# ---- rows that cannot be -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["isolated", "cross"])
def test_who_is_left_out_is_who_the_venues_own_formula_calls(mode: str, tmp_path: Path) -> None:
    rows = made(400, seed=8, spread=0.6)
    for place, row in enumerate(rows):
        if mode == "cross":  # the setting and what is behind the position are two things
            row["notional"] = row["leverage"] * row["collateral"] * (0.2 + 0.7 * (place % 10) / 10)
    data = run_of(written(tmp_path / "book.csv", rows), f"populations.crowd.margin_mode={mode}")
    found = by_id(data.accounts)
    table = default_brackets()
    floors, caps = [0.0, *(b.notional_cap for b in table[:-1])], [b.notional_cap for b in table]
    brackets = notional_brackets(floors, caps, [b.maintenance for b in table])
    out = 0
    mark = float(data.series["mark"][np.flatnonzero(data.series["time_s"] >= 0)[0]])  # type: ignore[index]
    for row in rows:
        side = Side.BUY if row["side"] == "long" else Side.SELL
        entry = round(row["entry_price"])
        notional = row.get("notional", row["leverage"] * row["collateral"])
        quantity = int(notional / (entry * LOT)) * LOT
        backing = row["collateral"] if mode == "cross" else quantity * entry / row["leverage"]
        price, _ = bracketed_liquidation_price(side, quantity, entry, backing, brackets)
        if side == Side.SELL and bankruptcy_price(side, quantity, entry, backing) <= 0:
            price = 0.0
        distance = side * (mark - price) / mark
        if abs(distance) < 2e-4:
            continue  # a tick or a lot decides
        account = found[row["id"]]
        assert bool(account["left_out"]) == (distance <= 0), (row, price, account["left_out"])
        out += bool(account["left_out"])
    assert 40 < out < 360
    assert data.summary["accounts_left_out"] == sum(bool(account["left_out"]) for account in found.values())


def test_a_row_that_is_left_out_has_neither_money_nor_position_then_or_later(tmp_path: Path) -> None:
    rows = made(60)
    for row in rows[::2]:
        row["side"], row["entry_price"], row["leverage"] = "long", 170_000.0, 10.0
    path = written(tmp_path / "book.csv", rows)
    data = simulate(*taking(path, "duration=10s", "warmup=1s", "populations.crowd.entry_time=1s",
                            "populations.crowd.top_up_share=1", "populations.crowd.redeposit_share=1",
                            "populations.crowd.buffer=10%"), check=True)  # fmt: skip
    found = by_id(data.accounts)
    for row in rows[::2]:
        account = found[row["id"]]
        assert "liquidated already" in account["left_out"]
        amounts = (
            "deposit",
            "position_start",
            "position_end",
            "equity_start",
            "equity_end",
            "deposits_added",
            "fees_paid",
        )
        assert [account[name] for name in amounts] == [0] * len(amounts)
    assert data.summary["accounts_left_out"] == 30


def test_a_row_that_dies_in_the_warm_up_is_left_out_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = made(300)
    for place, row in enumerate(rows):
        # liquidation prices a few ticks apart, around the price at the start
        side = 1 if place % 2 else -1
        row["side"], row["leverage"], row["collateral"] = ("long" if side > 0 else "short"), 100, 900.0
        row["entry_price"] = 100_000 + side * (500 + place / 2)
    path = written(tmp_path / "book.csv", rows)
    loaded = load_scenario(TINY, AGENT_TYPES, taking(path))
    book = loaded.populations["crowd"].book
    assert book is not None
    assert 0 < len(book.known) < 300
    data = simulate(*taking(path, "duration=1s", "warmup=10s"), check=True)
    left = {name for name, account in by_id(data.accounts).items() if account["left_out"]}
    known = {book.ids[row] for row in book.known}
    fresh = left - known
    told = [record.getMessage() for record in caplog.records if "cannot be at the start" in record.getMessage()]
    assert known < left
    assert len(told) == 1
    assert f"{len(fresh)} of 300 rows" in told[0]
    mark = float(data.series["mark"][np.flatnonzero(data.series["time_s"] >= 0)[0]])  # type: ignore[index]
    for account in by_id(data.accounts).values():
        if not account["left_out"]:
            assert np.sign(account["position_start"]) * (mark - account["liquidation_price_start"]) > 0


def test_refusing_ends_the_run_before_anything_is_written(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    path.write_text("id,leverage,collateral,entry_price\nx,10,1000,112000\ny,10,1000,100000\n")
    # sides are drawn, so that only the run knows
    told = marginquake(
        "run", TINY, "--out", tmp_path / "runs", "--set", "duration=1s", "--set", "populations.crowd.long_share=1",
        "--set", f"populations.crowd.accounts={{file: {path}, on_impossible: refuse}}",
    )  # fmt: skip
    assert told.exit_code == 2
    assert f"{path}:2: cannot be at the start: liquidated already" in told.stderr
    assert not list(tmp_path.glob("runs/*"))


def test_a_bad_file_ends_with_two_and_every_line(tmp_path: Path) -> None:
    path = written(tmp_path / "book.csv", [*made(3), {"id": "A-0001", "side": "up", "leverage": "x"}])
    told = marginquake("run", TINY, "--out", tmp_path / "runs", "--set", taking(path)[0])
    assert (told.exit_code, told.stderr.count(f"{path}:5: ")) == (2, 3)
    assert not (tmp_path / "runs").exists()


# ---- elsewhere -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(set(AGENT_TYPES) - {"retail", "liquidation_engine"}))
def test_a_population_that_begins_without_positions_refuses_a_book(kind: str, tmp_path: Path) -> None:
    path = written(tmp_path / "book.csv", made(3))
    with pytest.raises(
        ScenarioError, match=r"populations\.them\.accounts: must be a number: a file says which positions"
    ):
        load_scenario(TINY, AGENT_TYPES, (f"populations.them={{type: {kind}, accounts: {{file: {path}}}}}",))


HOLDERS = """
from typing import Any, ClassVar

import numpy as np

from marginquake.agents import Accounts, Participant, ParticipantConfig, SeedPositions


class Config(ParticipantConfig):
    takes_account_book: ClassVar[bool] = True
    accounts: Accounts = 5


class Holders(Participant):
    config_type = Config

    @classmethod
    def needs_other_side(cls, config: Any) -> bool:
        return True

    def decide(self, market, orders):
        pass

    def seed_positions(self, market, depth_1pct):
        book, price = self.context.book, round(market.mark_ticks or market.index_ticks)
        entry = book.entries(self.contract, np.full(len(book), price))
        return SeedPositions(book.side * book.lots(self.contract, entry, price), entry, book=book)
"""


def test_a_class_of_the_users_own_may_take_a_book(tmp_path: Path) -> None:
    (tmp_path / "own_holders.py").write_text(HOLDERS)
    rows = made(20)
    rows[3]["entry_price"], rows[3]["side"], rows[3]["leverage"] = 170_000.0, "long", 10.0
    written(tmp_path / "book.csv", rows)
    path = tmp_path / "market.yaml"
    path.write_text(
        f"extends: {TINY}\npopulations:\n  mine: {{type: 'own_holders:Holders', accounts: {{file: book.csv}}}}\n"
    )
    found = by_id(simulate(*SHORT_RUN, path=path, check=True).accounts)
    assert [row["id"] for row in rows if found[row["id"]]["left_out"]] == ["A-0003"]
    for row in rows[4:]:
        assert found[row["id"]]["entry_start"] == pytest.approx(row["entry_price"], abs=TICK)


def test_positions_of_a_book_need_the_other_side(tmp_path: Path) -> None:
    path = written(tmp_path / "book.csv", made(3))
    with pytest.raises(ScenarioError, match="nobody takes the other side of the positions that crowd holds"):
        load_scenario(
            TINY, AGENT_TYPES, taking(path, "populations.carry=null", "populations.crowd.initial_open_fraction=0")
        )


def test_a_book_is_not_scaled_and_others_are(rows: Rows, tmp_path: Path) -> None:
    path = written(tmp_path / "book.csv", rows[:50])
    more = "populations.drawn={type: retail, accounts: 200, leverage: 20}"
    data = run_of(path, more, "fuel_ratio=0.5")
    found = by_id(data.accounts)
    assert data.summary["position_scale"] != 1.0
    for row in rows[:50]:
        assert found[row["id"]]["deposit"] == pytest.approx(row["collateral"], abs=1e-6)


def test_two_markets_each_keep_their_ids(tmp_path: Path) -> None:
    path = written(tmp_path / "book.csv", made(20))
    coin = "{type: inverse, initial_price: 100000, tick_size: 1, contract_value: 100, money_unit: 1e-8}"
    data = simulate(
        *SHORT_RUN, f"markets={{main: {{}}, coin: {{contract: {coin}}}}}",
        "populations.mm={type: market_maker, accounts: 3, market: coin}",
        "populations.carry2={type: hedger, accounts: 2, market: coin}",
        f"populations.mine={{type: retail, market: coin, accounts: {{file: {path}}}}}", check=True,
    )  # fmt: skip
    found = by_id(data.accounts)
    assert {account["market"] for account in found.values()} == {"coin"}
    for row in made(20):
        account = found[row["id"]]
        assert account["entry_start"] == pytest.approx(row["entry_price"], abs=TICK)
        assert account["deposit"] == pytest.approx(row["collateral"], abs=1e-3)
        contracts = row["leverage"] * row["collateral"] * account["entry_start"] / PRICE / 100
        assert abs(account["position_start"]) == pytest.approx(contracts, abs=1)


def test_workers_of_a_sweep_find_the_book(tmp_path: Path) -> None:
    for name, count in (("a.csv", 20), ("b.csv", 30)):
        written(tmp_path / name, made(count))
    (tmp_path / "market.yaml").write_text(
        f"extends: {TINY}\nduration: 1s\nwarmup: 1s\npopulations: {{crowd: {{accounts: {{file: a.csv}}}}}}\n"
    )
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(
        f"scenario: market.yaml\nseeds: 2\naxes:\n  book: {{path: populations.crowd.accounts.file, "
        f"values: [{tmp_path}/a.csv, {tmp_path}/b.csv]}}\n"
    )
    told = marginquake("sweep", sweep, "--quiet", "--workers", 2, "--out", tmp_path / "runs")
    assert told.exit_code == 0, told.stderr
    counts = [
        len(by_id(pq.read_table(path).to_pydict()))
        for path in sorted((tmp_path / "runs").rglob("accounts.parquet"))
    ]  # fmt: skip
    assert sorted(counts) == [20, 20, 30, 30]


def test_a_checkpointed_run_with_a_book_ends_as_one_that_was_not_cut_off(tmp_path: Path) -> None:
    path = written(tmp_path / "book.csv", made(20))
    loaded = running.load_scenario(TINY, taking(path, "duration=3s", "warmup=1s"))
    whole = running.run(loaded, out=tmp_path / "a", figures=False)
    cut = running.run(loaded, out=tmp_path / "b", figures=False, checkpoint_every="1s")
    assert cut.summary["event_digest"] == whole.summary["event_digest"]
    names = [pq.read_table(each.path / "accounts.parquet")["id"].to_pylist() for each in (whole, cut)]
    assert names[0] == names[1]


def test_whoever_watches_sees_ids(tmp_path: Path) -> None:
    from marginquake.sim.cli.watch.watcher import Watcher
    from marginquake.sim.model.model import MarketModel
    from marginquake.sim.runs.event_log import MemoryLog

    path = written(tmp_path / "book.csv", made(80))
    shock = "index.shocks=[{at: 1s, log_return: -6%, over: 2s}]"
    scenario = running.load_scenario(TINY, taking(path, "duration=8s", "warmup=1s", shock))
    watcher = Watcher()
    model = MarketModel(scenario, AGENT_TYPES, 1, False, watcher.open_log(MemoryLog))
    for _ in range(model.steps_total):
        model.step()
        watcher.look(model)
    closed = watcher.frame(model).closed
    assert any(each.id.startswith("A-") for each in closed)
    stated = model.sessions[0].venue.accounts.stated
    assert all(stated.get(each.account, ("", 0))[0] == each.id for each in closed)
