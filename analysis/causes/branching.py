"""The branching ratio that the causal tree says: what share of calls forced orders have caused (eq. 174)."""

from math import ceil, isqrt, nan

import numpy as np

from analysis.estimate import UNKNOWN, Estimate
from analysis.load import Floats

RESAMPLES = 2000


def branching_ratio(forced_share: Floats, time_s: Floats) -> Estimate:
    """Mean over calls of the forced share of their move, each between 0 and 1.

    With S the sum of shares and N the calls, N - S calls came from outside, so the mean is 1 - immigrants / N: the
    branching ratio.  Calls at one mark fall or stand together, and so do those of marks that follow each other: the
    interval is a bootstrap over blocks of marks, sqrt(marks) long.
    """
    if not len(forced_share):
        return UNKNOWN
    caused = np.clip(forced_share, 0.0, 1.0)
    _, mark = np.unique(time_s, return_inverse=True)
    sums, counts = np.bincount(mark, caused), np.bincount(mark)
    marks = len(counts)
    length = isqrt(marks)
    draws = np.random.default_rng(0).integers(0, marks, (RESAMPLES, ceil(marks / length)))
    chosen = (draws[:, :, None] + np.arange(length)) % marks
    means = sums[chosen].sum(axis=(1, 2)) / counts[chosen].sum(axis=(1, 2))
    low, high = np.quantile(means, (0.025, 0.975)) if marks > 1 else (nan, nan)
    return Estimate(float(caused.mean()), float(low), float(high))
