"""What waits to be forced, and how far away: numbers from the recorded liquidation maps.

Fuel is forced notional by distance from the price; depth is the resting notional that would have to absorb it.
"""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from analysis.load import LiquidationMap

Floats = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Fuel:
    """Notional within `distance` (a fraction) of a price, quote units.

    Below the price: `long_notional` waits to be sold, into `bid_depth`; above: `short_notional` to be bought, out of
    `ask_depth`.  The ratios are fuel / depth: above 1, a fall through the whole distance forces more than rests there
    (the pressure index PI of docs/model.md).
    """

    distance: float
    long_notional: float
    short_notional: float
    bid_depth: float
    ask_depth: float

    @property
    def long_ratio(self) -> float:
        """Forced sales per unit of bids within the distance."""
        return _ratio(self.long_notional, self.bid_depth)

    @property
    def short_ratio(self) -> float:
        """Forced purchases per unit of asks within the distance."""
        return _ratio(self.short_notional, self.ask_depth)


def _ratio(forced: float, depth: float) -> float:
    """Infinite where something is forced and nothing rests, NaN where nothing is forced either (eq. 214)."""
    if depth > 0:
        return forced / depth
    return math.inf if forced > 0 else math.nan


def within(edges: Floats, notional: Floats, low: float, high: float) -> float:
    """Notional between two prices; a bin that is cut by a bound counts by the part inside (uniform in the bin)."""
    inside = np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0.0, None)
    return float(np.sum(notional * inside / np.diff(edges)))


def opening(levels: LiquidationMap) -> int:
    """The first map with anything to force: one taken at t = 0 may precede the positions that are booked then."""
    waiting = (levels.long_notional + levels.short_notional).sum(axis=1)
    return int(np.argmax(waiting > 0))


def fuel_near(levels: LiquidationMap, price: float, distance: float, at_s: float | None = None) -> Fuel:
    """Fuel and depth within `distance` of `price` on the last map at or before `at_s` (default: the opening map)."""
    row = opening(levels) if at_s is None else max(int(np.searchsorted(levels.time_s, at_s, side="right")) - 1, 0)
    edges = levels.price_edges
    low, high = price * (1.0 - distance), price * (1.0 + distance)
    return Fuel(
        distance=distance,
        long_notional=within(edges, levels.long_notional[row], low, price),
        short_notional=within(edges, levels.short_notional[row], price, high),
        bid_depth=within(edges, levels.bid_depth[row], low, price),
        ask_depth=within(edges, levels.ask_depth[row], price, high),
    )
