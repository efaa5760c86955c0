"""Where a market tips: the value of one parameter at which half of all seeds have a cascade.

Every seed has its own threshold, found by bisection; the same seed is tried at every value, so that only the parameter
differs.  The tipping point is the median of the thresholds.  Its interval is that of order statistics (binomial, no
assumption on their distribution), widened by what the bisection leaves open.  The share of seeds whose threshold lies
below a value is P(cascade) there.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from marginquake.analysis.statistics.estimate import Estimate

CONFIDENCE = 0.95


@final
@dataclass(frozen=True)
class Tipping:
    """`point`: median threshold with its interval (infinite where the range does not hold it), all as shares of the
    range.  `contrary`: seeds with a cascade at the calm end and none at the other."""

    point: Estimate
    seeds: int
    contrary: int
    rising: bool


@final
class Bisection:
    """Brackets of every seed's threshold between 0 and 1, shares of the range on its scale."""

    def __init__(self, resolution: float) -> None:
        self.halvings = max(1, math.ceil(math.log2(1.0 / resolution)))
        self._seen: dict[tuple[int, float], bool] = {}
        self.assumes_ends = False
        """Later seeds are not tried at the ends once all of the first agreed there."""
        self.rising = True
        """True where the far end is the one with more cascades."""

    def learn(self, seed: int, place: float, event: bool) -> None:
        """What came out at one place for one seed."""
        self._seen[seed, place] = event

    def settle_ends(self, seeds: Sequence[int]) -> tuple[int, int]:
        """Cascades at either end; decides which way they rise and whether the ends are beyond doubt."""
        near, far = (sum(self._seen[seed, end] for seed in seeds) for end in (0.0, 1.0))
        self.rising = far >= near
        self.assumes_ends = (near, far) in ((0, len(seeds)), (len(seeds), 0))
        return near, far

    def bracket(self, seed: int) -> tuple[float, float] | None:
        """Highest calm and lowest cascading place, (1, inf) or (-inf, 0) beyond the range; None for a contrary seed."""
        calm_end, wild_end = self._at(seed, 0.0), self._at(seed, 1.0)
        if calm_end and not wild_end:
            return None
        if calm_end:
            return -math.inf, 0.0
        if not wild_end:
            return 1.0, math.inf
        low, high = 0.0, 1.0
        for _ in range(self.halvings):
            middle = 0.5 * (low + high)
            if (seed, self._place(middle)) not in self._seen:
                break
            low, high = (low, middle) if self._at(seed, middle) else (middle, high)
        return low, high

    def next_trials(self, seeds: Sequence[int]) -> list[tuple[int, float]]:
        """Seeds and places to be tried next; empty when every threshold is known to the resolution."""
        ends = [(seed, end) for seed in seeds for end in (0.0, 1.0)]
        unknown = [] if self.assumes_ends else [key for key in ends if key not in self._seen]
        if unknown:
            return unknown
        found = []
        for seed in seeds:
            bracket = self.bracket(seed)
            if bracket is None or not all(map(math.isfinite, bracket)):
                continue
            if bracket[1] - bracket[0] > 1.5 * 0.5**self.halvings:
                found.append((seed, self._place(0.5 * (bracket[0] + bracket[1]))))
        return found

    def result(self, seeds: Sequence[int]) -> Tipping:
        """The median threshold of these seeds."""
        brackets = [self.bracket(seed) for seed in seeds]
        known = [bracket for bracket in brackets if bracket is not None]
        lows, highs = (np.sort([bracket[side] for bracket in known]) for side in (0, 1))
        first, last = median_ranks(len(known))
        point = Estimate(0.5 * (_median(lows) + _median(highs)), float(lows[first]), float(highs[last]))
        if not self.rising:
            point = Estimate(1.0 - point.value, 1.0 - point.high, 1.0 - point.low)
        return Tipping(point, len(known), len(brackets) - len(known), self.rising)

    def _place(self, place: float) -> float:
        return place if self.rising else 1.0 - place

    def _at(self, seed: int, place: float) -> bool:
        """Cascade or not at a place counted from the calm end."""
        key = (seed, self._place(place))
        if key not in self._seen and self.assumes_ends and place in (0.0, 1.0):
            return place == 1.0
        return self._seen[key]


def median_ranks(count: int, confidence: float = CONFIDENCE) -> tuple[int, int]:
    """Places in sorted order between which the median lies with at least this confidence (David, Nagaraja 2003, 7.1).

    With fewer than six values not even the extremes are as sure as that; they are returned all the same.
    """
    from scipy.stats import binom

    if count == 0:
        raise ValueError("no thresholds: every seed was contrary")
    good = np.flatnonzero(2.0 * binom.cdf(np.arange((count + 1) // 2), count, 0.5) <= 1.0 - confidence)
    first = int(good[-1]) if len(good) else 0
    return first, count - 1 - first


def _median(ordered: Any) -> float:
    """The middle; of two, their mean, or the finite one where the other is beyond the range."""
    low, high = float(ordered[(len(ordered) - 1) // 2]), float(ordered[len(ordered) // 2])
    if math.isfinite(low) and math.isfinite(high):
        return 0.5 * (low + high)
    return low if math.isfinite(low) else high
