"""Swings of a price: falls and rises within a window, and what was normal before them."""

from dataclasses import dataclass
from typing import final

import numpy as np

from marginquake.analysis.statistics.estimate import Unmeasurable
from marginquake.sim.core.typing import Floats

WINDOW_S = 900.0


THRESHOLD = 0.01


NORMAL_S, LEAST_NORMAL_S = 3600.0, 300.0
"""What was normal is the median of the hour before, or of what there is of it, but at least five minutes."""


@final
@dataclass(frozen=True)
class Swing:
    """Positions in the series: the extreme it started from, its far end, and where it was last beyond the threshold.

    `fraction` > 0: largest move from the extreme of the last 15 minutes.
    """

    first: int
    far: int
    last: int
    fraction: float


def fall_depth(price: Floats, every_s: float) -> Floats:
    """1 - price / (highest price of the last 15 minutes), at every sample."""
    from scipy.ndimage import maximum_filter1d

    steps = max(1, round(WINDOW_S / every_s))
    if len(price) == 0:
        return np.zeros(0)
    high = maximum_filter1d(price, steps + 1, mode="nearest", origin=steps // 2)
    return np.asarray(1.0 - price / high, np.float64)


def falls(price: Floats, every_s: float) -> list[Swing]:
    """Falls of 1 % or more within 15 minutes, in order; two of them closer than 15 minutes are one."""
    depth = fall_depth(price, every_s)
    steps = max(1, round(WINDOW_S / every_s))
    deep = np.flatnonzero(depth >= THRESHOLD)
    if len(deep) == 0:
        return []
    cuts = np.flatnonzero(np.diff(deep) > steps)
    found = []
    for begin, end in zip(np.append(0, cuts + 1), np.append(cuts, len(deep) - 1), strict=True):
        reached, last = int(deep[begin]), int(deep[end])
        window = max(0, reached - steps)
        first = window + int(np.argmax(price[window : reached + 1]))
        far = first + int(np.argmin(price[first : last + 1]))
        found.append(Swing(first, far, last, float(depth[first : last + 1].max())))
    return found


def normal_before(values: Floats, first: int, every_s: float) -> float:
    """Median of the hour before position `first`."""
    count = min(first, round(NORMAL_S / every_s))
    if count * every_s < LEAST_NORMAL_S:
        raise Unmeasurable(f"it begins {first * every_s:,.0f} s after the start: nothing to compare with")
    return float(np.median(values[first - count : first]))
