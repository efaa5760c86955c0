"""How far the price went in a cascade: the one measure of the explanation and the report (docs/model.md, eq. 177)."""

from dataclasses import dataclass
from typing import final

import numpy as np

from analysis.causes import Cascade
from analysis.load import MarketFrames


@final
@dataclass(frozen=True)
class CascadeMove:
    """Of the last price, from the first call to the low (where shorts were called: the high).

    `first`: row of the series at the first call; `extreme`: that of the lowest (highest) last price from there to the
    first row at or after the last forced fill; `change`: between the two, a signed fraction (NaN without a price).
    """

    first: int
    extreme: int
    change: float


def cascade_move(market: MarketFrames, cascade: Cascade) -> CascadeMove:
    """The move of one cascade, as sampled with the series, like every other fall and rise of a run.

    From trades it would be larger: in a book that is nearly empty single trades go far, for less than a second.
    """
    time_s, last = market.series["time_s"], market.series["last"]
    first = max(int(np.searchsorted(time_s, cascade.start_s, side="right")) - 1, 0)
    end = min(int(np.searchsorted(time_s, cascade.end_s)), len(time_s) - 1)
    distance = cascade.side * last[first : max(end, first) + 1]
    farthest = int(np.argmin(np.where(np.isfinite(distance), distance, np.inf)))
    return CascadeMove(first, first + farthest, float(last[first + farthest] / last[first] - 1.0))
