"""Margin-call pressure: what a move forces, over what rests in its way (docs/model.md, eq. 214).

The one definition.  `sim.cli.watch.watcher` reads the live book by it, `analysis` the maps that a run recorded.
"""

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from marginquake.sim.core.typing import Floats


@final
@dataclass(frozen=True, slots=True)
class Reach:
    """What moves of `distance` (a fraction) from a price force and meet; quote notional, at the levels.

    A fall sells `longs` into `bids`, a rise buys `shorts` back from `asks`.
    """

    distance: float
    longs: float
    bids: float
    shorts: float
    asks: float

    @property
    def pressure_below(self) -> float:
        """PI of the fall."""
        return float(pressure_index(self.longs, self.bids))

    @property
    def pressure_above(self) -> float:
        """PI of the rise."""
        return float(pressure_index(self.shorts, self.asks))


def pressure_index(forced: Floats | float, resting: Floats | float) -> Floats:
    """PI, forced over resting: infinite where something is forced and nothing rests, NaN where nothing is forced
    either."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.divide(forced, resting), np.float64)


def notional_reached(edges: Floats, notional: Floats, end: Any, side: int) -> Floats:
    """Notional that a move to the price `end` passes: bins above it for a fall (`side` +1), below it for a rise (-1).

    `notional` has a value a bin, `end` a price or one a row of `notional`.  Nothing bounds the other end: orders that
    rest between the price and the other side of the book are in the way too, and so are triggers that the mark has
    passed and nobody was called at yet.
    """
    low, high = (end, np.inf) if side > 0 else (-np.inf, end)
    return notional_between(edges, notional, low, high)


def notional_between(edges: Floats, notional: Floats, low: Any, high: Any) -> Floats:
    """Notional between two prices; a bin that is cut by a bound counts by the part inside (uniform in the bin)."""
    return np.asarray((notional * share_between(edges, low, high)).sum(axis=-1), np.float64)


def share_between(edges: Floats, low: Any, high: Any) -> Floats:
    """Which part of every price bin lies between two prices; a row a price where these are arrays."""
    below, above = edges[:-1], edges[1:]
    overlap = np.minimum(above, np.asarray(high)[..., None]) - np.maximum(below, np.asarray(low)[..., None])
    return np.asarray(np.clip(overlap / (above - below), 0.0, 1.0), np.float64)
