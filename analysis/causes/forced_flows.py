"""Everything that was closed by force or follows from that, piece by piece, with whom it belongs to (eq. 178).

Amounts are those of the scorecard: fills at their price, what is closed or taken over outside the book at the mark.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import final

import numpy as np

from marginquake.analysis.causes.netting import Pushers
from marginquake.analysis.causes.owners import NOBODY, ForcedPieces, Pieces, forced_pieces
from marginquake.analysis.causes.price_parts import Part, TradedPath
from marginquake.analysis.causes.reactions import Followed, reopened, sold_when_called
from marginquake.analysis.causes.spot_hedges import SpotHedges
from marginquake.analysis.causes.stop_orders import StopOrders, stop_orders
from marginquake.analysis.frames.market import MarketFrames
from marginquake.sim.core.records import Cause, EventKind
from marginquake.sim.core.typing import Bools, Floats, Ints


class Way(IntEnum):
    """How a position was closed by force, or what followed.

    In the book: `LIQUIDATION` orders, the insurance `FUND` unwinding, its resting `OFFER`s, a `STOP` (or take-profit)
    that went off, an account that sold when `CALLED`.  Outside it: `ADL` and `TAKEOVER` by the fund (which sells later,
    or is deleveraged).  What those whom ADL closed did next: `REOPENED` here, or sold on `SPOT`.
    """

    LIQUIDATION = 0
    FUND = 1
    OFFER = 2
    STOP = 3
    CALLED = 4
    ADL = 5
    TAKEOVER = 6
    REOPENED = 7
    SPOT = 8


CLOSED = (Way.LIQUIDATION, Way.FUND, Way.OFFER, Way.STOP, Way.CALLED, Way.ADL)
"""Ways that close a position for good, once each: what the size of a cascade is summed of."""


@final
@dataclass(frozen=True)
class ForcedFlows:
    """One entry a piece, by way and time.

    `node`: the call or stop that it belongs to, numbered over both (-1: nobody's); `row` of the event; `share` of the
    event; `notional` in quote units; `side` +1 where a long was closed (what followed from ADL: where it sold).
    """

    way: Ints
    node: Ints
    row: Ints
    share: Floats
    time_s: Floats
    notional: Floats
    side: Ints

    def select(self, chosen: Bools | Ints) -> "ForcedFlows":
        """The pieces that are chosen, by place or where true."""
        return ForcedFlows(**{name: getattr(self, name)[chosen] for name in self.__dataclass_fields__})

    def total(self, *ways: Way) -> float:
        """Notional of some ways together."""
        return float(self.notional[np.isin(self.way, ways)].sum())


_NO_INTS, _NO_FLOATS = np.zeros(0, np.int64), np.zeros(0)
NO_FLOWS = ForcedFlows(_NO_INTS, _NO_INTS, _NO_INTS, _NO_FLOATS, _NO_FLOATS, _NO_FLOATS, _NO_INTS)


@final
class Record:
    """What the events of a market say of force: whose closings, which stops, what followed; and who is behind fills.

    Nodes are margin calls and stop orders that went off, together in order of their events: `call_node` and
    `stop_node` are the numbers of each, `node_row` their events.
    """

    def __init__(self, market: MarketFrames, calls: Ints) -> None:
        self.events = market.events
        self._contract = market.contract
        self.calls = calls
        self.stops: StopOrders = stop_orders(self.events)
        rows = np.concatenate([calls, self.stops.row])
        order = np.argsort(rows, kind="stable")
        self.node_row = rows[order]
        number = np.empty(len(rows), np.int64)
        number[order] = np.arange(len(rows))
        self.call_node, self.stop_node = number[: len(calls)], number[len(calls) :]
        self._pieces: ForcedPieces = forced_pieces(self.events)
        self._called: Followed = sold_when_called(self.events)
        self._reopened: Followed = reopened(self.events)
        self._orders, self._offers, self._adl = (
            self._nodes_of(pieces) for pieces in (self._pieces.orders, self._pieces.offers, self._pieces.adl)
        )

    def pushers(self, path: TradedPath) -> Pushers:
        """Who is behind each fill of a path."""
        orders, stops = self._pieces.orders, self.stops
        reopened, closers, share = self._of_adl(self._reopened.cause, self._reopened.place, self._reopened.share)
        parts = (
            (orders.place, Part.FORCED, self._orders, orders.share),
            (stops.fills, Part.STOP, self.stop_node[stops.of_fill], np.ones(len(stops.fills))),
            (self._called.place, Part.FORCED, self._node_of_call(self._called.cause), self._called.share),
            (reopened, Part.ADL, closers, share),
        )
        place = np.concatenate([each for each, _, _, _ in parts])
        part = np.concatenate([np.full(len(each), int(which)) for each, which, _, _ in parts])
        owner = np.concatenate([who for _, _, who, _ in parts])
        shares = np.concatenate([each for _, _, _, each in parts])
        fill = np.searchsorted(path.place, place)
        # The rest of each fill is voluntary, but for fund orders that no takeover explains.
        rest = 1.0 - np.bincount(fill, shares, minlength=len(path.place))
        free = np.flatnonzero(rest > 1e-9)
        forced = np.isin(self.events["cause"][path.place[free]], (Cause.LIQUIDATION, Cause.TAKEOVER))
        fill = np.concatenate([fill, free])
        order = np.argsort(fill, kind="stable")
        return Pushers(
            fill=fill[order],
            part=np.concatenate([part, np.where(forced, Part.FORCED, Part.VOLUNTARY)])[order],
            owner=np.concatenate([owner, np.full(len(free), NOBODY)])[order],
            share=np.concatenate([shares, rest[free]])[order],
        )

    def owners_of_hedges(self, hedges: SpotHedges) -> tuple[Ints, Ints, Floats]:
        """Whose liquidation each spot trade follows from: its number, node and share; shares of a trade sum to 1."""
        return self._of_adl(hedges.adl_row, np.arange(len(hedges)), np.ones(len(hedges)))

    def flows(self, hedges: SpotHedges) -> ForcedFlows:
        """Everything, piece by piece."""
        events, orders, offers, adl = self.events, self._pieces.orders, self._pieces.offers, self._pieces.adl
        stops, taken = self.stops, np.flatnonzero(events["kind"] == EventKind.TAKEOVER)
        taker = self._last_calls(events["account"][taken].astype(np.int64), taken)
        by_fund = events["cause"][orders.place] == Cause.TAKEOVER
        reopened, closers, share = self._of_adl(self._reopened.cause, self._reopened.place, self._reopened.share)
        ones = np.ones(len(taken))
        own = (
            (Way.LIQUIDATION, orders.place[~by_fund], self._orders[~by_fund], orders.share[~by_fund]),
            (Way.FUND, orders.place[by_fund], self._orders[by_fund], orders.share[by_fund]),
            (Way.OFFER, offers.place, self._offers, offers.share),
            (Way.STOP, stops.fills, self.stop_node[stops.of_fill], np.ones(len(stops.fills))),
            (Way.CALLED, self._called.place, self._node_of_call(self._called.cause), self._called.share),
            (Way.ADL, adl.place, self._adl, adl.share),
            (Way.TAKEOVER, taken, taker, ones),
            (Way.REOPENED, reopened, closers, share),
        )
        parts = [self._flow(*each) for each in own]
        trade, node, shares = self.owners_of_hedges(hedges)
        parts.append(
            ForcedFlows(
                np.full(len(trade), int(Way.SPOT)), node, hedges.adl_row[trade], shares, hedges.at_s[trade],
                np.abs(hedges.notional[trade]) * shares, -np.sign(hedges.lots[trade]).astype(np.int64),
            )
        )  # fmt: skip
        return ForcedFlows(
            **{
                name: np.concatenate([getattr(each, name) for each in parts])
                for name in ForcedFlows.__dataclass_fields__
            }
        )

    def _flow(self, way: Way, row: Ints, node: Ints, share: Floats) -> ForcedFlows:
        """At the mark outside the book, at the fill in it."""
        events = self.events
        outside = way in (Way.ADL, Way.TAKEOVER)
        ticks = events["mark_ticks" if outside else "price_ticks"][row].astype(np.float64)
        notional = np.asarray(self._contract.notional(events["quantity_lots"][row] * share, ticks), np.float64)
        # A takeover's side is that of the position; a winner's closing order has the side of the loser's position.
        side = events["side"][row].astype(np.int64)
        side = side if way in (Way.ADL, Way.TAKEOVER, Way.OFFER) else -side
        return ForcedFlows(np.full(len(row), int(way)), node, row, share, events["time_s"][row], notional, side)

    def _nodes_of(self, pieces: Pieces) -> Ints:
        return np.where(pieces.account == NOBODY, NOBODY, self._last_calls(pieces.account, pieces.lost))

    def _last_calls(self, account: Ints, before: Ints) -> Ints:
        """Node of the last call of each account before a row of the events, -1 for none."""
        calls = self.calls
        if not len(calls):
            return np.full(len(account), NOBODY)
        caller = self.events["account"][calls].astype(np.int64)
        order = np.lexsort((calls, caller))
        span = len(self.events["kind"]) + 1
        found = np.searchsorted(caller[order] * span + calls[order], account * span + before) - 1
        call = order[np.maximum(found, 0)]
        return np.where((found >= 0) & (caller[call] == account), self.call_node[call], NOBODY)

    def _node_of_call(self, row: Ints) -> Ints:
        """Node of the calls that are these events."""
        if not len(self.calls):
            return np.zeros(0, np.int64)
        return self.call_node[np.minimum(np.searchsorted(self.calls, row), len(self.calls) - 1)]

    def _of_adl(self, adl_row: Ints, what: Ints, share: Floats) -> tuple[Ints, Ints, Floats]:
        """What follows from ADL events, divided among those whose positions these closed."""
        place = self._pieces.adl.place
        first, after = np.searchsorted(place, adl_row, side="left"), np.searchsorted(place, adl_row, side="right")
        repeat = after - first
        at = np.repeat(first, repeat) + np.arange(int(repeat.sum())) - np.repeat(np.cumsum(repeat) - repeat, repeat)
        return np.repeat(what, repeat), self._adl[at], np.repeat(share, repeat) * self._pieces.adl.share[at]
