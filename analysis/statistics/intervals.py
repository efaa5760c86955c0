"""Intervals over seeds: of a share, by the one bootstrap there is, and differences paired by seed.

The bootstrap draws whole seeds, the independent units, with replacement.  It is seeded: the same values give the same
interval.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal

import numpy as np

from marginquake.analysis.statistics.estimate import UNKNOWN, Estimate
from marginquake.sim.core.typing import Floats, Ints

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
    least: int = LEAST_VALUES,
    confidence: float = CONFIDENCE,
) -> tuple[float, float]:
    """Percentile interval of any statistic over `count` seeds (Efron and Tibshirani 1993, chapter 13).

    `statistic` is given which seeds each resample holds (`draws`) and returns one value a resample; for paired data it
    takes both sides by the same numbers.  (NaN, NaN) with fewer than `least` seeds.
    """
    if count < least:
        return math.nan, math.nan
    return percentiles(statistic(draws(count, resamples, seed)), confidence)


def bootstrap(
    values: Floats | Sequence[float],
    statistic: Literal["median", "mean"] = "median",
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    *,
    seed: int = 1,
    least: int = LEAST_VALUES,
) -> Estimate:
    """Median or mean over seeds with its percentile interval.

    NaNs are left out.  With fewer than `least` values there is an estimate and no interval.
    """
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    if len(known) == 0:
        return UNKNOWN
    reduce = np.median if statistic == "median" else np.mean
    ends = interval_over_seeds(
        len(known), lambda picks: np.asarray(reduce(known[picks], axis=1)),
        resamples=resamples, seed=seed, least=least, confidence=confidence,
    )  # fmt: skip
    return Estimate(float(reduce(known)), *ends)


def percentiles(replicates: Floats, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The middle `confidence` of bootstrap replicates; those without a value (NaN) are left out."""
    known = replicates[np.isfinite(replicates)]
    if len(known) == 0:
        return math.nan, math.nan
    low, high = np.quantile(known, ((1 - confidence) / 2, (1 + confidence) / 2))
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
