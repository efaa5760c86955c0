"""Whose liquidation a forced fill belongs to.

A liquidation order's fill belongs to the account that it closes.  The fund's fills belong to the accounts it took over:
what it took first it closes first (eq. 173).
"""

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np

from marginquake.analysis.frames.market import Columns
from marginquake.sim.core.records import Cause, EventKind
from marginquake.sim.core.typing import Floats, Ints

FUND_ROW = 0
"""Account row of the insurance fund (docs/events.md)."""


@final
@dataclass(frozen=True)
class Pieces:
    """Parts of forced aggressor fills, in order: row of the fill in the events, the account whose position it closes,
    share of the fill, and the row up to which the account had been called for it (the takeover's, where the fund
    sells).  What the fund sells without having taken it over belongs to nobody and is left out.
    """

    place: Ints
    account: Ints
    share: Floats
    lost: Ints


class Holding(NamedTuple):
    """What the fund holds of one takeover: whose it was, the takeover's row in the events, signed lots."""

    account: int
    row: int
    lots: int


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
        lost=np.concatenate([fund.lost, own])[order],
    )


def _fund_pieces(events: Columns) -> Pieces:
    """Fills in which the fund is the aggressor; those in which its orders rest, and ADL, shorten its queue too."""
    kind, account, maker = events["kind"], events["account"], events["maker_account"]
    is_fill = kind == EventKind.FILL
    by_fund, of_fund = account == FUND_ROW, maker == FUND_ROW
    concerned = (kind == EventKind.TAKEOVER) | ((is_fill | (kind == EventKind.ADL)) & (by_fund | of_fund))
    queue: deque[Holding] = deque()
    place: list[int] = []
    owner: list[int] = []
    share: list[float] = []
    lost: list[int] = []
    for row in np.flatnonzero(concerned).tolist():
        lots, side = int(events["quantity_lots"][row]), int(events["side"][row])
        if kind[row] == EventKind.TAKEOVER:
            left = lots - sum(taken for _, taken in _close(queue, side * lots))
            if left:
                queue.append(Holding(int(account[row]), row, side * left))
        elif kind[row] == EventKind.ADL:
            _close(queue, -_sign(queue) * lots)
        else:
            for closed, taken in _close(queue, side * lots if by_fund[row] else -side * lots):
                if by_fund[row]:
                    place.append(row)
                    owner.append(closed.account)
                    share.append(taken / lots)
                    lost.append(closed.row)
    return Pieces(
        np.array(place, np.int64), np.array(owner, np.int64), np.array(share, np.float64), np.array(lost, np.int64)
    )


def _close(queue: deque[Holding], traded: int) -> list[tuple[Holding, int]]:
    """Take `traded` signed lots off the front of a queue of the other sign: whose, and how many lots."""
    parts: list[tuple[Holding, int]] = []
    left = abs(traded)
    while queue and left and _sign(queue) * traded < 0:
        first = queue[0]
        taken = min(left, abs(first.lots))
        parts.append((first, taken))
        left -= taken
        if taken == abs(first.lots):
            queue.popleft()
        else:
            queue[0] = first._replace(lots=first.lots - _sign(queue) * taken)
    return parts


def _sign(queue: deque[Holding]) -> int:
    return (1 if queue[0].lots > 0 else -1) if queue else 0
