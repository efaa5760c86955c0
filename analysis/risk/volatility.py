"""Volatility as somebody knows it at a moment: realised over what has been seen by then (docs/model.md, eq. 210)."""

import math
from dataclasses import dataclass
from typing import Literal, final

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.frames.market import Columns, MarketFrames
from marginquake.analysis.statistics.estimate import Unmeasurable
from marginquake.analysis.statistics.intervals import percentiles
from marginquake.analysis.statistics.market_quality import YEAR_S, returns_of, sample
from marginquake.sim.core.typing import Bools, Floats, Ints

STEP_S = 5.0
"""Returns are taken over so long, or one sample where those are further apart: shorter ones hold the book's bounce."""
LEAST_RETURNS = 8
"""Returns without overlap that a volatility is estimated from, at least."""
Source = Literal["trailing", "fundamental", "realised"]
"""trailing: the mark, up to the moment; fundamental: the latent value, up to the moment; realised: the mark over the
horizon itself, which nobody knows beforehand."""
SOURCES: tuple[Source, ...] = ("trailing", "fundamental", "realised")


def realised_between(time_s: Floats, price: Floats, first_s: float, last_s: float, step_s: float = STEP_S) -> float:
    """Volatility per year (of 365 days) of a sampled price over [first_s, last_s], around a drift of 0.

    Root mean square of returns over `step_s`, one beginning at every sample: overlapping returns use every sample and
    have a smaller error than those end to end.
    """
    inside = (time_s >= first_s - 1e-9) & (time_s <= last_s + 1e-9) & np.isfinite(price)
    times, logs = time_s[inside], np.log(price[inside])
    if len(times) < 2:
        raise Unmeasurable("no price was known yet")
    every_s = float(np.median(np.diff(times)))
    lag = max(1, round(step_s / every_s))
    if len(times) <= lag or (len(times) - 1) // lag < LEAST_RETURNS:
        raise Unmeasurable(
            f"volatility needs {LEAST_RETURNS} returns over {lag * every_s:g} s, there are {(len(times) - 1) // lag} "
            f"between {formats.clock(times[0])} and {formats.clock(last_s)}; run with a longer warmup, look "
            f"later (--at), "
            "or say it (--volatility 60%)"
        )
    squares, spans = (logs[lag:] - logs[:-lag]) ** 2, times[lag:] - times[:-lag]
    return math.sqrt(float(squares.sum() / spans.sum()) * YEAR_S)


def volatility(series: Columns, source: Source, at_s: float, horizon_s: float, window_s: float) -> float:
    """Volatility per year by one of `SOURCES`; the first two see [at_s - window_s, at_s] and nothing later."""
    if source == "realised":
        return realised_between(series["time_s"], series["mark"], at_s, at_s + horizon_s)
    column = "mark" if source == "trailing" else "fundamental"
    return realised_between(series["time_s"], series[column], at_s - window_s, at_s)


WINDOW_S = 300.0
GAP_S = 1800.0
"""Two runs of high volatility closer than this are one cluster."""
QUANTILE = 0.95
LEAST_WINDOWS = 100
"""Windows of a run, below which its 95 % quantile rests on fewer than five of them."""
SHUFFLES = 200


@final
@dataclass(frozen=True)
class Clusters:
    """Clusters of one run, in time order.

    `start_s` and `duration_s` (first window's beginning to last window's end); `variance_share`: of all realised
    variance, inside clusters.  `shuffled`: mean number of clusters when the same windows come in random order, and the
    interval of it: fewer clusters than that is what memory of volatility means here.
    """

    window_s: float
    gap_s: float
    windows: int
    start_s: Floats
    duration_s: Floats
    variance_share: float
    shuffled: float
    shuffled_low: float
    shuffled_high: float

    def __len__(self) -> int:
        return len(self.start_s)


def volatility_clusters(market: MarketFrames, window_s: float = WINDOW_S, gap_s: float = GAP_S) -> Clusters:
    """Clusters of windows whose realised variance lies above the 95 % quantile of the run's own."""
    variance, first_s = realised_variance(market, window_s)
    if len(variance) < LEAST_WINDOWS:
        raise Unmeasurable(
            f"{formats.plural(len(variance), 'window')} of {formats.duration(window_s)}: a 95 % quantile needs "
            f"{LEAST_WINDOWS}, that is {LEAST_WINDOWS * window_s / 3600:.3g} h"
        )
    high = variance > np.quantile(variance, QUANTILE)
    if not high.any():
        raise Unmeasurable("the price never moved more in one window than in the others")
    gap = gap_s / window_s
    starts, ends = runs_of(high, gap)
    inside = np.zeros(len(high), np.bool_)
    for start, end in zip(starts, ends, strict=True):
        inside[start:end] = True
    rng = np.random.default_rng(1)
    counts = np.array([len(runs_of(rng.permutation(high), gap)[0]) for _ in range(SHUFFLES)])
    low, above = percentiles(counts)
    return Clusters(
        window_s=window_s,
        gap_s=gap_s,
        windows=len(variance),
        start_s=np.asarray(first_s + window_s * starts, np.float64),
        duration_s=np.asarray(window_s * (ends - starts), np.float64),
        variance_share=float(variance[inside].sum() / variance.sum()),
        shuffled=float(counts.mean()),
        shuffled_low=low,
        shuffled_high=above,
    )


def realised_variance(market: MarketFrames, window_s: float) -> tuple[Floats, float]:
    """Sum of squared returns of mid in windows end to end after the warm-up, and when the first begins."""
    series = market.run
    time_s = series["time_s"]
    if len(time_s) < 2:
        raise Unmeasurable("the run has no series")
    every_s = float(np.median(np.diff(time_s)))
    step_s = max(5.0, every_s)
    a_window = round(window_s / step_s)
    if a_window < 5:
        raise Unmeasurable(f"sampled every {every_s:g} s: too coarse for windows of {window_s:g} s")
    path = sample(time_s, series["mid"], step_s)
    squares = returns_of(path) ** 2
    whole = len(squares) // a_window
    first_s = float(time_s[np.isfinite(series["mid"])][0]) if len(path) else 0.0
    return squares[: whole * a_window].reshape(whole, a_window).sum(axis=1), first_s


def runs_of(high: Bools, gap: float) -> tuple[Ints, Ints]:
    """First window and one past the last of every run; fewer than `gap` low windows between two make them one."""
    at = np.flatnonzero(high)
    if len(at) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    apart = np.flatnonzero(np.diff(at) - 1 >= gap)
    starts, lasts = np.concatenate(([at[0]], at[apart + 1])), np.concatenate((at[apart], [at[-1]]))
    return starts.astype(np.int64), lasts.astype(np.int64) + 1
