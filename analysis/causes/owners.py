"""Whose position it was: to which account each forced fill and each auto-deleveraging (ADL) belongs.

A liquidation order's fill belongs to the account that it closes.  What the insurance fund trades, and what ADL takes
from it, belongs to the accounts it took over: what it took first it closes first (eq. 173).  ADL of a bankrupt account
belongs to that account.
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
NOBODY = -1
"""Owner of what belongs to no account, or to no call."""


@final
@dataclass(frozen=True)
class Pieces:
    """Parts of events, in order: row of the event, the account whose position it closes, share of the event, and the
    row up to which the account had been called for it (the takeover's, where the fund held it).

    What belongs to nobody, since the fund has it from nowhere, is one more piece: account `NOBODY`.
    """

    place: Ints
    account: Ints
    share: Floats
    lost: Ints


@final
@dataclass(frozen=True)
class ForcedPieces:
    """Pieces of all that closes positions by force.

    `orders`: fills in which a liquidation order or the fund is the aggressor; `offers`: those in which an order of the
    fund rests; `adl`: auto-deleveraging.
    """

    orders: Pieces
    offers: Pieces
    adl: Pieces


class Holding(NamedTuple):
    """What the fund holds of one takeover: whose it was, the takeover's row in the events, signed lots."""

    account: int
    row: int
    lots: int


def forced_pieces(events: Columns) -> ForcedPieces:
    """Every forced fill and every ADL, divided among the accounts whose positions it closes."""
    fund = _FundBook(events)
    is_fill = events["kind"] == EventKind.FILL
    own = np.flatnonzero(is_fill & (events["cause"] == Cause.LIQUIDATION))
    adl = np.flatnonzero((events["kind"] == EventKind.ADL) & (events["maker_account"] != FUND_ROW))
    return ForcedPieces(
        orders=_joined(fund.orders, own, events["account"][own]),
        offers=_joined(fund.offers, own[:0], own[:0]),
        adl=_joined(fund.adl, adl, events["maker_account"][adl]),
    )


_Rows = list[tuple[int, int, float, int]]
"""One piece each: place, account, share, lost."""


class _FundBook:
    """What the fund held of whom, event by event."""

    def __init__(self, events: Columns) -> None:
        self.orders: _Rows = []
        self.offers: _Rows = []
        self.adl: _Rows = []
        self._queue: deque[Holding] = deque()
        kind, account, maker = events["kind"], events["account"], events["maker_account"]
        is_fill = kind == EventKind.FILL
        by_fund, of_fund = account == FUND_ROW, maker == FUND_ROW
        concerned = (kind == EventKind.TAKEOVER) | ((is_fill | (kind == EventKind.ADL)) & (by_fund | of_fund))
        for row in np.flatnonzero(concerned).tolist():
            lots, side = int(events["quantity_lots"][row]), int(events["side"][row])
            if kind[row] == EventKind.TAKEOVER:
                self._take(int(account[row]), row, side * lots)
            elif kind[row] == EventKind.ADL:
                into = self.adl if of_fund[row] else None  # as the winner it loses a position, and nobody is closed
                self._close(row, -(_sign(self._queue) or side) * lots, into)
            elif by_fund[row]:
                self._close(row, side * lots, self.orders)
            else:
                self._close(row, -side * lots, self.offers)

    def _take(self, account: int, row: int, signed_lots: int) -> None:
        left = abs(signed_lots) - self._close(row, signed_lots, None)
        if left:
            self._queue.append(Holding(account, row, left if signed_lots > 0 else -left))

    def _close(self, row: int, traded: int, into: _Rows | None) -> int:
        """Take `traded` signed lots off the front of a queue of the other sign; how many that were."""
        queue = self._queue
        whole = left = abs(traded)
        while queue and left and _sign(queue) * traded < 0:
            first = queue[0]
            taken = min(left, abs(first.lots))
            if into is not None:
                into.append((row, first.account, taken / whole, first.row))
            left -= taken
            if taken == abs(first.lots):
                queue.popleft()
            else:
                queue[0] = first._replace(lots=first.lots - _sign(queue) * taken)
        if left and into is not None:
            into.append((row, NOBODY, left / whole, row))
        return whole - left


def _sign(queue: deque[Holding]) -> int:
    return (1 if queue[0].lots > 0 else -1) if queue else 0


def _joined(pieces: _Rows, rows: Ints, account: Ints) -> Pieces:
    """Pieces and whole events, by order of event."""
    place, owner, share, lost = zip(*pieces, strict=True) if pieces else ((), (), (), ())
    places = np.concatenate([np.array(place, np.int64), rows])
    order = np.argsort(places, kind="stable")
    return Pieces(
        place=places[order],
        account=np.concatenate([np.array(owner, np.int64), account.astype(np.int64)])[order],
        share=np.concatenate([np.array(share, np.float64), np.ones(len(rows))])[order],
        lost=np.concatenate([np.array(lost, np.int64), rows])[order],
    )
