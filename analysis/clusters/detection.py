"""Clusters in a histogram, and how concentrated it is (docs/model.md, eq. 191, 192)."""

from dataclasses import dataclass
from typing import final

import numpy as np

from analysis.load import Floats

FACTOR = 3.0
"""A bin belongs to a cluster where it holds more than this many times the usual bin."""


@final
@dataclass(frozen=True)
class Concentration:
    """How unevenly notional lies over bins: HHI (sum of squared shares), Gini (0 even, near 1 all in one bin).

    `effective_bins` = 1 / HHI: as many bins with equal shares would be as concentrated.  All NaN without notional.
    """

    hhi: float
    gini: float

    @property
    def effective_bins(self) -> float:
        """1 / HHI."""
        return 1.0 / self.hhi


def concentration(notional: Floats) -> Concentration:
    """HHI and Gini of bins, empty ones included."""
    total = float(notional.sum())
    if total <= 0:
        return Concentration(np.nan, np.nan)
    count = len(notional)
    ranks = np.arange(1, count + 1)
    gini = 2.0 * float(np.sum(ranks * np.sort(notional))) / (count * total) - (count + 1) / count
    return Concentration(float(np.sum((notional / total) ** 2)), gini)


def usual_bin(notional: Floats) -> float:
    """What a bin usually holds: the median, or the mean where more than half of the bins are empty.

    A median of 0 would make a cluster of any dust; the mean is what a bin would hold if all were spread evenly.
    """
    if len(notional) == 0:
        return 0.0
    middle = float(np.median(notional))
    return middle if middle > 0 else float(notional.mean())


def crowded_runs(notional: Floats, factor: float = FACTOR) -> list[tuple[int, int]]:
    """Maximal runs of bins above `factor` times the usual bin: first and last bin of each, in order."""
    above = np.concatenate(([False], notional > factor * usual_bin(notional), [False]))
    starts, ends = np.flatnonzero(above[1:] & ~above[:-1]), np.flatnonzero(~above[1:] & above[:-1]) - 1
    return list(zip(starts.tolist(), ends.tolist(), strict=True))
