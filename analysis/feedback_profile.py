"""R(x) just before an event, from the recorded maps: what was to be forced at each distance over what rested there.

`analysis.feedback_number` has R of the book that a run starts with.  Here fuel and depth are those of the last map
before a time, window by window (docs/model.md, eq. 231), and what the event then made of it (eq. 232).
"""

import math
from dataclasses import dataclass
from typing import final

import numpy as np

from analysis.causes import Cascade, CausalTree
from analysis.causes.branching import branching_ratio
from analysis.causes.moves import Part
from analysis.estimate import Estimate
from analysis.feedback_number import REACH, WINDOW
from analysis.load import Floats, LiquidationMap, MarketFrames
from analysis.lookup import mark_at
from sim.pressure import notional_between, pressure_index

WINDOWS_A_WIDTH = 10
"""Windows overlap: each begins a tenth of its width after the one before."""


@final
@dataclass(frozen=True)
class FeedbackProfile:
    """Windows below a price (above it for `side` -1), in log-distance from it.

    `start`: near end of each window; `fuel`, `depth`: notional per unit of log-distance to be forced and resting in it,
    quote units.  `time_s` of the map.
    """

    time_s: float
    side: int
    start: Floats
    fuel: Floats
    depth: Floats

    @property
    def number(self) -> Floats:
        """R(x) of each window; infinite where anything waits and nothing rests, 0 where nothing waits."""
        return np.where(self.fuel == 0.0, 0.0, pressure_index(self.fuel, self.depth))

    @property
    def at_price(self) -> float:
        """R of the window that begins at the price."""
        return float(self.number[0])

    @property
    def largest(self) -> float:
        """The largest R within reach."""
        return float(self.number.max())

    @property
    def mean(self) -> float:
        """All that waits within reach over all that rests there, by windows that do not overlap."""
        apart = slice(None, None, WINDOWS_A_WIDTH)
        waiting, resting = float(self.fuel[apart].sum()), float(self.depth[apart].sum())
        return float(pressure_index(waiting, resting)) if waiting != 0 else 0.0


def profile_before(
    levels: LiquidationMap, price: float, at_s: float, side: int = 1, window: float = WINDOW, reach: float = REACH
) -> FeedbackProfile:
    """R(x) on the last map before `at_s` (not at it: that one is without those who were called then).

    `side` +1: longs against bids below `price`; -1: shorts against asks above it.  A bin that a window cuts counts by
    the part inside.  NaN in all windows where there is no map before.
    """
    start = np.linspace(0.0, reach - window, round(WINDOWS_A_WIDTH * (reach - window) / window) + 1)
    row = int(np.searchsorted(levels.time_s, at_s, side="left")) - 1
    if row < 0:
        nothing = np.full(len(start), math.nan)
        return FeedbackProfile(math.nan, side, start, nothing, nothing)
    edges = levels.price_edges
    waiting = (levels.long_notional if side > 0 else levels.short_notional)[row]
    resting = (levels.bid_depth if side > 0 else levels.ask_depth)[row]
    near, far = price * np.exp(-side * start), price * np.exp(-side * (start + window))
    low, high = np.minimum(near, far), np.maximum(near, far)
    fuel, depth = (notional_between(edges, notional, low, high) / window for notional in (waiting, resting))
    return FeedbackProfile(float(levels.time_s[row]), side, start, fuel, depth)


@final
@dataclass(frozen=True)
class CascadeEvent:
    """What happened from the start of a cascade on: `calls` in all, and the branching ratio of them."""

    start_s: float
    side: int
    calls: int
    branching: Estimate
    before: FeedbackProfile


def largest_event(market: MarketFrames, tree: CausalTree) -> CascadeEvent | None:
    """The event of a run, which begins with its largest cascade; None where nobody was called, or no map is known."""
    return event_of(market, tree, tree.cascades[0]) if tree.cascades else None


def event_of(market: MarketFrames, tree: CausalTree, cascade: Cascade) -> CascadeEvent | None:
    """The event that begins with a cascade, and R before it; None where no map was taken before.

    The event is every call from the start of the cascade on, whether it belongs to it or not: a branching ratio of
    calls chosen because they hang together would be large by choice.
    """
    if market.map is None:
        return None
    before = _profile(market, market.map, cascade.start_s, cascade.side)
    if math.isnan(before.time_s):
        return None
    since = tree.calls.time_s >= cascade.start_s
    realised = branching_ratio(tree.calls.share(Part.FORCED)[since], tree.calls.time_s[since])
    return CascadeEvent(cascade.start_s, cascade.side, int(since.sum()), realised, before)


def _profile(market: MarketFrames, levels: LiquidationMap, at_s: float, side: int) -> FeedbackProfile:
    """From the mark at the time of the map."""
    row = max(0, int(np.searchsorted(levels.time_s, at_s, side="left")) - 1)
    return profile_before(levels, mark_at(market, float(levels.time_s[row])), at_s, side)
