"""Intervals over seeds, the independent units: of a mean, a median, a share, or anything else.

| of what | how |
|---|---|
| a mean | `bootstrap_interval`: on each side the farther end of Student's and of the bootstrap-t |
| a median | percentile bootstrap |
| a share of runs | `wilson` |
| anything else (ratio, slope, area under a curve) | percentile bootstrap, expanded for few seeds |

What they cover is measured in docs/intervals.md.  Every bootstrap draws whole seeds with replacement and is seeded: the
same values give the same interval.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal

import numpy as np

from marginquake.analysis.statistics.estimate import ROUNDING, UNKNOWN, Estimate, all_alike
from marginquake.sim.core.typing import Floats, Ints

CONFIDENCE = 0.95
RESAMPLES = 4000
LEAST_VALUES = 5
"""Seeds below which there is no interval: of four, even the smallest and the largest hold the median 7 times in 8."""


def wilson(events: int, runs: int, confidence: float = CONFIDENCE) -> Estimate:
    """Share of `runs` with the event and its score interval (Wilson 1927); all NaN without runs.

    The interval of every share of runs, few or many: it needs no spread, so that it holds below five runs too.
    `ValueError` where there cannot be so many events.
    """
    from scipy.stats import binomtest

    if not 0 <= events <= runs:
        raise ValueError(f"{events} events in {runs} runs")
    if runs == 0:
        return UNKNOWN
    ends = binomtest(events, runs).proportion_ci(confidence_level=confidence, method="wilson")
    return Estimate(events / runs, float(ends.low), float(ends.high))


@lru_cache(maxsize=8)
def draws(count: int, resamples: int = RESAMPLES, seed: int = 1) -> Ints:
    """Which of `count` seeds each resample holds: (resamples, count), read-only."""
    picks = np.random.default_rng(seed).integers(0, count, (resamples, count))
    picks.flags.writeable = False
    return picks


def block_draws(count: int, length: int, resamples: int = RESAMPLES, seed: int = 1) -> Ints:
    """Resamples of a series whose neighbours depend on each other: blocks of `length`, the end joined to the beginning.

    (resamples, blocks x length): enough blocks to make `count` or more (Politis and Romano 1992, circular blocks).
    """
    firsts = np.random.default_rng(seed).integers(0, count, (resamples, math.ceil(count / length)))
    return ((firsts[:, :, None] + np.arange(length)) % count).reshape(resamples, -1)


def draw_weights(count: int, resamples: int = RESAMPLES) -> Floats:
    """How often each resample holds each of `count` seeds, (resamples, count): for functions of sums over seeds."""
    shares = np.full(count, 1.0 / count)
    return np.random.default_rng(1).multinomial(count, shares, resamples).astype(np.float64)


def interval_over_seeds(
    count: int,
    statistic: Callable[[Ints], Floats],
    *,
    resamples: int = RESAMPLES,
    seed: int = 1,
    confidence: float = CONFIDENCE,
) -> tuple[float, float]:
    """Interval of any statistic over `count` seeds: percentiles of its resamples, expanded (`percentiles`).

    `statistic` is given which seeds each resample holds (`draws`) and returns one value a resample; for paired data it
    takes both sides by the same numbers.  (NaN, NaN) with fewer than five seeds.
    """
    if count < LEAST_VALUES:
        return math.nan, math.nan
    return percentiles(statistic(draws(count, resamples, seed)), confidence, units=count)


def bootstrap(
    values: Floats | Sequence[float],
    statistic: Literal["median", "mean"] = "median",
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    *,
    seed: int = 1,
) -> Estimate:
    """Median or mean over seeds with its interval: percentiles of a median, `bootstrap_interval` of a mean.

    NaNs are left out.  With fewer than five values there is an estimate and no interval.
    """
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    if len(known) == 0:
        return UNKNOWN
    if statistic == "mean":
        return Estimate(float(known.mean()), *bootstrap_interval(known, confidence, resamples, seed=seed))
    if len(known) < LEAST_VALUES:
        return Estimate(float(np.median(known)))
    medians = np.asarray(np.median(known[draws(len(known), resamples, seed)], axis=1))
    return Estimate(float(np.median(known)), *percentiles(medians, confidence))


def bootstrap_interval(
    values: Floats, confidence: float = CONFIDENCE, resamples: int = RESAMPLES, *, seed: int = 1
) -> tuple[float, float]:
    """Interval of a mean: on each side the farther end of Student's (1908) and of the bootstrap-t (Efron 1981).

    Student's covers too little where values are skewed, the bootstrap-t where they are few or have heavy tails: each
    where the other holds.  Resamples without spread have no t and are left out.  (NaN, NaN) below five values; a point
    where all are alike, which says that these seeds agree and not that others would.
    """
    from scipy.special import stdtrit

    count = len(values)
    if count < LEAST_VALUES:
        return math.nan, math.nan
    mean = float(values.mean())
    if all_alike(values):
        return mean, mean
    error = float(values.std(ddof=1)) / math.sqrt(count)
    reach = float(stdtrit(count - 1, 0.5 * (1.0 + confidence)))
    drawn = values[draws(count, resamples, seed)]
    errors = drawn.std(axis=1, ddof=1) / math.sqrt(count)
    spread_out = errors > ROUNDING * float(np.abs(values).max())
    least, most = percentiles((drawn.mean(axis=1) - mean)[spread_out] / errors[spread_out], confidence)
    return mean - error * max(reach, most), mean + error * max(reach, -least)


def percentiles(replicates: Floats, confidence: float = CONFIDENCE, units: int | None = None) -> tuple[float, float]:
    """The middle `confidence` of bootstrap replicates; those without a value (NaN) are left out.

    `units`: how many independent units (seeds) were drawn from.  A resample of few spreads too little by
    sqrt(1 - 1 / units), and its percentiles are those of a normal: the middle is taken as much wider as Student's t
    with units - 1 degrees of freedom asks for (Hesterberg 2015, The American Statistician 69, 4.3: expanded).  Where
    the replicates are too few for a percentile so far out, their standard deviation gives the reach instead.
    """
    from scipy.special import ndtr, stdtrit

    known = replicates[np.isfinite(replicates)]
    if len(known) == 0:
        return math.nan, math.nan
    outside = 0.5 * (1.0 - confidence)
    if units is not None:
        if units < LEAST_VALUES:
            return math.nan, math.nan
        reach = math.sqrt(units / (units - 1.0)) * float(stdtrit(units - 1, 1.0 - outside))
        outside = float(ndtr(-reach))
        if outside * len(known) < 1.0 and len(known) < RESAMPLES // 4:
            centre, deviation = float(known.mean()), float(known.std())
            return centre - reach * deviation, centre + reach * deviation
    low, high = np.quantile(known, (outside, 1.0 - outside))
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
