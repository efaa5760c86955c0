"""Voluntary orders that follow from force: what called accounts sell by themselves, and what is reopened after ADL.

Both are read off the record (eq. 178 of docs/model.md): nobody's strategy is known here.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import final

import numpy as np

from marginquake.analysis.causes.owners import FUND_ROW
from marginquake.analysis.frames.market import Columns
from marginquake.sim.core.records import Cause, EventKind
from marginquake.sim.core.typing import Floats, Ints

REOPENED_WITHIN_S = 60.0
"""An order that rebuilds what ADL closed counts as its consequence if it trades within so many seconds."""


@final
@dataclass(frozen=True)
class Followed:
    """Parts of voluntary fills: row of the fill, row of the event that it follows from, and share of the fill."""

    place: Ints
    cause: Ints
    share: Floats


@final
@dataclass
class _Found:
    rows: list[tuple[int, int, float]] = field(default_factory=list)

    def followed(self) -> Followed:
        place, cause, share = zip(*self.rows, strict=True) if self.rows else ((), (), ())
        return Followed(np.array(place, np.int64), np.array(cause, np.int64), np.array(share, np.float64))


def sold_when_called(events: Columns) -> Followed:
    """Voluntary market orders of accounts under a margin call that make the called position smaller.

    From the call until the call is cured or the forced sale begins, and no more lots than were called.
    """
    kind, account = events["kind"], events["account"]
    is_call = kind == EventKind.MARGIN_CALL
    ends = np.isin(kind, (EventKind.CALL_CURED, EventKind.LIQUIDATION_STARTED, EventKind.TAKEOVER))
    forced = (kind == EventKind.FILL) & (events["cause"] == Cause.LIQUIDATION)
    free = (kind == EventKind.FILL) & (events["cause"] == Cause.VOLUNTARY)
    free &= np.isin(account, np.unique(account[is_call]))
    called: dict[int, tuple[int, int, int]] = {}  # account -> row of the call, side, lots left
    found = _Found()
    for row in np.flatnonzero(is_call | ends | forced | free).tolist():
        who, lots = int(account[row]), int(events["quantity_lots"][row])
        if is_call[row]:
            called[who] = (row, int(events["side"][row]), lots)
        elif not free[row]:
            called.pop(who, None)
        elif who in called:
            call, side, left = called[who]
            if events["side"][row] == -side and left:
                found.rows.append((row, call, min(left, lots) / lots))
                called[who] = (call, side, left - min(left, lots))
    return found.followed()


def reopened(events: Columns) -> Followed:
    """Voluntary market orders of accounts that ADL closed, on the side of the position that they lost.

    Within `REOPENED_WITHIN_S`, and no more lots than ADL took; what it took first is rebuilt first.
    """
    kind, account = events["kind"], events["account"]
    is_adl = (kind == EventKind.ADL) & (account != FUND_ROW)
    free = (kind == EventKind.FILL) & (events["cause"] == Cause.VOLUNTARY)
    free &= np.isin(account, np.unique(account[is_adl]))
    lost: dict[int, deque[list[int]]] = {}  # account -> row of the ADL, side of the position, lots not rebuilt yet
    found = _Found()
    for row in np.flatnonzero(is_adl | free).tolist():
        who, lots, side = int(account[row]), int(events["quantity_lots"][row]), int(events["side"][row])
        if is_adl[row]:
            lost.setdefault(who, deque()).append([row, -side, lots])
            continue
        waiting, left = lost.get(who), lots
        while waiting and left:
            first = waiting[0]
            if events["time_s"][row] - events["time_s"][first[0]] > REOPENED_WITHIN_S:
                waiting.popleft()
                continue
            if first[1] != side:
                break
            rebuilt = min(left, first[2])
            found.rows.append((row, first[0], rebuilt / lots))
            left -= rebuilt
            first[2] -= rebuilt
            if not first[2]:
                waiting.popleft()
    return found.followed()
