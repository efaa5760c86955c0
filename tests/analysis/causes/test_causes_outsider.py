"""What somebody estimates from the times of liquidations alone."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit

from marginquake.analysis.causes.hawkes import (
    LEAST_EVENTS,
    _best,
    _interval,
    _recursion,
    as_an_outsider,
    fano_factor,
    log_likelihood,
)


def hawkes(rng: np.random.Generator, base: float, branching: float, beta: float, length_s: float) -> np.ndarray:
    """A Hawkes process by its family tree: immigrants, and Poisson(branching) children at exponential delays."""
    waiting = rng.uniform(0, length_s, rng.poisson(base * length_s)).tolist()
    times = []
    while waiting:
        time = waiting.pop()
        times.append(time)
        children = time + rng.exponential(1 / beta, rng.poisson(branching))
        waiting += children[children < length_s].tolist()
    return np.sort(times)


@pytest.mark.parametrize("branching", [0.3, 0.7])
def test_the_estimate_finds_the_branching_ratio_of_a_hawkes_process(branching: float) -> None:
    found = []
    for seed in range(6):
        times = hawkes(np.random.default_rng(seed), 0.2, branching, 0.5, 4_000.0)
        estimate = as_an_outsider(times, 1e-6, 0.0, 4_000.0)
        assert estimate.fit_p > 0.001
        assert estimate.hawkes.low < estimate.hawkes.value < estimate.hawkes.high
        found.append((estimate.hawkes, estimate.decay_s))
    assert np.mean([each.value for each, _ in found]) == pytest.approx(branching, abs=0.05)
    assert np.mean([decay for _, decay in found]) == pytest.approx(2.0, rel=0.25)
    assert sum(each.low <= branching <= each.high for each, _ in found) >= 4


def test_independent_events_have_no_branching_and_fano_one() -> None:
    times = np.sort(np.random.default_rng(3).uniform(0, 5_000, 2_500))
    estimate = as_an_outsider(times, 1e-6, 0.0, 5_000.0)
    assert estimate.hawkes.value < 0.1
    assert estimate.fano[10] == pytest.approx(1.0, abs=0.2)


def test_the_likelihood_is_that_of_the_double_sum() -> None:
    times = hawkes(np.random.default_rng(5), 0.5, 0.6, 2.0, 60.0)
    base, branching, beta = 0.4, 0.5, 1.5
    excited = [sum(math.exp(-beta * (t - s)) for s in times if s < t) for t in times]
    expected = sum(math.log(base + branching * beta * each) for each in excited)
    expected -= base * 60.0 + branching * sum(1 - math.exp(-beta * (60.0 - t)) for t in times)
    assert log_likelihood(times, 60.0, base, branching, beta) == pytest.approx(expected)


def test_long_silences_do_not_overflow() -> None:
    times = np.array([1.0, 2.0, 5_000.0, 5_000.5, 90_000.0])
    expected = [sum(math.exp(-3.0 * (t - s)) for s in times if s < t) for t in times]
    np.testing.assert_allclose(_recursion(times, 3.0), expected)


def test_a_fall_that_calls_everybody_from_outside_looks_like_self_excitation() -> None:
    """Calls by a moving outside price alone: no call causes another, and the outsider believes that they do."""
    rng = np.random.default_rng(8)
    times = np.sort(np.concatenate([rng.uniform(0, 3_600, 10), 1_800 + rng.exponential(20.0, 300)]))
    assert as_an_outsider(times, 1e-6, 0.0, 3_600.0).hawkes.value > 0.8


def test_few_events_give_no_estimate() -> None:
    estimate = as_an_outsider(np.arange(5.0), 1.0, 0.0, 100.0)
    assert math.isnan(estimate.hawkes.value)
    assert estimate.fano[1] >= 0


def test_fano_is_variance_over_mean_of_counts() -> None:
    assert fano_factor(np.array([0.1, 0.2, 0.3, 2.5]), 0.0, 4.0, 1.0) == pytest.approx(np.var([3, 0, 1, 0], ddof=1) / 1)
    assert math.isnan(fano_factor(np.array([]), 0.0, 4.0, 1.0))


# -- the fit is the best there is --------------------------------------------------------------------------------------


def from_many_starts(times: np.ndarray, length_s: float) -> tuple[float, float]:
    """Highest log likelihood and its branching ratio, by a local search from a grid of starts."""

    def loss(free: np.ndarray) -> float:
        base, branching, beta = np.exp(free[0]), expit(free[1]), np.exp(free[2])
        return -log_likelihood(times, length_s, float(base), float(branching), float(beta))

    limits = [(-30.0, 15.0), (-10.0, 9.2), (math.log(1e-4), math.log(1e3))]
    rate = len(times) / length_s
    fits = [
        minimize(loss, [math.log(rate * (1 - n)), logit(n), math.log(beta)], method="L-BFGS-B", bounds=limits)
        for n in (0.005, 0.3, 0.8)
        for beta in (1e-3, 1e-1, 1.0, 30.0)
    ]
    best = min(fits, key=lambda fit: float(fit.fun))
    return -float(best.fun), float(expit(best.x[1]))


@pytest.mark.parametrize(("branching", "beta"), [(0.0, 1.0), (0.05, 5.0), (0.4, 0.05), (0.8, 0.5)])
@pytest.mark.parametrize("events", [60, 376])
def test_no_other_start_finds_a_likelier_fit(branching: float, beta: float, events: int) -> None:
    for seed in range(2):
        times = hawkes(np.random.default_rng(seed), (1 - branching) * events / 2_000, branching, beta, 2_000.0)
        best, kernels = _best(times, 2_000.0)
        most, ratio = from_many_starts(times, 2_000.0)
        assert best.most > most - 0.01
        if best.most < most + 0.01:
            found = _interval(best, kernels)
            assert found.low <= ratio + 1e-3
            assert found.high >= ratio - 1e-3
            assert best.branching == pytest.approx(ratio, abs=0.01) or best.most == pytest.approx(most, abs=2e-3)


def test_the_interval_holds_none_in_nineteen_of_twenty_streams_without_branching() -> None:
    held = 0
    for seed in range(30):
        times = np.sort(np.random.default_rng(seed).uniform(0, 1_000, 300))
        found = as_an_outsider(times, 1e-6, 0.0, 1_000.0).hawkes
        assert found.low <= found.value <= found.high
        held += found.low == 0.0
    assert held >= 25


def test_where_much_branches_the_interval_holds_that_and_not_none() -> None:
    found = [
        as_an_outsider(hawkes(np.random.default_rng(seed), 0.1, 0.7, 0.3, 1_500.0), 1e-6, 0.0, 1_500.0).hawkes
        for seed in range(10)
    ]
    assert sum(each.low <= 0.7 <= each.high for each in found) >= 8
    assert all(each.low > 0.0 for each in found)


@pytest.mark.parametrize("events", [0, 1, 20, 60, LEAST_EVENTS - 1])
def test_below_a_number_of_events_nothing_is_told(events: int) -> None:
    times = np.sort(np.random.default_rng(events).uniform(0, 2_000, events))
    found = as_an_outsider(times, 1.0, 0.0, 2_000.0)
    assert math.isnan(found.hawkes.value)
    assert not found.hawkes.has_interval
    assert math.isnan(found.fit_p)
    assert found.events == events


# -- times on a clock --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate", "clock_s"), [(0.3, 1.0), (3.0, 1.0), (0.1, 5.0)])
def test_independent_times_on_a_clock_fit(rate: float, clock_s: float) -> None:
    """p below .05 in about one of twenty, and not in all: also where a tick holds several."""
    rejected = 0
    for seed in range(24):
        times = np.sort(np.random.default_rng(seed).uniform(0, 200 / rate, 200))
        on_clock = clock_s * np.ceil(times / clock_s)
        rejected += as_an_outsider(on_clock, clock_s, 0.0, float(on_clock[-1])).fit_p < 0.05
    assert rejected <= 5


@pytest.mark.parametrize(("branching", "beta"), [(0.5, 0.2), (0.8, 0.2)])
def test_streams_of_the_fitted_kind_fit_on_a_clock(branching: float, beta: float) -> None:
    rejected = 0
    for seed in range(20):
        times = np.ceil(hawkes(np.random.default_rng(seed), 0.3 * (1 - branching), branching, beta, 1_000.0))
        rejected += as_an_outsider(times, 1.0, 0.0, 1_000.0).fit_p < 0.05
    assert rejected <= 4


def regular(rng: np.random.Generator) -> np.ndarray:
    """One event every 3 s, give or take a fifth of it."""
    return np.cumsum(rng.normal(3.0, 0.6, 300).clip(0.1))


def in_pairs(rng: np.random.Generator) -> np.ndarray:
    """Each event again exactly 5 s later."""
    first = rng.uniform(0, 3_000, 150)
    return np.sort(np.concatenate((first, first + 5.0)))


def with_one_fall(rng: np.random.Generator) -> np.ndarray:
    """Independent events, and twice as many within twenty seconds."""
    return np.sort(np.concatenate((rng.uniform(0, 3_600, 100), 1_800 + rng.uniform(0, 20, 200))))


@pytest.mark.parametrize("wrong", [regular, in_pairs, with_one_fall])
def test_a_stream_that_is_clearly_no_such_process_does_not_fit(
    wrong: Callable[[np.random.Generator], np.ndarray],
) -> None:
    streams = [np.ceil(wrong(np.random.default_rng(seed))) for seed in range(5)]
    assert max(as_an_outsider(times, 1.0, 0.0, float(times[-1])).fit_p for times in streams) < 0.05


def test_the_same_times_give_the_same_numbers_and_all_at_once_is_no_trouble() -> None:
    times = np.ceil(np.sort(np.random.default_rng(1).uniform(0, 400, 200)))
    assert as_an_outsider(times, 1.0, 0.0, 400.0) == as_an_outsider(times[::-1], 1.0, 0.0, 400.0)
    at_once = as_an_outsider(np.full(150, 7.0), 1.0, 0.0, 400.0)
    assert at_once.hawkes.value > 0.5
    assert math.isfinite(at_once.fit_p)
    assert np.isfinite(as_an_outsider(np.zeros(150), 1.0, 0.0, 0.0).hawkes.value)
