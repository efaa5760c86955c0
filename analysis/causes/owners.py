"""Whose liquidation a forced fill belongs to.

A liquidation order's fill belongs to the account that it closes.  The fund's fills belong to the accounts it took over:
what it took first it closes first (eq. 173).
"""

from collections import deque
from dataclasses import dataclass
from typing import final

import numpy as np

from analysis.load import Columns, Floats, Ints
from sim.records import Cause, EventKind

FUND_ROW = 0
"""Account row of the insurance fund (docs/events.md)."""


@final
@dataclass(frozen=True)
class Pieces:
    """Parts of forced aggressor fills, in order: row of the fill in the events, the account whose position it closes,
    share of the fill.  What the fund sells without having taken it over belongs to nobody and is left out.
    """

    place: Ints
    account: Ints
    share: Floats


def forced_pieces(events: Columns) -> Pieces:
    """Every forced fill, divided among the accounts whose positions it closes."""
    fund = _fund_pieces(events)
    own = np.flatnonzero((events["kind"] == EventKind.FILL) & (events["cause"] == Cause.LIQUIDATION))
    place = np.concatenate([fund.place, own])
    order = np.argsort(place, kind="stable")
    return Pieces(
        place=place[order],
        account=np.concatenate([fund.account, events["account"][own].astype(np.int64)])[order],
        share=np.concatenate([fund.share, np.ones(len(own))])[order],
    )


def _fund_pieces(events: Columns) -> Pieces:
    """Fills in which the fund is the aggressor; those in which its orders rest, and ADL, shorten its queue too."""
    kind, account, maker = events["kind"], events["account"], events["maker_account"]
    is_fill = kind == EventKind.FILL
    by_fund, of_fund = account == FUND_ROW, maker == FUND_ROW
    concerned = (kind == EventKind.TAKEOVER) | (is_fill & (by_fund | of_fund)) | ((kind == EventKind.ADL) & of_fund)
    queue: deque[list[int]] = deque()
    place: list[int] = []
    owner: list[int] = []
    share: list[float] = []
    for row in np.flatnonzero(concerned).tolist():
        lots, side = int(events["quantity_lots"][row]), int(events["side"][row])
        if kind[row] == EventKind.TAKEOVER:
            left = sum(taken for _, taken in _close(queue, side * lots))
            if lots > left:
                queue.append([int(account[row]), side * (lots - left)])
        elif kind[row] == EventKind.ADL:
            _close(queue, -_sign(queue) * lots)
        else:
            for closed, taken in _close(queue, side * lots if by_fund[row] else -side * lots):
                if by_fund[row]:
                    place.append(row)
                    owner.append(closed)
                    share.append(taken / lots)
    return Pieces(np.array(place, np.int64), np.array(owner, np.int64), np.array(share, np.float64))


def _close(queue: deque[list[int]], traded: int) -> list[tuple[int, int]]:
    """Take `traded` signed lots off the front of a queue of the other sign: (account, lots) of each part."""
    parts: list[tuple[int, int]] = []
    left = abs(traded)
    while queue and left and _sign(queue) * traded < 0:
        account, held = queue[0]
        taken = min(left, abs(held))
        parts.append((account, taken))
        left -= taken
        if taken == abs(held):
            queue.popleft()
        else:
            queue[0][1] = held - taken if held > 0 else held + taken
    return parts


def _sign(queue: deque[list[int]]) -> int:
    return (1 if queue[0][1] > 0 else -1) if queue else 0
