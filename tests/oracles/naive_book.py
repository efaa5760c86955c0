"""Resting and waiting orders as two plain lists in order of arrival; every question is answered by looking at all."""

from dataclasses import dataclass

from marginquake.sim.core.records import Flag, OrderKind, Side


@dataclass
class NaiveOrder:
    """One intention of one account. For a conditional order `price_ticks` is the bound of the market order to come."""

    order_id: int
    account: int
    kind: int
    side: int
    price_ticks: int
    quantity_lots: int
    flags: int
    cause: int
    trigger_ticks: int = 0
    due: bool = False
    """A price that was printed, or a mark, has reached the trigger: it fires, whatever the price does next."""

    @property
    def reduce_only(self) -> bool:
        """May only bring its owner's position closer to zero."""
        return bool(self.flags & Flag.REDUCE_ONLY)

    @property
    def watches_mark(self) -> bool:
        """A conditional order that looks at the mark price, not at the last."""
        return bool(self.flags & Flag.TRIGGER_ON_MARK)

    @property
    def fires_below(self) -> bool:
        """Fires when the price falls to the trigger; otherwise when it rises to it."""
        return (self.kind == OrderKind.STOP) == (self.side == Side.SELL)

    def fires_at(self, price_ticks: int) -> bool:
        """Whether the watched price satisfies the condition; a price of 0 is no price."""
        if price_ticks <= 0:
            return False
        return price_ticks <= self.trigger_ticks if self.fires_below else price_ticks >= self.trigger_ticks


class NaiveBook:
    """`resting` and `waiting` (conditional) orders, oldest first."""

    def __init__(self) -> None:
        self.resting: list[NaiveOrder] = []
        self.waiting: list[NaiveOrder] = []
        self.everything: list[NaiveOrder] = []

    def rest(self, order: NaiveOrder) -> None:
        """Join the end of the queue at its price."""
        self.resting.append(order)
        self.everything.append(order)

    def wait(self, order: NaiveOrder) -> None:
        """Wait for the trigger."""
        self.waiting.append(order)
        self.everything.append(order)

    def remove(self, order: NaiveOrder) -> None:
        """Forget an order, wherever it is."""
        for group in (self.resting, self.waiting, self.everything):
            group[:] = [other for other in group if other is not order]

    def find(self, order_id: int) -> NaiveOrder | None:
        """The live order of that id."""
        return next((order for order in self.everything if order.order_id == order_id), None)

    def of_account(self, account: int) -> list[NaiveOrder]:
        """All live orders of one account, newest first."""
        return [order for order in reversed(self.everything) if order.account == account]

    def side(self, side: int) -> list[NaiveOrder]:
        """One side of the book in priority order: best price first, then oldest first (sorting is stable)."""
        return sorted((o for o in self.resting if o.side == side), key=lambda order: -side * order.price_ticks)

    def queue(self, side: int, price_ticks: int) -> list[NaiveOrder]:
        """The orders of one level, oldest first."""
        return [order for order in self.side(side) if order.price_ticks == price_ticks]

    def best_price(self, side: int) -> int:
        """Highest bid or lowest ask; 0 for an empty side."""
        orders = self.side(side)
        return orders[0].price_ticks if orders else 0

    def marketable(self, side: int, limit_ticks: int | None) -> list[NaiveOrder]:
        """What an incoming order on `side` could trade with, in priority order; no limit = everything."""
        return [o for o in self.side(-side) if limit_ticks is None or side * (limit_ticks - o.price_ticks) >= 0]

    def open_lots(self, account: int, side: int) -> int:
        """Resting lots of one account that could enlarge its position."""
        return sum(
            o.quantity_lots for o in self.resting if o.account == account and o.side == side and not o.reduce_only
        )

    def reach(self, price_ticks: int, *, by_mark: bool) -> None:
        """This price was printed, or is the mark: what it satisfies is due."""
        for order in self.waiting:
            if order.watches_mark == by_mark and order.fires_at(price_ticks):
                order.due = True

    def next_triggered(self, *, by_mark: bool) -> NaiveOrder | None:
        """Which due order fires next: falling ones from the highest trigger, then rising ones from the lowest."""
        fired = [o for o in self.waiting if o.watches_mark == by_mark and o.due]
        below = sorted((o for o in fired if o.fires_below), key=lambda order: -order.trigger_ticks)
        above = sorted((o for o in fired if not o.fires_below), key=lambda order: order.trigger_ticks)
        return next(iter(below + above), None)
