"""What waits to be forced by price and time, and how it stands against the book at the start: for figure and report."""

from dataclasses import dataclass
from typing import final

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.frames.lookup import opening, reach_near
from marginquake.analysis.frames.market import LiquidationMap, MarketFrames
from marginquake.analysis.presentation.panels import price_window
from marginquake.sim.core.typing import Bools, Floats

FAR_SHARE = 0.05
"""With a smaller share of what waits near the path, the whole map is shown."""


@final
@dataclass(frozen=True)
class WaitingMap:
    """Forced notional waiting, longs and shorts together: (times, price bins), quote units.

    `window`: the prices to show, and `shown` the bins in it.  `opening`: number of the first map with anything on it.
    `sentence`: what waits near the start price against what rests there, on the side with more.
    """

    levels: LiquidationMap
    notional: Floats
    window: tuple[float, float]
    shown: Bools
    opening: int
    sentence: str


def waiting_map(market: MarketFrames) -> WaitingMap | None:
    """The map of a market; None where the run recorded none."""
    levels = market.map
    if levels is None or len(levels.time_s) == 0:
        return None
    notional = levels.long_notional + levels.short_notional
    edges = levels.price_edges
    window = price_window(market.run["mark"], edges)
    shown = (edges[1:] > window[0]) & (edges[:-1] < window[1])
    if notional[:, shown].sum() < FAR_SHARE * notional.sum():
        # All that waits lies far from the path: show how far.
        window, shown = (float(edges[0]), float(edges[-1])), np.ones(len(shown), np.bool_)
    return WaitingMap(levels, notional, window, shown, opening(levels), _sentence(market, levels, notional))


def _sentence(market: MarketFrames, levels: LiquidationMap, notional: Floats) -> str:
    if not notional.any():
        return "At no time did anything wait to be forced within the prices of the map."
    mark = market.run["mark"]
    start = float(mark[np.isfinite(mark)][0])
    near, far = (reach_near(levels, opening(levels), start, distance) for distance in (0.01, 0.05))
    if far.longs >= far.shorts:
        who, book = "Longs to be sold within 1 % below", "bids"
        sides = [(each.longs, each.bids, each.pressure_below) for each in (near, far)]
    else:
        who, book = "Shorts to be bought within 1 % above", "asks"
        sides = [(each.shorts, each.asks, each.pressure_above) for each in (near, far)]
    (forced, rests, pressure), (forced_far, rests_far, pressure_far) = sides
    return (
        f"{who} the start price: {formats.short_number(forced)} against {formats.short_number(rests)} of {book} "
        f"({pressure:.2f}); within 5 %: {formats.short_number(forced_far)} against {formats.short_number(rests_far)} "
        f"({pressure_far:.2f})."
    )
