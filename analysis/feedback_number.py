"""R, the feedback number: how much forced selling a fall releases, over how much of it the book absorbs.

R(x) = L(x) / D'(x): forced notional per unit of log-distance x below the price, over resting bids per unit of it
(mechanisms 1.2; the analogue of a branching ratio).  Where R exceeds 1 a fall feeds itself.  Here the book is as it
stands before the event, with depth linear in distance: no withdrawal, no refill.
"""

import math

import numpy as np

from analysis.load import Floats

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

    u* = inf{u >= fall: multiple * D' * (u - fall) >= L(u)} (mechanisms 1.2), where `fall` is that of the outside price.
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
