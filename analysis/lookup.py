"""Which row of a record stands at a time, and what was known then."""

import numpy as np

from analysis.load import Floats, Ints, MarketFrames

SLACK_S = 1e-9
"""A row counts as of a time up to so much after it: sums of floating-point steps miss by less."""


def last_at(rows_s: Floats, times_s: Floats) -> Ints:
    """Index of the last row at or before each time; -1 before the first."""
    return np.asarray(np.searchsorted(rows_s, times_s + SLACK_S, side="right") - 1, np.int64)


def known_at(rows_s: Floats, values: Floats, times_s: Floats) -> Floats:
    """The last value that is not NaN at or before each time; NaN before the first."""
    known = np.flatnonzero(np.isfinite(values))
    if len(known) == 0:
        return np.full(len(times_s), np.nan)
    place = last_at(rows_s[known], times_s)
    return np.where(place >= 0, values[known[np.maximum(place, 0)]], np.nan)


def marks_at(market: MarketFrames, times_s: Floats) -> Floats:
    """The last mark known at each of the times; NaN before there was any."""
    return known_at(market.series["time_s"], market.series["mark"], times_s)


def mark_at(market: MarketFrames, at_s: float) -> float:
    """`marks_at` one time."""
    return float(marks_at(market, np.array([at_s]))[0])
