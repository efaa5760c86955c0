"""How good was the market?  Pure functions of arrays: realised volatility, spread, depth, basis.

Prices in quote units, times in seconds; NaN marks a moment without a price and is left out.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from marginquake.analysis.statistics.estimate import ROUNDING, all_alike
from marginquake.sim.core.typing import Floats

NAN = float("nan")
YEAR_S = 365.0 * 86_400.0
"""Seconds of a year: crypto markets never close."""


def sample(time_s: Floats, values: Floats, every_s: float) -> Floats:
    """`values` on a grid of `every_s`: the last value known at each grid point (previous-tick sampling).

    NaN where nothing is known yet.  Source: Dacorogna et al., An Introduction to High-Frequency Finance, 2001, 2.1.
    """
    valid = np.isfinite(values)
    if not valid.any():
        return np.full(0, np.nan)
    known_s, known = time_s[valid], values[valid]
    grid = np.arange(known_s[0], time_s[-1] + 1e-9, every_s)
    return known[np.searchsorted(known_s, grid + 1e-9, side="right") - 1]


def log_returns(time_s: Floats, price: Floats, every_s: float) -> Floats:
    """Log returns of a price sampled every `every_s` seconds."""
    return returns_of(sample(time_s, price, every_s))


def returns_of(price: Floats) -> Floats:
    """Log returns of a price; 0 where it has moved by no more than rounding, so that still is still."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.diff(np.log(price))
    return np.where(np.abs(found) <= ROUNDING, 0.0, found)


def realised_volatility(time_s: Floats, price: Floats, every_s: float) -> float:
    """Annualised volatility: root of summed squared returns, scaled to a year.

    Realised variance of Andersen, Bollerslev, Diebold and Labys (JASA 2001); no mean is subtracted.  Sampled at 1 s it
    holds the bounce between bid and ask; at 60 s mostly the price itself.  NaN with fewer than two samples.
    """
    returns = log_returns(time_s, price, every_s)
    if len(returns) == 0:
        return float("nan")
    return float(np.sqrt(np.sum(returns**2) / (len(returns) * every_s) * YEAR_S))


@final
@dataclass(frozen=True)
class Spread:
    """Best ask minus best bid, basis points of mid, and ticks, of moments with both sides."""

    median_bps: float
    p99_bps: float
    median_ticks: float


def spread_bps(best_bid: Floats, best_ask: Floats) -> Floats:
    """Spread in basis points of mid; NaN where a side is empty."""
    return (best_ask - best_bid) / (0.5 * (best_ask + best_bid)) * 1e4


def spread_statistics(best_bid: Floats, best_ask: Floats, tick_size: float) -> Spread:
    """Median and 99th percentile of the quoted spread, every sample of equal weight."""
    bps = spread_bps(best_bid, best_ask)
    valid = np.isfinite(bps)
    if not valid.any():
        return Spread(NAN, NAN, NAN)
    known = bps[valid]
    ticks = (best_ask - best_bid)[valid] / tick_size
    return Spread(
        median_bps=float(np.median(known)),
        p99_bps=float(np.quantile(known, 0.99)),
        median_ticks=float(np.median(ticks)),
    )


@final
@dataclass(frozen=True)
class Depth:
    """Resting notional within a distance of mid, quote units; `survival` is the least over the first (0..1)."""

    normal: float
    median: float
    least: float
    survival: float


def depth_statistics(time_s: Floats, depth: Floats, normal_until_s: float | None = None) -> Depth:
    """Depth against what was normal: the median up to `normal_until_s` (default: the whole series).

    `survival` = least / normal: the share of the book that was left at the worst moment (W_min of docs/model.md).
    """
    valid = np.isfinite(depth)
    if not valid.any():
        return Depth(NAN, NAN, NAN, NAN)
    before = valid & (time_s <= normal_until_s) if normal_until_s is not None else valid
    normal = float(np.median(depth[before if before.any() else valid]))
    least = float(depth[valid].min())
    return Depth(normal, float(np.median(depth[valid])), least, least / normal if normal > 0 else float("nan"))


def basis_bps(price: Floats, index: Floats) -> Floats:
    """Price of the perpetual over its index, basis points of the index."""
    return (price / index - 1.0) * 1e4


def autocorrelation(values: Floats, lags: int) -> Floats:
    """Sample autocorrelation at lags 1..`lags`: biased estimator, mean removed (Box and Jenkins).  Zeros if constant.

    By fast Fourier transform of the padded series, so that thousands of lags cost nothing.
    """
    count = len(values)
    lags = min(lags, count - 1)
    if lags < 1 or all_alike(values):
        return np.zeros(max(lags, 0))
    deviations = values - values.mean()
    variance = float(deviations @ deviations)
    size = 1 << (2 * count - 1).bit_length()
    spectrum = np.fft.rfft(deviations, size)
    products = np.fft.irfft(spectrum * np.conj(spectrum), size)
    return np.asarray(products[1 : lags + 1] / variance, np.float64)


def excess_kurtosis(values: Floats) -> float:
    """Fourth standardised moment minus 3 (a normal distribution has 0); NaN for fewer than 4 or constant values."""
    if len(values) < 4 or not np.isfinite(values).all() or all_alike(values):
        return float("nan")
    deviations = (values - values.mean()) / float(np.ptp(values))
    return float(np.mean(deviations**4) / np.mean(deviations**2) ** 2 - 3.0)
