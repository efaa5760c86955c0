"""Volatility as somebody knows it at a moment: realised over what has been seen by then (docs/model.md, eq. 210)."""

import math
from typing import Literal

import numpy as np

from analysis import style
from analysis.facts.fact import Unmeasurable
from analysis.load import Columns, Floats
from analysis.market_quality import YEAR_S

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
            f"between {style.clock(times[0])} and {style.clock(last_s)}; run with a longer warmup, look later (--at), "
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
