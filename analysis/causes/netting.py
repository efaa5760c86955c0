"""Which trades moved the mark: pushes that were undone before the next mark did not (eq. 173 of docs/model.md).

Between two marks the price is pushed to and fro: a forced sale sweeps the book, makers refill it, buyers take the
price back.  The mark sees only what is left.  So of each interval between marks the *net* shift is divided: among
voluntary trades, stops, forced orders and what ADL made its counterparties do, each with its own pushes added up, those
that pushed in the direction of the net shift share it in proportion; and what falls to stops, forced orders and ADL is
divided among their owners by the same rule.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from marginquake.analysis.causes.owners import NOBODY
from marginquake.analysis.causes.price_parts import OWNED, Part, TradedPath
from marginquake.sim.core.typing import Floats, Ints

Netted = tuple[Floats, Ints, Floats]
"""Parts (6), and pushes of their owners: who, one or more entries each, and the pushes."""


@final
@dataclass(frozen=True)
class Pushers:
    """Who is behind each fill, one entry a part of a fill, by fill: its number in the path, whose part of the move it
    is, its owner (-1: nobody) and its share of the fill.  The shares of a fill sum to 1."""

    fill: Ints
    part: Ints
    owner: Ints
    share: Floats


@final
class Netting:
    """Net shifts of a path between any two of its fills, as far as the mark passes them on.

    `pass_through` 0..1 (eq. 172).
    """

    def __init__(self, path: TradedPath, pushers: Pushers, pass_through: float) -> None:
        self._pass_through = pass_through
        self._fill, self._part, self._owner = pushers.fill, pushers.part, pushers.owner
        self._push = path.shift[pushers.fill] * pushers.share
        self._bounds = np.append(np.flatnonzero(np.diff(path.interval, prepend=-(2**62))), len(path.shift))
        self._pushes = [self._net(low, high) for low, high in zip(self._bounds, self._bounds[1:], strict=False)]
        self._sums = np.cumsum([np.zeros(len(Part)), *(parts for parts, _, _ in self._pushes)], axis=0)

    def between(self, low: int, high: int) -> Netted:
        """Of fills `low` to `high` (exclusive): parts, and who pushed; an interval that is cut is netted again."""
        if low >= high:
            return np.zeros(len(Part)), np.zeros(0, np.int64), np.zeros(0)
        first = int(np.searchsorted(self._bounds, low))
        after = int(np.searchsorted(self._bounds, high, side="right")) - 1
        if first > after:
            return self._net(low, high)
        pushes = list(self._pushes[first:after])
        parts = self._sums[after] - self._sums[first]
        for cut_low, cut_high in ((low, int(self._bounds[first])), (int(self._bounds[after]), high)):
            if cut_low < cut_high:
                pushes.append(self._net(cut_low, cut_high))
                parts = parts + pushes[-1][0]
        owners = np.concatenate([np.zeros(0, np.int64), *(who for _, who, _ in pushes)])
        return parts, owners, np.concatenate([np.zeros(0), *(push for _, _, push in pushes)])

    def _net(self, low: int, high: int) -> Netted:
        """Of fills of one interval."""
        own = slice(*np.searchsorted(self._fill, (low, high)))
        part, push, owner = self._part[own], self._push[own], self._owner[own]
        pushed: Floats = np.bincount(part, push, minlength=len(Part)).astype(np.float64)
        parts = shared(pushed, self._pass_through * float(pushed.sum()))
        found = [by_owner(owner[part == each], push[part == each], float(parts[each])) for each in OWNED if parts[each]]
        owners = np.concatenate([np.zeros(0, np.int64), *(who for who, _ in found)])
        return parts, owners, np.concatenate([np.zeros(0), *(pushes for _, pushes in found)])


def by_owner(owner: Ints, push: Floats, net: float) -> tuple[Ints, Floats]:
    """`net`, divided among owners, each with its own pushes added up."""
    owners, place = np.unique(np.append(owner, NOBODY), return_inverse=True)
    pushed: Floats = np.bincount(place.ravel(), np.append(push, 0.0), minlength=len(owners)).astype(np.float64)
    return owners, shared(pushed, net)


def shared(pushes: Floats, net: float) -> Floats:
    """`net`, divided in proportion among the pushes that have its sign."""
    helping = np.where(pushes * net > 0, pushes, 0.0)
    total = float(helping.sum())
    return helping * (net / total) if total else helping
