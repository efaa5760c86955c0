"""Intervals over seeds: of a share, of a median or mean, and differences paired by seed."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from marginquake.analysis.frames.market import Floats, Ints
from marginquake.analysis.statistics.estimate import UNKNOWN, Estimate

CONFIDENCE = 0.95
RESAMPLES = 4000
LEAST_VALUES = 3
"""With fewer values than these a bootstrap interval means nothing."""


def wilson(events: int, runs: int, confidence: float = CONFIDENCE) -> Estimate:
    """Share of `runs` with the event and its score interval (Wilson 1927); all NaN without runs."""
    from scipy.stats import binomtest

    if runs == 0:
        return UNKNOWN
    ends = binomtest(events, runs).proportion_ci(confidence_level=confidence, method="wilson")
    return Estimate(events / runs, float(ends.low), float(ends.high))


def bootstrap(
    values: Floats | Sequence[float],
    statistic: Literal["median", "mean"] = "median",
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Median or mean over seeds with its percentile interval (Efron and Tibshirani 1993, chapter 13).

    Seeded: the same values give the same interval.  NaNs are left out.  With fewer than `LEAST_VALUES` values there is
    an estimate and no interval.
    """
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    if len(known) == 0:
        return UNKNOWN
    reduce = np.median if statistic == "median" else np.mean
    estimate = float(reduce(known))
    if len(known) < LEAST_VALUES:
        return Estimate(estimate)
    picks = np.random.default_rng(1).integers(0, len(known), (resamples, len(known)))
    return Estimate(estimate, *percentiles(reduce(known[picks], axis=1), confidence))


def percentiles(replicates: Floats, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The middle `confidence` of bootstrap replicates."""
    low, high = np.quantile(replicates, ((1 - confidence) / 2, (1 + confidence) / 2))
    return float(low), float(high)


def paired_differences(seeds: Ints, values: Floats, other_seeds: Ints, other_values: Floats) -> tuple[Ints, Floats]:
    """`other_values` less `values` of the same seed, for the seeds that have both; (seeds, differences).

    NaNs are left out.  A seed given twice on one side is a `ValueError`: a pair would not be one.
    """
    for given in (seeds, other_seeds):
        if len(np.unique(given)) != len(given):
            raise ValueError("a seed is given twice: differences are paired by seed, one run a side")
    common, first, second = np.intersect1d(seeds, other_seeds, assume_unique=True, return_indices=True)
    differences = np.asarray(other_values[second] - values[first], np.float64)
    known = np.isfinite(differences)
    return common[known].astype(np.int64), differences[known]
