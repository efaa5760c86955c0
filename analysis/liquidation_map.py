"""What waits to be forced on a recorded map, beside what rests: within a distance of a price (eq. 214)."""

import numpy as np

from analysis.load import LiquidationMap
from sim.pressure import Reach, notional_reached


def opening(levels: LiquidationMap) -> int:
    """The first map with anything to force: one taken at t = 0 may precede the positions that are booked then."""
    waiting = (levels.long_notional + levels.short_notional).sum(axis=1)
    return int(np.argmax(waiting > 0))


def last_map(levels: LiquidationMap, at_s: float) -> int:
    """The last map at or before a time, or the first there is."""
    return max(int(np.searchsorted(levels.time_s, at_s, side="right")) - 1, 0)


def reach_near(levels: LiquidationMap, row: int, price: float, distance: float) -> Reach:
    """Within `distance` of a price, on one of the maps."""
    low, high, edges = price * (1.0 - distance), price * (1.0 + distance), levels.price_edges
    return Reach(
        distance=distance,
        longs=float(notional_reached(edges, levels.long_notional[row], low, 1)),
        bids=float(notional_reached(edges, levels.bid_depth[row], low, 1)),
        shorts=float(notional_reached(edges, levels.short_notional[row], high, -1)),
        asks=float(notional_reached(edges, levels.ask_depth[row], high, -1)),
    )
