"""Watching a run: it changes nothing, its figures are the run's own, and the picture fits the terminal."""

import dataclasses
import io
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from marginquake.agents import AGENT_TYPES
from marginquake.sim.cli.watch.screen import LEAST_HEIGHT, LEAST_WIDTH, Pace, bar, chart, plain_line, ratio, render
from marginquake.sim.cli.watch.watcher import (
    POINTS,
    RUNGS,
    Alert,
    Frame,
    PriceHistory,
    PricePoint,
    Thresholds,
    Watcher,
    liquidation_ladder,
    rung_ticks,
    rungs,
)
from marginquake.sim.core.records import Side, Stage
from marginquake.sim.model.model import MarketModel
from marginquake.sim.runs import directory
from marginquake.sim.runs.directory import RunData
from marginquake.sim.runs.event_log import MemoryLog, NoLog
from marginquake.sim.studies import run as running
from tests.support.command_line import marginquake
from tests.support.paths import ROOT, TINY

pytestmark = pytest.mark.model


@dataclasses.dataclass
class Seen:
    """A watched run: what it gave, a frame at every sample, and the model as it ended."""

    data: RunData
    frames: list[Frame]


class FrameAtEverySample:
    """Asks for a frame after every step, and keeps those of the series."""

    def __init__(self) -> None:
        self.watcher = Watcher()
        self.frames: list[Frame] = []

    def open_log(self, inner: Any) -> Any:
        return self.watcher.open_log(inner)

    def look(self, model: MarketModel) -> None:
        sampled = self.watcher.look(model)
        frame = self.watcher.frame(model)
        if sampled:
            self.frames.append(frame)


@pytest.fixture(scope="module")
def seen() -> Seen:
    spectator = FrameAtEverySample()
    data = running.simulate(running.load_scenario(TINY), 1, open_log=MemoryLog, spectator=spectator)
    return Seen(data, spectator.frames)


def market_at(seconds: int) -> MarketModel:
    """The tiny market after so many seconds."""
    model = MarketModel(running.load_scenario(TINY), AGENT_TYPES, 1, False, NoLog)
    while model.now_ns < seconds * 1_000_000_000:
        model.step()
    return model


# ---- looking changes nothing ---------------------------------------------------------------------------------------


def test_a_watched_run_has_the_events_of_one_that_is_not(seen: Seen) -> None:
    alone = running.simulate(running.load_scenario(TINY), 1, open_log=NoLog)
    assert alone.summary["event_digest"] == seen.data.summary["event_digest"]
    assert alone.summary["margin_calls"] == seen.data.summary["margin_calls"] != 0


# ---- figures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("figure", "column"),
    [
        ("last", "last"),
        ("mark", "mark"),
        ("index", "index"),
        ("mid", "mid"),
        ("best_bid", "best_bid"),
        ("best_ask", "best_ask"),
        ("open_interest", "open_interest"),
        ("insurance_fund", "insurance_fund"),
        ("fund_position", "fund_position"),
        ("funding_rate", "funding_rate"),
    ],
)
def test_frames_show_what_the_series_records(seen: Seen, figure: str, column: str) -> None:
    live = np.asarray(seen.data.series["time_s"]) >= 0
    shown = np.array([getattr(frame, figure) for frame in seen.frames])
    np.testing.assert_array_equal(shown, np.asarray(seen.data.series[column])[live])


def test_counts_end_at_those_of_the_summary(seen: Seen) -> None:
    last, summary = seen.frames[-1], seen.data.summary
    assert last.margin_calls == summary["margin_calls"]
    assert last.liquidations == summary["liquidations"]
    assert last.forced_notional == pytest.approx(summary["forced_notional"], rel=1e-12)
    assert last.largest_fall == pytest.approx(summary["max_drawdown_fraction"], rel=1e-12)
    assert last.open_interest_start == pytest.approx(summary["open_interest_start"])
    assert last.insurance_fund_start == pytest.approx(summary["insurance_fund_start"])
    assert last.change == pytest.approx(last.last / seen.frames[0].last - 1.0)


def test_margin_calls_so_far_are_the_sum_of_the_series(seen: Seen) -> None:
    live = np.asarray(seen.data.series["time_s"]) > 0
    recorded = np.cumsum(np.asarray(seen.data.series["margin_calls"])[live])
    assert [frame.margin_calls for frame in seen.frames[1:]] == recorded.tolist()


def test_last_liquidations_are_the_ends_in_the_audit_log(seen: Seen) -> None:
    (audit,) = seen.data.audit.values()
    ends = audit[(audit["from_stage"] >= Stage.LIQUIDATING) & (audit["to_stage"] < Stage.LIQUIDATING)]
    shown = seen.frames[-1].closed
    assert [each.account for each in shown] == ends["account"].tolist()
    assert [each.time_s for each in shown] == (ends["time_ns"] / 1e9).tolist()
    unit = 1e-6
    assert sum(each.fund_paid for each in shown) == pytest.approx(float(ends["fund_paid"].sum()) * unit)
    assert sum(each.loss for each in shown) == pytest.approx(float(ends["margin_paid"].sum()) * unit)
    assert {each.side for each in shown} == {1}, "the price fell: longs were sold"
    assert all(each.notional > 0 for each in shown)


def test_a_run_that_keeps_no_audit_says_why_nothing_is_listed() -> None:
    spectator = FrameAtEverySample()
    running.simulate(running.load_scenario(TINY, ["record.events=none"]), 1, open_log=NoLog, spectator=spectator)
    assert spectator.frames[-1].closed == ()
    assert "record.events" in spectator.frames[-1].why_no_closed
    assert spectator.frames[-1].margin_calls > 0, "events are counted whatever is kept"


def test_the_ladder_is_a_sum_over_accounts_and_orders() -> None:
    venue = market_at(4).sessions[0].venue
    mark = venue.exchange.mark_ticks
    rows = venue.accounts.rows
    waits = (rows["liquidation_ticks"] > 0) & (rows["stage"] < Stage.CALLED)
    notional = venue.contract.notional(np.abs(rows["position_lots"]), np.maximum(rows["liquidation_ticks"], 1))
    book, close = venue.exchange, 2e-4  # half of a bin, which is valued at its middle
    for reach in liquidation_ladder(venue):
        low, high = math.ceil(mark * (1 - reach.distance)), math.floor(mark * (1 + reach.distance))
        inside = waits & (rows["liquidation_ticks"] >= low) & (rows["liquidation_ticks"] <= high)
        assert reach.longs == pytest.approx(notional[inside & (rows["position_lots"] > 0)].sum(), rel=close)
        assert reach.shorts == pytest.approx(notional[inside & (rows["position_lots"] < 0)].sum(), rel=close)
        for side, resting in ((Side.BUY, reach.bids), (Side.SELL, reach.asks)):
            levels = {ticks: book.level_lots(side, ticks) for ticks in range(low, high + 1)}
            lot_value = sum(venue.contract.notional(lots, ticks) for ticks, lots in levels.items())
            assert resting == pytest.approx(lot_value, rel=close)
    assert liquidation_ladder(venue)[-1].longs > 0


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_rungs_hold_what_the_levels_of_their_bucket_hold(side: Side) -> None:
    venue = market_at(4).sessions[0].venue
    width = rung_ticks(venue.initial_ticks)
    ladder = rungs(venue, side)
    assert len(ladder) == RUNGS
    for rung in ladder:
        outer = venue.contract.to_ticks(rung.price)
        assert outer % width == 0, "rungs lie on whole buckets"
        bucket = range(outer, outer + width) if side == Side.BUY else range(outer - width + 1, outer + 1)
        lots = sum(venue.exchange.level_lots(side, ticks) for ticks in bucket)
        assert rung.notional == pytest.approx(lots * venue.contract.notional_per_lot(outer))
    prices = [rung.price for rung in ladder]
    assert prices == sorted(prices, reverse=side == Side.BUY), "best first"


@pytest.mark.parametrize(("initial", "width"), [(100_000, 10), (65_000, 10), (30_000, 5), (1_500, 1), (20, 1)])
def test_a_rung_is_about_one_basis_point_wide(initial: int, width: int) -> None:
    assert rung_ticks(initial) == width


def test_a_level_is_told_once_and_again_after_the_value_was_clearly_below_it() -> None:
    pressure = Thresholds((1.0, 2.0), eased=0.8)
    told = [pressure.crossed(value) for value in (0.5, 1.1, 1.2, 0.9, 1.1, 2.5, 1.7, 2.1, 0.7, 3.0)]
    assert told == [None, 1.0, None, None, None, 2.0, None, None, None, 2.0]
    assert [pressure.crossed(value) for value in (math.nan, 1.5)] == [None, 1.0], "nothing is forced: below all"


def test_alerts_tell_of_calls_and_of_pressure(seen: Seen) -> None:
    texts = [alert.text for alert in seen.frames[-1].alerts]
    assert any("margin call" in text for text in texts)
    times = [alert.time_s for alert in seen.frames[-1].alerts]
    assert times == sorted(times)


def test_a_fault_and_its_end_are_alerts() -> None:
    fault = "faults=[{type: engine_outage, at: 6s, for: 4s}]"
    spectator = FrameAtEverySample()
    running.simulate(running.load_scenario(TINY, [fault]), 1, open_log=NoLog, spectator=spectator)
    told = [alert for alert in spectator.frames[-1].alerts if "engine outage" in alert.text]
    assert [(alert.time_s, alert.text) for alert in told] == [
        (6.0, "fault: engine outage"),
        (10.0, "fault over: engine outage"),
    ]
    assert [frame.time_s for frame in spectator.frames if frame.faults] == [6.0, 7.0, 8.0, 9.0]


def test_history_keeps_the_whole_run_in_few_points() -> None:
    history = PriceHistory()
    for k in range(5 * POINTS):
        history.add(PricePoint(float(k), float(k), float(k)))
    times = [point.time_s for point in history.points()]
    assert POINTS / 2 <= len(times) < POINTS
    assert times[0] == 0.0
    assert set(np.diff(times)) == {8.0}, "evenly spaced"
    assert times[-1] > 5 * POINTS - 9


# ---- the picture ---------------------------------------------------------------------------------------------------


def drawn(frame: Frame, width: int, height: int) -> list[str]:
    console = Console(record=True, width=width, height=height, force_terminal=True, file=io.StringIO())
    console.print(render(frame, Pace(34.2), width, height))
    return console.export_text().splitlines()


@pytest.mark.parametrize(
    ("width", "height"), [(LEAST_WIDTH, LEAST_HEIGHT), (80, 24), (100, 30), (116, 24), (140, 40), (220, 60)]
)
@pytest.mark.parametrize("when", [0, 10, -1])
def test_the_picture_has_exactly_the_size_of_the_terminal(seen: Seen, width: int, height: int, when: int) -> None:
    lines = drawn(seen.frames[when], width, height)
    assert len(lines) == height
    assert {len(line) for line in lines} == {width}


@pytest.mark.parametrize(("width", "height"), [(80, 24), (140, 40)])
def test_the_picture_says_what_the_frame_says(seen: Seen, width: int, height: int) -> None:
    frame = seen.frames[-1]
    text = "\n".join(drawn(frame, width, height))
    assert "…" not in text, "nothing is cut"
    for words in ("price", "book", "waiting to be forced", "market", "last liquidations", "alerts"):
        assert f"─ {words}" in text
    assert f"{frame.last:,.0f}" in text
    assert f"{100 * frame.largest_fall:.2f} %" in text
    assert f"calls {frame.margin_calls:,}" in text
    assert f"{frame.closed[-1].account}" in text
    assert "0:00:20 of 0:00:20" in text


def test_a_market_without_a_book_or_price_is_drawn_too(seen: Seen) -> None:
    nothing = math.nan
    empty = dataclasses.replace(
        seen.frames[0], last=nothing, mark=nothing, mid=nothing, best_bid=nothing, best_ask=nothing, basis=nothing,
        start=nothing, bids=(), asks=(), history=(), time_s=-5.0,
    )  # fmt: skip
    text = "\n".join(drawn(empty, 80, 24))
    assert "no two-sided book" in text
    assert "nan" not in text
    assert "warm-up" in text
    assert "nan" not in plain_line(empty)


def test_bars_are_eighths_of_a_cell() -> None:
    assert bar(0.5, 4) == "██  "
    assert bar(1 / 32, 4) == "▏   "
    assert bar(7.0, 3) == "███"
    assert bar(-1.0, 3) == "   "


def test_a_falling_line_goes_from_top_left_to_bottom_right() -> None:
    lines, low, high = chart([[4.0, 3.0, 2.0, 1.0]], ["white"], 2, 1)
    assert (low, high) == (1.0, 4.0)
    assert lines[0].plain == "⠑⢄", "dots 1, 5 and 3, 8: one a row of dots"


def test_ratios_keep_to_five_cells() -> None:
    assert [ratio(value) for value in (0.0, 1.234, 9.996, 45.67, 1234.0, math.inf)] == [
        "0.00", "1.23", "10.0", "45.7", ">99", ">99",
    ]  # fmt: skip


def test_an_alert_in_lines_is_marked_by_its_grade() -> None:
    from marginquake.sim.cli.watch.screen import alert_line

    assert alert_line(Alert(61.0, 2, "the insurance fund is empty")) == " 0:01:01  !! the insurance fund is empty"
    assert alert_line(Alert(61.0, 0, "matching goes on")) == " 0:01:01  - matching goes on"


# ---- the command ---------------------------------------------------------------------------------------------------


def test_without_a_terminal_watch_prints_lines_and_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = marginquake("watch", TINY, "--seed", 3)
    assert result.exit_code == 0, result.output
    lines = [line for line in result.stdout.splitlines() if "  last " in line]
    assert len(lines) == 21
    assert lines[-1].startswith(" 0:00:20")
    assert "\x1b" not in result.stdout
    assert "Margin calls" in result.stdout, "the scorecard ends it"
    assert f"marginquake run {TINY} --seed 3" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_saved_run_is_the_one_that_run_makes(tmp_path: Path) -> None:
    results = [
        marginquake("watch", TINY, "--save", "--no-figures", "--out", tmp_path / "watched"),
        marginquake("run", TINY, "--no-figures", "--out", tmp_path / "run"),
    ]
    assert [result.exit_code for result in results] == [0, 0], results[0].output
    watched, alone = (Path(result.stdout.splitlines()[-1]) for result in results)
    assert watched.name == alone.name
    digests = [directory.read_manifest(path)["event_digest"] for path in (watched, alone)]
    assert digests[0] == digests[1]
    for kind in ("events", "audit"):
        parts = [sorted((path / kind).glob("*.parquet")) for path in (watched, alone)]
        assert [part.read_bytes() for part in parts[0]] == [part.read_bytes() for part in parts[1]]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nowhere.yaml",), "nowhere.yaml: no such file"),
        ((TINY, "--speed", "0"), "--speed 0: must be positive"),
        ((TINY, "--speed", "nan"), "--speed nan: must be positive"),
        ((TINY, "--out", "somewhere"), "--out somewhere: belongs to --save"),
        ((TINY, "--no-figures"), "--no-figures: belongs to --save"),
        ((TINY, "--market", "moon"), "--market moon: the scenario has main"),
        ((TINY, "--set", "duratoin=1min"), "duratoin"),
    ],
)
def test_a_mistake_is_one_message_and_exit_2(
    arguments: tuple[object, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = marginquake("watch", *arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_speed_holds_the_run_back(monkeypatch: pytest.MonkeyPatch) -> None:
    from marginquake.sim.cli.watch.command import Clock
    from marginquake.sim.runs.interrupts import Interrupts

    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    clock = Clock(4.0, Interrupts())
    for simulated_s in (-10.0, -5.0, 0.0, 1.0, 2.0, 6.0):
        clock.wait(simulated_s)
    assert now[0] == pytest.approx(101.5), "six seconds at four a second; the warm-up is not held back"
    Clock(None, Interrupts()).wait(1000.0)
    assert now[0] == pytest.approx(101.5)


@pytest.fixture
def hears_ctrl_c() -> Iterator[None]:
    """As at a terminal: shells let what runs in their background ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("hears_ctrl_c")
def test_ctrl_c_ends_with_a_summary_and_exit_130(tmp_path: Path) -> None:
    command = [sys.executable, "-u", "-m", "marginquake", "watch", str(TINY), "--set", "duration=24s"]
    process = subprocess.Popen(
        [*command, "--speed", "1", "--save", "--out", str(tmp_path / "runs")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    while not process.stdout.readline().startswith(" 0:00:02"):  # by then all is compiled and the run mostly sleeps
        pass
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert first.startswith(" 0:00:00")
    assert "until it was stopped" in rest
    assert "go on with: marginquake run --resume" in errors
    assert "Traceback" not in errors
    assert [path.name.endswith(".partial") for path in (tmp_path / "runs").iterdir()] == [True]


def interrupt_at(seconds: float, monkeypatch: pytest.MonkeyPatch, number: signal.Signals = signal.SIGINT) -> None:
    """Ctrl-C, or another signal, in the step that ends then; a line is printed every ten seconds."""
    look = Watcher.look

    def look_and_press(self: Watcher, model: MarketModel) -> bool:
        if model.now_ns == round(seconds * 1e9):
            signal.raise_signal(number)
        return look(self, model)

    monkeypatch.setattr(Watcher, "look", look_and_press)
    monkeypatch.setattr("marginquake.sim.cli.watch.command.PLAIN_LINES", 2)


@pytest.mark.usefixtures("hears_ctrl_c")
def test_ctrl_c_tells_of_the_moment_it_was_pressed_not_of_the_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: Seen
) -> None:
    monkeypatch.chdir(tmp_path)
    interrupt_at(8.0, monkeypatch)
    result = marginquake("watch", TINY)
    assert result.exit_code == 130
    assert [line[:8] for line in result.stdout.splitlines() if "  last " in line] == [" 0:00:00"]
    rows = [line.strip().split("  ", 1) for line in result.stdout.splitlines()]
    told = {name: rest[0].strip() for name, *rest in rows if name in ("simulated", "margin calls")}
    assert told == {"simulated": "0:00:08 of 0:00:20", "margin calls": str(seen.frames[8].margin_calls)}
    assert seen.frames[8].margin_calls > 0
    assert "interrupted; nothing was kept" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("hears_ctrl_c")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_watched_saved_and_stopped_can_be_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    with monkeypatch.context() as during:
        interrupt_at(7.3, during, number)
        stopped = marginquake("watch", TINY, "--save", "--no-figures", "--out", tmp_path)
    assert stopped.exit_code == 128 + number
    (kept,) = tmp_path.iterdir()
    assert f"interrupted at 0:00:07 of 0:00:20 simulated; go on with: marginquake run --resume {kept}" in stopped.stderr
    again = marginquake("watch", TINY, "--save", "--out", tmp_path)
    assert again.exit_code == 2
    assert "is the same run, interrupted" in again.stderr
    resumed = marginquake("run", "--resume", kept, "--quiet")
    alone = marginquake("run", TINY, "--no-figures", "--quiet", "--out", tmp_path / "alone")
    assert [resumed.exit_code, alone.exit_code] == [0, 0], resumed.output
    first, second = (Path(result.stdout.splitlines()[-1]) for result in (resumed, alone))
    assert first.name == second.name
    digests = [directory.read_manifest(path)["event_digest"] for path in (first, second)]
    assert digests[0] == digests[1]
    assert directory.read_manifest(first)["resumed_at_s"] == [7.3]
    assert (first / "series.parquet").read_bytes() == (second / "series.parquet").read_bytes()
    assert not (first / "figures" / "price.png").exists(), "as was asked for then"


@pytest.mark.usefixtures("hears_ctrl_c")
def test_a_run_that_cannot_be_kept_when_it_is_stopped_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path, job: Any, model: Any) -> None:
        raise directory.RunDirectoryError("a participant holds a file")

    monkeypatch.setattr(running, "write_checkpoint", refuse)
    interrupt_at(7.3, monkeypatch)
    stopped = marginquake("watch", TINY, "--save", "--out", tmp_path / "runs")
    assert stopped.exit_code == 130
    assert "interrupted; nothing was kept: a participant holds a file" in stopped.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("hears_ctrl_c")
def test_ctrl_c_that_something_swallows_ends_the_run_after_its_first_step() -> None:
    from marginquake.sim.runs.interrupts import Interrupts, Stopped

    before = signal.getsignal(signal.SIGINT)
    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)  # kernels are being loaded: at once, if nothing swallows it
        with pytest.raises(Stopped):
            interrupts.end_if_asked()
    with Interrupts() as interrupts:
        interrupts.is_stepping = True
        signal.raise_signal(signal.SIGINT)
        assert interrupts.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)  # somebody who cannot wait
    assert signal.getsignal(signal.SIGINT) is before


def test_a_checkpointed_run_has_no_spectator(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="spectator"):
        running.run(TINY, out=tmp_path, checkpoint_every="5s", spectator=FrameAtEverySample())
    assert list(tmp_path.iterdir()) == []
