"""Intervals over seeds: what they cover, when there is none, and that everybody takes them from one place."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from marginquake.analysis.statistics.estimate import Estimate
from marginquake.analysis.statistics.intervals import (
    LEAST_VALUES,
    block_draws,
    bootstrap,
    bootstrap_interval,
    draw_weights,
    draws,
    interval_over_seeds,
    percentiles,
    wilson,
)
from marginquake.analysis.statistics.paired import paired

ANALYSIS = Path(__file__).parents[3] / "analysis"
OTHER_DRAWS = {
    "statistics/intervals.py",
    "statistics/paired.py",
    "risk/volatility.py",
    "causes/hawkes.py",
    "studies/probing.py",
}
"""The bootstrap, signs of the sign-flip test, windows in random order, times within a tick and the test of fit,
thresholds of made-up markets."""

Floats = np.ndarray
LAWS: dict[str, tuple[Callable[[np.random.Generator, tuple[int, int]], Floats], float, float]] = {
    "normal": (lambda rng, shape: rng.normal(size=shape), 0.0, 0.0),
    "exponential": (lambda rng, shape: rng.exponential(size=shape), 1.0, math.log(2.0)),
    "student 3": (lambda rng, shape: rng.standard_t(3, size=shape), 0.0, 0.0),
    "poisson 2": (lambda rng, shape: rng.poisson(2.0, shape).astype(float), 2.0, 2.0),
}
"""Draws, mean and median."""
TRIALS = 300
"""Coverage is known to +- 0.025 (two standard errors)."""


def covered(law: str, count: int, interval: Callable[[Floats], Estimate], truth: float) -> float:
    rows = LAWS[law][0](np.random.default_rng(count), (TRIALS, count))
    found = [interval(row) for row in rows]
    return float(np.mean([each.low <= truth <= each.high for each in found]))


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("count", [5, 8, 20])
def test_of_a_mean_the_interval_holds_the_truth_about_as_often_as_it_says(law: str, count: int) -> None:
    share = covered(law, count, lambda row: bootstrap(row, "mean", resamples=1000), LAWS[law][1])
    assert share >= 0.91


def test_of_the_mean_of_wild_values_it_covers_what_the_table_says() -> None:
    rng = np.random.default_rng(4)
    rows, truth = rng.lognormal(0.0, 1.0, (TRIALS, 20)), math.exp(0.5)
    found = [bootstrap(row, "mean", resamples=1000) for row in rows]
    share = np.mean([each.low <= truth <= each.high for each in found])
    assert share == pytest.approx(0.93, abs=0.035), "docs/intervals.md: nominal coverage is not reached here"


@pytest.mark.parametrize("law", ["normal", "exponential", "student 3"])
@pytest.mark.parametrize("count", [5, 8, 20])
def test_of_a_median_it_is_held_about_as_often_as_it_says(law: str, count: int) -> None:
    assert covered(law, count, lambda row: bootstrap(row, resamples=1000), LAWS[law][2]) >= 0.90


@pytest.mark.parametrize("count", [5, 8, 20])
def test_of_a_ratio_it_holds_the_truth_about_as_often_as_it_says(count: int) -> None:
    rng = np.random.default_rng(count)
    held = 0
    for _ in range(TRIALS):
        below = rng.uniform(1.0, 3.0, count)
        above = below * rng.normal(2.0, 0.5, count)
        low, high = interval_over_seeds(
            count, lambda picks, a=above, b=below: a[picks].sum(axis=1) / b[picks].sum(axis=1), resamples=1000
        )
        held += low <= 2.0 <= high
    assert held / TRIALS >= 0.91


@pytest.mark.parametrize("count", [6, 8, 12, 20])
@pytest.mark.parametrize("law", LAWS)
def test_where_there_is_no_difference_the_interval_excludes_none_in_at_most_one_case_of_eighteen(
    law: str, count: int
) -> None:
    draw, mean, _ = LAWS[law]
    rows = draw(np.random.default_rng(40 + count), (TRIALS, count)) - mean
    found = [paired(np.zeros(count), row) for row in rows]
    assert np.mean([each is not None and each.excludes_zero for each in found]) <= 0.055 + 0.02 * (law == "exponential")


@pytest.mark.parametrize(("chance", "runs"), [(0.05, 40), (0.3, 8), (0.5, 5), (0.5, 20)])
def test_of_a_share_of_runs_it_is_wilsons(chance: float, runs: int) -> None:
    events = np.random.default_rng(runs).binomial(runs, chance, 2000)
    ends = {k: wilson(int(k), runs) for k in np.unique(events)}
    assert np.mean([ends[k].low <= chance <= ends[k].high for k in events]) >= 0.92


@pytest.mark.parametrize(("events", "runs"), [(-1, 5), (6, 5)])
def test_a_share_needs_as_many_runs_as_events(events: int, runs: int) -> None:
    with pytest.raises(ValueError, match=f"{events} events in {runs} runs"):
        wilson(events, runs)


@pytest.mark.parametrize("count", range(1, LEAST_VALUES))
def test_below_five_seeds_nothing_has_an_interval(count: int) -> None:
    values = np.arange(1.0, count + 1.0)
    for statistic in ("mean", "median"):
        found = bootstrap(values, statistic)  # type: ignore[arg-type]
        assert math.isfinite(found.value)
        assert not found.has_interval
    assert all(map(math.isnan, bootstrap_interval(values)))
    assert all(map(math.isnan, interval_over_seeds(count, lambda picks: values[picks].mean(axis=1))))
    assert all(map(math.isnan, percentiles(np.arange(100.0), units=count)))
    both = paired(np.zeros(count), values)
    assert both is not None
    assert math.isnan(both.low)
    assert not both.excludes_zero


def test_of_five_seeds_there_is_one() -> None:
    values = np.array([1.0, 2.0, 4.0, 3.0, 6.0])
    assert bootstrap(values, "mean").has_interval
    assert bootstrap(values).has_interval
    assert all(map(math.isfinite, interval_over_seeds(5, lambda picks: values[picks].mean(axis=1))))


def test_values_that_are_alike_but_for_rounding_are_a_point() -> None:
    assert bootstrap_interval(np.full(8, 0.1)) == (0.1, 0.1)
    low, high = bootstrap_interval(np.array([0.3, 0.1 + 0.2] * 4))
    assert low == high == pytest.approx(0.3)


def test_an_outlier_among_zeros_has_finite_ends() -> None:
    low, high = bootstrap_interval(np.array([0.0, 0, 0, 0, 0, 0, 1.0]))
    assert low < 0 < 1 / 7 < high < 1e3


def test_nobody_else_draws_resamples() -> None:
    drawing = {
        str(path.relative_to(ANALYSIS))
        for path in ANALYSIS.rglob("*.py")
        if "default_rng" in path.read_text(encoding="utf-8")
    }
    assert drawing == OTHER_DRAWS


def test_the_same_draws_each_time_and_nobody_can_change_them() -> None:
    assert draws(5, 10) is draws(5, 10)
    with pytest.raises(ValueError, match="read-only"):
        draws(5, 10)[0, 0] = 1


def test_an_interval_of_a_ratio_keeps_pairs_together() -> None:
    base = np.random.default_rng(1).uniform(1.0, 3.0, 30)
    low, high = interval_over_seeds(30, lambda picks: (2.0 * base)[picks].sum(axis=1) / base[picks].sum(axis=1))
    assert (low, high) == pytest.approx((2.0, 2.0))


def test_few_resamples_reach_as_far_as_many() -> None:
    values = np.random.default_rng(2).normal(size=6)

    def mean(picks: np.ndarray) -> np.ndarray:
        return np.asarray(values[picks].mean(axis=1))

    few, many = interval_over_seeds(6, mean, resamples=60), interval_over_seeds(6, mean, resamples=4000)
    assert few == pytest.approx(many, abs=0.35 * (many[1] - many[0]))
    assert few[1] - few[0] > 0.8 * (many[1] - many[0])


def test_weights_say_how_often_a_seed_was_drawn() -> None:
    weights = draw_weights(6, 500)
    assert (weights.sum(axis=1) == 6).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(6), abs=0.2)


def test_blocks_hold_neighbours_and_close_the_circle() -> None:
    blocks = block_draws(7, 3, 200).reshape(200, -1, 3)
    assert blocks.shape[1] == 3
    assert ((np.diff(blocks, axis=2) % 7) == 1).all()
    assert set(np.unique(blocks)) == set(range(7))


def test_resamples_without_a_value_are_left_out() -> None:
    assert percentiles(np.array([1.0, math.nan, 1.0])) == (1.0, 1.0)
    assert all(map(math.isnan, percentiles(np.array([math.nan]))))
