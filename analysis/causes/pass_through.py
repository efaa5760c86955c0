"""Whether the mark follows what trades do to the price: for some mark rules the book has no say."""

import numpy as np

from analysis.causes.moves import WINDOW_S, TradedPath, known_marks, outside_price
from analysis.load import MarketFrames

LEAST_WINDOWS = 2.0
"""A record shorter than so many windows is too short to tell; the mark is then taken to follow in full."""


def pass_through(market: MarketFrames, path: TradedPath) -> float:
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
    mark = known_marks(events["mark_ticks"])[carrier] * market.contract.to_price(1.0) - outside_price(market, made_s)
    seen = np.searchsorted(path.place, np.searchsorted(time_s, made_s, side="right")) - 1
    excess = np.append(path.start_excess, path.excess)[seen + 1]
    marked, traded = mark[lag:] - mark[:-lag], excess[lag:] - excess[:-lag]
    spread = float(traded @ traded)
    return float(np.clip(marked @ traded / spread, 0.0, 1.0)) if spread else 1.0
