"""Laws of an exchange, checked after every step of a stream."""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.accounts import SYSTEM_ROWS
from marginquake.sim.core.records import EventKind, Side, Stage
from marginquake.sim.venue.exchange import Exchange
from tests.oracles.naive_accounts import accounts_from
from tests.oracles.naive_margin import liquidation_price, trigger_price
from tests.support.compare_exchanges import net_deposits, play
from tests.support.strategies import Case

Queue = list[tuple[int, int, int]]
ENGINE_SIDES = (Side.BUY, Side.SELL)


class Laws:
    """Checks one kernel exchange after every step, remembering its queues from the step before."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.deposits = net_deposits(exchange)
        self.queues = self._queues()
        self.largest_at_the_start = int(np.abs(exchange.accounts.rows["position_lots"]).max())

    def check(self, events: NDArray[Any]) -> None:
        """All laws, and time priority against the last check."""
        self._nothing_is_made_or_lost()
        self._the_book_is_not_crossed()
        self._queues_keep_their_order(events)
        self._open_lots_are_sums()
        self._no_position_grows_beyond_the_limit()
        self._the_index_is_the_definition()
        self._depths_are_sums()

    def _nothing_is_made_or_lost(self) -> None:
        assert self.exchange.accounts.rows["position_lots"].sum() == 0
        assert net_deposits(self.exchange) == self.deposits == self.exchange.net_deposits()

    def _the_book_is_not_crossed(self) -> None:
        bid, ask = self.exchange.best_bid_ticks, self.exchange.best_ask_ticks
        assert not (bid and ask) or bid < ask, (bid, ask)
        bids, asks = (self.exchange.book_levels(side, 10**6) for side in ENGINE_SIDES)
        assert (bids[0][0] if bids else 0, asks[0][0] if asks else 0) == (bid, ask)

    def _queues(self) -> dict[tuple[int, int], Queue]:
        return {
            (int(side), price): self.exchange.queue(side, price)
            for side in ENGINE_SIDES
            for price, _, _ in self.exchange.book_levels(side, 10**6)
        }

    def _queues_keep_their_order(self, events: NDArray[Any]) -> None:
        """Who stays in a queue stays in order, ahead of all who came since, and never grows.

        An order modified meanwhile may have left and come back: it is not compared.
        """
        moved = set(events["order_id"][events["kind"] == EventKind.MODIFIED].tolist())
        queues = self._queues()
        for place, queue in queues.items():
            before = {order_id: lots for order_id, _, lots in self.queues.get(place, []) if order_id not in moved}
            now = {order_id: lots for order_id, _, lots in queue if order_id not in moved}
            stayed = [order_id for order_id in before if order_id in now]
            assert list(now)[: len(stayed)] == stayed, place
            assert all(0 < now[order_id] <= before[order_id] for order_id in stayed), place
        self.queues = queues

    def _open_lots_are_sums(self) -> None:
        rows = self.exchange.accounts.rows
        for row in range(len(rows)):
            resting = self.exchange.orders_of(row)
            resting = resting[(resting["flags"] & 1 == 0) & (resting["trigger_ticks"] == 0)]
            for side, name in ((Side.BUY, "open_buy_lots"), (Side.SELL, "open_sell_lots")):
                assert rows[name][row] == resting["quantity_lots"][resting["side"] == side].sum(), (row, name)

    def _no_position_grows_beyond_the_limit(self) -> None:
        """Eq. 23a: nor with all that rests on its side filled; the fund holds what it takes over."""
        most = max(self.exchange.rules.max_position_lots, self.largest_at_the_start)
        for row in range(SYSTEM_ROWS, len(self.exchange.accounts.rows)):
            account = self.exchange.accounts.rows[row]
            assert max(account["position_lots"], 0) + account["open_buy_lots"] <= most, row
            assert max(-account["position_lots"], 0) + account["open_sell_lots"] <= most, row

    def _the_index_is_the_definition(self) -> None:
        """The liquidation price of each account, and where the index has its next trigger, are those found by trying
        each tick."""
        size = self.exchange.rules.ladder_size
        longs, shorts = np.zeros(size, np.int64), np.zeros(size, np.int64)
        for account in accounts_from(self.exchange.accounts):
            watched = account.stage in (Stage.OK, Stage.WARNED)
            price = liquidation_price(self.exchange.rules, account) if watched else 0
            assert account.liquidation_ticks == price, account
            trigger = trigger_price(self.exchange.rules, account) if watched else 0
            assert self._place_in_index(account.row) == trigger, account
            if price:
                (longs if account.position_lots > 0 else shorts)[price] += abs(account.position_lots)
        _, _, indexed_longs, indexed_shorts = self.exchange.profile(np.arange(size + 1))
        assert indexed_longs[1:].tolist() == longs[1:].tolist()
        assert indexed_shorts[1:].tolist() == shorts[1:].tolist()

    def _place_in_index(self, row: int) -> int:
        """Tick of the bucket that an account is in, 0 if in none, by following the links to the head of its list."""
        rows = self.exchange.accounts.rows
        previous = int(rows["index_prev"][row])
        while previous > 0:
            previous = int(rows["index_prev"][previous])
        return (-previous - 1) % self.exchange.rules.ladder_size if previous else 0

    def _depths_are_sums(self) -> None:
        size = self.exchange.rules.ladder_size
        bids, asks, _, _ = self.exchange.profile(np.arange(size + 1))
        for side, profile in ((Side.BUY, bids), (Side.SELL, asks)):
            levels = {price: lots for price, lots, _ in self.exchange.book_levels(side, 10**6)}
            assert [levels.get(price, 0) for price in range(size)] == profile.tolist()
            for low, high in pairwise((0, size // 2 - 2, size // 2 + 1, size)):
                inside = sum(lots for price, lots in levels.items() if low <= price <= high)
                assert self.exchange.depth_within(side, low, high) == inside


def obey(case: Case, check_every: int = 1) -> None:
    """Play a case on the kernel under the eyes of the law."""
    exchange = case.open(Exchange)
    laws = Laws(exchange)
    seen = []
    for number, step in enumerate(case.steps):
        seen.append(play(exchange, step, number))
        if number % check_every == 0:
            laws.check(np.concatenate(seen))
            seen.clear()
