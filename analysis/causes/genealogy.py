"""The branching ratio that the causal tree says: what share of calls forced orders have caused (eq. 174)."""

from dataclasses import dataclass
from math import isqrt
from typing import final

import numpy as np

from marginquake.analysis.causes.price_parts import WINDOW_S, OutsidePrice, TradedPath, known_marks
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.statistics.estimate import UNKNOWN, Estimate
from marginquake.analysis.statistics.intervals import block_draws, percentiles
from marginquake.sim.core.typing import Bools, Floats, Ints

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
    if marks == 1:
        return Estimate(float(caused.mean()))
    chosen = block_draws(marks, isqrt(marks), RESAMPLES, seed=0)
    ends = percentiles(sums[chosen].sum(axis=1) / counts[chosen].sum(axis=1))
    return Estimate(float(caused.mean()), *ends)


@final
@dataclass(frozen=True)
class Links:
    """One entry a call (or stop) and one that helped to cause it: their numbers, share of the child's move (> 0)."""

    child: Ints
    parent: Ints
    share: Floats


def main_parents(links: Links, is_child: Bools) -> Ints:
    """The parent with the largest share, the latest of equals; -1 for what is no child, or has no listed parent."""
    parent = np.full(len(is_child), -1)
    order = np.lexsort((links.parent, np.round(links.share, 9)))
    parent[links.child[order]] = links.parent[order]  # of several, the last written stays: the largest
    parent[~is_child] = -1
    return parent


def generations(parent: Ints) -> Ints:
    """0 for a root, else one more than the parent's; parents come first."""
    found = np.zeros(len(parent), np.int64)
    for call, above in enumerate(parent.tolist()):
        if above >= 0:
            found[call] = found[above] + 1
    return found


LEAST_WINDOWS = 2.0
"""A record shorter than so many windows is too short to tell; the mark is then taken to follow in full."""


def pass_through(market: MarketFrames, outside: OutsidePrice, path: TradedPath) -> float:
    """What of a push that lasts the mark passes on within a minute, 0..1 (eq. 172).

    The slope, through the origin, of changes of mark less outside price on changes of excess (eq. 170), both over 60 s
    and at every mark.  1 for a mark that is the last price; 0 where neither book nor trades have a say in the mark,
    directly or by the index.
    """
    events = market.events
    lag = max(1, round(WINDOW_S / market.mark_period_s))
    time_s = events["time_s"]
    if not len(path.place) or time_s[-1] - time_s[path.place[0]] < LEAST_WINDOWS * WINDOW_S:
        return 1.0
    first, last = (np.ceil(time_s[row] / market.mark_period_s) for row in (path.place[0], -1))
    made_s = np.arange(first, last) * market.mark_period_s
    # The events after a mark and up to the next one carry it; a margin call carries the mark that made it.
    carrier = np.searchsorted(time_s, made_s + market.mark_period_s) - 1
    mark = known_marks(events["mark_ticks"])[carrier] * market.contract.to_price(1.0) - outside.displaced(made_s)
    seen = np.searchsorted(path.place, np.searchsorted(time_s, made_s, side="right")) - 1
    excess = np.append(path.start_excess, path.excess)[seen + 1]
    marked, traded = mark[lag:] - mark[:-lag], excess[lag:] - excess[:-lag]
    spread = float(traded @ traded)
    return float(np.clip(marked @ traded / spread, 0.0, 1.0)) if spread else 1.0
