"""What waits to be forced by price and time, and how much of it at the start: for figure and report."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.frames.lookup import opening, reach_near
from marginquake.analysis.frames.market import LiquidationMap, MarketFrames
from marginquake.analysis.measures.scorecard import number
from marginquake.analysis.presentation.panels import price_window
from marginquake.sim.core.fuel import FAR, NEAR, forced_notional
from marginquake.sim.core.typing import Bools, Floats

FAR_SHARE = 0.05
"""With a smaller share of what waits near the path, the whole map is shown."""


@final
@dataclass(frozen=True)
class WaitingMap:
    """Forced notional waiting, longs and shorts together: (times, price bins), quote units.

    `window`: the prices to show, and `shown` the bins in it.  `opening`: number of the first map with anything on it.
    `sentence`: what waits near the start price, with the fuel ratios of the scorecard, on the side with more.
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
    near, far = (fuel_within(market, levels, distance) for distance in (NEAR, FAR))
    first = f"{WHO[near.side].format('1 %')} the start price: {_against(near)}"
    whose = "within 5 %" if far.side == near.side else WHO[far.side].format("5 %").lower()
    said = f"{first}; {whose}: {_against(far)}."
    depth = number(market.summary, "depth_1pct")
    if depth is None or math.isnan(near.ratio) or math.isnan(far.ratio):
        return said
    return (
        f"{said} Fuel ratio {near.ratio:.2f} within 1 %, {far.ratio:.2f} within 5 % (D1 {formats.short_number(depth)})."
    )


WHO = {1: "Longs to be sold within {} below", -1: "Shorts to be bought within {} above"}


def _against(found: "FuelWithin") -> str:
    """`34.4M against 13.9M of bids`."""
    book = "bids" if found.side > 0 else "asks"
    return f"{formats.short_number(found.notional)} against {formats.short_number(found.resting)} of {book}"


@final
@dataclass(frozen=True)
class FuelWithin:
    """What waited to be forced within `distance` of the start price, on the side with more (+1 longs), quote units.

    `resting`: in the book on the way there, by the map.  `ratio`: the fuel ratio of the summary (eq. 29), NaN where
    it has none.
    """

    distance: float
    side: int
    notional: float
    resting: float
    ratio: float


def fuel_within(market: MarketFrames, levels: LiquidationMap, distance: float) -> FuelWithin:
    """The fuel of the summary, and by the first map whose it is.  A run without the number has the map's notional."""
    mark = market.run["mark"]
    start = float(mark[np.isfinite(mark)][0])
    near = reach_near(levels, opening(levels), start, distance)
    side, notional, rests = (1, near.longs, near.bids) if near.longs >= near.shorts else (-1, near.shorts, near.asks)
    ratio = number(market.summary, f"fuel_ratio_within_{100 * distance:.0f}pct")
    depth = number(market.summary, "depth_1pct")
    if ratio is None or depth is None:
        return FuelWithin(distance, side, notional, rests, math.nan)
    return FuelWithin(distance, side, forced_notional(ratio, distance, depth), rests, ratio)
