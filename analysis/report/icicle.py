"""A cascade as an icicle: one cell a call, below the call whose liquidation caused most of it.

Cells too small to be seen are joined: the small children of one call, with all that followed from them, are one cell.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, final

import numpy as np

from marginquake.analysis.causes import Cascade, CausalTree, Part
from marginquake.analysis.presentation.page import finite, pack
from marginquake.analysis.report.thinning import at_most
from marginquake.sim.core.typing import Floats, Ints

NO_IDS: Mapping[int, str] = MappingProxyType({})
MOST_CELLS_ABREAST = 500
"""Cells narrower than one of so many of the whole width are joined."""
CAUSES = (
    (Part.INDEX, "index", "cause-index"),
    (Part.VOLUNTARY, "other trades", "voluntary"),
    (Part.STOP, "stops", "stop"),
    (Part.FORCED, "forced orders", "forced"),
    (Part.SMOOTHING, "mark smoothing", "smoothing"),
    (Part.ADL, "after ADL", "adl"),
)
"""Part of a move, words, colour."""


@final
@dataclass
class _Cells:
    """Columns of the icicle, one entry a cell, parents first."""

    parent: list[int] = field(default_factory=list)
    mass: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    count: list[int] = field(default_factory=list)
    call: list[int] = field(default_factory=list)
    shares: list[Floats] = field(default_factory=list)

    def add(self, parent: int, mass: float, own: float, count: int, call: int, share: Floats) -> int:
        self.parent.append(parent)
        self.mass.append(mass)
        self.own.append(own)
        self.count.append(count)
        self.call.append(call)
        self.shares.append(share)
        return len(self.parent) - 1

    def join(self, cell: int, mass: float, count: int, share: Floats) -> None:
        """Another small call into a cell of small ones."""
        self.shares[cell] = (self.shares[cell] * self.mass[cell] + share * mass) / (self.mass[cell] + mass)
        self.mass[cell] += mass
        self.own[cell] += mass
        self.count[cell] += count
        self.call[cell] = -1


def icicle(tree: CausalTree, cascade: Cascade, ids: Mapping[int, str] = NO_IDS) -> dict[str, Any]:
    """One cascade as data of the chart kind `icicle`.

    `mass` of a cell is what was closed by force of its position and of those of all calls below it, `own` its alone;
    `account` and `time_s` are -1 for cells that stand for several calls (`count`).  `ids`: what the user calls
    accounts, by row; `id` has those of the cells, and is empty where none of them has one.
    """
    closed = np.bincount(tree.forced.call, tree.forced.notional, len(tree.calls))
    own = np.maximum(closed[cascade.calls], 1e-9)
    place = np.full(len(tree.calls), -1)
    place[cascade.calls] = np.arange(len(cascade.calls))
    above = tree.calls.parent[cascade.calls]
    parent = np.where(above >= 0, place[above], -1)
    mass, count = _with_descendants(own, parent)
    shares = np.stack([tree.calls.share(part)[cascade.calls] for part, _, _ in CAUSES], axis=1)
    cells = _cells(own, parent, mass, count, shares)
    call = np.array(cells.call)
    known = call >= 0
    real = cascade.calls[np.where(known, call, 0)]
    account = np.where(known, tree.calls.account[real], -1).tolist()
    return {
        "from": cascade.start_s,
        "to": cascade.end_s,
        "calls": len(cascade.calls),
        "notional": finite(cascade.closed),
        "parent": cells.parent,
        "count": cells.count,
        "account": account,
        "id": [ids.get(row, "") for row in account] if ids else [],
        "mass": pack(cells.mass),
        "own": pack(cells.own),
        "time": pack(np.where(known, tree.calls.time_s[real], -1.0)),
        "shares": pack(np.array(cells.shares).reshape(-1)),
    }


def _with_descendants(own: Floats, parent: Ints) -> tuple[Floats, Ints]:
    """Notional and number of calls of each call and all that followed from it; parents come first."""
    mass, count = own.copy(), np.ones(len(own), np.int64)
    for call in range(len(own) - 1, -1, -1):
        if parent[call] >= 0:
            mass[parent[call]] += mass[call]
            count[parent[call]] += count[call]
    return mass, count


def _cells(own: Floats, parent: Ints, mass: Floats, count: Ints, shares: Floats) -> _Cells:
    least = float(own.sum()) / at_most(MOST_CELLS_ABREAST)
    cells, cell_of = _Cells(), np.full(len(own), -1)
    small: dict[int, int] = {}
    for call in range(len(own)):
        if parent[call] >= 0 and cell_of[parent[call]] < 0:
            continue  # below a call that is joined already, with all that followed from it
        under = int(cell_of[parent[call]]) if parent[call] >= 0 else -1
        whole, number = float(mass[call]), int(count[call])
        if whole >= least:
            cell_of[call] = cells.add(under, whole, float(own[call]), number, call, shares[call])
        elif under in small:
            cells.join(small[under], whole, number, shares[call])
        else:
            small[under] = cells.add(under, whole, whole, number, call if number == 1 else -1, shares[call])
    return cells
