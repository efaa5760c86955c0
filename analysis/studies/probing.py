"""Where a share of runs crosses any probability: values are tried one after the other, each on the same seeds.

At each value tried (a probe) the share of runs with the event has an exact interval (Clopper and Pearson 1934).  A
probe says that the share is above the probability asked for, or below it, where its interval leaves that probability
out; else it cannot tell.  The interval of the tipping value goes from the nearest probe that says below to the nearest
that says above.  That supposes only that the share rises, or falls, over the range: no form of the curve, and no
threshold of its own for every seed.  The value itself is read off a monotone curve through all probes (isotonic
regression, straight between probes in log odds).

Probes that are clear stop early: they are looked at after 12, 36, 108, ... seeds with a stricter interval.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import pairwise
from typing import Final, final

import numpy as np

from marginquake.analysis.statistics.estimate import Estimate

CONFIDENCE: Final = 0.95
"""Of the interval of a share, by which a probe on all seeds decides."""
DECIDES_EARLY: Final = 0.99
"""Of the interval by which a probe stops before it has run all seeds: it is looked at several times."""
FIRST_LOOK: Final = 12
LOOKS_GROW_BY: Final = 3
PARTS: Final = 2
"""Gaps at either end of the interval are closed to this part of the width that is asked for."""


@final
class Says(Enum):
    """What a probe says of the share of runs with the event."""

    BELOW = "below"
    ABOVE = "above"
    OPEN = "cannot tell"


@final
@dataclass(frozen=True)
class Probe:
    """One value tried.  `place`: share of the range; `share`: of runs with the event, 95 % Clopper-Pearson interval."""

    place: float
    events: int
    runs: int
    share: Estimate
    says: Says


@final
@dataclass(frozen=True)
class Crossing:
    """Where the share crosses the probability, as a share of the range; ends are infinite beyond it.

    `problem`: None, or why there is no crossing to be found between the ends.  `contrary`: seeds with the event at a
    calmer place and without it at a wilder one, both run.
    """

    point: Estimate
    rising: bool
    probes: tuple[Probe, ...]
    contrary: int
    problem: str | None


@lru_cache(maxsize=65536)
def clopper_pearson(events: float, runs: int, confidence: float = CONFIDENCE) -> Estimate:
    """A share and its exact interval (Clopper and Pearson 1934); `events` need not be whole when seeds are planned."""
    from scipy.stats import beta

    tail = 0.5 * (1.0 - confidence)
    low = float(beta.ppf(tail, events, runs - events + 1)) if events > 0 else 0.0
    high = float(beta.ppf(1.0 - tail, events + 1, runs - events)) if events < runs else 1.0
    return Estimate(events / runs, low, high)


def fewest_seeds(probability: float) -> int:
    """Seeds without which not even a probe where no run (or every run) has the event can say so."""
    rarer = min(probability, 1.0 - probability)
    return math.floor(math.log(0.5 * (1.0 - CONFIDENCE)) / math.log1p(-rarer)) + 1


MOST_ASKED = 2**40
"""Seeds beyond which nobody asks how many it takes."""


def seeds_for(probability: float, within: float) -> int:
    """Seeds with which the 95 % interval of a share at `probability` reaches no further than `within` on average of
    its two sides."""

    def reach(seeds: int) -> float:
        found = clopper_pearson(probability * seeds, seeds)
        return 0.5 * (found.high - found.low)

    least = most = fewest_seeds(probability)
    while reach(most) > within and most < MOST_ASKED:
        least, most = most, 2 * most
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if reach(middle) > within else (least, middle)
    return most


@final
class ProbeSearch:
    """Which seeds are run where next, and what is known so far.

    `seeds`: at every probe that is not clear before; `tolerance`: how wide the interval may be, as a share of the
    range; `snap`: the nearest place that can be tried, where values are whole numbers or steps.
    """

    def __init__(
        self, probability: float, seeds: int, tolerance: float, snap: Callable[[float], float] = lambda place: place
    ) -> None:
        self.probability = probability
        self.tolerance = tolerance
        self._seeds = seeds
        self._snap = snap
        self._seen: dict[float, dict[int, bool]] = {}

    def learn(self, seed: int, place: float, event: bool) -> None:
        """What came out at one place for one seed."""
        self._seen.setdefault(place, {})[seed] = event

    def next_trials(self) -> list[tuple[int, float]]:
        """Seeds and places to be tried next; empty when there is nothing left to find out."""
        places = [0.0, 1.0] if self._says(0.0) is None or self._says(1.0) is None else self._next_places()
        return [(seed, place) for place in places for seed in self._wanted(place)]

    def result(self) -> Crossing:
        """What the probes so far come to."""
        probes = [self._probe(place) for place in sorted(self._seen) if self._says(place) is not None]
        rising = self._rising()
        if rising is None:
            return Crossing(Estimate(), True, tuple(probes), 0, self._problem())
        low, high = self._ends(rising)
        value = self._crossing(probes, rising)
        if low <= high:
            value = min(max(value, low), high)
        point = Estimate(value, low, high)
        if not rising:
            point = Estimate(1.0 - value, 1.0 - high, 1.0 - low)
        return Crossing(point, rising, tuple(probes), self._contrary(rising), None)

    def most_probes(self) -> int:
        """How many there can be: the ends, a first one that cannot tell, then halving on both sides of it."""
        return 3 + 2 * (math.ceil(math.log2(PARTS / self.tolerance)) - 1)

    # ---- one probe ----

    def _says(self, place: float) -> Says | None:
        """None while it needs more seeds."""
        seen = self._seen.get(place, {})
        for look in self._looks():
            if len(seen) < look:
                return None
            events = sum(seen[seed] for seed in range(1, look + 1))
            found = clopper_pearson(events, look, CONFIDENCE if look == self._seeds else DECIDES_EARLY)
            if found.low > self.probability:
                return Says.ABOVE
            if found.high < self.probability:
                return Says.BELOW
        return Says.OPEN

    def _looks(self) -> list[int]:
        looks, look = [], FIRST_LOOK
        while look < self._seeds:
            looks.append(look)
            look *= LOOKS_GROW_BY
        return [*looks, self._seeds]

    def _wanted(self, place: float) -> list[int]:
        """Seeds up to the next look at this place; none where it has spoken."""
        if self._says(place) is not None:
            return []
        done = len(self._seen.get(place, {}))
        return list(range(done + 1, next(look for look in self._looks() if look > done) + 1))

    def _probe(self, place: float) -> Probe:
        seen = self._seen[place]
        says = self._says(place)
        assert says is not None
        return Probe(place, sum(seen.values()), len(seen), clopper_pearson(sum(seen.values()), len(seen)), says)

    # ---- all probes ----

    def _rising(self) -> bool | None:
        """Whether the share rises from the first end to the last; None where that cannot be told."""
        first, last = self._says(0.0), self._says(1.0)
        if None in (first, last) or first is last:
            return None
        return first is Says.BELOW or last is Says.ABOVE

    def _problem(self) -> str | None:
        first, last = self._says(0.0), self._says(1.0)
        if first is None or last is None:
            return None
        return {Says.ABOVE: "above at both ends", Says.BELOW: "below at both ends"}.get(
            first, "cannot tell at either end"
        )

    def _ends(self, rising: bool) -> tuple[float, float]:
        """The nearest places, counted from the calm end, that say below and above; infinite where none does."""
        places = {place if rising else 1.0 - place: self._says(place) for place in self._seen}
        low = max((place for place, says in places.items() if says is Says.BELOW), default=-math.inf)
        high = min((place for place, says in places.items() if says is Says.ABOVE), default=math.inf)
        return low, high

    def _next_places(self) -> list[float]:
        """Where the interval is still wider than it need be: between its ends, or between them and what is open."""
        rising = self._rising()
        if rising is None:
            return []
        waiting = [place for place in self._seen if self._says(place) is None]
        if waiting:
            return waiting
        low, high = self._ends(rising)
        if high - low <= self.tolerance:
            return []
        places = {place if rising else 1.0 - place: self._says(place) for place in self._seen}
        between = sorted(place for place, says in places.items() if says is Says.OPEN and low < place < high)
        gaps = [(low, between[0]), (between[-1], high)] if between else [(low, high)]
        tried = []
        for left, right in gaps:
            if math.isfinite(left) and math.isfinite(right) and right - left > self.tolerance / PARTS:
                middle = 0.5 * (left + right)
                place = self._snap(middle if rising else 1.0 - middle)
                if place not in self._seen:
                    tried.append(place)
        return tried

    def _crossing(self, probes: Sequence[Probe], rising: bool) -> float:
        """Where the monotone curve through the probes is at the probability, counted from the calm end."""
        ordered = probes if rising else probes[::-1]
        places = [probe.place if rising else 1.0 - probe.place for probe in ordered]
        heights = isotonic([(probe.events + 0.5) / (probe.runs + 1) for probe in ordered], [p.runs for p in ordered])
        if heights[0] >= self.probability:
            return -math.inf
        for (left, below), (right, above) in pairwise(zip(places, heights, strict=True)):
            if below < self.probability <= above:
                odds = [math.log(each / (1.0 - each)) for each in (below, self.probability, above)]
                return left + (right - left) * (odds[1] - odds[0]) / (odds[2] - odds[0])
        return math.inf

    def _contrary(self, rising: bool) -> int:
        """Seeds whose event comes and goes against the direction of the rest."""
        by_seed: dict[int, list[bool]] = {}
        for place in sorted(self._seen, reverse=not rising):
            for seed, event in self._seen[place].items():
                by_seed.setdefault(seed, []).append(event)
        return sum(any(a and not b for a, b in pairwise(events)) for events in by_seed.values())


def isotonic(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The rising values nearest to these by weighted least squares (pool adjacent violators: Ayer et al. 1955)."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights, strict=True):
        pools.append((value, weight, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (first, w, n), (second, v, m) = pools[-2:]
            pools[-2:] = [((first * w + second * v) / (w + v), w + v, n + m)]
    return [value for value, _, count in pools for _ in range(count)]


def likely_runs(
    probability: float, seeds: int, tolerance: float, spreads: Iterable[float] = (0.01, 0.05, 0.15)
) -> tuple[int, int]:
    """How many runs a search takes on made-up markets, fewest and most: seeds with thresholds spread over so much of
    the range, about the middle, a third, and two thirds of it."""
    counts = []
    for spread in spreads:
        for number, centre in enumerate((0.35, 0.5, 0.65)):
            thresholds = np.random.default_rng(number).logistic(centre, spread, seeds)
            search, count = ProbeSearch(probability, seeds, tolerance), 0
            while trials := search.next_trials():
                count += len(trials)
                for seed, place in trials:
                    search.learn(seed, place, bool(thresholds[seed - 1] < place))
            counts.append(count)
    return min(counts), max(counts)
