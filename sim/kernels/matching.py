"""Orders meet: resting, cancelling and trading, with a venue's ledger behind them or without.

There is one text of the rules.  `matching` compiles it with what a market needs and without the rest: numba drops a
branch on a constant before it looks at it, so the bare book (`sim.kernels.book_only`) pays nothing for accounts it
has not,
and the venue's (`sim.kernels.rulebook`) matches by the same lines.
"""

from typing import Any, NamedTuple

import numpy as np

from marginquake.sim.core.accounts import INSURANCE_ROW
from marginquake.sim.core.records import Cause, EventKind, Flag, OrderKind, Reject
from marginquake.sim.kernels import Helper, bitmap, helper, routine
from marginquake.sim.kernels.admission import (
    beyond_limit,
    beyond_ruin,
    crosses,
    lacks_margin,
    market_limit,
    reducible,
    solvent_limit,
)
from marginquake.sim.kernels.book import (
    BOOK,
    POSTED,
    enter_level,
    enter_trigger,
    forget,
    give_slot,
    leave_level,
    leave_trigger,
    remember,
    take_slot,
)
from marginquake.sim.kernels.settlement import settle_fill

_BUY = np.int64(1)
_ZERO = np.int64(0)
_REDUCE_ONLY = np.int64(Flag.REDUCE_ONLY)
_LIQUIDATION = np.int64(Cause.LIQUIDATION)
_TAKEOVER = np.int64(Cause.TAKEOVER)

_ACCEPTED = np.int64(EventKind.ACCEPTED)
_CANCELLED = np.int64(EventKind.CANCELLED)
_REJECTED = np.int64(EventKind.REJECTED)
_EXPIRED = np.int64(EventKind.EXPIRED)

_POST_ONLY = np.int64(OrderKind.POST_ONLY)
_MARKET = np.int64(OrderKind.MARKET)
_FOK = np.int64(OrderKind.FOK)

_NONE = np.int64(Reject.NONE)
_SELF_TRADE = np.int64(Reject.SELF_TRADE)
_NOT_REDUCING = np.int64(Reject.NOT_REDUCING)
_WOULD_CROSS = np.int64(Reject.WOULD_CROSS)
_PRICE_BAND = np.int64(Reject.PRICE_BAND)
_NOT_FILLABLE = np.int64(Reject.NOT_FILLABLE)
_INSUFFICIENT_MARGIN = np.int64(Reject.INSUFFICIENT_MARGIN)
_POSITION_LIMIT = np.int64(Reject.POSITION_LIMIT)
_NO_LIQUIDITY = np.int64(Reject.NO_LIQUIDITY)


@helper
def is_forced(cause):
    """True for the orders of the liquidation engine and of the fund."""
    return cause == _LIQUIDATION or cause == _TAKEOVER


class Matching(NamedTuple):
    """The functions of one way of matching; the kernels call them under these names."""

    wait: Helper
    drop: Helper
    cancel: Helper
    release_open: Helper
    trade: Helper


def matching(*, ledger: bool, emit: Any, emit_fill: Any) -> Matching:
    """Compile matching for a `Market` (`ledger`: settlement, margin, reduce-only and conditional orders) or for a
    `Book` (none of these).  `emit`, `emit_fill`: what logs a fact, with the arguments of those in
    `sim.kernels.state`; None: nothing does (a market's settlement needs its events).  The fills are the same."""
    log = emit is not None

    @helper
    def new_order(x, order_id, account, side, price, lots, flags, cause, queue):
        """Take a slot and write an order into it; it is in no level yet."""
        slot = take_slot(x)
        order = x.orders[slot]
        order["order_id"] = order_id
        order["quantity_lots"] = lots
        order["account"] = account
        order["price_ticks"] = price
        order["side"] = side
        order["flags"] = flags
        order["cause"] = cause
        order["queue"] = queue
        if ledger:
            a = x.accounts[np.uint64(account)]
            head = np.uint32(a["first_order"])
            x.links[slot]["account_next"] = head
            x.links[slot]["account_prev"] = 0
            if head != 0:
                x.links[head]["account_prev"] = slot
            a["first_order"] = slot
        remember(x, order_id, slot)
        return slot

    @helper
    def rest(x, order_id, account, side, kind, price, lots, flags, cause):
        """Put an order to rest in the book."""
        queue = POSTED if kind == _POST_ONLY else BOOK
        slot = new_order(x, order_id, account, side, price, lots, flags, cause, queue)
        if ledger:
            if not flags & _REDUCE_ONLY:
                a = x.accounts[np.uint64(account)]
                if side == _BUY:
                    a["open_buy_lots"] += lots
                else:
                    a["open_sell_lots"] += lots
        enter_level(x, slot, side, price, lots)

    @helper
    def wait(x, order_id, account, side, price, trigger, lots, flags, cause, queue):
        """Put a conditional order to wait in one of the four ladders of triggers."""
        slot = new_order(x, order_id, account, side, price, lots, flags, cause, queue)
        x.links[slot]["trigger_ticks"] = trigger
        enter_trigger(x, slot, queue, trigger, lots)

    @helper
    def release_open(x, slot, lots):
        """Subtract from the account's resting quantity (reduce-only and waiting orders do not count there)."""
        order = x.orders[slot]
        if order["queue"] < 0 and not order["flags"] & _REDUCE_ONLY:
            a = x.accounts[np.uint64(order["account"])]
            if order["side"] == _BUY:
                a["open_buy_lots"] -= lots
            else:
                a["open_sell_lots"] -= lots

    @helper
    def drop(x, slot):
        """Remove an order altogether and give its slot back."""
        order = x.orders[slot]
        if ledger:
            release_open(x, slot, np.int64(order["quantity_lots"]))
            if order["queue"] < 0:
                leave_level(x, slot)
            else:
                leave_trigger(x, slot)
            following = x.links[slot]["account_next"]
            previous = x.links[slot]["account_prev"]
            if following != 0:
                x.links[following]["account_prev"] = previous
            if previous != 0:
                x.links[previous]["account_next"] = following
            else:
                x.accounts[np.uint64(order["account"])]["first_order"] = following
        else:
            leave_level(x, slot)
        forget(x, order["order_id"], slot)
        give_slot(x, slot)

    @helper
    def cancel(x, slot, time_ns, reason):
        """Drop an order and say so."""
        if log:
            o = x.orders[slot]
            account = np.int64(o["account"])
            side = np.int64(o["side"])
            price = np.int64(o["price_ticks"])
            lots = np.int64(o["quantity_lots"])
            cause = np.int64(o["cause"])
            emit(x, _CANCELLED, time_ns, account, o["order_id"], side, price, lots, cause, reason)
        drop(x, slot)

    @helper
    def allowed(x, order):
        """Lots of a resting order that may trade: a reduce-only one is cut to what reduces, and none of the insurance
        fund's that would leave it owing (eq. 19b)."""
        lots = np.int64(order["quantity_lots"])
        if ledger:
            if order["account"] == INSURANCE_ROW:
                if beyond_ruin(x, np.int64(order["side"]), np.int64(order["price_ticks"])):
                    return _ZERO
            if order["flags"] & _REDUCE_ONLY:
                return min(lots, reducible(x, np.int64(order["account"]), np.int64(order["side"])))
        return lots

    @routine
    def reduces(x, slot):
        """Lots of a resting reduce-only order that may trade once all its owner's orders before it have."""
        found = x.orders[slot]
        account = np.int64(found["account"])
        side = np.int64(found["side"])
        held = x.accounts[np.uint64(account)]["position_lots"]
        held = -held if side == _BUY else held
        state = x.state[0]
        price = state["best_bid"] if side == _BUY else state["best_ask"]
        while held > 0:
            before = x.levels[np.uint64(price)]["head"]
            while before != 0 and before != slot and held > 0:
                order = x.orders[before]
                if order["account"] == account:
                    held -= order["quantity_lots"]
                before = order["next"]
            if before == slot:
                break
            price = bitmap.below(x.bits, price - 1) if side == _BUY else bitmap.above(x.bits, price + 1)
        return min(np.int64(found["quantity_lots"]), max(held, _ZERO))

    @helper
    def counts(x, slot):
        """Lots of a resting order that are sure to trade with an order that comes now and takes all before it.

        Of the insurance fund's none: what it may trade changes with what it pays and receives on the way."""
        order = x.orders[slot]
        if ledger:
            if order["account"] == INSURANCE_ROW:
                return _ZERO
            if order["flags"] & _REDUCE_ONLY:
                return reduces(x, slot)
        return np.int64(order["quantity_lots"])

    @routine
    def fillable(x, account, side, limit, wanted):
        """Lots sure to be available to an aggressor within its limit; stops counting at `wanted`, and at an order of
        its own where meeting that one ends it."""
        state = x.state[0]
        stops = x.rules[0]["self_trade_cancels_taker"] != 0
        total = _ZERO
        price = state["best_ask"] if side == _BUY else state["best_bid"]
        while total < wanted:
            if side == _BUY:
                if price > limit or price >= x.rules[0]["size"] or price < 0:
                    break
            elif price < limit or price <= 0:
                break
            slot = x.levels[np.uint64(price)]["head"]
            while slot != 0 and total < wanted:
                order = x.orders[slot]
                if order["account"] != account:
                    total += counts(x, slot)
                elif stops:
                    return total
                slot = order["next"]
            price = bitmap.above(x.bits, price + 1) if side == _BUY else bitmap.below(x.bits, price - 1)
            if price < 0:
                break
        return total

    @helper
    def match(x, time_ns, order_id, account, side, price_said, limit, lots, cause):
        """Trade against the other side, oldest order of the best level first.  Returns what is left (0 after a
        self-trade that expires the aggressor).  `limit`: worst price; `price_said`: the order's own price."""
        state = x.state[0]
        size = x.rules[0]["size"]
        remaining = lots
        while remaining > 0:
            if side == _BUY:
                price = state["best_ask"]
                if price > limit or price >= size:
                    break
            else:
                price = state["best_bid"]
                if price < limit or price <= 0:
                    break
            level = x.levels[np.uint64(price)]
            slot = level["head"]
            maker = x.orders[slot]
            owner = np.int64(maker["account"])
            within = allowed(x, maker)
            if owner == account or within == 0:
                if owner == account and x.rules[0]["self_trade_cancels_taker"] != 0:
                    if log:
                        emit(x, _EXPIRED, time_ns, account, order_id, side, price_said, remaining, cause, _SELF_TRADE)
                    return _ZERO
                cancel(x, slot, time_ns, _SELF_TRADE if owner == account else _NOT_REDUCING)
                continue
            traded = min(remaining, within)
            remaining -= traded
            held = np.int64(maker["quantity_lots"])
            state["last"] = price
            state["fills"] += 1
            if ledger:
                if price < state["low"]:
                    state["low"] = price
                if price > state["high"]:
                    state["high"] = price
            if log:
                n = emit_fill(x, time_ns, account, order_id, side, price, traded, cause, maker["order_id"], owner)
            if traded == held:
                drop(x, slot)
            else:
                maker["quantity_lots"] = held - traded
                level["lots"] -= traded
                if ledger:
                    release_open(x, slot, traded)
            if ledger:
                signed = traded if side == _BUY else -traded
                x.events[n]["money"] = settle_fill(x, account, owner, signed, price, cause, time_ns)
        return remaining

    @helper
    def refusal(x, account, side, kind, price, limit, lots, flags, cause):
        """Why an order may not trade or rest now, given the present position and book; NONE if it may."""
        if ledger:
            if account == INSURANCE_ROW and kind <= _POST_ONLY and beyond_ruin(x, side, price):
                return _PRICE_BAND
            if flags & _REDUCE_ONLY:
                if lots <= 0:
                    return _NOT_REDUCING
            elif beyond_limit(x, account, side, lots):
                return _POSITION_LIMIT
            elif not is_forced(cause) and lacks_margin(x, account, side, lots):
                return _INSUFFICIENT_MARGIN
        if kind == _POST_ONLY:
            if crosses(x, side, price):
                return _WOULD_CROSS
        elif kind == _FOK and fillable(x, account, side, limit, lots) < lots:
            return _NOT_FILLABLE
        return _NONE

    @helper
    def trade(x, time_ns, order_id, account, side, kind, price, asked, flags, cause, replaces):
        """The checks that need the present position and book, matching, and what becomes of the remainder.

        `replaces`: the rest of a modified order, which has been checked and announced."""
        lots = asked
        limit = price
        if kind == _MARKET:
            limit = market_limit(x, side, price)
        if ledger:
            if account == INSURANCE_ROW and kind > _POST_ONLY:
                limit = solvent_limit(x, account, side, limit)
            if flags & _REDUCE_ONLY:
                lots = min(lots, reducible(x, account, side))
        if not replaces:
            reason = refusal(x, account, side, kind, price, limit, lots, flags, cause)
            if reason != _NONE:
                if log:
                    emit(x, _REJECTED, time_ns, account, order_id, side, price, asked, cause, reason)
                return
        left = match(x, time_ns, order_id, account, side, price, limit, lots, cause)
        if left <= 0:
            return
        what = _ACCEPTED
        reason = _NONE
        if kind <= _POST_ONLY:
            rest(x, order_id, account, side, kind, price, left, flags, cause)
        else:
            what = _EXPIRED
            reason = _NO_LIQUIDITY
        if log:
            if not replaces:
                emit(x, what, time_ns, account, order_id, side, price, left, cause, reason)

    return Matching(wait, drop, cancel, release_open, trade)
