"""Which trades moved the mark: pushes that were undone before the next mark did not (eq. 173 of docs/model.md).

Between two marks the price is pushed to and fro: a forced sale sweeps the book, makers refill it, buyers take the
price back.  The mark sees only what is left.  So of each interval between marks the *net* shift is divided: among
voluntary trades, stops and forced orders, each with its own pushes added up, those that pushed in the direction of the
net shift share it in proportion; and the forced part is divided among liquidations by the same rule.
"""

from typing import final

import numpy as np

from marginquake.analysis.causes.owners import Pieces
from marginquake.analysis.causes.price_parts import Part, TradedPath
from marginquake.sim.core.typing import Floats, Ints

NOBODY = -1
"""Owner of what belongs to no call."""

Netted = tuple[Floats, Ints, Floats]
"""Parts (5), and pushes of liquidations: their owners, one or more entries each, and the pushes."""


@final
class Netting:
    """Net shifts of a path between any two of its fills, as far as the mark passes them on.

    `owner`: for each piece of the forced fills, whose it is (-1: nobody's); `pass_through` 0..1 (eq. 172).
    """

    def __init__(self, path: TradedPath, pieces: Pieces, owner: Ints, pass_through: float) -> None:
        self._pass_through = pass_through
        self._shift, self._part, self._interval = path.shift, path.part, path.interval
        first = np.searchsorted(path.place, pieces.place)
        self._piece_fill, self._piece_owner = first, owner
        self._piece_push = path.shift[first] * pieces.share
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
        pushed: Floats = np.bincount(self._part[low:high], self._shift[low:high], minlength=len(Part)).astype(
            np.float64
        )
        parts = shared(pushed, self._pass_through * float(pushed.sum()))
        pieces = slice(*np.searchsorted(self._piece_fill, (low, high)))
        if not parts[Part.FORCED]:
            return parts, np.zeros(0, np.int64), np.zeros(0)
        owners, place = np.unique(np.append(self._piece_owner[pieces], NOBODY), return_inverse=True)
        pushes = self._piece_push[pieces]
        left = float(pushed[Part.FORCED] - pushes.sum())  # what the fund sold without having taken it over
        by_owner: Floats = np.bincount(place, np.append(pushes, left), minlength=len(owners)).astype(np.float64)
        return parts, owners, shared(by_owner, float(parts[Part.FORCED]))


def shared(pushes: Floats, net: float) -> Floats:
    """`net`, divided in proportion among the pushes that have its sign."""
    helping = np.where(pushes * net > 0, pushes, 0.0)
    total = float(helping.sum())
    return helping * (net / total) if total else helping
