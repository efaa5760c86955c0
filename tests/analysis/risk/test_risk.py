"""Margin-call probabilities, their reliability and Brier score, the excess, pressure, clusters of volatility."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from marginquake.analysis.frames.market import LiquidationMap, PublishedBracket
from marginquake.analysis.frames.pairing import pair_with_twins
from marginquake.analysis.frames.run_frames import RunFrames, frames_of, load_run
from marginquake.analysis.risk import (
    ForecastPlan,
    assess,
    assessment,
    call_forecasts,
    call_probabilities,
    excess,
    pressure,
    to_csv,
    volatility_clusters,
)
from marginquake.analysis.risk.call_forecasts import missed_marks
from marginquake.analysis.risk.pressure import columns
from marginquake.analysis.risk.standing import Standing
from marginquake.analysis.risk.summary import volatility_lines
from marginquake.analysis.risk.volatility import realised_between, runs_of, volatility
from marginquake.analysis.statistics.estimate import Unmeasurable
from marginquake.analysis.statistics.reliability import (
    BINS,
    COUNT,
    EDGES,
    EVENT,
    brier,
    diagram,
    table_of,
    with_interval,
)
from marginquake.sim.cli import main
from marginquake.sim.core.barriers import first_passage_probability, monitoring_shift
from marginquake.sim.core.contract import ContractSpec
from marginquake.sim.core.records import EVENT as EVENT_TYPE
from marginquake.sim.core.records import EventKind, Side
from marginquake.sim.runs.directory import RunData, RunDirectoryError
from marginquake.sim.studies.twin_runs import twin_of
from tests.support.frames.price_path import ScenarioOf, market
from tests.support.synthetic_run import write_synthetic_run

Floats = NDArray[np.float64]
DAY_S, YEAR_S = 86_400.0, 365 * 86_400.0
START = 100_000.0


def standing(trigger: Any, side: Any = 1, mark: float = START) -> Standing:
    trigger = np.atleast_1d(np.asarray(trigger, float))
    sides = np.broadcast_to(np.asarray(side, np.int64), trigger.shape)
    return Standing(0.0, mark, 3 + np.arange(len(trigger)), sides, np.full(len(trigger), 1e4), trigger)


def planted(
    mark: Floats,
    triggers: Floats,
    called_s: dict[int, float],
    seed: int = 1,
    liquidation: bool = True,
    every_s: float = 1.0,
) -> RunFrames:
    """One market whose mark is given from 60 samples before the end of warm-up on; longs with `triggers` from row 3."""
    time_s = every_s * (np.arange(len(mark)) - 60.0)
    events = np.zeros(len(called_s), EVENT_TYPE)
    events["kind"], events["side"] = EventKind.MARGIN_CALL, 1
    events["account"] = list(called_s)
    events["time_ns"] = np.rint(np.array(list(called_s.values())) * 1e9)
    events = events[np.argsort(events["time_ns"])]
    count = 3 + len(triggers)
    lots = np.concatenate((np.zeros(3, np.int64), np.full(len(triggers), 100)))
    nothing = np.full(len(mark), np.nan)
    data = RunData(
        events={"main": events},
        series={"market": ["main"] * len(mark), "time_s": time_s, "mark": mark, "fundamental": mark, "mid": nothing},
        accounts={
            "market": ["main"] * count, "row": np.arange(count),
            "population": ["insurance", "fees", "rounding", *["longs"] * len(triggers)], "position_start": lots,
            "liquidation_price_start": np.concatenate((np.full(3, np.nan), triggers)),
        },
        maps={}, summary={"name": "planted", "seed": seed},
    )  # fmt: skip
    return replace(
        frames_of(data, ScenarioOf({})),
        path=Path(f"planted-{seed}-{liquidation}"),
        manifest={"scenario_digest": "on" if liquidation else "off"},
        scenario={"liquidation": {"enabled": liquidation}, "name": "planted"},
    )


# ---- probabilities -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("leverage", "day", "week"), [(20, 0.1440, 0.59), (10, 0.0015, 0.239)])
def test_probabilities_are_those_of_the_known_table(leverage: float, day: float, week: float) -> None:
    """60 % a year, fresh longs at 0.5 % maintenance (20x: 4.52 % away), watched all the time."""
    distance = (1 / leverage - 0.005) / (1 - 0.005)
    longs = standing(START * (1 - distance))
    assert call_probabilities(longs, 0.6, DAY_S)[0] == pytest.approx(day, abs=6e-4)
    assert call_probabilities(longs, 0.6, 7 * DAY_S)[0] == pytest.approx(week, abs=6e-3)


def test_every_account_has_the_probability_of_the_formula_for_its_own_side_and_distance() -> None:
    triggers, sides = np.array([99_000.0, 101_000.0, 99_000.0, 97_500.0, 104_000.0]), np.array([1, -1, 1, 1, -1])
    found = call_probabilities(standing(triggers, sides), 0.8, 3600.0, 1.0)
    shift = monitoring_shift(0.8, 1.0)
    for chance, trigger, side in zip(found, triggers, sides, strict=True):
        away = -side * math.log(trigger / START) + shift
        assert chance == first_passage_probability(Side(int(side)), away, 0.8, 3600.0)
    assert found[0] == found[2]


def test_a_mark_beyond_the_trigger_is_certain_and_a_fall_calls_no_short() -> None:
    both = standing([100_500.0, 99_000.0], [1, -1])
    assert (call_probabilities(both, 0.5, 60.0, 1.0) == 1.0).all()
    assert call_probabilities(standing(200_000.0, -1), 0.5, 60.0)[0] == 0.0


def test_volatility_is_that_of_the_path_and_sees_nothing_later() -> None:
    rng = np.random.default_rng(3)
    time_s = np.arange(-36_000.0, 36_001.0)
    mark = START * np.exp(np.cumsum(rng.normal(0, 0.6 / math.sqrt(YEAR_S), len(time_s))))
    series = {"time_s": time_s, "mark": mark, "fundamental": mark}
    seen = volatility(series, "trailing", 0.0, 60.0, math.inf)
    assert seen == pytest.approx(0.6, rel=0.04)
    shaken = mark * np.where(time_s > 0, 1.0 + 0.1 * rng.random(len(time_s)), 1.0)
    assert volatility(series | {"mark": shaken}, "trailing", 0.0, 60.0, math.inf) == seen
    assert volatility(series | {"mark": shaken}, "realised", 0.0, 600.0, math.inf) > 2 * seen


def test_a_short_record_has_no_volatility() -> None:
    with pytest.raises(Unmeasurable, match="needs 8 returns over 5 s, there are 5"):
        realised_between(np.arange(30.0), np.full(30, 1.0), 0.0, 29.0)


# ---- reliability and Brier score -----------------------------------------------------------------------------------

chances = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60)


@given(chances)
def test_the_parts_of_the_brier_score_add_up_to_it(pairs: list[tuple[float, bool]]) -> None:
    p, y = np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])
    parts = brier(table_of(p, y))
    assert parts.score == pytest.approx(float(np.mean((p - y) ** 2)), abs=1e-12)
    whole = parts.reliability - parts.resolution + parts.uncertainty + parts.within
    assert parts.score == pytest.approx(whole, abs=1e-12)
    assert min(parts.reliability, parts.resolution, parts.uncertainty) >= 0


@given(chances, chances)
def test_tables_of_two_runs_add_up_to_the_table_of_both(one: Any, two: Any) -> None:
    def parts(pairs: Any) -> Floats:
        return table_of(np.array([a for a, _ in pairs]), np.array([b for _, b in pairs]))

    assert np.allclose(parts(one) + parts(two), parts(one + two))


def test_bins_are_half_open_and_the_last_is_closed() -> None:
    table = table_of(np.array([*EDGES, 0.005]), np.ones(len(EDGES) + 1, bool))
    counts = np.ones(BINS)
    counts[0] += 1  # 0.005
    counts[-1] += 1  # 1 itself
    assert (table[:, COUNT] == counts).all()
    assert (table[:, EVENT] == counts).all()


def test_a_hand_worked_diagram() -> None:
    (low, high) = diagram([table_of(np.array([0.15, 0.15, 0.95, 0.95]), np.array([True, False, True, True]))])
    assert (low.low, low.high, low.accounts, low.observed.value) == (0.1, 0.2, 2, 0.5)
    assert (high.accounts, high.forecast, high.observed.value) == (2, 0.95, 1.0)
    assert math.isnan(low.observed.low), "one seed has no interval"


def test_the_interval_is_over_seeds_not_over_accounts() -> None:
    """Accounts of one seed share its path: copying every account changes no interval, and few seeds leave it wide."""
    rng = np.random.default_rng(5)
    shares = rng.random(12)
    small = [table_of(np.full(100, 0.5), np.arange(100) < 100 * share) for share in shares]
    large = [50 * table for table in small]
    one, two = diagram(small)[0].observed, diagram(large)[0].observed
    assert one == two
    assert one.high - one.low == pytest.approx(2 * 1.96 * shares.std(ddof=1) / math.sqrt(12), rel=0.25)


def test_calibrated_forecasts_lie_on_the_diagonal() -> None:
    rng = np.random.default_rng(7)
    tables = []
    for _ in range(30):
        p = rng.random(400) ** 2
        tables.append(table_of(p, rng.random(400) < p))
    off = [b for b in diagram(tables) if not b.observed.low - 0.03 <= b.forecast <= b.observed.high + 0.03]
    assert not off
    assert with_interval(tables, lambda table: brier(table).reliability).value < 1e-3


# ---- the excess ----------------------------------------------------------------------------------------------------


def path(low: float, at: int = 100, count: int = 361) -> Floats:
    """A mark that wobbles by 2 for a minute, then falls in one step to `low`."""
    wobble = START + 2.0 * np.sin(np.arange(count) * 1.3)
    return np.where(np.arange(count) < 60 + at, wobble, low)


def test_a_hand_worked_excess() -> None:
    """Triggers 99,900 | 99,700 | 99,500 | 98,000.  The twin falls to 99,800, the run to 99,600; 3 had left in time.

    Nobody was likely to be called; account 3 is crossed in both, 4 by feedback; 3 is not called, so conduct is -1.
    """
    triggers = np.array([99_900.0, 99_700.0, 99_500.0, 98_000.0])
    run = planted(path(99_600.0), triggers, {4: 101.0})
    twin = planted(path(99_800.0), triggers, {3: 101.0}, liquidation=False)
    (made,) = call_forecasts(run, run.first, twin.first, ForecastPlan((300.0,), ("trailing",)))
    assert made.crossed.tolist() == [True, True, False, False]
    assert made.twin_crossed is not None
    assert made.twin_crossed.tolist() == [True, False, False, False]
    found = excess([made])
    expected = float(made.probability.mean())
    assert found.called.value == 0.25
    assert found.excess.value == pytest.approx(0.25 - expected)
    assert found.price.value == pytest.approx(0.25 - expected)
    assert found.feedback.value == pytest.approx(0.25)
    assert found.conduct.value == pytest.approx(-0.25)
    assert found.twin_called.value == 0.25


def test_a_twin_that_kept_no_events_serves_by_its_series() -> None:
    triggers = np.array([99_900.0, 99_700.0, 99_500.0])
    run = planted(path(99_600.0), triggers, {4: 101.0})
    twin = planted(path(99_800.0), triggers, {}, liquidation=False)
    silent = replace(twin.first, events_kept="none")
    plan = ForecastPlan((300.0,), (0.5,))
    (made,) = call_forecasts(run, run.first, silent, plan)
    assert made.twin_crossed is not None
    assert made.twin_crossed.tolist() == [True, False, False]
    assert made.twin_called is None
    found = excess([made])
    assert found.feedback.value == pytest.approx(1 / 3)
    assert math.isnan(found.twin_called.value)
    with pytest.raises(Unmeasurable, match=r"^margin calls: not recorded"):
        call_forecasts(run, replace(run.first, events_kept="none"), silent, plan)


def test_what_the_record_of_a_twin_misses_is_missing_from_price_not_from_conduct() -> None:
    runs = [planted(np.full(400, START), np.array([99_000.0]), {}, 1, forced, every_s=5.0) for forced in (True, False)]
    silent = replace(runs[1], markets={"main": replace(runs[1].first, events_kept="none")})
    assert "feedback is too large" in missed_marks(silent.first, is_twin=True)
    lines = assessment.remarks(assess([runs[0], silent], ForecastPlan((300.0,), (0.5,))))
    assert any(line.startswith("A twin's record has the mark every 5 s, the venue every 1 s") for line in lines)


def test_where_nobody_was_called_in_time_the_first_call_is_told() -> None:
    run = planted(path(START), np.array([99_000.0, 99_000.0]), {3: 175.0, 4: 200.0})
    lines = assessment.remarks(assess([run], ForecastPlan((60.0, 300.0), (0.5,))))
    said = [line for line in lines if line.startswith("Nobody was called")]
    assert said == ["Nobody was called within 1 min, so nothing is judged there; the first call came at 2:55."]
    calm = planted(path(START), np.array([99_000.0]), {})
    lines = assessment.remarks(assess([calm], ForecastPlan((60.0,), (0.5,))))
    assert any(line.endswith("nobody was called later either.") for line in lines)


@given(st.lists(st.tuples(*[st.booleans()] * 4), min_size=1, max_size=20), st.floats(0, 1))
def test_the_parts_of_the_excess_add_up_to_it(outcomes: list[tuple[bool, ...]], chance: float) -> None:
    called, crossed, twin_crossed, twin_called = (np.array(column) for column in zip(*outcomes, strict=True))
    run = planted(path(99_600.0), np.full(len(outcomes), 99_900.0), {})
    (made,) = call_forecasts(run, run.first, None, ForecastPlan((300.0,), (0.5,)))
    made = replace(
        made, probability=np.full(len(outcomes), chance), called=called, crossed=crossed, twin_crossed=twin_crossed,
        twin_called=twin_called,
    )  # fmt: skip
    found = excess([made])
    parts = found.price.value + found.feedback.value + found.conduct.value
    assert found.excess.value == pytest.approx(parts, abs=1e-12)
    assert found.moved.value == pytest.approx(found.price.value + found.feedback.value, abs=1e-12)


def test_calls_before_the_forecast_and_after_the_horizon_do_not_count() -> None:
    run = planted(path(START), np.array([99_000.0, 99_000.0, 99_000.0]), {3: -5.0, 4: 200.0, 5: 301.0})
    made = call_forecasts(run, run.first, None, ForecastPlan((100.0, 300.0), (0.5,)))
    assert [each.called.tolist() for each in made] == [[False] * 3, [False, True, False]]


def test_a_trigger_touched_between_two_rows_of_the_series_is_crossed_where_an_event_carries_the_mark() -> None:
    """Rows every 5 s, the venue's mark every second: a fill at 102.5 s saw 98,500, and nothing later that low."""
    mark = np.full(121, START)
    mark[90:] = 99_200.0  # from 150 s on
    run = planted(mark, np.array([98_600.0, 98_400.0, 99_300.0]), {3: 102.5}, every_s=5.0)
    events = run.first.events
    seen = {**events, "mark_ticks": np.full(len(events["time_ns"]), 98_500)}
    own = replace(run.first, read_events=lambda: seen)
    (made,) = call_forecasts(run, own, own, ForecastPlan((300.0,), (0.5,)))
    assert made.crossed.tolist() == [True, False, True]
    assert made.twin_crossed is not None
    assert made.twin_crossed.tolist() == [True, False, True]
    (early,) = call_forecasts(run, own, None, ForecastPlan((100.0,), (0.5,)))
    assert early.crossed.tolist() == [False] * 3


def test_a_record_too_coarse_for_the_mark_says_what_that_does_to_the_excess() -> None:
    runs = {every_s: planted(np.full(400, START), np.array([99_000.0]), {}, every_s=every_s) for every_s in (1.0, 5.0)}
    kept = {level: replace(runs[5.0].first, events_kept=level) for level in ("fills", "liquidations")}
    assert missed_marks(replace(runs[1.0].first, events_kept="liquidations")) == ""
    assert missed_marks(kept["fills"]) == ""
    said = missed_marks(kept["liquidations"])
    assert "every 5 s and at margin calls, the venue every 1 s" in said
    assert "record.series_every=1s" in said
    found = assess([replace(runs[5.0], markets={"main": kept["liquidations"]})], ForecastPlan((300.0,), (0.5,)))
    assert said in assessment.remarks(found)


def test_where_nobody_can_be_called_it_is_said_and_no_number_is_made() -> None:
    run = planted(path(START), np.array([99_000.0]), {})
    with pytest.raises(Unmeasurable, match="nobody of makers can be called: no account with a position"):
        assess([run], ForecastPlan((100.0,), (0.5,), population="makers"))


def test_a_horizon_beyond_the_run_is_refused() -> None:
    run = planted(path(START), np.array([99_000.0]), {})
    with pytest.raises(Unmeasurable, match="horizon 400 s from 0 s: the run ends at 300 s"):
        call_forecasts(run, run.first, None, ForecastPlan((400.0,)))


def test_without_feedback_calls_are_as_frequent_as_the_closed_form_says() -> None:
    """Accounts on marks that are geometric Brownian motions: excess, price and the slope of reliability are nothing."""
    made = []
    deviation = 0.9 / math.sqrt(YEAR_S)
    for seed in range(40):
        rng = np.random.default_rng(seed)
        mark = START * np.exp(np.cumsum(rng.normal(0, deviation, 60 + 1801)))
        at_start = mark[60]
        triggers = at_start * np.exp(-np.linspace(0.0005, 0.012, 80))
        run = planted(mark, triggers, {}, seed)
        low = mark[61:].min()
        called = {3 + k: 1000.0 for k in np.flatnonzero(triggers >= low)}
        run = planted(mark, triggers, called, seed)
        made += call_forecasts(run, run.first, run.first, ForecastPlan((1800.0,), (0.9,)))
    found = excess(made)
    spread = 0.5 * (found.excess.high - found.excess.low) / 1.96
    assert abs(found.excess.value) < 3 * spread
    assert spread < 0.06
    assert abs(found.price.value) < 3 * found.error
    assert found.error == pytest.approx(spread, rel=0.4)
    assert found.feedback.value == 0.0


def test_later_forecasts_start_from_the_snapshot_and_leave_out_who_is_called_already() -> None:
    run = planted(path(START), np.array([99_000.0]), {4: 150.0})
    held = {
        "time_s": np.array([0.0, 60.0, 60.0, 60.0, 60.0]), "account": np.array([3, 0, 3, 4, 5]),
        "stage": np.array([0, 0, 2, 1, 0]), "mark": np.full(5, START), "position_lots": np.array([5, 5, 5, -7, 2]),
        "liquidation_price": np.array([99_000.0, 99_900.0, 99_000.0, 100_500.0, np.nan]), "notional": np.full(5, 1e3),
        "population": np.array(["a", "insurance", "a", "b", "b"]),
    }  # fmt: skip
    own = replace(run.first, read_positions=lambda: held)
    (made,) = call_forecasts(run, own, None, ForecastPlan((100.0,), (0.5,), at_s=(60.0,)))
    assert (made.standing.account.tolist(), made.standing.side.tolist(), made.called.tolist()) == ([4], [-1], [True])
    with pytest.raises(Unmeasurable, match="positions at 1:10: not recorded, the nearest are of 1:00"):
        call_forecasts(run, own, None, ForecastPlan((100.0,), (0.5,), at_s=(70.0,)))
    with pytest.raises(Unmeasurable, match="the run recorded none"):
        call_forecasts(run, run.first, None, ForecastPlan((100.0,), (0.5,), at_s=(70.0,)))


def test_the_error_is_that_of_counts_on_common_paths() -> None:
    """Naive twin: covariances pair by pair; and one account alone has the error of one toss."""
    run = planted(path(START), START * np.exp(-np.array([0.001, 0.002, 0.004])), {})
    (made,) = call_forecasts(run, run.first, None, ForecastPlan((300.0,), (0.9,)))
    p = made.probability
    variance = sum(min(a, b) - a * b for a in p for b in p)
    assert excess([made]).error == pytest.approx(math.sqrt(variance) / 3)
    alone = replace(made, probability=p[:1], standing=made.standing.select(np.array([True, False, False])))
    alone = replace(alone, called=made.called[:1], crossed=made.crossed[:1])
    assert excess([alone]).error == pytest.approx(math.sqrt(p[0] * (1 - p[0])))


# ---- pairing -------------------------------------------------------------------------------------------------------


def test_runs_find_their_twins_by_seed() -> None:
    runs = [planted(path(START), np.array([99_000.0]), {}, seed) for seed in (2, 1)]
    twins = [planted(path(START), np.array([99_000.0]), {}, seed, liquidation=False) for seed in (1, 2)]
    pairs = pair_with_twins([*twins, *runs])
    assert [(run.seed, twin.seed if twin else None) for run, twin in pairs] == [("2", "2"), ("1", "1")]
    assert [twin for _, twin in pair_with_twins(runs)] == [None, None]
    assert [run.seed for run, _ in pair_with_twins(twins)] == ["1", "2"], "alone they are the runs"


def test_a_mixture_a_seed_twice_and_a_twin_alone_are_refused() -> None:
    run, other = (planted(path(START), np.array([99_000.0]), {}, seed) for seed in (1, 2))
    with pytest.raises(RunDirectoryError, match="has seed 1, as"):
        pair_with_twins([run, run])
    with pytest.raises(RunDirectoryError, match="is of another scenario than"):
        pair_with_twins([run, replace(other, manifest={"scenario_digest": "x"})])
    with pytest.raises(RunDirectoryError, match="no run of that seed was given"):
        pair_with_twins([run, planted(path(START), np.array([99_000.0]), {}, 2, liquidation=False)])
    shifted = planted(path(START), np.array([99_000.0]), {}, 1, liquidation=False)
    shifted = replace(shifted, scenario={**shifted.scenario, "fuel_ratio": 2})
    with pytest.raises(RunDirectoryError, match="are no twins: fuel_ratio"):
        pair_with_twins([run, shifted])


# ---- pressure ------------------------------------------------------------------------------------------------------


def mapped(long_notional: Any, bid_depth: Any, short_notional: Any = 0.0, ask_depth: Any = 0.0) -> RunFrames:
    """Bins of 0.5 % around a mark of 100,000, from 97,000 to 103,000."""
    edges = START * (1 + np.arange(-6, 7) * 0.005)
    tables = [
        np.broadcast_to(np.asarray(each, float), (1, 12))
        for each in (long_notional, short_notional, bid_depth, ask_depth)
    ]
    run = market(np.arange(10.0), np.full(10, START))
    own = replace(run.first, map=LiquidationMap(np.array([0.0]), edges, *tables))
    return replace(run, markets={"main": own})


def test_a_hand_worked_pressure() -> None:
    longs, bids = np.zeros(12), np.zeros(12)
    longs[[4, 5]], bids[[3, 4, 5]] = (600.0, 200.0), (1000.0, 400.0, 100.0)
    run = mapped(longs, bids)
    one = pressure(replace(run.first, brackets=(PublishedBracket(1e9, 100.0, 0.004),)), 0.01, "fall")
    assert one.forced[0] == pytest.approx(800.0)
    assert one.depth[0] == pytest.approx(500.0)
    assert one.index[0] == pytest.approx(1.6)
    lacking = (1 - 0.004) * (600.0 * (1 - 99_000 / 99_250) + 200.0 * (1 - 99_000 / 99_750))
    assert one.top_up[0] == pytest.approx(lacking)
    half = pressure(run.first, 0.0025, "fall")
    assert half.forced[0] == pytest.approx(100.0), "half of the first bin"
    assert half.index[0] == pytest.approx(2.0)


def test_what_an_inverse_position_lacks_is_reckoned_in_coin() -> None:
    """One bin at 99,250: 600 of notional there lacks Q (1 + m) (1/P - 1/L) coin at P = 99,000, at the coin's price."""
    longs, bids = np.zeros(12), np.ones(12)
    longs[4] = 600.0
    run = mapped(longs, bids)
    fields = {
        "type": "inverse", "tick_size": 1, "contract_value": 100, "money_unit": 1e-8, "initial_price": 100_000,
    }  # fmt: skip
    inverse = ContractSpec.from_fields("main", fields, max_price_ticks=200_000, max_position_lots=1000)
    table = (PublishedBracket(1e9, 100.0, 0.004),)
    found = pressure(replace(run.first, contract=inverse, brackets=table), 0.01, "fall")
    quantity = 600.0 * 99_250 / START  # quote units: notional is an amount, coin at the initial price
    coin = quantity * 1.004 * (1 / 99_000 - 1 / 99_250)
    assert found.top_up[0] == pytest.approx(coin * START)
    assert found.forced[0] == 600.0


def test_a_rise_is_the_mirror_of_a_fall() -> None:
    notional, depth = np.linspace(1.0, 5.0, 12), np.linspace(9.0, 4.0, 12)
    run = mapped(notional, depth, notional[::-1], depth[::-1])
    for move in (0.005, 0.01, 0.02):
        fall, rise = pressure(run.first, move, "fall"), pressure(run.first, move, "rise")
        # Accounts beyond their trigger on the far side of the mark count as called in both.
        assert fall.forced[0] == pytest.approx(rise.forced[0])
        assert fall.depth[0] == pytest.approx(rise.depth[0])


def test_a_move_beyond_the_maps_is_left_out_and_refused_by_itself() -> None:
    run = mapped(1.0, 1.0, 1.0, 1.0)
    with pytest.raises(Unmeasurable, match=r"larger record\.map_range"):
        pressure(run.first, 0.05, "fall")
    names = list(columns(run.first))
    assert "index_fall_1pct" in names
    assert "top_up_rise_05pct" in names
    assert not any("5pct" in name and "05pct" not in name for name in names)


# ---- clusters of volatility ----------------------------------------------------------------------------------------


def test_runs_closer_than_the_gap_are_one() -> None:
    high = np.array([0, 1, 1, 0, 0, 1, 0, 0, 0, 1], bool)
    starts, ends = runs_of(high, 3)
    assert (starts.tolist(), ends.tolist()) == ([1, 9], [6, 10])
    starts, ends = runs_of(high, 2)
    assert (starts.tolist(), ends.tolist()) == ([1, 5, 9], [3, 6, 10])


def test_planted_clusters_are_found_and_order_is_what_makes_them() -> None:
    rng = np.random.default_rng(1)
    steps = np.arange(24 * 720)  # a day of 5 s
    loud = np.isin(steps // 60, [*range(100, 108), *range(200, 207)])
    mid = START * np.exp(np.cumsum(rng.normal(0, np.where(loud, 1e-3, 1e-4))))
    found = volatility_clusters(market(5.0 * steps, mid).first)
    assert len(found) == 2
    assert np.allclose(found.start_s, [30_000, 60_000], atol=600)
    assert found.shuffled_low > len(found)
    assert found.variance_share > 0.5
    plain = START * np.exp(np.cumsum(rng.normal(0, 1e-4, len(steps))))
    quiet = volatility_clusters(market(5.0 * steps, plain).first)
    assert quiet.shuffled_low <= len(quiet) <= quiet.shuffled_high


def test_lines_on_volatility_hold_clusters_and_memory_of_long_runs() -> None:
    pytest.importorskip("statsmodels")
    pytest.importorskip("arch")
    rng = np.random.default_rng(2)
    steps = np.arange(12 * 720)
    loud = np.repeat(np.exp(np.cumsum(rng.normal(0, 0.1, 144))), 60)
    mid = START * np.exp(np.cumsum(rng.normal(0, 1e-4 * loud)))
    lines = volatility_lines([market(5.0 * steps, mid)], "main")
    assert lines[0].startswith("Volatility clusters (5 min above their 95 % quantile, gaps under 30 min): ")
    assert [line.split(":")[0] for line in lines[1:]] == [
        "decay exponent of ACF(|r|)",
        "GARCH(1,1) alpha + beta, 5 min",
    ]
    assert volatility_lines([market(5.0 * steps[:720], mid[:720])], "main")[0].startswith("Volatility clusters: n.a., ")


def test_a_short_run_has_no_clusters() -> None:
    with pytest.raises(Unmeasurable, match="12 windows of 5 min"):
        volatility_clusters(market(np.arange(3601.0), np.full(3601, START)).first)


# ---- the command ---------------------------------------------------------------------------------------------------


def ask(*arguments: str) -> Result:
    return CliRunner().invoke(main.app, ["risk", *arguments])


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for forced in (True, False):
        run = write_synthetic_run(folder / ("with" if forced else "without"), forced=forced)
        resolved = yaml.safe_load((run / "scenario.resolved.yaml").read_text())
        resolved["markets"]["btc_perp"]["liquidation"] = {"enabled": forced}
        (run / "scenario.resolved.yaml").write_text(yaml.safe_dump(resolved))
    return folder


def test_the_command_prints_writes_and_draws(two: Path, tmp_path: Path) -> None:
    table, accounts, times, picture = (tmp_path / name for name in ("r.csv", "a.csv", "p.csv", "r.png"))
    done = ask(
        str(two / "with"), str(two / "without"), "--csv", str(table), "--accounts", str(accounts), "--pressure",
        str(times), "--figure", str(picture), "--bins", "--horizon", "5min,30min",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    for words in ("excess", "feedback", "Brier score", "Pressure of a fall of 1.0 %", "Volatility clusters: n.a."):
        assert words in done.output
    run = load_run(two / "with")
    assert len(table.read_text().splitlines()) == 1 + 4
    assert len(times.read_text().splitlines()) == 1 + len(run.first.map.time_s if run.first.map else ())
    assert len(accounts.read_text().splitlines()) == 1 + 4 * 1500
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_twin_that_counterfactual_made_is_found_unless_one_is_given(two: Path, tmp_path: Path) -> None:
    run = shutil.copytree(two / "with", tmp_path / "with")
    without = ask(str(run), "--horizon", "5min")
    assert "price and feedback are one; `marginquake counterfactual RUN --without liquidation`" in without.output
    twin = shutil.copytree(two / "without", tmp_path / "twins" / "with-without-liquidation")
    manifest, others = (json.loads((each / "manifest.json").read_text()) for each in (run, twin))
    (run / "manifest.json").write_text(json.dumps({**manifest, "scenario_digest": "d", "seed": 1}))
    others |= {"scenario_digest": "e", "seed": 1}
    said = twin_of(run.name, "d", ["liquidation"])
    (twin / "manifest.json").write_text(json.dumps({**others, "twin_of": said}))
    found = ask(str(run), "--horizon", "5min")
    assert found.exit_code == 0, found.output
    assert f"Twins without forced orders, found in {tmp_path / 'twins'}: 1 of 1." in found.output
    given_too = ask(str(run), str(twin), "--horizon", "5min")
    assert "found in" not in given_too.output
    assert found.output.startswith(given_too.output)
    other = twin_of(run.name, "of another scenario", ["liquidation"])
    (twin / "manifest.json").write_text(json.dumps({**others, "twin_of": other}))
    assert ask(str(run), "--horizon", "5min").output == without.output


def test_the_csv_holds_what_was_measured(two: Path) -> None:
    found = assess([load_run(two / "with"), load_run(two / "without")], ForecastPlan((1800.0,), (0.6,)))
    heads, values = (line.split(",") for line in to_csv(found).splitlines())
    row = dict(zip(heads, values, strict=True))
    group = found.groups[0]
    assert float(row["called"]) == pytest.approx(group.excess.called.value)
    assert float(row["brier"]) == pytest.approx(group.brier.score)
    assert row["brier_low"] == "", "one seed has no interval"
    assert sum(b.accounts for b in group.bins) == sum(b.accounts for b in group.twin_bins) == 1500


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["--horizon", "2h"], "horizon 7200 s from 0 s: the run ends at 1800 s"),
        (["--horizon", "5"], "--horizon 5: a duration needs a unit"),
        (["--volatility", "wild"], "--volatility wild: say trailing, fundamental, realised, or a number"),
        (["--volatility", "0"], "--volatility 0: must be positive"),
        (["--population", "whales"], "--population whales: the runs have"),
        (["--market", "eth"], "--market eth: the runs have btc_perp"),
        (["--at", "3:10"], "positions at 3:10: not recorded, the nearest are of"),
        (["--at", "-0:10"], "--at -0:10: must not be negative"),
        (["--population", "insurance"], "nobody of insurance can be called"),
        (["--at", "31min"], "--at 31min: the runs end at 0:30:00"),
        (["--csv", "/no/such/folder/x.csv"], "no folder"),
    ],
)
def test_a_mistake_is_one_message(two: Path, asked: list[str], message: str) -> None:
    done = ask(str(two / "with"), *asked)
    assert done.exit_code == 2
    assert message in done.output


def test_the_same_run_twice_is_refused(two: Path) -> None:
    done = ask(str(two / "with"), str(two / "with"))
    assert done.exit_code == 2
    assert "a seed counts once" in done.output
