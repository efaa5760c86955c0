"""How far a price went: the only place where falls and rises of a run are measured (docs/model.md, eq. 185).

Prices in quote units, in time order; NaN marks a moment without a price and is left out.  Summaries, figures,
reports and twins all take it from here, so that one word is one number everywhere.
"""

from dataclasses import dataclass
from typing import Literal, final

import numpy as np

from marginquake.sim.core.typing import Floats

Direction = Literal["fall", "rise"]


@final
@dataclass(frozen=True, slots=True)
class Move:
    """A fraction of the price that it began at (0 if there was none), and the positions of its two ends."""

    fraction: float
    first: int
    last: int


def largest_fall(prices: Floats) -> Move:
    """Largest `1 - p_u / p_t`, t <= u: the drawdown from a peak (Magdon-Ismail and Atiya, Risk 17(10), 2004)."""
    return _largest(prices, 1.0)


def largest_rise(prices: Floats) -> Move:
    """Largest `p_u / p_t - 1`, t <= u: from a low, as a squeeze of shorts is told."""
    return _largest(prices, -1.0)


def from_start(prices: Floats, direction: Direction) -> float:
    """Largest distance from the first known price in one direction, as its fraction; 0 if none is known.

    What twins are compared by: they start at one price, and may have their peaks at different ones.
    """
    known = prices[np.isfinite(prices)]
    if len(known) == 0:
        return 0.0
    start = float(known[0])
    return 1.0 - float(known.min()) / start if direction == "fall" else float(known.max()) / start - 1.0


def _largest(prices: Floats, sign: float) -> Move:
    """The largest fall (`sign` 1) from a running high, or rise (-1) from a running low."""
    valid = np.flatnonzero(np.isfinite(prices))
    if len(valid) == 0:
        return Move(0.0, 0, 0)
    path = prices[valid]
    best = np.maximum.accumulate(path) if sign > 0 else np.minimum.accumulate(path)
    moved = sign * (1.0 - path / best)
    last = int(np.argmax(moved))
    first = int(np.argmax(sign * path[: last + 1]))
    return Move(float(moved[last]) + 0.0, int(valid[first]), int(valid[last]))
