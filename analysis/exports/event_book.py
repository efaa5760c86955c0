"""The limit order book rebuilt from a run's events, one change at a time."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, final

from marginquake.sim.core.records import EventKind


class BookChange(NamedTuple):
    """One thing that happened to one resting order: `kind` is a LOBSTER type, `side` the order's (+1 buy)."""

    time_ns: int
    kind: int
    order_id: int
    lots: int
    price_ticks: int
    side: int


SUBMITTED, REDUCED, DELETED, EXECUTED = 1, 2, 3, 4
"""LOBSTER's types of what happens to a resting order."""


class BookEvent(NamedTuple):
    """The columns of `EVENT` that tell of orders."""

    time_ns: int
    order_id: int
    maker_order_id: int
    lots: int
    price_ticks: int
    kind: int
    side: int


@final
@dataclass(slots=True)
class _Order:
    """A resting order, or one that was modified and trades before it rests again."""

    order_id: int
    side: int
    price_ticks: int
    lots: int


@final
class EventBook:
    """Resting orders, as events change them.  Stops and take-profits wait outside: `waits` knows their ids."""

    def __init__(self, waits: Callable[[int], bool]) -> None:
        self._waits = waits
        self._orders: dict[int, _Order] = {}
        self._lots: dict[int, dict[int, int]] = {1: {}, -1: {}}
        self._prices: dict[int, list[int]] = {1: [], -1: []}
        self._moving: _Order | None = None
        """A modified order that lost its place: it trades as if it were new; what is left rests without an event."""

    def levels(self, side: int, count: int) -> list[tuple[int, int]]:
        """Price and lots of the `count` best levels of a side, best first."""
        prices = self._prices[side]
        best = prices[: -count - 1 : -1] if side > 0 else prices[:count]
        return [(price, self._lots[side][price]) for price in best]

    def apply(self, events: Iterable[BookEvent]) -> Iterator[BookChange]:
        """What these events, which go on where the last ones ended, did to resting orders; read the book between two.

        Raises ValueError where an event is about an order that is not there: events that do not belong together.
        """
        for event in events:
            if event.kind == EventKind.FILL:
                yield self._executed(event)
            elif event.kind == EventKind.ACCEPTED:
                if not self._waits(event.order_id):
                    yield self._rest(event.time_ns, _Order(event.order_id, event.side, event.price_ticks, event.lots))
            elif event.kind == EventKind.CANCELLED:
                if event.order_id in self._orders:
                    yield self._delete(event.time_ns, event.order_id)
            elif event.kind == EventKind.MODIFIED:
                change = self._modified(event)
                if change is not None:
                    yield change
            elif event.kind == EventKind.EXPIRED and self._moving and self._moving.order_id == event.order_id:
                self._moving = None
            moving = self._moving
            if moving is not None and not self._trades_on(moving):
                self._moving = None
                if moving.lots:
                    yield self._rest(event.time_ns, moving)

    def _trades_on(self, order: _Order) -> bool:
        """Whether a modified order still meets the other side: then its next fill, or a cancel, is the next event."""
        against = self._prices[-order.side]
        if not order.lots or not against:
            return False
        best = against[0] if order.side > 0 else against[-1]
        return order.side * (order.price_ticks - best) >= 0

    def _executed(self, event: BookEvent) -> BookChange:
        maker = self._find(event.maker_order_id)
        self._take(maker, event.lots)
        if self._moving is not None and self._moving.order_id == event.order_id:
            self._moving.lots -= event.lots
        return BookChange(event.time_ns, EXECUTED, maker.order_id, event.lots, maker.price_ticks, maker.side)

    def _modified(self, event: BookEvent) -> BookChange | None:
        order = self._find(event.order_id)
        if event.price_ticks == order.price_ticks and event.lots <= order.lots:
            less = order.lots - event.lots
            if not less:
                return None
            self._take(order, less)
            return BookChange(event.time_ns, REDUCED, order.order_id, less, order.price_ticks, order.side)
        self._moving = _Order(order.order_id, order.side, event.price_ticks, event.lots)
        return self._delete(event.time_ns, order.order_id)

    def _delete(self, time_ns: int, order_id: int) -> BookChange:
        order = self._find(order_id)
        lots = order.lots
        self._take(order, lots)
        return BookChange(time_ns, DELETED, order_id, lots, order.price_ticks, order.side)

    def _rest(self, time_ns: int, order: _Order) -> BookChange:
        self._orders[order.order_id] = order
        level = self._lots[order.side]
        if order.price_ticks not in level:
            insort(self._prices[order.side], order.price_ticks)
        level[order.price_ticks] = level.get(order.price_ticks, 0) + order.lots
        return BookChange(time_ns, SUBMITTED, order.order_id, order.lots, order.price_ticks, order.side)

    def _take(self, order: _Order, lots: int) -> None:
        """Less of an order; nothing left of it is no order, nothing left at its price is no level."""
        if lots > order.lots:
            raise ValueError(f"order {order.order_id} has {order.lots} lots, and {lots} are taken from it")
        order.lots -= lots
        level = self._lots[order.side]
        level[order.price_ticks] -= lots
        if not level[order.price_ticks]:
            del level[order.price_ticks]
            prices = self._prices[order.side]
            del prices[bisect_left(prices, order.price_ticks)]
        if not order.lots:
            del self._orders[order.order_id]

    def _find(self, order_id: int) -> _Order:
        order = self._orders.get(order_id)
        if order is None:
            raise ValueError(f"order {order_id} does not rest in the book")
        return order
