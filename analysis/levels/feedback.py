"""The feedback number R from three sources: a map, a profile of maps, the fuel at the start."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np

from marginquake.analysis.causes import Cascade, CausalTree
from marginquake.analysis.causes.genealogy import branching_ratio
from marginquake.analysis.frames.lookup import mark_at
from marginquake.analysis.frames.market import LiquidationMap, MarketFrames
from marginquake.analysis.statistics.estimate import Estimate
from marginquake.sim.core.reach import notional_between, pressure_index
from marginquake.sim.core.typing import Floats

WINDOW = 0.01
"""L is a comb of liquidation levels: it is averaged over windows of this width, in log-distance."""
REACH = 0.05
"""How far below the price windows are looked at."""


def fuel_density(
    distance: Floats, notional: Floats, window: float = WINDOW, reach: float = REACH
) -> tuple[Floats, Floats]:
    """Left ends of overlapping windows within `reach`, and forced notional per unit of log-distance in each.

    `distance`: log-distance of each long's liquidation price below the price; `notional`: quote units, forced there.
    """
    starts = np.linspace(0.0, reach - window, round(10 * (reach - window) / window) + 1)
    order = np.argsort(distance)
    place = np.append(0.0, np.cumsum(notional[order]))
    inside = place[np.searchsorted(distance[order], starts + window)] - place[np.searchsorted(distance[order], starts)]
    return starts, inside / window


def feedback_number(distance: Floats, notional: Floats, depth_1pct: float) -> float:
    """The largest R within reach; 0 without positions, NaN without a book.  `depth_1pct`: quote units a side."""
    if not depth_1pct > 0:
        return math.nan
    good = np.isfinite(distance) & (distance >= 0)
    _, density = fuel_density(distance[good], notional[good])
    return float(density.max() / (depth_1pct / 0.01))


def stopping_distance(
    distance: Floats, notional: Floats, depth_1pct: float, fall: float, multiple: float = 1.0
) -> float:
    """Where a fall stops, in log-distance: the first u beyond `fall` whose forced notional the book between absorbs.

    u* = inf{u >= fall: multiple * D' * (u - fall) >= L(u)} (of eq. 30), where `fall` is that of the outside price.
    `multiple`: depth in effect over the depth that stands, for what is bought while the fall lasts.  Infinite where
    the fuel within reach is never absorbed within reach.
    """
    good = np.isfinite(distance) & (distance >= 0)
    order = np.argsort(distance[good])
    reached = np.linspace(fall, fall + 2 * REACH, 2001)
    released = np.append(0.0, np.cumsum(notional[good][order]))[np.searchsorted(distance[good][order], reached)]
    absorbed = multiple * depth_1pct / 0.01 * (reached - fall)
    stops = np.flatnonzero(absorbed >= released)
    return float(reached[stops[0]]) if len(stops) else math.inf


def crossing(values: Floats, numbers: Floats, level: float = 1.0) -> float:
    """The parameter at which R first crosses `level`, linear between the values tried; NaN if it never does."""
    order = np.argsort(values)
    x, y = np.asarray(values, np.float64)[order], np.asarray(numbers, np.float64)[order] - level
    for left in range(len(x) - 1):
        if y[left] == 0.0:
            return float(x[left])
        if y[left] * y[left + 1] < 0:
            return float(x[left] + (x[left + 1] - x[left]) * y[left] / (y[left] - y[left + 1]))
    return float(x[-1]) if len(x) and y[-1] == 0.0 else math.nan


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
    realised = branching_ratio(tree.calls.caused[since], tree.calls.time_s[since])
    return CascadeEvent(cascade.start_s, cascade.side, int(since.sum()), realised, before)


def _profile(market: MarketFrames, levels: LiquidationMap, at_s: float, side: int) -> FeedbackProfile:
    """From the mark at the time of the map."""
    row = max(0, int(np.searchsorted(levels.time_s, at_s, side="left")) - 1)
    return profile_before(levels, mark_at(market, float(levels.time_s[row])), at_s, side)
