"""What somebody estimates from the times of liquidations alone."""

import math

import numpy as np
import pytest

from marginquake.analysis.causes.hawkes import _recursion, as_an_outsider, fano_factor, log_likelihood


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
