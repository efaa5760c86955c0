"""Tails of a distribution: Hill's index and its k-plot, kurtosis and skewness.

Moments are kept as sums of powers, so that several runs are put together by adding.
"""

import math

import numpy as np

from marginquake.analysis.statistics.estimate import ROUNDING, Unmeasurable
from marginquake.sim.core.typing import Floats

TAIL_FRACTION = 0.05
PLOT_FRACTIONS = np.geomspace(0.01, 0.2, 40)
PLATEAU_FRACTIONS = np.geomspace(0.02, 0.1, 17)
LEAST_VARIANCE = 1e-6
"""Of the mean square.  From sums of powers the fourth moment of a smaller variance is mostly rounding."""
LEAST_TAIL = 10
"""Fewest order statistics in a tail: the relative error of Hill's index is 1 / sqrt(k)."""


def hill(values: Floats, fraction: float = TAIL_FRACTION) -> float:
    """Tail index of |values|: 1 / mean(ln x_i / x_(k+1)) over the k largest, k = `fraction` of all (Hill 1975)."""
    count = len(values)
    if not np.isfinite(values).all():
        raise Unmeasurable("values of the series are no finite numbers")
    index = float(hill_curve(values, np.array([fraction]))[0])
    if math.isnan(index):
        if math.floor(fraction * count + 1e-9) < LEAST_TAIL:
            needed = math.ceil(LEAST_TAIL / fraction)
            raise Unmeasurable(f"{count} returns: the top {fraction:.0%} needs {needed}", share=count / needed)
        raise Unmeasurable("the largest returns are all equal, or too few differ from 0")
    return index


def hill_curve(values: Floats, fractions: Floats) -> Floats:
    """The k-plot: Hill's index of |values| at each share of the sample; NaN where the tail holds too few."""
    tail = np.floor(fractions * len(values) + 1e-9).astype(np.int64)
    curve = np.full(len(fractions), np.nan)
    enough = (tail >= LEAST_TAIL) & (tail < len(values))
    if not enough.any():
        return curve
    first = len(values) - 1 - int(tail[enough].max())
    with np.errstate(divide="ignore", invalid="ignore"):
        largest = np.log(np.sort(np.partition(np.abs(values), first)[first:])[::-1])
        excess = np.cumsum(largest)[tail[enough] - 1] / tail[enough] - largest[tail[enough]]
        # Equal values differ by no more than the logarithms' rounding.
        least = ROUNDING * np.maximum(1.0, np.abs(largest[tail[enough]]))
        curve[enough] = np.where(np.isfinite(excess) & (excess > least), 1.0 / excess, np.nan)
    return curve


def hill_range(values: Floats) -> float:
    """Stability of the k-plot: (largest - smallest) / index at 5 %, over the top 2 to 10 %.  0 = a flat plateau."""
    curve = hill_curve(values, PLATEAU_FRACTIONS)
    needed = math.ceil(LEAST_TAIL / PLATEAU_FRACTIONS[0])
    if len(values) < needed:
        raise Unmeasurable(f"{len(values)} returns: the top 2 % needs {needed}", share=len(values) / needed)
    index = hill(values)
    if np.isnan(curve).any():
        raise Unmeasurable("the largest returns are all equal, or too few differ from 0")
    return float(np.ptp(curve)) / index


def power_sums(values: Floats) -> Floats:
    """Count and sums of the first four powers: all that moments are made of."""
    return np.array([float(np.sum(values**power)) for power in range(5)])


def kurtosis_of(sums: Floats) -> float:
    """Excess kurtosis (0 for a normal) from `power_sums`."""
    return _central(sums, 4, 4) / _central(sums, 2, 4) ** 2 - 3.0


def skewness_of(sums: Floats) -> float:
    """Skewness from `power_sums`."""
    return _central(sums, 3, 3) / math.pow(_central(sums, 2, 3), 1.5)


def _central(sums: Floats, power: int, least: int) -> float:
    if not np.isfinite(sums).all():
        raise Unmeasurable("values of the series are no finite numbers")
    if sums[0] < least:
        raise Unmeasurable(f"{int(sums[0])} values: {least} needed")
    raw = sums / sums[0]
    mean = float(raw[1])
    moment = float(sum(math.comb(power, j) * raw[j] * (-mean) ** (power - j) for j in range(power + 1)))
    if power == 2 and moment <= LEAST_VARIANCE * float(raw[2]):
        raise Unmeasurable("the series never changes, or too little for its size")
    return moment


def overlapping_sums(returns: Floats, length: int) -> Floats:
    """Returns over `length` steps, beginning at every step: all of the sample counts, not every `length`-th point."""
    total = np.concatenate(([0.0], np.cumsum(returns)))
    return np.asarray(total[length:] - total[:-length], np.float64)
