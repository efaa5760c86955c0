"""One number, one value: scorecard, figures, report, explanation and tables agree on it."""

import re
from pathlib import Path

import numpy as np
import pytest

from marginquake.analysis import formats
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.frames.run_frames import RunFrames, load_run
from marginquake.analysis.levels.entries import entry_map
from marginquake.analysis.levels.positions import positions_at
from marginquake.analysis.measures.quality import measure
from marginquake.analysis.measures.scorecard import headline_rows, one_line, scorecard, scorecard_rows, what_happened
from marginquake.analysis.measures.waiting import waiting_map
from marginquake.analysis.report.run_report import render_report
from marginquake.sim.core.accounts import SYSTEM_ROWS
from marginquake.sim.core.fuel import FAR, NEAR, forced_notional, fuel_ratio
from marginquake.sim.core.price_moves import largest_fall, largest_rise
from marginquake.sim.studies import run as running
from tests.support.paths import TESTS, TINY

pytestmark = pytest.mark.model
RUNS: dict[str, tuple[Path, tuple[str, ...]]] = {
    "a fall": (TINY, ()),
    "a rise": (TINY, ("index.shocks=[{at: 5s, log_return: 3%, over: 5s}]",)),
    "a crash that the fund cannot pay": (
        TINY,
        ("index.shocks=[{at: 5s, log_return: -30%, over: 5s}]", "venue.insurance.initial=1k"),
    ),
    "a fuel ratio asked for": (TINY, ("fuel_ratio=1.5",)),
    "two markets": (TESTS / "golden" / "two_markets.yaml", ()),
    "inverse": (TINY, ("contract.type=inverse",)),
}


@pytest.fixture(scope="module", params=RUNS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> RunFrames:
    file, overrides = RUNS[request.param]
    loaded = running.load_scenario(file, [*overrides, "record.map_bins=3000"])
    return load_run(running.run(loaded, out=tmp_path_factory.mktemp("runs"), figures=False).path)


def card(run: RunFrames, market: MarketFrames) -> dict[str, str]:
    return {row.label: row.value for row in scorecard_rows(run.summary, market.name)}


def test_the_maps_title_has_the_fuel_ratios_of_the_scorecard(run: RunFrames) -> None:
    for market in run.markets.values():
        found = waiting_map(market)
        assert found is not None
        said = re.search(r"Fuel ratio ([\d.]+) within 1 %, ([\d.]+) within 5 % \(D1 (\S+)\)", found.sentence)
        assert said is not None
        own = card(run, market)
        assert said.groups() == (own["Fuel ratio Λ, 1 %"], own["Fuel ratio Λ, 5 %"], own["Depth D1"])


def test_the_fuel_ratio_is_what_positions_and_depth_make(run: RunFrames) -> None:
    """From accounts at t = 0, by the definition: the heavier side within 1 % and 5 % of the mark, over D1."""
    for market in run.markets.values():
        accounts, summary = market.accounts, market.summary
        lots, level = accounts["position_start"], accounts["liquidation_price_start"]
        mark = float(market.series["mark"][np.flatnonzero(market.series["time_s"] == 0)[0]])
        per_lot = float(market.contract.notional(1, mark / market.contract.to_price(1.0)))
        for distance, key in ((NEAR, "fuel_ratio_within_1pct"), (FAR, "fuel_ratio_within_5pct")):
            longs = np.abs(lots[(lots > 0) & (level >= mark * (1 - distance)) & (level < mark)]).sum() * per_lot
            shorts = np.abs(lots[(lots < 0) & (level <= mark * (1 + distance)) & (level > mark)]).sum() * per_lot
            expected = fuel_ratio(max(longs, shorts), distance, summary["depth_1pct"])
            assert summary[key] == pytest.approx(expected, rel=0.02, abs=1e-3)
            ratio, depth = summary[key], summary["depth_1pct"]
            assert fuel_ratio(forced_notional(ratio, distance, depth), distance, depth) == pytest.approx(ratio)


def test_flows_of_the_series_add_up_to_the_summary(run: RunFrames) -> None:
    for market in run.markets.values():
        for flow, key in (
            ("margin_calls", "margin_calls"),
            ("liquidations", "liquidations"),
            ("forced_volume", "forced_notional"),
            ("stop_volume", "stop_notional"),
            ("volume", "volume"),
            ("takeover_notional", "takeover_notional"),
            ("adl_notional", "adl_notional"),
        ):
            assert market.total(flow) == pytest.approx(market.summary[key], rel=1e-9, abs=1e-6), key


def test_figures_explanation_and_list_say_the_scorecards_numbers(run: RunFrames) -> None:
    for market in run.markets.values():
        own, said = card(run, market), what_happened(market)
        assert f"{own['Margin calls']} margin calls; {own['Forced volume']} traded by force." in said
        assert own["Largest fall"] in said
        assert f"{own['Margin calls']} margin calls" in one_line(run.summary)
        assert formats.percent(largest_fall(market.run["last"]).fraction) == own["Largest fall"]
        assert formats.percent(largest_rise(market.run["last"]).fraction) == own["Largest rise"]
        assert f"{len(market.margin_calls.time_s[market.margin_calls.time_s > 0]):,}" == own["Margin calls"]


def test_open_interest_and_fund_are_one_number_each(run: RunFrames) -> None:
    for market in run.markets.values():
        summary, series = market.summary, market.run
        assert series["open_interest"][0] == pytest.approx(summary["open_interest_start"])
        assert series["open_interest"][-1] == pytest.approx(summary["open_interest_end"])
        assert entry_map(market).open_interest() == pytest.approx(summary["open_interest_start"], rel=1e-9)
        held = positions_at(market, 0.0)
        assert held.notional[held.side > 0].sum() == pytest.approx(summary["open_interest_start"], rel=1e-9)
        assert series["insurance_fund"][0] == pytest.approx(summary["insurance_fund_start"])
        assert series["insurance_fund"][-1] == pytest.approx(summary["insurance_fund_end"])
        called = {row.name: row.value for row in measure(market)}["margin_calls"]
        assert called == summary["margin_calls"]


def test_the_crowd_that_was_called_is_counted_alike(run: RunFrames) -> None:
    for market in run.markets.values():
        called = int(np.asarray(market.accounts["margin_called"]).astype(bool).sum())
        assert called == market.summary["accounts_called"]
        accounts = int((market.accounts["row"] >= SYSTEM_ROWS).sum())
        assert market.summary["accounts_called_fraction"] == pytest.approx(called / accounts)


def test_tiles_of_the_report_are_rows_of_the_scorecard(run: RunFrames) -> None:
    page = render_report(run)
    for market in run.markets.values():
        own = card(run, market)
        for row in headline_rows(run.summary, market.name):
            assert own[row.label] == row.value
            assert f'<div class="value">{row.value}</div>' in page


def test_a_scorecard_has_a_column_a_market(run: RunFrames) -> None:
    table = scorecard(run.summary)
    if len(run.markets) == 1:
        assert table == ((), tuple(scorecard_rows(run.summary)))
        return
    assert table.headings == ("", *run.markets, "")
    for place, market in enumerate(run.markets.values(), start=1):
        own = card(run, market)
        for row in table.rows:
            if row[0] in own:
                assert row[place] == own[row[0]], row
    assert {len(row) for row in table.rows} == {len(table.headings)}
    [seconds] = [row for row in table.rows if row[0] == "Computing time"]
    assert seconds[1] == seconds[2], "of the whole run"
