"""How finely charts are drawn: in full, or in a part of it where the page would grow too large to be mailed."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from marginquake.sim.core.typing import Floats, Ints

_SHARE: ContextVar[float] = ContextVar("share", default=1.0)


@contextmanager
def detail(share: float) -> Iterator[None]:
    """Within it, charts have about `share` (0 to 1) of their usual number of points."""
    token = _SHARE.set(share)
    try:
        yield
    finally:
        _SHARE.reset(token)


def at_most(usual: int, dimensions: int = 1) -> int:
    """The most points along one of the `dimensions` of a chart that usually has `usual` of them."""
    return max(round(usual * math.pow(_SHARE.get(), 1 / dimensions)), 8)


MOST_POINTS = 2000
WINDOW_POINTS = 700
"""Rows kept besides within each stretch of time that a reader will zoom into."""


def rows_to_keep(time_s: Floats, columns: Sequence[Floats], windows: Sequence[tuple[float, float]] = ()) -> Ints:
    """Rows, ascending, at most about `MOST_POINTS` of them and `WINDOW_POINTS` in each of the `windows` (seconds).

    Fewer where the page asks for less detail (`analysis.report.thinning`).  Every kept row is one that was recorded:
    nothing is averaged.
    """
    kept = [_extremes(columns, np.arange(len(time_s)), at_most(MOST_POINTS))]
    for start_s, end_s in windows:
        inside = np.flatnonzero((time_s >= start_s) & (time_s <= end_s))
        kept.append(_extremes(columns, inside, at_most(WINDOW_POINTS)))
    return np.unique(np.concatenate(kept))


def _extremes(columns: Sequence[Floats], rows: Ints, most: int) -> Ints:
    """Of `rows`, first and last and those with an extreme of some column within equal stretches; at most `most`."""
    if len(rows) <= most:
        return rows
    stretches = max(most // 2, 1)
    while True:
        found = _of_stretches(columns, rows, stretches)
        if len(found) <= most or stretches <= 4:
            return found
        stretches = max(int(stretches * 0.95 * most / len(found)), 4)


def _of_stretches(columns: Sequence[Floats], rows: Ints, stretches: int) -> Ints:
    width = -(-len(rows) // stretches)
    padding = width * -(-len(rows) // width) - len(rows)
    first_of_stretch = np.arange(0, len(rows), width)
    chosen = [np.array([0, len(rows) - 1])]
    for column in columns:
        for sign in (1.0, -1.0):
            values = sign * column[rows]
            filled = np.where(np.isfinite(values), values, np.inf)
            table = np.concatenate([filled, np.full(padding, np.inf)]).reshape(-1, width)
            place = first_of_stretch + table.argmin(axis=1)
            chosen.append(place[np.isfinite(filled[np.minimum(place, len(rows) - 1)])])
    found: Ints = rows[np.unique(np.concatenate(chosen))]
    return found
