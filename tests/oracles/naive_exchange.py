"""The naive twin of `sim.venue.exchange.Exchange`: one market by the letter of its rules, slow and obvious.

Same constructor, same methods, same events in the same order (the order of MARGIN_CALLs of one tick is free).
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.accounts import INSURANCE_ROW, AccountTable
from marginquake.sim.core.records import EVENT, Cause, EventKind, OrderKind, Reject, Side, Stage
from tests.oracles.naive_accounts import NaiveAccount, accounts_from
from tests.oracles.naive_book import NaiveBook, NaiveOrder
from tests.oracles.naive_margin import (
    backing_equity,
    can_open,
    liquidation_price,
    muldiv,
    price_of_ruin,
    trigger_price,
    value_of_lot,
)
from tests.oracles.naive_settlement import (
    change_position,
    cover_deficit,
    equity_of_closed_part,
    pay_maker_fee,
    pay_taker_fee,
)

PRICED = (OrderKind.LIMIT, OrderKind.POST_ONLY, OrderKind.IOC, OrderKind.FOK)
RESTING = (OrderKind.LIMIT, OrderKind.POST_ONLY)
CONDITIONAL = (OrderKind.STOP, OrderKind.TAKE_PROFIT)
FORCED = (Cause.LIQUIDATION, Cause.TAKEOVER)
ORDER_VIEW = np.dtype(
    [
        ("order_id", "i8"),
        ("side", "i1"),
        ("price_ticks", "i4"),
        ("quantity_lots", "i8"),
        ("flags", "u1"),
        ("trigger_ticks", "i4"),
    ]
)


class NaiveExchange:
    """Book, conditional orders, ledger and margin index of one market."""

    def __init__(self, rules: Any, accounts: AccountTable) -> None:
        self.rules = rules
        self.accounts: list[NaiveAccount] = accounts_from(accounts)
        self.book = NaiveBook()
        self.last_ticks = 0
        self.mark_ticks = 0
        self._now_ns = 0
        self._events: list[dict[str, int]] = []

    # -- what callers may do ---------------------------------------------------------------------------------------

    def process(self, commands: NDArray[Any]) -> NDArray[Any]:
        """Apply commands in the given order; returns what happened."""
        for command in commands:
            self._now_ns = int(command["arrival_ns"])
            self._apply({name: int(command[name]) for name in command.dtype.names})
            self._fire_by_last()
        return self._drain()

    def set_mark(self, mark_ticks: int, time_ns: int, fires: bool = True) -> NDArray[Any]:
        """A new mark: fires what watches it, then calls every account whose liquidation price it has reached."""
        self.mark_ticks = int(mark_ticks)
        self._now_ns = int(time_ns)
        if fires:
            self.book.reach(self.mark_ticks, by_mark=True)
        while (order := self.book.next_triggered(by_mark=True)) is not None:
            self._fire(order)
            self._fire_by_last()
        self._call_margins()
        return self._drain()

    def seed_position(self, row: int, signed_lots: int, entry_ticks: int) -> None:
        """Book a position without a trade, at `entry_ticks`, free of fees."""
        if signed_lots:
            side = 1 if signed_lots > 0 else -1
            change_position(self.rules, self.accounts[row], side, abs(int(signed_lots)), int(entry_ticks))
        self._relink(self.accounts[row])

    def set_brackets(self, rate_ppm: Sequence[int], deduction: Sequence[int], initial_ppm: Sequence[int]) -> None:
        """Other margins from now on; caps stay.  Liquidation prices wait for `relink`."""
        self.rules = replace(
            self.rules,
            bracket_rate_ppm=tuple(rate_ppm),
            bracket_deduction=tuple(deduction),
            bracket_initial_ppm=tuple(initial_ppm),
        )

    def relink(self, rows: Iterable[int]) -> None:
        """Reckon liquidation prices again, after money was moved from outside."""
        for row in rows:
            self._relink(self.accounts[int(row)])

    # -- what callers may ask --------------------------------------------------------------------------------------

    @property
    def best_bid_ticks(self) -> int:
        """Highest bid, 0 = none."""
        return self.book.best_price(Side.BUY)

    @property
    def best_ask_ticks(self) -> int:
        """Lowest ask, 0 = none."""
        return self.book.best_price(Side.SELL)

    def level_lots(self, side: int, price_ticks: int) -> int:
        """Lots resting at one price."""
        return sum(order.quantity_lots for order in self.book.queue(side, price_ticks))

    def depth_within(self, side: int, low_ticks: int, high_ticks: int) -> int:
        """Lots resting at low..high, both included."""
        return sum(o.quantity_lots for o in self.book.side(side) if low_ticks <= o.price_ticks <= high_ticks)

    def book_levels(self, side: int, count: int) -> list[tuple[int, int, int]]:
        """(price, lots, number of orders) of the best `count` levels."""
        prices: list[int] = []
        for order in self.book.side(side):
            if order.price_ticks not in prices:
                prices.append(order.price_ticks)
        return [(p, self.level_lots(side, p), len(self.book.queue(side, p))) for p in prices[:count]]

    def queue(self, side: int, price_ticks: int) -> list[tuple[int, int, int]]:
        """(order id, account, lots) of one level, in priority order."""
        return [(o.order_id, o.account, o.quantity_lots) for o in self.book.queue(side, price_ticks)]

    def orders_of(self, row: int) -> NDArray[Any]:
        """Live orders of one account, newest first."""
        found = [
            (o.order_id, o.side, o.price_ticks, o.quantity_lots, o.flags, o.trigger_ticks)
            for o in self.book.of_account(int(row))
        ]
        return np.array(found, ORDER_VIEW)

    # -- commands --------------------------------------------------------------------------------------------------

    def _apply(self, command: dict[str, int]) -> None:
        kind = command["kind"]
        if kind == OrderKind.CANCEL:
            self._cancel(command)
        elif kind == OrderKind.CANCEL_ALL:
            for order in self.book.of_account(command["account"]):
                self._withdraw(order, Reject.NONE)
        elif kind == OrderKind.MODIFY:
            self._modify(command)
        else:
            self._enter(command)

    def _enter(self, command: dict[str, int]) -> None:
        order = NaiveOrder(
            order_id=command["order_id"],
            account=command["account"],
            kind=command["kind"],
            side=command["side"],
            price_ticks=command["price_ticks"],
            quantity_lots=command["quantity_lots"],
            flags=command["flags"],
            cause=command["cause"],
            trigger_ticks=command["trigger_ticks"],
        )
        asked = order.quantity_lots
        reason = self._refusal(order)
        if reason != Reject.NONE:
            self._say(EventKind.REJECTED, order, quantity_lots=asked, reason=reason)
        elif order.kind in CONDITIONAL:
            self.book.wait(order)
            self._say(EventKind.ACCEPTED, order)
        else:
            self._match(order, self._limit_of(order))
            self._finish(order, say_accepted=True)

    def _refusal(self, order: NaiveOrder) -> Reject:
        """The checks of a new order, first failure first; a reduce-only order is cut to the position on the way."""
        account = self.accounts[order.account]
        if not 0 < order.quantity_lots <= self.rules.max_position_lots:
            return Reject.BAD_QUANTITY
        if account.stage in (Stage.LIQUIDATING, Stage.TAKEN_OVER) and order.cause not in FORCED:
            return Reject.IN_LIQUIDATION
        if not self._prices_in_range(order):
            return Reject.PRICE_OUT_OF_RANGE
        if order.kind in PRICED and self._outside_band(order.side, order.price_ticks):
            return Reject.PRICE_BAND
        if order.kind in CONDITIONAL:
            watched = self.mark_ticks if order.watches_mark else self.last_ticks
            return Reject.TRIGGER_CROSSED if order.fires_at(watched) else Reject.NONE
        if order.kind in RESTING and self._ruins_the_fund(order):
            return Reject.PRICE_BAND
        if order.reduce_only:
            allowed = self._reducible(order)
            if allowed == 0:
                return Reject.NOT_REDUCING
            order.quantity_lots = min(order.quantity_lots, allowed)
        elif self._beyond_limit(order, order.quantity_lots):
            return Reject.POSITION_LIMIT
        elif not self._has_margin(order, order.quantity_lots):
            return Reject.INSUFFICIENT_MARGIN
        if order.kind == OrderKind.POST_ONLY and self.book.marketable(order.side, order.price_ticks):
            return Reject.WOULD_CROSS
        if order.kind == OrderKind.FOK and self._fillable(order) < order.quantity_lots:
            return Reject.NOT_FILLABLE
        return Reject.NONE

    def _cancel(self, command: dict[str, int]) -> None:
        order = self.book.find(command["order_id"])
        facts = {"account": command["account"], "order_id": command["order_id"]}
        if order is None:
            self._event(kind=EventKind.REJECTED, reason=Reject.UNKNOWN_ORDER, **facts)
        elif order.account != command["account"]:
            self._event(kind=EventKind.REJECTED, reason=Reject.NOT_OWNER, **facts)
        else:
            self._withdraw(order, Reject.NONE)

    def _modify(self, command: dict[str, int]) -> None:
        order = self.book.find(command["order_id"])
        price, lots = command["price_ticks"], command["quantity_lots"]
        refusal = self._refusal_to_modify(order, command)
        if refusal != Reject.NONE:
            self._refuse(command, order, refusal)
            return
        assert order is not None
        if order.reduce_only:
            lots = min(lots, self._reducible(order))
        if price == order.price_ticks and lots <= order.quantity_lots:
            order.quantity_lots = lots
            self._say(EventKind.MODIFIED, order)
        else:
            self.book.remove(order)
            order.price_ticks, order.quantity_lots = price, lots
            self._say(EventKind.MODIFIED, order)
            self._match(order, price)
            self._finish(order, say_accepted=False)

    def _refusal_to_modify(self, order: NaiveOrder | None, command: dict[str, int]) -> Reject:
        price, lots = command["price_ticks"], command["quantity_lots"]
        if order is None or order.kind in CONDITIONAL:
            return Reject.UNKNOWN_ORDER
        if order.account != command["account"]:
            return Reject.NOT_OWNER
        stage = self.accounts[order.account].stage
        if stage in (Stage.LIQUIDATING, Stage.TAKEN_OVER) and order.cause not in FORCED:
            return Reject.IN_LIQUIDATION
        if not 0 < lots <= self.rules.max_position_lots:
            return Reject.BAD_QUANTITY
        if not self._in_range(price):
            return Reject.PRICE_OUT_OF_RANGE
        if self._outside_band(order.side, price) or self._ruins_the_fund(replace(order, price_ticks=price)):
            return Reject.PRICE_BAND
        if order.reduce_only:
            if self._reducible(order) == 0:
                return Reject.NOT_REDUCING
        elif self._beyond_limit(order, lots - order.quantity_lots):
            return Reject.POSITION_LIMIT
        elif not self._has_margin(order, lots - order.quantity_lots):
            return Reject.INSUFFICIENT_MARGIN
        if order.kind == OrderKind.POST_ONLY and self.book.marketable(order.side, price):
            return Reject.WOULD_CROSS
        return Reject.NONE

    # -- checks ----------------------------------------------------------------------------------------------------

    def _in_range(self, price_ticks: int) -> bool:
        return 1 <= price_ticks <= self.rules.ladder_size - 1

    def _prices_in_range(self, order: NaiveOrder) -> bool:
        if order.kind in PRICED:
            return self._in_range(order.price_ticks)
        bound_is_fine = order.price_ticks == 0 or self._in_range(order.price_ticks)
        return bound_is_fine and (order.kind not in CONDITIONAL or self._in_range(order.trigger_ticks))

    def _band(self) -> tuple[int, int] | None:
        if self.rules.price_band_ppm <= 0 or self.mark_ticks <= 0:
            return None
        reach = muldiv(self.mark_ticks, self.rules.price_band_ppm)
        return self.mark_ticks - reach, self.mark_ticks + reach

    def _outside_band(self, side: int, price_ticks: int) -> bool:
        band = self._band()
        return band is not None and (price_ticks > band[1] if side == Side.BUY else price_ticks < band[0])

    def _limit_of(self, order: NaiveOrder) -> int | None:
        """Worst price the order may trade at; None = any.

        The insurance fund does not ruin itself: what it sends to close its position stops at the price where closing
        all of it leaves nothing.  An order that may rest is not bounded so (it would cross the book).
        """
        limits = [order.price_ticks] if order.price_ticks else []
        band = self._band()
        if band is not None and order.kind not in PRICED:
            limits.append(band[1] if order.side == Side.BUY else band[0])
        fund = self.accounts[INSURANCE_ROW]
        if order.account == INSURANCE_ROW and order.kind not in RESTING and fund.position_lots * order.side < 0:
            limits.append(price_of_ruin(self.rules, fund))
        if not limits:
            return None
        return min(limits) if order.side == Side.BUY else max(limits)

    def _reducible(self, order: NaiveOrder) -> int:
        """Lots by which the order could bring its owner closer to zero."""
        position = self.accounts[order.account].position_lots
        return abs(position) if position * order.side < 0 else 0

    def _ruins_the_fund(self, order: NaiveOrder) -> bool:
        """Whether this is the insurance fund's, and closing all it holds at this price would leave it owing."""
        fund = self.accounts[INSURANCE_ROW]
        if order.account != INSURANCE_ROW or fund.position_lots * order.side >= 0:
            return False
        return order.side * (order.price_ticks - price_of_ruin(self.rules, fund)) > 0

    def _offered(self, maker: NaiveOrder) -> int:
        """Lots of a resting order that may trade."""
        if self._ruins_the_fund(maker):
            return 0
        return min(maker.quantity_lots, self._reducible(maker)) if maker.reduce_only else maker.quantity_lots

    def _beyond_limit(self, order: NaiveOrder, extra_lots: int) -> bool:
        """Whether all orders on this side and the extra lots, once filled, make more than the largest position."""
        account = self.accounts[order.account]
        if extra_lots <= 0 or account.of_the_venue:
            return False
        signed = max(order.side * account.position_lots, 0)
        return signed + self.book.open_lots(order.account, order.side) + extra_lots > self.rules.max_position_lots

    def _has_margin(self, order: NaiveOrder, extra_lots: int) -> bool:
        account = self.accounts[order.account]
        if extra_lots <= 0 or account.initial_margin_ppm <= 0 or order.cause in FORCED or self.mark_ticks <= 0:
            return True
        buys = self.book.open_lots(order.account, Side.BUY)
        sells = self.book.open_lots(order.account, Side.SELL)
        return can_open(self.rules, account, buys, sells, order.side, extra_lots, self.mark_ticks)

    def _fillable(self, order: NaiveOrder) -> int:
        """Lots that are sure to trade, one maker after the other.

        A reduce-only order counts as far as its owner still holds something then.  The insurance fund's do not count:
        what they may trade depends on what the fund pays meanwhile.
        """
        lots = 0
        held = {account.row: account.position_lots for account in self.accounts}
        for maker in self.book.marketable(order.side, self._limit_of(order)):
            if maker.account == order.account:
                if self.rules.self_trade_cancels_taker:
                    break
                continue
            offered = maker.quantity_lots
            if maker.reduce_only:
                offered = min(offered, max(0, -maker.side * held[maker.account]))
            held[maker.account] += maker.side * offered
            if maker.account != INSURANCE_ROW:
                lots += offered
        return lots

    # -- matching --------------------------------------------------------------------------------------------------

    def _match(self, order: NaiveOrder, limit_ticks: int | None) -> None:
        """Trade with the best, oldest order there is, until done; `order` keeps what is left."""
        while order.quantity_lots > 0:
            makers = self.book.marketable(order.side, limit_ticks)
            if not makers:
                return
            maker = makers[0]
            if maker.account == order.account:
                if self.rules.self_trade_cancels_taker:
                    self._say(EventKind.EXPIRED, order, reason=Reject.SELF_TRADE)
                    order.quantity_lots = 0
                    return
                self._withdraw(maker, Reject.SELF_TRADE)
                continue
            lots = min(order.quantity_lots, self._offered(maker))
            if lots == 0:
                self._withdraw(maker, Reject.NOT_REDUCING)
                continue
            self._trade(order, maker, lots)

    def _trade(self, taker: NaiveOrder, maker: NaiveOrder, lots: int) -> None:
        price = maker.price_ticks
        notional = abs(lots * value_of_lot(self.rules, price))
        taker_account, maker_account = self.accounts[taker.account], self.accounts[maker.account]
        taker.quantity_lots -= lots
        maker.quantity_lots -= lots
        if maker.quantity_lots == 0:
            self.book.remove(maker)
        self.last_ticks = price
        self.book.reach(price, by_mark=False)

        closed_equity = equity_of_closed_part(self.rules, taker_account, taker.side, lots, price)
        change_position(self.rules, taker_account, taker.side, lots, price)
        fee = pay_taker_fee(self.rules, self.accounts, taker_account, notional, taker.cause, closed_equity)
        self._say(
            EventKind.FILL,
            taker,
            quantity_lots=lots,
            price_ticks=price,
            money=fee,
            maker_account=maker.account,
            maker_order_id=maker.order_id,
        )
        self._after_fill(taker_account)
        change_position(self.rules, maker_account, maker.side, lots, price)
        pay_maker_fee(self.rules, self.accounts, maker_account, notional)
        self._after_fill(maker_account)

    def _after_fill(self, account: NaiveAccount) -> None:
        deficit, paid = cover_deficit(self.accounts, account)
        if deficit > 0:
            self._event(kind=EventKind.INSURANCE, account=account.row, money=paid)
        self._relink(account)

    def _finish(self, order: NaiveOrder, *, say_accepted: bool) -> None:
        """What becomes of a remainder."""
        if order.quantity_lots == 0:
            return
        if order.kind in RESTING:
            self.book.rest(order)
            if say_accepted:
                self._say(EventKind.ACCEPTED, order)
        else:
            self._say(EventKind.EXPIRED, order, reason=Reject.NO_LIQUIDITY)

    def _withdraw(self, order: NaiveOrder, reason: Reject) -> None:
        self.book.remove(order)
        self._say(EventKind.CANCELLED, order, reason=reason)

    # -- conditional orders ----------------------------------------------------------------------------------------

    def _fire_by_last(self) -> None:
        while (order := self.book.next_triggered(by_mark=False)) is not None:
            self._fire(order)

    def _fire(self, order: NaiveOrder) -> None:
        self.book.remove(order)
        self._say(EventKind.TRIGGERED, order, price_ticks=order.trigger_ticks)
        if self.accounts[order.account].stage in (Stage.LIQUIDATING, Stage.TAKEN_OVER):
            self._say(EventKind.REJECTED, order, reason=Reject.IN_LIQUIDATION)
            return
        self._enter(
            {
                "order_id": order.order_id,
                "account": order.account,
                "kind": int(OrderKind.MARKET),
                "side": order.side,
                "price_ticks": order.price_ticks,
                "quantity_lots": order.quantity_lots,
                "flags": order.flags,
                "cause": order.cause,
                "trigger_ticks": 0,
            }
        )

    # -- margin ----------------------------------------------------------------------------------------------------

    def _relink(self, account: NaiveAccount) -> None:
        """Only accounts that nobody has called yet have a liquidation price and a trigger (0: none)."""
        watched = account.stage in (Stage.OK, Stage.WARNED)
        account.liquidation_ticks = liquidation_price(self.rules, account) if watched else 0
        account.trigger_ticks = trigger_price(self.rules, account) if watched else 0

    def _call_margins(self) -> None:
        """A price that jumps beyond the warning and the call does both, one after the other."""
        for account in self.accounts:
            while self._reached(account):
                warned = account.stage == Stage.OK and self.rules.warning_ppm > self.rules.call_ppm
                account.stage = Stage.WARNED if warned else Stage.CALLED
                self._event(
                    kind=EventKind.WARNING if warned else EventKind.MARGIN_CALL,
                    account=account.row,
                    quantity_lots=abs(account.position_lots),
                    side=1 if account.position_lots > 0 else -1,
                    price_ticks=account.trigger_ticks,
                    money=backing_equity(self.rules, account, self.mark_ticks),
                )
                self._relink(account)

    def _reached(self, account: NaiveAccount) -> bool:
        if account.trigger_ticks == 0:
            return False
        if account.position_lots > 0:
            return account.trigger_ticks >= self.mark_ticks
        return account.trigger_ticks <= self.mark_ticks

    # -- events ----------------------------------------------------------------------------------------------------

    def _say(self, kind: EventKind, order: NaiveOrder, **changes: int) -> None:
        facts = {
            "account": order.account,
            "order_id": order.order_id,
            "side": order.side,
            "price_ticks": order.price_ticks,
            "quantity_lots": order.quantity_lots,
            "cause": order.cause,
        }
        self._event(kind=kind, **(facts | changes))

    def _refuse(self, command: dict[str, int], order: NaiveOrder | None, reason: Reject) -> None:
        """A refused MODIFY names what was asked for, and side and cause of the order if it rests in the book."""
        rests = order is not None and order.kind not in CONDITIONAL
        self._event(
            kind=EventKind.REJECTED,
            reason=reason,
            side=order.side if rests and order else 0,
            cause=order.cause if rests and order else 0,
            **{name: command[name] for name in ("account", "order_id", "price_ticks", "quantity_lots")},
        )

    def _event(self, **facts: int) -> None:
        self._events.append({"time_ns": self._now_ns, "mark_ticks": self.mark_ticks} | facts)

    def _drain(self) -> NDArray[Any]:
        events = np.zeros(len(self._events), EVENT)
        events["maker_account"] = -1
        for row, facts in enumerate(self._events):
            for name, value in facts.items():
                events[name][row] = int(value)
        self._events = []
        return events


def open_lots(exchange: NaiveExchange, row: int) -> Sequence[int]:
    """(buy, sell) lots of resting orders that could enlarge the position of one account."""
    return exchange.book.open_lots(row, Side.BUY), exchange.book.open_lots(row, Side.SELL)
