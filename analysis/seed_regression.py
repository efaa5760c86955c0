"""A line through runs of several seeds, with intervals that know that runs of one seed are no strangers."""

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from analysis.load import Floats

RESAMPLES = 2000


@final
@dataclass(frozen=True)
class SeedLine:
    """y = intercept + slope x by least squares; 95 % interval of the slope; `r_squared` of the fit; runs and seeds."""

    slope: float
    low: float
    high: float
    intercept: float
    r_squared: float
    runs: int
    seeds: int


def line_over_seeds(x: Floats, y: Floats, seed: NDArray[Any]) -> SeedLine:
    """Least squares; the interval is a percentile bootstrap over whole seeds (eq. 233).  Pairs with a gap are left out.

    NaN where all x are the same; no interval from one seed.
    """
    good = np.isfinite(x) & np.isfinite(y)
    x, y, seed = np.asarray(x)[good], np.asarray(y)[good], np.asarray(seed)[good]
    names, member = np.unique(seed, return_inverse=True)
    count = len(names)
    if len(x) < 2 or np.ptp(x) == 0:
        return SeedLine(math.nan, math.nan, math.nan, math.nan, math.nan, len(x), count)
    sums = np.stack([np.bincount(member, value, count) for value in (np.ones(len(x)), x, y, x * x, x * y)], axis=1)
    slope = float(_slopes(sums.sum(axis=0)))
    intercept = float(y.mean() - slope * x.mean())
    left = float(((y - intercept - slope * x) ** 2).sum())
    spread = float(((y - y.mean()) ** 2).sum())
    low = high = math.nan
    if count > 1:
        chosen = np.random.default_rng(0).integers(0, count, (RESAMPLES, count))
        low, high = np.nanquantile(_slopes(sums[chosen].sum(axis=1)), (0.025, 0.975)).tolist()
    return SeedLine(slope, low, high, intercept, 1.0 - left / spread if spread > 0 else math.nan, len(x), count)


def _slopes(sums: Floats) -> Floats:
    """Slope from (n, Σx, Σy, Σx², Σxy) along the last axis; NaN where all x are the same."""
    n, x, y, xx, xy = np.moveaxis(sums, -1, 0)
    spread = n * xx - x * x
    slope: Floats = np.divide(n * xy - x * y, spread, out=np.full_like(spread, np.nan), where=spread > 1e-12 * n * xx)
    return slope
