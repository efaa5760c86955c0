"""Memory of a series: autocorrelation over one run or over many, the exponent of its decay, half-lives."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from marginquake.analysis.statistics.estimate import Unmeasurable, measurable
from marginquake.sim.core.typing import Bools, Floats

BINS_PER_DECADE = 8
LEAST_BINS = 4
LEAST_EXPONENT = 1e-4
"""Of a decay: a plot that does not fall at all gives this."""
NOISE_LIMIT = 2.0
"""The fit ends at the first bin of lags whose mean is not this many standard errors above 0."""
LEAST_PAIRS = 3
LEAST_VARIANCE = 1e-10
"""Of the mean square.  From sums a smaller variance is mostly rounding."""
MISFIT = 0.1
"""Relative error that no sample size removes, since nothing is an exact power law: it keeps lag 1 from ruling."""


@final
@dataclass(frozen=True)
class Decay:
    """C(lag) ~ lag^-`exponent`, fitted up to `last_lag`."""

    exponent: float
    last_lag: int


def autocorrelation(values: Floats, lags: int) -> Floats:
    """Autocorrelation at lags 1..`lags`, mean removed, each lag divided by its own number of pairs (statsmodels)."""
    from statsmodels.tsa.stattools import acf

    known = measurable(values, lags + 2)
    return np.asarray(acf(known, nlags=lags, adjusted=True, fft=True), np.float64)[1:]


def lagged_sums(values: Floats, lags: int, count: int | None = None, known: Bools | None = None) -> Floats:
    """(lags + 1, 4): number of pairs, sum of the earlier, of the later, and of their products, from lag 0 on.

    Tables of several runs add up to the table of all of them, without pairs that span two runs.  `count`: only
    pairs whose earlier one is among the first so many, so that tables of the blocks of a series, each with the `lags`
    values after it, add up to the table of the series.  `known`: pairs with a value that is not are left out.
    """
    count = len(values) if count is None else min(count, len(values))
    if len(values) == 0:
        return np.zeros((1, 4))
    lags = min(lags, len(values) - 1)
    size = 1 << (len(values) + count - 1).bit_length()
    if count == len(values) and (known is None or known.all()):
        spectrum = np.fft.rfft(values, size)
        products = np.fft.irfft(spectrum * np.conj(spectrum), size)[: lags + 1]
        total = np.concatenate(([0.0], np.cumsum(values)))
        lag = np.arange(lags + 1)
        pairs = len(values) - lag
        return np.stack((pairs, total[pairs], total[-1] - total[lag], products), axis=1)
    counts = np.ones(len(values)) if known is None else known.astype(np.float64)
    filled = values if known is None else np.where(known, values, 0.0)
    later = [np.fft.rfft(part, size) for part in (counts, filled)]
    earlier = [np.conj(np.fft.rfft(part[:count], size)) for part in (counts, filled)]
    sums = (
        np.fft.irfft(earlier[of] * later[with_], size)[: lags + 1] for of, with_ in ((0, 0), (1, 0), (0, 1), (1, 1))
    )
    table = np.stack(tuple(sums), axis=1)
    table[:, 0] = np.rint(table[:, 0])
    return np.asarray(table, np.float64)


def added(tables: Sequence[Floats]) -> Floats:
    """The sum of tables of `lagged_sums`, as long as the longest."""
    whole = np.zeros((max(len(table) for table in tables), 4))
    for table in tables:
        whole[: len(table)] += table
    return whole


def autocorrelation_of(table: Floats, mean: float | None = None) -> Floats:
    """Autocorrelation at lags 1.. from a table of `lagged_sums`, around the mean of all (or a mean that is known)."""
    if len(table) == 0 or table[0, 0] < LEAST_PAIRS:
        raise Unmeasurable(f"{int(table[0, 0]) if len(table) else 0} values: {LEAST_PAIRS} needed")
    pairs, earlier, later, products = table[table[:, 0] > 0].T
    centre = earlier[0] / pairs[0] if mean is None else mean
    covariance = products / pairs - centre * (earlier + later) / pairs + centre**2
    if not np.isfinite(products[0]):
        raise Unmeasurable("values of the series are no finite numbers")
    if covariance[0] <= LEAST_VARIANCE * products[0] / pairs[0]:
        raise Unmeasurable("the series never changes")
    return np.asarray(covariance[1:] / covariance[0], np.float64)


def decay_exponent(acf: Floats, pairs: Floats, length: float, runs: int = 1) -> Decay:
    """Exponent of a power-law decay, fitted to means over bins of lags of equal width on a logarithmic axis.

    `acf[i]` belongs to lag i + 1 and was averaged over `pairs[i]` pairs, so that its noise is 1 / sqrt(pairs); the fit
    ends where the first bin drowns in it.  (Lillo and Farmer 2004 for signs, Cont 2001 for absolute returns: a line
    through the log-log plot.)  Taking off the sample's mean, of `runs` series of `length`, takes off what long memory
    has put into it, and bends the plot down; so what is fitted to it is C(lag) less the variance of that mean.
    """
    edges = np.unique(np.round(np.geomspace(1, len(acf) + 1, _bins(len(acf)) + 1)).astype(np.int64))
    width = np.diff(edges)
    log_lag = np.add.reduceat(np.log(np.arange(1, len(acf) + 1)), edges[:-1] - 1) / width
    height = np.add.reduceat(acf, edges[:-1] - 1) / width
    noise = 1.0 / np.sqrt(np.add.reduceat(pairs, edges[:-1] - 1))
    drowned = np.flatnonzero(height < NOISE_LIMIT * noise)
    count = int(drowned[0]) if len(drowned) else len(height)
    if count < LEAST_BINS:
        raise Unmeasurable(f"the autocorrelation is lost in noise from lag {int(edges[count])} on")
    x, y = log_lag[:count], np.log(height[:count])
    weight = 1.0 / (MISFIT**2 + (noise[:count] / height[:count]) ** 2)

    def misfit(exponents: Floats) -> Floats:
        left = np.exp(-exponents[:, None] * x) - variance_of_mean(exponents, length)[:, None] / runs
        # Where the plot would lie below the variance of the mean there is no such exponent.
        residual = y - np.log(np.where(left > 0.0, left, np.nan))
        residual -= np.average(residual, axis=1, weights=weight)[:, None]
        total = np.sum(weight * residual**2, axis=1)
        return np.where(np.isnan(total), np.inf, total)

    return Decay(least(misfit, LEAST_EXPONENT, 3.0), int(edges[count]) - 1)


def least(misfit: Callable[[Floats], Floats], low: float, high: float) -> float:
    """Where a function with one minimum on [low, high] has it: grids that close in on it, each evaluated at once."""
    for _ in range(5):
        grid = np.linspace(low, high, 41)
        best = int(np.argmin(misfit(grid)))
        low, high = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, 40)])
    return 0.5 * (low + high)


def _bins(lags: int) -> int:
    return max(1, round(BINS_PER_DECADE * math.log10(lags + 1.0)))


def variance_of_mean(exponents: Floats, length: float) -> Floats:
    """Variance of the mean of `length` values whose autocovariance is lag^-exponent: 2/n^2 sum (n - lag) lag^-exponent.

    The sum as an integral from 1/2 to n.
    """

    def integral(power: Floats) -> Floats:
        above = np.where(np.abs(power + 1.0) < 1e-6, 1e-6, power + 1.0)
        return np.asarray((length**above - 0.5**above) / above, np.float64)

    return 2.0 / length**2 * (length * integral(-exponents) - integral(1.0 - exponents))


def half_life(values: Floats, every_s: float) -> float:
    """Seconds after which half of a deviation is left: where the autocorrelation first falls to 1/2.

    Between two lags the decay is taken to be exponential, which is exact for a first-order autoregression.
    """
    lags = len(values) // 10
    if lags < 3:
        raise Unmeasurable(f"{len(values)} samples are too few for a half-life")
    acf = np.concatenate(([1.0], autocorrelation(values, lags)))
    below = np.flatnonzero(acf <= 0.5)
    if len(below) == 0:
        raise Unmeasurable(f"does not revert to half within {lags * every_s:,.0f} s, a tenth of the run")
    after = int(below[0])
    if after < 2:
        raise Unmeasurable(f"sampled every {every_s:g} s: too coarse, half is gone by the next sample")
    high, low = float(acf[after - 1]), max(float(acf[after]), 1e-12)
    return every_s * (after - 1 + math.log(2.0 * high) / math.log(high / low))
