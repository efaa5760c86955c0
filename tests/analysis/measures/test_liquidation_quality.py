"""Facts about the measures of calls and liquidations: known answers, reasons for none, the table, the command."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from marginquake.agents import AGENT_TYPES
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.frames.run_frames import frames_of
from marginquake.analysis.measures import call_accuracy, costs
from marginquake.analysis.measures.cases import Liquidations
from marginquake.analysis.measures.quality import MEASURES, Result, as_plain, measure, to_csv, transition_matrix
from marginquake.analysis.report.run_report import write_report
from marginquake.sim.cli.main import app
from marginquake.sim.core.records import EventKind
from marginquake.sim.scenario.loader import load_scenario
from marginquake.sim.studies import run as running
from tests.support.paths import TINY
from tests.support.still_market import StillMarket, fall

HARD = ("index.shocks=[{at: 2s, log_return: -6%, over: 4s}]", "venue.insurance.initial=1000")


def frames(folder: Path, *shocks: dict[str, Any], **changes: Any) -> MarketFrames:
    index = {"fundamental": {"volatility": 0}, "feedback": {"enabled": False}, "shocks": list(shocks)}
    market = StillMarket(folder, check=False, index=index, **changes)
    return frames_of(market.finish(), market.model.setup).first


def by_name(market: MarketFrames) -> dict[str, Result]:
    return {row.name: row for row in measure(market)}


@pytest.fixture(scope="module")
def orderly(tmp_path_factory: pytest.TempPathFactory) -> MarketFrames:
    """A fall of 6 % in 20 s, then nothing: everybody is warned, called, and sold 5 s later at a tick below the mark."""
    call = {"warning": 0.8, "window": "5s"}
    folder = tmp_path_factory.mktemp("orderly")
    return frames(
        folder, fall(0.047, over="20s"), venue={"call": call}, duration="15min", record={"map_every": "15min"}
    )


def test_an_orderly_market_measures_what_it_was_told(orderly: MarketFrames) -> None:
    found = by_name(orderly)
    count = found["margin_calls"].value
    assert count == found["warnings"].value == found["liquidations"].value == 40
    assert (found["queue_wait_p50"].value, found["queue_wait_p95"].value) == (5, 5)
    assert (found["time_to_flat_p50"].value, found["filled_share"].value) == (6, 1)
    # the book stands one tick from the index: 0.1 bp of 100,000; the price may move on for a step
    assert 0.0 < found["slippage_mean"].value < 3
    assert found["mark_error_p99"].value == pytest.approx(0, abs=0.06)
    assert (found["false_call_rate"].value, found["transient_share"].value, found["miss_rate"].value) == (0, 0, 0)
    assert (found["cured_share"].value, found["escalation_ratio"].value, found["bad_debt"].value) == (0, 0, 0)
    # half of what the mark falls in a second, roughly: 4.7 % in 20 s
    assert found["overshoot_mean"].value == pytest.approx(12, abs=12)
    assert found["overshoot_at_start"].value == found["overshoot_mean"].value, "the fall ended with the calls"
    assert found["fees"].value > 0


def test_the_transition_matrix_has_a_row_a_change(orderly: MarketFrames) -> None:
    rows = {(each.from_stage, each.to_stage): each for each in transition_matrix(orderly)}
    assert list(rows) == [("OK", "WARNED"), ("WARNED", "CALLED"), ("CALLED", "LIQUIDATING"), ("LIQUIDATING", "OK")]
    assert all((each.count, each.share) == (40, 1.0) for each in rows.values())
    assert math.isnan(rows["OK", "WARNED"].dwell_median_s)
    assert rows["CALLED", "LIQUIDATING"].dwell_median_s == 5


def test_what_did_not_happen_says_so(orderly: MarketFrames, tmp_path: Path) -> None:
    found = by_name(orderly)
    assert found["adl_gini"].shown == "n.a."
    assert found["adl_gini"].reason == "nobody was deleveraged in this run"
    calm = by_name(frames(tmp_path))
    assert calm["margin_calls"].value == 0
    assert calm["queue_wait_p50"].reason == "nobody was liquidated in this run"
    assert calm["false_call_rate"].reason == "nobody was liquidated in this run"
    assert calm["overshoot_mean"].reason == "nobody was called in this run"
    assert calm["miss_rate"].reason.startswith("the fundamental crossed no liquidation price that held from t = 0")
    silent = by_name(frames(tmp_path, fall(0.047), record={"events": "none"}))
    assert silent["margin_calls"].reason.startswith("not recorded (record.events: none)")
    coarse = by_name(frames(tmp_path, fall(0.047), record={"series_every": "1min"}, duration="5min", step="1s"))
    assert coarse["false_call_rate"].reason == "record.series_every is 60 s; at most 30 s would do"


def test_false_calls_are_those_that_the_fundamental_does_not_bear_out(orderly: MarketFrames) -> None:
    """The same run with a fundamental that had stood still: every call is false."""
    moved = {name: column.copy() for name, column in orderly.series.items()}
    moved["fundamental"][:] = 100_000
    still = MarketFrames(**{**_fields(orderly), "series": moved})
    assert by_name(still)["false_call_rate"].value == 1


def test_a_crossing_without_a_sale_is_missed(tmp_path: Path) -> None:
    """A mark that hears of nothing calls nobody, whatever the fundamental does."""
    oracle = {"period": "1s", "delay": "20min"}
    market = frames(tmp_path, fall(0.06), venue={"oracle": oracle}, duration="3min", step="1s")
    found = by_name(market)
    assert found["margin_calls"].value == 0
    assert found["miss_rate"].value == 1


def test_a_dip_that_comes_back_is_transient(tmp_path: Path) -> None:
    shocks = fall(0.047), {"at": "60s", "log_return": 0.03, "over": "1s"}
    market = frames(tmp_path, *shocks, duration="12min", step="1s", record={"map_every": "12min"})
    assert by_name(market)["transient_share"].value == 1


def test_range_minima_are_those_of_slices() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=257)
    first = rng.integers(0, 257, 400)
    last = np.minimum(first + rng.integers(0, 257, 400), 257)
    wanted = [values[a:b].min() if b > a else np.inf for a, b in zip(first, last, strict=True)]
    assert call_accuracy._range_minimum(values, first, last).tolist() == wanted


@pytest.mark.parametrize("price", ["bankruptcy", "previous_mark"])
def test_who_paid_is_complete(price: str) -> None:
    """Also where ADL closes away from the bankruptcy price: what the fund then pays is not a second debt."""
    loaded = load_scenario(TINY, AGENT_TYPES, [*HARD, f"venue.adl.price={price}"])
    data = running.simulate(loaded, 1)
    market = frames_of(data, loaded).first
    found = by_name(market)
    assert found["escalation_ratio"].value > 0
    assert found["deleveraged_share"].value > 0
    assert found["bad_debt"].value == pytest.approx(data.summary["bad_debt"])
    adl = data.events["main"][data.events["main"]["kind"] == EventKind.ADL]
    seen = Liquidations(market)
    closed = costs.closed_by_account(seen)
    assert len(closed) == len(np.unique(adl["account"]))
    assert closed.sum() == pytest.approx(data.summary["adl_notional"])
    assert 0 <= found["adl_gini"].value < 1
    assert found["adl_top_10pct"].value <= 1
    assert found["adl_overshoot"].value > 0


def test_the_gini_coefficient_is_that_of_the_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = np.array([7.0, 3.0, 2.0, 0.5])
    monkeypatch.setattr(costs, "closed_by_account", lambda seen: closed)
    pairs = np.abs(closed[:, None] - closed[None, :]).sum()
    expected = pairs / (2 * len(closed) ** 2 * closed.mean())
    assert costs.gini(None) == pytest.approx(expected)  # type: ignore[arg-type]
    assert costs.top_share(None, 0.25) == pytest.approx(7 / 12.5)  # type: ignore[arg-type]


def test_every_measure_has_a_name_of_its_own_and_a_known_unit(orderly: MarketFrames) -> None:
    assert len({each.name for each in MEASURES}) == len(MEASURES)
    assert all(row.shown for row in measure(orderly))
    lines = to_csv({"main": measure(orderly)}).splitlines()
    assert len(lines) == 1 + len(MEASURES)
    assert "main,queue_wait_p50,5.0,s," in lines
    json.dumps(as_plain(orderly), allow_nan=False)


def test_the_command_prints_tables_or_json_and_the_report_has_a_section(tmp_path: Path) -> None:
    result = running.run(load_scenario(TINY, AGENT_TYPES, HARD), seed=1, out=tmp_path, figures=False)
    runner = CliRunner()
    printed = runner.invoke(
        app, ["liquidations", result.path.name, "--out", str(tmp_path), "--csv", str(tmp_path / "q.csv")]
    )
    assert printed.exit_code == 0, printed.output
    assert "wait from call to forced sale, median" in printed.output
    assert "taken over" in printed.output
    assert (tmp_path / "q.csv").read_text().startswith("market,measure,value,unit,reason\n")
    plain = json.loads(runner.invoke(app, ["liquidations", str(result.path), "--json"]).output)
    assert plain["main"]["measures"]["margin_calls"] > 0
    assert runner.invoke(app, ["liquidations", str(result.path), "--market", "no"]).exit_code != 0
    page = write_report(result.path).read_text()
    assert "Calls and liquidations" in page


def _fields(market: MarketFrames) -> dict[str, Any]:
    return {name: getattr(market, name) for name in market.__dataclass_fields__}
