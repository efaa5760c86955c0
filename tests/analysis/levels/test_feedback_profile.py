"""R(x) from a map, by hand; the event of a run; lines through runs of several seeds."""

import math

import numpy as np
import pytest

from benchmarks import feedback
from benchmarks.studies.runs import MEASURES, SCENARIOS
from marginquake.analysis.causes import causal_tree
from marginquake.analysis.causes.price_parts import Part
from marginquake.analysis.frames.market import LiquidationMap, MarketFrames
from marginquake.analysis.frames.run_frames import frames_of
from marginquake.analysis.levels.feedback import FeedbackProfile, largest_event, profile_before
from marginquake.analysis.statistics.regression import line_over_seeds
from marginquake.sim.studies import run as running
from tests.support.paths import TINY


def map_of(longs: list[float], bids: list[float], shorts: list[float], asks: list[float]) -> LiquidationMap:
    """Maps at 0, 10 and 20 s, fuel ten times that of the one before; five bins of 1 % each side of 100."""
    edges = 100.0 * np.exp(0.01 * np.arange(-5, 6))
    growing = np.array([[1.0], [10.0], [100.0]])
    below, above = (lambda near: [*reversed(near), *[0.0] * 5]), (lambda near: [*[0.0] * 5, *near])
    return LiquidationMap(
        time_s=np.array([0.0, 10.0, 20.0]),
        price_edges=edges,
        long_notional=growing * below(longs),
        short_notional=growing * above(shorts),
        bid_depth=np.ones((3, 1)) * below(bids),
        ask_depth=np.ones((3, 1)) * above(asks),
    )


LEVELS = map_of(
    longs=[2.0, 6.0, 0.0, 0.0, 0.0], bids=[4.0, 3.0, 5.0, 0.0, 1.0],
    shorts=[0.0, 1.0, 0.0, 0.0, 0.0], asks=[2.0, 2.0, 2.0, 2.0, 2.0],
)  # fmt: skip


def whole_windows(profile: FeedbackProfile) -> list[float]:
    """R of the windows that are bins of the map."""
    return profile.number[::10].tolist()


def test_r_is_fuel_over_depth_window_by_window() -> None:
    profile = profile_before(LEVELS, 100.0, 5.0)
    assert whole_windows(profile) == pytest.approx([0.5, 2.0, 0.0, 0.0, 0.0])
    assert profile.at_price == pytest.approx(0.5)
    assert profile.largest == pytest.approx(2.0), "a window across two bins lies between them"
    assert profile.mean == pytest.approx(8.0 / 13.0)
    assert profile.fuel[0] == pytest.approx(200.0), "per unit of log-distance"
    assert profile.depth[0] == pytest.approx(400.0)


def test_above_the_price_shorts_wait_for_asks() -> None:
    profile = profile_before(LEVELS, 100.0, 5.0, side=-1)
    assert whole_windows(profile) == pytest.approx([0.0, 0.5, 0.0, 0.0, 0.0])


def test_where_something_waits_and_nothing_rests_r_is_infinite() -> None:
    levels = map_of([1.0] * 5, [1.0, 1.0, 0.0, 1.0, 1.0], [0.0] * 5, [0.0] * 5)
    assert profile_before(levels, 100.0, 5.0).largest == math.inf
    assert profile_before(levels, 100.0, 5.0).mean == pytest.approx(1.25)


@pytest.mark.parametrize(("at_s", "of_s"), [(5.0, 0.0), (10.0, 0.0), (10.5, 10.0), (99.0, 20.0)])
def test_the_map_is_the_last_one_before_the_event(at_s: float, of_s: float) -> None:
    profile = profile_before(LEVELS, 100.0, at_s)
    assert profile.time_s == of_s
    assert profile.at_price == pytest.approx(0.5 * 10 ** (of_s / 10))


def test_without_a_map_before_there_is_no_r() -> None:
    nothing = profile_before(LEVELS, 100.0, 0.0)
    assert all(math.isnan(value) for value in (nothing.at_price, nothing.largest, nothing.mean))


def frames(*overrides: str) -> MarketFrames:
    loaded = running.load_scenario(TINY, ["record.map_every=1s", *overrides])
    return frames_of(running.simulate(loaded, 1), loaded).first


@pytest.mark.model
def test_an_event_is_every_call_since_the_largest_cascade_began() -> None:
    market = frames()
    tree = causal_tree(market)
    event = largest_event(market, tree)
    assert event is not None
    assert event.start_s == tree.cascades[0].start_s
    since = tree.calls.time_s >= event.start_s
    assert event.calls == since.sum() > len(tree.cascades[0].calls) - 1
    shares = np.clip(tree.calls.share(Part.FORCED)[since], 0.0, 1.0)
    assert event.branching.value == pytest.approx(shares.mean())
    assert event.before.time_s < event.start_s
    assert event.before.time_s >= event.start_s - 1.0
    assert event.before.largest > 0


@pytest.mark.model
def test_where_nobody_is_called_there_is_no_event() -> None:
    market = frames("index.shocks=[]", "populations.crowd.leverage=2")
    assert largest_event(market, causal_tree(market)) is None


# ---- lines ---------------------------------------------------------------------------------------------------------


def test_an_exact_line_is_found_with_no_interval_to_speak_of() -> None:
    x = np.tile([0.0, 1.0, 2.0], 5)
    line = line_over_seeds(x, 0.25 + 0.5 * x, np.repeat(np.arange(5), 3))
    assert (line.slope, line.intercept, line.r_squared) == pytest.approx((0.5, 0.25, 1.0))
    assert (line.low, line.high) == pytest.approx((0.5, 0.5))
    assert (line.runs, line.seeds) == (15, 5)


def test_gaps_are_left_out_and_equal_x_have_no_line() -> None:
    x = np.array([0.0, 1.0, np.inf, np.nan])
    line = line_over_seeds(x, np.array([1.0, 3.0, 9.0, 9.0]), np.arange(4))
    assert (line.slope, line.runs) == (pytest.approx(2.0), 2)
    assert math.isnan(line_over_seeds(np.ones(4), np.arange(4.0), np.arange(4)).slope)
    assert math.isnan(line_over_seeds(np.arange(3.0), np.arange(3.0), np.ones(3)).low), "one seed has no interval"
    assert math.isnan(line_over_seeds(np.arange(8.0), np.sin(np.arange(8.0)), np.arange(8) // 2).low), "nor have four"


def test_the_interval_knows_that_runs_of_a_seed_share_its_luck() -> None:
    """Each seed has a slope of its own: with more runs a seed nothing is gained."""
    draws = np.random.default_rng(3)
    slopes = draws.normal(1.0, 0.3, 12)
    widths = []
    for runs in (5, 50):
        x = np.tile(np.linspace(0.0, 1.0, runs), 12)
        seed = np.repeat(np.arange(12), runs)
        line = line_over_seeds(x, slopes[seed] * x, seed)
        assert line.low < 1.0 < line.high
        widths.append(line.high - line.low)
    assert widths[1] == pytest.approx(widths[0], rel=0.25)


def test_the_interval_holds_the_true_slope_about_as_often_as_it_says() -> None:
    draws = np.random.default_rng(11)
    held = 0
    for _ in range(200):
        seed = np.repeat(np.arange(15), 4)
        x = draws.uniform(0.0, 1.0, 60)
        line = line_over_seeds(x, 0.4 * x + draws.normal(0.0, 0.1, 15)[seed] + draws.normal(0.0, 0.05, 60), seed)
        held += line.low <= 0.4 <= line.high
    assert 170 <= held <= 199


# ---- the study -----------------------------------------------------------------------------------------------------


def test_every_run_of_the_study_has_a_twin_that_differs_in_one_rule() -> None:
    wanted = feedback.jobs("dispersed_control", 0.5, (1, 2))
    for run, twin in zip(wanted[:2], wanted[2:], strict=True):
        assert run.scenario == twin.scenario == "dispersed_control.yaml"
        assert run.seed == twin.seed
        assert {run.keep, twin.keep} <= set(MEASURES)
        own = {each for each in (*run.overrides, *twin.overrides) if not each.startswith("record.")}
        assert own == {"fuel_ratio=0.5", "duration=8min", "liquidation.enabled=false"}
        assert running.load_scenario(SCENARIOS / run.scenario, run.overrides).duration == 480_000_000_000


def test_rows_without_an_event_of_some_size_are_left_out() -> None:
    whole = {"fall": 0.03, "forced_notional": 1e6, "margin_calls": 400}
    twin = {"fall": 0.02}
    rows = [
        feedback.row_of(1.0, 1, whole | {"feedback": {"calls": 400.0, "r_largest": 2.0, "hawkes": None}}, twin),
        feedback.row_of(1.0, 2, whole | {"feedback": {"calls": 3.0, "r_largest": 1.0}}, twin),
        feedback.row_of(1.0, 3, whole | {"feedback": {"calls": 0}}, twin),
    ]
    found = feedback.columns(rows)
    assert found["seed"].tolist() == [1.0]
    assert found["amplification"].tolist() == pytest.approx([1.5])
    assert math.isnan(found["hawkes"][0])
