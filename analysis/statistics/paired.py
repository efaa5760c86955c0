"""Paired differences by seed: mean, interval, effect size, a sign-flip test, Holm's correction.

A seed draws the same outside price and the same traders under every rule, so that the difference of two runs of one
seed is the rule's doing; only these differences are looked at, never two unpaired groups.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, final

import numpy as np

from marginquake.analysis.statistics.estimate import ROUNDING, all_alike
from marginquake.analysis.statistics.intervals import bootstrap_interval
from marginquake.sim.core.typing import Floats

LEVEL: Final = 0.05
"""Of the test, and of what its interval leaves out; with several metrics, of all of them together (`adjust_holm`)."""
FLIPS: Final = 99_999
"""Random sign patterns where there are too many to go through all: p-values down to 1e-5."""
EXACT_UP_TO: Final = 16
"""Differences other than 0 for which all sign patterns are gone through."""
RANDOM_SEED: Final = 20_241
"""The same numbers for the same runs, always."""


@final
@dataclass(frozen=True)
class Paired:
    """Alternative minus baseline over `n` seeds, in the metric's own unit.

    `mean` with its 95 % interval `low` to `high` (NaN below five seeds); `d_z` the effect size (see `cohen_d_z`);
    `lower`, `equal`, `higher`: shares of seeds in which the alternative is below, at and above the baseline.
    `p_value`: two-sided sign-flip test, before any correction.

    Interval and test agree: where the test does not reject "no difference" at 5 %, 0 belongs to the interval.
    """

    n: int
    baseline: float
    alternative: float
    mean: float
    low: float
    high: float
    d_z: float
    lower: float
    equal: float
    higher: float
    p_value: float

    @property
    def identical(self) -> bool:
        """True where the rule changed nothing, on any seed."""
        return self.equal == 1.0

    @property
    def excludes_zero(self) -> bool:
        """True where there is an interval and 0 is outside."""
        return self.low > 0.0 or self.high < 0.0

    def with_zero(self) -> "Paired":
        """The same with an interval that reaches to 0: for a test that cannot tell the difference from none."""
        return replace(self, low=min(self.low, 0.0), high=max(self.high, 0.0)) if self.low == self.low else self


def paired(baseline: Floats, alternative: Floats) -> Paired | None:
    """Compare two columns with one row a seed; seeds where either is NaN are left out.  None if that leaves nobody."""
    both = np.isfinite(baseline) & np.isfinite(alternative)
    if not both.any():
        return None
    first, second = baseline[both], alternative[both]
    differences = second - first
    size = float(np.abs(np.concatenate((first, second))).max())
    if all_alike(differences, size):
        # What subtraction has left of equal shifts of large numbers is no scatter, and may be no shift.
        shift = float(np.median(differences))
        differences = np.full(len(differences), shift if abs(shift) > ROUNDING * size else 0.0)
    p_value = sign_flip_p_value(differences)
    low, high = bootstrap_interval(differences)
    found = Paired(
        n=len(differences),
        baseline=float(first.mean()),
        alternative=float(second.mean()),
        mean=float(differences.mean()),
        low=low,
        high=high,
        d_z=cohen_d_z(differences),
        lower=float(np.mean(differences < 0)),
        equal=float(np.mean(differences == 0)),
        higher=float(np.mean(differences > 0)),
        p_value=p_value,
    )
    return found if p_value < LEVEL else found.with_zero()


def cohen_d_z(differences: Floats) -> float:
    """Mean over standard deviation (n - 1) of the differences (Cohen 1988, 2.3.5; Lakens 2013, d_z).

    Differences that are all alike have no deviation: 0 if they are all 0, else infinite with their sign.  NaN for a
    single seed.
    """
    mean = float(differences.mean())
    if all_alike(differences):
        return 0.0 if mean == 0 else math.nan if len(differences) < 2 else math.copysign(math.inf, mean)
    return mean / float(differences.std(ddof=1))


def sign_flip_p_value(differences: Floats) -> float:
    """Two-sided permutation test of paired data: could the labels of the two runs of each seed be swapped?

    Share of all sign patterns whose |sum| is at least the one seen (Fisher 1935, 21; differences of 0 have no sign).
    Above 16 differences `FLIPS` random patterns are drawn, always the same, and the one seen counts as one more
    (Phipson and Smyth 2010).  The smallest p of n differences is 2 / 2^n.
    """
    moved = differences[differences != 0]
    if len(moved) == 0:
        return 1.0
    seen = abs(float(moved.sum()))
    # Sums of the same numbers in another order differ in the last bits.
    least = seen - 1e-9 * float(np.abs(moved).sum())
    if len(moved) <= EXACT_UP_TO:
        return float(np.mean(np.abs(_all_signs(len(moved)) @ moved) >= least))
    reached = np.count_nonzero(np.abs(_random_signs(len(moved)) @ moved) >= least)
    return float((1 + reached) / (1 + FLIPS))


def adjust_holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that keep the chance of any false verdict below the level (Holm 1979), in the order given."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted = [1.0] * len(p_values)
    worst = 0.0
    for rank, place in enumerate(order):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = worst
    return adjusted


def smallest_p_value(n: int) -> float:
    """What the sign-flip test gives at best for n seeds."""
    return 2.0 / 2.0**n if n <= EXACT_UP_TO else max(1.0 / (1 + FLIPS), 2.0 / 2.0**n)


@lru_cache(maxsize=4)
def _all_signs(count: int) -> Floats:
    """All sign patterns of `count` differences whose last sign is +: the others are their mirror images."""
    patterns = np.arange(2 ** (count - 1))[:, None] >> np.arange(count)[None, :] & 1
    return np.asarray(1.0 - 2.0 * patterns, np.float64)


@lru_cache(maxsize=4)
def _random_signs(count: int) -> Floats:
    bits = np.random.default_rng(RANDOM_SEED).integers(0, 2, (FLIPS, count), dtype=np.int8)
    return np.asarray(1.0 - 2.0 * bits, np.float64)
