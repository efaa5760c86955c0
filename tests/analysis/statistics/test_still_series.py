"""What cannot be measured is said to be so: series that never change, also but for rounding, too short, not finite."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from marginquake.analysis.facts.returns import correlation, pair_sums, persistence
from marginquake.analysis.levels.outsider_map import _correlation as map_correlation
from marginquake.analysis.statistics import market_quality, memory, tails
from marginquake.analysis.statistics.estimate import Unmeasurable, all_alike, measurable
from marginquake.analysis.statistics.intervals import bootstrap, bootstrap_interval
from marginquake.analysis.statistics.paired import cohen_d_z
from marginquake.analysis.statistics.regression import fit_logistic, fit_surface, line_over_seeds

Floats = np.ndarray
ROUNDED = np.array([0.1 + 0.2, 0.3, 0.1 * 3, 0.3] * 75)
"""Three tenths, calculated in ways that differ in the last bit."""
STILL = {
    "a tenth": np.full(300, 0.1),
    "zero": np.zeros(300),
    "minus a million": np.full(300, -1e6),
    "but for rounding": ROUNDED,
    "large, but for rounding": 1e9 * ROUNDED,
    "small, but for rounding": 1e-9 * ROUNDED,
    "differences of sums": np.diff(np.cumsum(np.full(301, 0.1))),
}
ESTIMATORS: dict[str, Callable[[Floats], object]] = {
    "kurtosis": lambda values: tails.kurtosis_of(tails.power_sums(values)),
    "skewness": lambda values: tails.skewness_of(tails.power_sums(values)),
    "kurtosis of sums": lambda values: tails.kurtosis_of(tails.power_sums(tails.overlapping_sums(values, 3))),
    "hill": tails.hill,
    "hill, k-plot": lambda values: tails.hill_range(np.tile(values, 2)),
    "autocorrelation": lambda values: memory.autocorrelation(values, 5),
    "autocorrelation of sums": lambda values: memory.autocorrelation_of(memory.lagged_sums(values, 5)),
    "decay": lambda values: memory.decay_exponent(
        memory.autocorrelation_of(memory.lagged_sums(values, 100)), np.arange(299.0, 199.0, -1.0), 300.0
    ),
    "half-life": lambda values: memory.half_life(values, 1.0),
    "garch": persistence,
    "correlation": lambda values: correlation(1.0, [pair_sums(values, np.arange(float(len(values))))]),
    "correlation, other side": lambda values: correlation(1.0, [pair_sums(np.arange(float(len(values))), values)]),
}
"""Every estimator of a series, each raising `Unmeasurable` where it has no answer."""


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("series", STILL)
def test_of_what_never_changes_nothing_is_measured_and_the_reason_is_said(series: str, name: str) -> None:
    with pytest.raises(Unmeasurable) as refused:
        ESTIMATORS[name](STILL[series])
    assert str(refused.value)
    assert "{" not in str(refused.value)


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_what_is_no_number_is_not_measured(wrong: float, name: str) -> None:
    values = np.random.default_rng(1).normal(size=300)
    values[17] = wrong
    with pytest.raises(Unmeasurable):
        ESTIMATORS[name](values)


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_values_are_not_measured(count: int, name: str) -> None:
    with pytest.raises(Unmeasurable):
        ESTIMATORS[name](np.random.default_rng(1).normal(size=count))


@pytest.mark.parametrize("name", ["kurtosis", "skewness", "hill", "autocorrelation", "autocorrelation of sums"])
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_what_changes_is_measured_at_any_scale(scale: float, name: str) -> None:
    values = np.random.default_rng(2).standard_t(4, 300)
    assert ESTIMATORS[name](scale * values) == pytest.approx(ESTIMATORS[name](values), rel=1e-6)


def test_a_spread_too_small_for_sums_of_powers_is_no_kurtosis() -> None:
    values = 1e5 + np.random.default_rng(3).normal(size=300)
    with pytest.raises(Unmeasurable, match="too little for its size"):
        tails.kurtosis_of(tails.power_sums(values))
    assert tails.kurtosis_of(tails.power_sums(values - 1e5)) == pytest.approx(0.0, abs=1.0)


@pytest.mark.parametrize("series", STILL)
def test_in_figures_a_still_series_has_no_kurtosis_and_no_memory(series: str) -> None:
    assert math.isnan(market_quality.excess_kurtosis(STILL[series]))
    assert not market_quality.autocorrelation(STILL[series], 20).any()


@pytest.mark.parametrize("series", ["a tenth", "but for rounding", "large, but for rounding"])
def test_a_price_that_stands_still_but_for_rounding_has_returns_of_zero(series: str) -> None:
    price = STILL[series]
    assert not market_quality.returns_of(price).any()
    assert market_quality.realised_volatility(np.arange(300.0), price, 1.0) == 0.0
    assert market_quality.returns_of(np.array([1.0, 1.0 + 1e-9]))[0] == pytest.approx(1e-9, rel=1e-6)


@pytest.mark.parametrize("series", STILL)
def test_a_constant_explains_nothing_in_a_regression(series: str) -> None:
    x = STILL[series]
    noise = np.random.default_rng(4).normal(size=300)
    seeds = np.arange(300) % 10
    assert math.isnan(line_over_seeds(x, noise, seeds).slope)
    flat = line_over_seeds(noise, x, seeds)
    assert flat.slope == pytest.approx(0.0, abs=1e-6 * (1.0 + abs(x[0])))
    assert math.isnan(flat.r_squared)
    assert fit_logistic(x[:, None], noise > 0).weights.tolist() == [0.0]
    assert np.isfinite(fit_surface(x, noise, (noise > 0).astype(float), np.ones(300)).at(x, noise)).all()
    assert math.isnan(map_correlation(x, noise))


@pytest.mark.parametrize("series", STILL)
def test_over_seeds_a_constant_is_a_point_without_scatter(series: str) -> None:
    values = STILL[series][:12]
    low, high = bootstrap_interval(values)
    assert low == high == pytest.approx(values[0])
    assert bootstrap(values).value == pytest.approx(values[0])
    assert math.isinf(cohen_d_z(values)) or not values.any()


def test_alike_is_relative_to_size() -> None:
    assert all_alike(np.zeros(0))
    assert all_alike(ROUNDED)
    assert not all_alike(np.array([1e-9, 2e-9]))
    assert all_alike(np.array([1e-9, 2e-9]), size=1e6)
    with pytest.raises(Unmeasurable, match="2 of 3 returns are no finite numbers"):
        measurable(np.array([1.0, math.nan, math.inf]), 2, "returns")
