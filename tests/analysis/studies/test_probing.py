"""Facts about probes: intervals are exact, the interval of the tipping value holds it, no curve is assumed."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binomtest

from marginquake.analysis.studies.probing import (
    Crossing,
    ProbeSearch,
    Says,
    clopper_pearson,
    fewest_seeds,
    isotonic,
    likely_runs,
    seeds_for,
)

Outcome = Callable[[int, float], bool]
"""(seed, place) -> whether the event happened."""


def search(outcome: Outcome, probability: float, seeds: int, tolerance: float = 0.1) -> tuple[Crossing, int]:
    """What a search finds, and how many runs it takes."""
    found, count = ProbeSearch(probability, seeds, tolerance), 0
    while trials := found.next_trials():
        count += len(trials)
        assert len(set(trials)) == len(trials)
        for seed, place in trials:
            found.learn(seed, place, outcome(seed, place))
    return found.result(), count


def logistic(rng: np.random.Generator, centre: float, spread: float, seeds: int, common: bool, rising: bool) -> Outcome:
    """A response with a known truth: every seed with a threshold of its own, or chance anew at every value."""
    thresholds = rng.logistic(centre, spread, seeds)

    def outcome(seed: int, place: float) -> bool:
        at = place if rising else 1.0 - place
        if common:
            return bool(thresholds[seed - 1] < at)
        return bool(rng.random() < 1.0 / (1.0 + math.exp(-(at - centre) / spread)))

    return outcome


@pytest.mark.parametrize("events", [0, 1, 5, 19, 20])
def test_intervals_are_those_of_clopper_and_pearson(events: int) -> None:
    theirs = binomtest(events, 20).proportion_ci(method="exact")
    assert clopper_pearson(events, 20).low == pytest.approx(theirs.low, abs=1e-12)
    assert clopper_pearson(events, 20).high == pytest.approx(theirs.high, abs=1e-12)


@pytest.mark.parametrize(
    ("probability", "seeds"), [(0.05, 60), (0.05, 94), (0.5, 40), (0.95, 94)], ids=lambda value: f"{value:g}"
)
@pytest.mark.parametrize("spread", [0.02, 0.1])
@pytest.mark.parametrize("common", [True, False], ids=["thresholds", "chance"])
def test_the_interval_holds_the_true_value_as_often_as_it_says(
    probability: float, seeds: int, spread: float, common: bool
) -> None:
    seeds = max(seeds, fewest_seeds(probability))
    rng = np.random.default_rng(11)
    held = errors = 0
    for number in range(200):
        rising, centre = bool(number % 2), float(rng.uniform(0.4, 0.6))
        truth = centre + spread * math.log(probability / (1.0 - probability))
        truth = truth if rising else 1.0 - truth
        found, _ = search(logistic(rng, centre, spread, seeds, common, rising), probability, seeds)
        assert found.problem is None
        assert found.rising is rising
        held += found.point.low <= truth <= found.point.high
        errors += not found.point.low <= found.point.value <= found.point.high
    assert errors == 0
    assert held / 200 >= 0.95


def test_the_value_is_near_the_truth_on_average() -> None:
    rng = np.random.default_rng(3)
    truth = 0.5 + 0.05 * math.log(0.05 / 0.95)
    found = [search(logistic(rng, 0.5, 0.05, 238, True, True), 0.05, 238)[0].point.value for _ in range(100)]
    assert np.mean(found) == pytest.approx(truth, abs=0.01)
    assert np.std(found) < 0.04


def test_more_seeds_make_the_interval_narrower() -> None:
    widths = []
    for seeds in (100, 400):
        rng = np.random.default_rng(4)
        found = [search(logistic(rng, 0.5, 0.1, seeds, True, True), 0.2, seeds, 0.02)[0].point for _ in range(20)]
        widths.append(float(np.median([point.high - point.low for point in found])))
    assert widths[1] < 0.7 * widths[0]


def test_a_range_that_does_not_hold_the_probability_is_said_so() -> None:
    for share, problem in ((0.3, "above at both ends"), (0.0, "below at both ends"), (0.05, "cannot tell")):
        found, _ = search(lambda seed, place, share=share: seed * 37 % 100 < 100 * share, 0.05, 100)  # type: ignore[misc]
        assert (found.problem or "").startswith(problem)
        assert math.isnan(found.point.value)
        assert len(found.probes) == 2


def test_an_end_that_cannot_be_told_leaves_the_interval_open() -> None:
    found, _ = search(lambda seed, place: seed * 37 % 100 < 4 + 90 * place, 0.05, 100)
    assert found.problem is None
    assert found.rising
    assert found.point.low == -math.inf
    assert 0.0 < found.point.high < 1.0
    falling, _ = search(lambda seed, place: seed * 37 % 100 < 94 - 90 * place, 0.05, 100)
    assert not falling.rising
    assert falling.point.high == math.inf
    assert falling.point.low == pytest.approx(1.0 - found.point.high)


def test_values_on_a_grid_are_tried_once() -> None:
    steps = 5
    tried: dict[tuple[int, float], int] = {}
    found = ProbeSearch(0.5, 20, 0.01, lambda place: round(place * steps) / steps)
    while trials := found.next_trials():
        for key in trials:
            tried[key] = tried.get(key, 0) + 1
            found.learn(*key, key[1] > 0.5)
    assert {place for _, place in tried} <= {k / steps for k in range(steps + 1)}
    assert set(tried.values()) == {1}
    assert (found.result().point.low, found.result().point.high) == (0.4, 0.6)


def test_a_clear_value_stops_early_and_an_unclear_one_runs_all_seeds() -> None:
    found, count = search(lambda seed, place: place > 0.5, 0.5, 1000, 0.3)
    assert {probe.runs for probe in found.probes} == {12}
    assert count == 12 * len(found.probes)
    assert {probe.says for probe in found.probes} == {Says.ABOVE, Says.BELOW}


def test_seeds_that_go_against_the_direction_are_counted() -> None:
    found, _ = search(lambda seed, place: place > 0.5 if seed != 2 else place < 0.5, 0.5, 40)
    assert found.contrary == 1


def test_seeds_are_planned_for_the_half_width_asked_for() -> None:
    for probability, within in ((0.05, 0.02), (0.5, 0.1), (0.95, 0.03), (0.3, 0.05)):
        seeds = seeds_for(probability, within)
        found = clopper_pearson(probability * seeds, seeds)
        assert 0.5 * (found.high - found.low) <= within
        less = clopper_pearson(probability * (seeds - 1), seeds - 1)
        assert 0.5 * (less.high - less.low) > within
    assert fewest_seeds(0.05) == 72
    assert clopper_pearson(0, 72).high < 0.05 < clopper_pearson(0, 71).high
    assert seeds_for(0.05, 0.9) == 72


def test_a_search_never_takes_more_runs_than_it_may() -> None:
    for probability, seeds, tolerance in ((0.05, 94, 0.1), (0.5, 104, 0.05), (0.95, 80, 0.25)):
        most = seeds * ProbeSearch(probability, seeds, tolerance).most_probes()
        rng = np.random.default_rng(6)
        counts = [
            search(logistic(rng, 0.5, spread, seeds, common, True), probability, seeds, tolerance)[1]
            for spread in (0.01, 0.05, 0.1, 0.3)
            for common in (True, False)
            for _ in range(20)
        ]
        assert max(counts) <= most
        low, high = likely_runs(probability, seeds, tolerance)
        assert low <= float(np.median(counts)) <= high <= most


def test_isotonic_regression_is_the_nearest_rising_sequence() -> None:
    assert isotonic([1, 3, 2, 4], [1, 1, 1, 1]) == [1, 2.5, 2.5, 4]
    assert isotonic([3, 2, 1], [1, 1, 2]) == [1.75, 1.75, 1.75]
    assert isotonic([1, 3, 2], [1, 1, 3]) == [1, 2.25, 2.25]
