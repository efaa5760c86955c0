"""Analysis: numbers with known answers, every figure drawn, a report that needs nothing from anywhere."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from marginquake.analysis import formats
from marginquake.analysis.causes.episodes import episodes
from marginquake.analysis.figures import FIGURES
from marginquake.analysis.figures.draw import plot_run
from marginquake.analysis.frames.lookup import last_map, opening, reach_near
from marginquake.analysis.frames.market import Fills, LiquidationMap
from marginquake.analysis.frames.run_frames import _declared, leading_comment, load_run
from marginquake.analysis.measures.profits import results_by_population
from marginquake.analysis.measures.scorecard import HEADLINES, headline_rows, market_moves, scorecard_rows
from marginquake.analysis.measures.summary_metrics import metric_of
from marginquake.analysis.presentation import theme
from marginquake.analysis.presentation.panels import gather
from marginquake.analysis.presentation.png import MAX_BYTES
from marginquake.analysis.report.run_report import write_report
from marginquake.analysis.statistics import market_quality
from marginquake.analysis.studies.twins.figure import plot_twin
from marginquake.sim.core.price_moves import Move, from_start, largest_fall, largest_rise
from marginquake.sim.core.records import Cause
from marginquake.sim.runs.directory import RunDirectoryError
from tests.support.paths import ROOT
from tests.support.synthetic_run import add_market

ALWAYS = [name for name in FIGURES if name not in ("crowd", "round_prices")]
"""Figures that every run gets; the others want days, or stops at round prices."""


def fills_of(time_s: list[float], price: list[float], side: int = -1, cause: Cause = Cause.LIQUIDATION) -> Fills:
    count = len(time_s)
    return Fills(
        time_s=np.array(time_s), price=np.array(price), notional=np.full(count, 10.0), side=np.full(count, side),
        cause=np.full(count, int(cause)), account=np.arange(count), maker_account=np.zeros(count, np.int64),
        order_id=np.arange(count),
    )  # fmt: skip


# Numbers with known answers


def test_the_largest_fall_is_from_a_running_peak_and_the_largest_rise_from_a_running_low():
    prices = np.array([100.0, 120.0, np.nan, 90.0, 130.0, 110.0])
    assert largest_fall(prices) == Move(pytest.approx(0.25), 1, 3)
    assert largest_rise(prices) == Move(pytest.approx(40 / 90), 3, 4)
    assert (from_start(prices, "fall"), from_start(prices, "rise")) == pytest.approx((0.1, 0.3))
    assert largest_fall(np.array([1.0, 2.0, 3.0])).fraction == 0.0
    assert largest_rise(np.array([1.0, 2.0, 4.0])) == Move(3.0, 0, 2)
    for nothing in (np.array([np.nan]), np.zeros(0), np.array([7.0])):
        assert largest_fall(nothing).fraction == largest_rise(nothing).fraction == from_start(nothing, "rise") == 0.0


def test_falls_and_rises_are_those_of_a_naive_loop():
    prices = np.exp(np.cumsum(np.random.default_rng(4).normal(0, 0.01, 60)))
    pairs = [(prices[j] / prices[i], i, j) for i in range(60) for j in range(i, 60)]
    fall, rise = min(pairs), max(pairs)
    assert largest_fall(prices) == Move(pytest.approx(1 - fall[0]), *fall[1:])
    assert largest_rise(prices) == Move(pytest.approx(rise[0] - 1), *rise[1:])


def test_volatility_of_a_path_with_constant_moves_is_exact():
    time_s = np.arange(601.0)
    path = np.exp(0.001 * (np.arange(601) % 2))
    expected = 0.001 * np.sqrt(market_quality.YEAR_S)
    assert market_quality.realised_volatility(time_s, path, 1.0) == pytest.approx(expected)
    # Every other second the path is back where it was: sampled there it does not move.
    assert market_quality.realised_volatility(time_s, path, 2.0) == 0.0


def test_volatility_of_a_random_walk_does_not_depend_on_the_sampling():
    time_s = np.arange(100_000.0)
    walk = np.exp(np.cumsum(np.random.default_rng(1).normal(0, 1e-4, len(time_s))))
    for every_s in (1.0, 60.0):
        found = market_quality.realised_volatility(time_s, walk, every_s)
        assert found == pytest.approx(1e-4 * np.sqrt(market_quality.YEAR_S), rel=0.06)


def test_sampling_takes_the_last_known_value():
    values = market_quality.sample(np.array([0.0, 1.0, 2.5, 4.0]), np.array([10.0, np.nan, 12.0, 13.0]), 1.0)
    assert values.tolist() == [10.0, 10.0, 10.0, 12.0, 13.0]


def test_spread_statistics_leave_out_moments_with_one_side_only():
    bid = np.array([99.0, 99.0, np.nan, 98.0])
    ask = np.array([101.0, 101.0, 101.0, 102.0])
    found = market_quality.spread_statistics(bid, ask, tick_size=0.5)
    assert found.median_bps == pytest.approx(200.0)
    assert found.median_ticks == 4.0


def test_depth_survival_compares_the_least_with_what_was_normal():
    time_s = np.arange(-3.0, 3.0)
    found = market_quality.depth_statistics(time_s, np.array([8.0, 10.0, 12.0, 10.0, 2.0, 5.0]), normal_until_s=-1.0)
    assert (found.normal, found.least, found.survival) == (10.0, 2.0, 0.2)


def test_basis_is_in_basis_points_of_the_index():
    assert market_quality.basis_bps(np.array([100.5]), np.array([100.0]))[0] == pytest.approx(50.0)


def test_autocorrelation_equals_the_textbook_sum():
    values = np.random.default_rng(2).normal(size=400)
    deviations = values - values.mean()
    expected = [deviations[lag:] @ deviations[:-lag] / (deviations @ deviations) for lag in range(1, 6)]
    assert market_quality.autocorrelation(values, 5) == pytest.approx(expected)
    assert not market_quality.autocorrelation(np.ones(50), 5).any()


def test_kurtosis_of_two_equal_points_is_minus_two():
    assert market_quality.excess_kurtosis(np.array([1.0, -1.0] * 10)) == pytest.approx(-2.0)


def test_fuel_counts_a_cut_bin_by_the_part_inside():
    edges = np.array([90.0, 95.0, 100.0, 105.0, 110.0])
    levels = LiquidationMap(
        time_s=np.array([0.0, 10.0]),
        price_edges=edges,
        long_notional=np.array([[4.0, 8.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]),
        short_notional=np.array([[0.0, 0.0, 6.0, 2.0], [0.0, 0.0, 0.0, 0.0]]),
        bid_depth=np.array([[10.0, 10.0, 0.0, 0.0]] * 2),
        ask_depth=np.array([[0.0, 0.0, 0.0, 0.0]] * 2),
    )
    assert reach_near(levels, 0, 100.0, 0.075).longs == pytest.approx(10.0)
    near = reach_near(levels, 0, 100.0, 0.05)
    assert (near.longs, near.shorts, near.bids) == pytest.approx((8.0, 6.0, 10.0))
    assert near.pressure_below == pytest.approx(0.8)
    assert near.pressure_above == np.inf, "6 are forced and nothing rests"
    empty = reach_near(levels, last_map(levels, 10.0), 100.0, 0.05)
    assert empty.longs == 0.0
    assert np.isnan(empty.pressure_above)
    # A first map without positions precedes their booking: the opening is the next one.
    late = replace(levels, long_notional=levels.long_notional[::-1], short_notional=levels.short_notional[::-1])
    assert reach_near(late, opening(late), 100.0, 0.05).longs == pytest.approx(8.0)


def test_forced_fills_join_an_episode_until_a_pause_longer_than_the_gap():
    found = episodes(fills_of([0.0, 5.0, 9.0, 100.0], [100.0, 98.0, 99.0, 97.0]), gap_s=10.0)
    assert [episode.fills for episode in found] == [3, 1]
    first = found[0]
    assert (first.duration_s, first.notional, first.sell_fraction, first.accounts) == (9.0, 30.0, 1.0, 3)
    assert first.range_fraction == pytest.approx(100 / 98 - 1)
    assert (first.price_first, first.price_last) == (100.0, 99.0)


def test_voluntary_fills_and_stops_are_no_forced_flow():
    assert episodes(fills_of([0.0], [100.0], cause=Cause.STOP)) == []
    assert episodes(fills_of([0.0], [100.0], cause=Cause.VOLUNTARY)) == []
    (fund,) = episodes(fills_of([0.0], [100.0], cause=Cause.TAKEOVER))
    assert (fund.accounts, fund.fund_fraction) == (0, 1.0)


def test_bubbles_that_would_overlap_are_joined_without_losing_notional():
    at_s, price, notional = gather(
        np.array([0.1, 0.2, 7.0]), np.array([10.0, 10.2, 50.0]), np.array([1.0, 3.0, 2.0]), 1.0, 1.0
    )
    assert notional.tolist() == [4.0, 2.0]
    assert price.tolist() == pytest.approx([10.15, 50.0])
    assert at_s.tolist() == pytest.approx([0.175, 7.0])


def test_results_by_population_add_up_and_take_deposits_out(copy: Path):
    accounts = load_run(copy).first.accounts
    profit = accounts["equity_end"] - accounts["equity_start"] + accounts["spot_pnl"]
    before = results_by_population(load_run(copy).first)
    assert sum(result.total for result in before) == pytest.approx(profit.sum())
    assert sum(result.accounts for result in before) == len(profit)
    assert next(result for result in before if result.population == "fees").trading == 0.0
    assert sum(result.fees for result in before) == pytest.approx(0.0, abs=1e-6)

    table = pq.read_table(copy / "accounts.parquet")
    added = np.zeros(len(table))
    added[50] = 1_000.0
    place = table.column_names.index("deposits_added")
    pq.write_table(table.set_column(place, "deposits_added", pa.array(added)), copy / "accounts.parquet")
    after = results_by_population(load_run(copy).first)
    assert sum(result.total for result in after) == pytest.approx(profit.sum() - 1_000)


# Reading


def test_a_path_that_is_no_run_gives_one_message(tmp_path: Path, run: Path):
    with pytest.raises(RunDirectoryError, match="no such run"):
        load_run(tmp_path / "absent")
    with pytest.raises(RunDirectoryError, match=r"not a run directory: summary\.json, series\.parquet"):
        load_run(tmp_path)
    with pytest.raises(RunDirectoryError, match="no figure 'prise'; there are: price"):
        plot_run(run, "prise")


def test_a_damaged_file_gives_one_message(copy: Path):
    (copy / "series.parquet").write_bytes(b"PAR1 not at all")
    with pytest.raises(RunDirectoryError, match="cannot be read"):
        load_run(copy)


def test_a_market_reads_its_own_events_also_where_another_name_begins_like_its_own(copy: Path):
    before = load_run(copy).first
    (copy / "audit").mkdir(exist_ok=True)
    own = next((copy / "events").glob("*-00000.parquet"))
    shutil.copy(own, own.with_name(f"{before.name}-alt-00000.parquet"))
    shutil.copy(own, copy / "audit" / f"{before.name}-alt-00000.parquet")
    after = load_run(copy).first
    assert len(after.events["time_ns"]) == len(before.events["time_ns"])
    assert after.audit == {}


def test_a_market_has_its_own_contract_whatever_the_scenario_is_called():
    def market(tick_size: float):
        return {"contract": {"tick_size": tick_size, "lot_size": 0.1, "multiplier": 1.0}}

    resolved = {"name": "eth", "markets": {"btc": market(1.0), "eth": market(0.5)}}
    assert [_declared(resolved, name, Path())["contract"].to_price(1.0) for name in ("btc", "eth")] == [1.0, 0.5]
    with pytest.raises(RunDirectoryError, match="no contract of market sol"):
        _declared(resolved, "sol", Path())


def test_prices_and_notional_are_in_quote_units(run: Path):
    market = load_run(run).first
    assert market.contract.to_price(1.0) == 1.0
    assert 95_000 < market.fills.price.min() < market.fills.price.max() < 105_000
    forced = market.fills.select(market.fills.forced)
    recorded = load_run(run).summary["forced_notional"]
    assert forced.notional.sum() == pytest.approx(recorded, rel=0.03)
    assert market.run["time_s"][0] == 0.0
    assert market.series["time_s"][0] < 0


def test_the_question_is_the_first_comment_of_the_scenario(run: Path):
    assert load_run(run).question.endswith("How much of the fall is forced, and who pays for it?")
    assert leading_comment("name: x\n# later\n") == ""


# Scorecard

HEADINGS = [metric_of(key).heading for key in HEADLINES]


def test_scorecard_says_fuel_depth_and_feedback(run: Path):
    rows = {row.label: row for row in scorecard_rows(load_run(run).summary)}
    assert rows["Fuel ratio Λ, 5 %"].value == "0.97"
    assert rows["Depth D1"].value == "12M"
    assert rows["Index feedback"].value == "12.6M"
    assert "1.05 D1" in rows["Index feedback"].note
    assert "mean of bids and asks" in rows["Depth D1"].note
    assert set(HEADINGS) <= set(rows)


def test_of_a_squeeze_of_shorts_the_rise_is_told_first_and_heads_the_tiles(run: Path):
    summary = {**load_run(run).summary, "max_rise_fraction": 0.5, "fundamental_rise_fraction": 0.01}
    labels = [row.label for row in scorecard_rows(summary)]
    assert labels[:2] == ["Largest rise", "Largest fall"]
    assert [row.label for row in headline_rows(summary)] == ["Largest rise", *HEADINGS[1:]]
    calm = {**summary, "max_rise_fraction": 0.0}
    assert [row.label for row in scorecard_rows(calm)][:2] == ["Largest fall", "Largest rise"]
    assert [row.label for row in headline_rows(calm)] == HEADINGS


def test_the_words_of_a_market_name_the_larger_move_first():
    up, outside = np.array([100.0, 99.0, 104.0]), np.array([100.0, 99.5, 101.0])
    assert market_moves({"last": up, "fundamental": outside}) == (
        "Largest rise of the last price 5.05 %, of the fundamental 1.51 %; largest fall 1.00 % and 0.50 %"
    )
    down = market_moves({"last": up[::-1], "fundamental": outside[::-1]})
    assert down == "Largest fall of the last price 4.81 %, of the fundamental 1.49 %"


def test_liquidations_are_those_that_began_and_it_says_how_many_had_not_ended():
    ended = "forced sales that began, of a position or a part of it; an account may have several"
    for under_way, more in ((0, ""), (50, "; 50 of them had not ended with the run")):
        rows = scorecard_rows({"liquidations": 1233, "accounts_in_liquidation_end": under_way})
        assert rows[0] == ("Liquidations", "1,233", ended + more)


def test_scorecard_leaves_out_what_is_missing_and_names_what_does_not_exist():
    summary = {"market": "a", "margin_calls": 3, "median_basis_bps": None, "b.margin_calls": 9}
    assert [row[:2] for row in scorecard_rows(summary)] == [("Margin calls", "3"), ("Basis", "none")]
    assert [row[:2] for row in scorecard_rows(summary, "b")] == [("Margin calls", "9")]
    off = {"index_feedback_depth_1pct": 1e6, "index_feedback_enabled": False}
    assert scorecard_rows(off)[0].value == "none"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (999.7, "1k"), (1_234_567, "1.23M"), (-54_321, "-54.3k"), (0.0421, "0.0421"), (float("nan"), "none")],
)
def test_short_numbers(value: float, text: str):
    assert formats.short_number(value) == text


def test_a_count_of_one_is_singular():
    assert [formats.plural(count, "tick") for count in (1.0, 3.0, 2.5)] == ["1 tick", "3 ticks", "2.5 ticks"]


def test_clocks_and_durations():
    assert [formats.clock(seconds) for seconds in (75, 3661, -30)] == ["1:15", "1:01:01", "-0:30"]
    assert [formats.duration(seconds) for seconds in (15, 120, 5400, 7200)] == ["15 s", "2 min", "90 min", "2 h"]
    lengths = (0.25, 353, 1060, 3661, 1059.6)
    assert [formats.duration(each) for each in lengths] == [
        "0.25 s",
        "353 s",
        "17 min 40 s",
        "1 h 1 min 1 s",
        "17 min 40 s",
    ]


# Figures


def brightness_range(path: Path) -> float:
    return float(np.asarray(Image.open(path).convert("L"), np.float64).std())


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_shows_something_and_is_small(run: Path, name: str):
    (path,) = plot_run(run, name)
    image = Image.open(path)
    assert image.width == theme.WIDTH_INCHES * theme.DPI
    assert brightness_range(path) > 10
    # Ink in every quarter of the picture but the margins.
    pixels = np.asarray(image.convert("L"), np.float64)
    middle = pixels[pixels.shape[0] // 5 : -pixels.shape[0] // 8, pixels.shape[1] // 8 : -pixels.shape[1] // 8]
    for half in np.array_split(middle, 2):
        assert half.std() > 3
    assert path.stat().st_size < MAX_BYTES


def test_drawing_twice_gives_the_same_picture(run: Path):
    first = plot_run(run, "liquidation_map")[0].read_bytes()
    assert plot_run(run, "liquidation_map")[0].read_bytes() == first


def test_twin_figure_compares_the_same_seed_only(run: Path, twin: Path, tmp_path: Path):
    path = plot_twin(run, twin, tmp_path / "twin.png")
    assert brightness_range(path) > 10
    other = load_run(twin)
    with pytest.raises(RunDirectoryError, match="no twins"):
        plot_twin(run, replace(other, summary={**other.summary, "seed": 8}), tmp_path / "no.png")


@pytest.mark.parametrize("anchors", [theme.FUEL_ANCHORS, theme.DEPTH_ANCHORS])
def test_heat_colours_grow_lighter_all_the_way(anchors: tuple[str, ...]):
    rgb = np.array([[int(colour[k : k + 2], 16) for k in (1, 3, 5)] for colour in anchors]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    assert (np.diff(linear @ [0.2126, 0.7152, 0.0722]) > 0).all()


def test_a_run_without_events_maps_or_trades_still_draws(copy: Path):
    shutil.rmtree(copy / "events")
    (copy / "liquidation_map.npz").unlink()
    series = pq.read_table(copy / "series.parquet")
    dead = ("last", "mid", "best_bid", "best_ask", "spread_ticks")
    columns = {
        name: np.full(len(series), np.nan) if name in dead else series.column(name) for name in series.column_names
    }
    pq.write_table(pa.table(columns), copy / "series.parquet")
    assert len(plot_run(copy)) == len(ALWAYS) - 2, "no cascade, so no forecast; no calls, so no pressure"
    assert "The events of this run are gone" in write_report(copy).read_text()


def test_a_single_row_of_series_still_draws(copy: Path):
    series = pq.read_table(copy / "series.parquet")
    pq.write_table(series.slice(len(series) - 1), copy / "series.parquet")
    assert len(plot_run(copy)) == len(ALWAYS) - 1, "nobody was called in that row, so no pressure"


def test_every_market_gets_its_figures(copy: Path):
    add_market(copy, "alt")
    assert [path.name for path in plot_run(copy, "price")] == ["price.png", "price-alt.png"]


def test_importing_analysis_does_not_import_matplotlib_and_drawing_not_pyplot(run: Path):
    code = (
        "import sys, marginquake.analysis.figures.draw, marginquake.analysis.report.run_report\n"
        "import marginquake.analysis.causes.episodes, marginquake.analysis.measures.scorecard\n"
        "assert not {'matplotlib', 'pyarrow', 'jinja2', 'PIL'} & set(sys.modules)\n"
        f"marginquake.analysis.figures.draw.plot_run({str(run)!r}, 'losses')\n"
        "assert not {'matplotlib.pyplot', 'pandas', 'mesa', 'numba', 'scipy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
