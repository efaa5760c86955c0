"""What an ADL allocation is given, and exact sharing of lots."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

Lots = NDArray[np.int64]
Floats = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Candidates:
    """Opposite accounts in the order of their rank, best first: lots that each still holds (>= 0), its score, and
    whether it has an unrealised profit."""

    lots: Lots
    scores: Floats
    winners: NDArray[np.bool_]


@final
@dataclass(frozen=True)
class Allocation:
    """`divide(quantity, candidates)`: lots closed at each candidate, between 0 and what it holds, summing to the
    quantity, or to all there is.  `from_the_top`: only the best ones matter, as many as hold the quantity."""

    divide: Callable[[int, Candidates], Lots]
    from_the_top: bool = False


def shares(quantity: int, lots: Lots) -> Lots:
    """`quantity` <= sum of `lots` in proportion to `lots`, whole lots: floors of the running sum, so that every
    prefix is within one lot of its exact share."""
    total = int(lots.sum())
    if total == 0:
        return np.zeros_like(lots)
    up_to: Lots = (np.cumsum(lots).astype(object) * quantity // total).astype(np.int64)
    own = up_to.copy()
    own[1:] -= up_to[:-1]
    return own


def greedy(quantity: int, lots: Lots) -> Lots:
    """The first ones whole, until the quantity is met."""
    before = np.cumsum(lots) - lots
    own: Lots = np.clip(quantity - before, 0, lots)
    return own
