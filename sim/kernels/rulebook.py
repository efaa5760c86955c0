"""The rulebook: what a command must pass, what it does, which conditional orders it sets off."""

import numpy as np

from marginquake.sim.core.accounts import INSURANCE_ROW
from marginquake.sim.core.records import EventKind, Flag, OrderKind, Reject, Stage
from marginquake.sim.kernels import bitmap, helper, kernel, routine
from marginquake.sim.kernels.admission import (
    beyond_limit,
    beyond_ruin,
    crosses,
    in_range,
    lacks_margin,
    outside_band,
    reducible,
)
from marginquake.sim.kernels.book import POSTED, find
from marginquake.sim.kernels.matching import is_forced, matching
from marginquake.sim.kernels.state import ABOVE_LAST, ABOVE_MARK, BELOW_LAST, BELOW_MARK, emit, emit_fill
from marginquake.sim.kernels.valuation import muldiv

_BUY = np.int64(1)
_ZERO = np.int64(0)
_REDUCE_ONLY = np.int64(Flag.REDUCE_ONLY)
_ON_MARK = np.int64(Flag.TRIGGER_ON_MARK)
_LIQUIDATING = np.int64(Stage.LIQUIDATING)
_ACCEPTED = np.int64(EventKind.ACCEPTED)
_MODIFIED = np.int64(EventKind.MODIFIED)
_REJECTED = np.int64(EventKind.REJECTED)
_TRIGGERED = np.int64(EventKind.TRIGGERED)
_LIMIT = np.int64(OrderKind.LIMIT)
_POST_ONLY = np.int64(OrderKind.POST_ONLY)
_MARKET = np.int64(OrderKind.MARKET)
_STOP = np.int64(OrderKind.STOP)
_TAKE_PROFIT = np.int64(OrderKind.TAKE_PROFIT)
_CANCEL = np.int64(OrderKind.CANCEL)
_MODIFY = np.int64(OrderKind.MODIFY)
_NONE = np.int64(Reject.NONE)
_UNKNOWN_ORDER = np.int64(Reject.UNKNOWN_ORDER)
_PRICE_BAND = np.int64(Reject.PRICE_BAND)
_PRICE_OUT_OF_RANGE = np.int64(Reject.PRICE_OUT_OF_RANGE)
_INSUFFICIENT_MARGIN = np.int64(Reject.INSUFFICIENT_MARGIN)
_NOT_REDUCING = np.int64(Reject.NOT_REDUCING)
_WOULD_CROSS = np.int64(Reject.WOULD_CROSS)
_BAD_QUANTITY = np.int64(Reject.BAD_QUANTITY)
_IN_LIQUIDATION = np.int64(Reject.IN_LIQUIDATION)
_NOT_OWNER = np.int64(Reject.NOT_OWNER)
_TRIGGER_CROSSED = np.int64(Reject.TRIGGER_CROSSED)
_POSITION_LIMIT = np.int64(Reject.POSITION_LIMIT)
_NO_MARK = np.int64(-1)
_book = matching(ledger=True, emit=emit, emit_fill=emit_fill)
_wait = _book.wait
_drop = _book.drop
_cancel = _book.cancel
_release_open = _book.release_open
_trade = _book.trade


@helper
def _conditional(kind):
    return kind == _STOP or kind == _TAKE_PROFIT


@helper
def _refusal(x, account, side, kind, price, trigger, lots, flags, cause):
    """Why a new order is not admitted, in the order of docs/model.md; NONE if it is."""
    if lots <= 0 or lots > x.rules[0]["max_position_lots"]:
        return _BAD_QUANTITY
    if x.accounts[np.uint64(account)]["stage"] >= _LIQUIDATING and not is_forced(cause):
        return _IN_LIQUIDATION
    if kind < _MARKET or (kind > _MARKET and kind < _STOP):
        if not in_range(x, price):
            return _PRICE_OUT_OF_RANGE
        if outside_band(x, side, price):
            return _PRICE_BAND
    elif price != 0 and not in_range(x, price):
        return _PRICE_OUT_OF_RANGE
    if _conditional(kind):
        if not in_range(x, trigger):
            return _PRICE_OUT_OF_RANGE
        watched = x.state[0]["mark"] if flags & _ON_MARK else x.state[0]["last"]
        crossed = watched <= trigger if _fires_below(kind, side) else watched >= trigger
        if watched > 0 and crossed:
            return _TRIGGER_CROSSED
    return _NONE


@helper
def _fires_below(kind, side):
    return (kind == _STOP) == (side != _BUY)


@helper
def _ladder(kind, side, flags):
    """Which of the four ladders of triggers a conditional order waits in."""
    if flags & _ON_MARK:
        return BELOW_MARK if _fires_below(kind, side) else ABOVE_MARK
    return BELOW_LAST if _fires_below(kind, side) else ABOVE_LAST


@routine
def _modify(x, slot, time_ns, order_id, account, price, asked):
    """New price and remaining quantity; only a reduction at the same price keeps the place in the queue.  Returns the
    lots that lost it: their order is out of the book and trades as if it were new."""
    if slot == 0 or x.orders[slot]["queue"] >= 0:
        emit(x, _REJECTED, time_ns, account, order_id, _ZERO, price, asked, _ZERO, _UNKNOWN_ORDER)
        return _ZERO
    lots = asked
    order = x.orders[slot]
    side = np.int64(order["side"])
    flags = np.int64(order["flags"])
    cause = np.int64(order["cause"])
    held = np.int64(order["quantity_lots"])
    reason = _NONE
    if order["account"] != account:
        reason = _NOT_OWNER
    elif x.accounts[np.uint64(account)]["stage"] >= _LIQUIDATING and not is_forced(cause):
        reason = _IN_LIQUIDATION
    elif lots <= 0 or lots > x.rules[0]["max_position_lots"]:
        reason = _BAD_QUANTITY
    elif not in_range(x, price):
        reason = _PRICE_OUT_OF_RANGE
    elif outside_band(x, side, price):
        reason = _PRICE_BAND
    elif account == INSURANCE_ROW and beyond_ruin(x, side, price):
        reason = _PRICE_BAND
    elif flags & _REDUCE_ONLY:
        lots = min(lots, reducible(x, account, side))
        if lots <= 0:
            reason = _NOT_REDUCING
    elif lots > held:
        if beyond_limit(x, account, side, lots - held):
            reason = _POSITION_LIMIT
        elif not is_forced(cause) and lacks_margin(x, account, side, lots - held):
            reason = _INSUFFICIENT_MARGIN
    if reason == _NONE and order["queue"] == POSTED and crosses(x, side, price):
        reason = _WOULD_CROSS
    what = _MODIFIED if reason == _NONE else _REJECTED
    lots = lots if reason == _NONE else asked
    emit(x, what, time_ns, account, order_id, side, price, lots, cause, reason)
    if reason != _NONE:
        return _ZERO
    if price == order["price_ticks"] and lots <= held:
        _release_open(x, slot, held - lots)
        x.levels[np.uint64(price)]["lots"] -= held - lots
        order["quantity_lots"] = lots
        return _ZERO
    _drop(x, slot)
    return lots


@helper
def _set_mark(x, mark):
    """A new mark price: the band moves."""
    state = x.state[0]
    state["mark"] = mark
    reach = muldiv(mark, x.rules[0]["price_band_ppm"])
    state["band_low"] = mark - reach
    state["band_high"] = mark + reach


@kernel
def move_mark_only(x, mark):
    """A new mark price that fires nothing: the band moves."""
    _set_mark(x, np.int64(mark))
    return 1


@helper
def _next_triggered(x, below_queue, low, high):
    """Slot of the oldest order of the first trigger level that a price between `low` and `high` satisfies; 0 = none.
    The triggers that wait for a fall come first, from the highest down, then the others, from the lowest up."""
    size = x.rules[0]["size"]
    index = bitmap.below(x.waiting_bits, (below_queue + 1) * size - 1)
    if index >= below_queue * size + low:
        return x.waiting[np.uint64(index)]["head"]
    index = bitmap.above(x.waiting_bits, (below_queue + 1) * size)
    if index >= 0 and index <= (below_queue + 1) * size + high:
        return x.waiting[np.uint64(index)]["head"]
    return np.uint32(0)


@kernel
def process(x, commands, first, mark, mark_ns):
    """Run commands from `first` on, in order, with the conditional orders each sets off; or, with `mark` >= 0, first
    set the mark.  Returns how many are done: fewer than given when the event buffer or the order pool may not hold the
    next one; the caller grows them and calls again.

    A conditional order becomes a market order.  What the price of any fill has reached is due, whatever the price does
    next, and after every command none is due any more.  Orders that watch the last price go before those that watch
    the mark.
    All orders pass one place in this text, where they trade: each copy would cost seconds of compilation.
    """
    state = x.state[0]
    marking = mark >= 0
    i = np.int64(first)
    while marking or i < commands.shape[0]:
        trades = False
        replaces = False
        kind = _LIMIT
        side = _ZERO
        price = _ZERO
        lots = _ZERO
        flags = _ZERO
        cause = _ZERO
        state["low"] = x.rules[0]["size"]
        state["high"] = _ZERO
        if marking:
            time_ns = np.int64(mark_ns)
            order_id = _ZERO
            account = _ZERO
            _set_mark(x, np.int64(mark))
        else:
            if state["free"] == 0 or x.events.shape[0] - state["events"] < 6 * state["live"] + 64:
                return i
            c = commands[np.uint64(i)]
            i += 1
            time_ns = c["arrival_ns"]
            order_id = c["order_id"]
            account = np.int64(c["account"])
            what = np.int64(c["kind"])
            if what < _CANCEL:
                kind = what
                side = np.int64(c["side"])
                price = np.int64(c["price_ticks"])
                lots = c["quantity_lots"]
                flags = np.int64(c["flags"])
                cause = np.int64(c["cause"])
                trigger = np.int64(c["trigger_ticks"])
                reason = _refusal(x, account, side, kind, price, trigger, lots, flags, cause)
                trades = reason == _NONE and not _conditional(kind)
                if not trades:
                    if reason == _NONE:
                        queue = _ladder(kind, side, flags)
                        _wait(x, order_id, account, side, price, trigger, lots, flags, cause, queue)
                    fact = _ACCEPTED if reason == _NONE else _REJECTED
                    emit(x, fact, time_ns, account, order_id, side, price, lots, cause, reason)
            elif what == _MODIFY:
                slot = find(x, order_id)
                price = np.int64(c["price_ticks"])
                order = x.orders[slot]
                side = np.int64(order["side"])
                flags = np.int64(order["flags"])
                cause = np.int64(order["cause"])
                if slot != 0 and order["queue"] == POSTED:
                    kind = _POST_ONLY
                lots = _modify(x, slot, time_ns, order_id, account, price, c["quantity_lots"])
                replaces = lots > 0
                trades = replaces
            else:
                if what == _CANCEL:
                    slot = find(x, order_id)
                    if slot == 0 or x.orders[slot]["account"] != account:
                        reason = _UNKNOWN_ORDER if slot == 0 else _NOT_OWNER
                        emit(x, _REJECTED, time_ns, account, order_id, _ZERO, _ZERO, _ZERO, _ZERO, reason)
                        slot = np.uint32(0)
                else:
                    slot = np.uint32(x.accounts[np.uint64(account)]["first_order"])
                while slot != 0:
                    following = x.links[slot]["account_next"]
                    _cancel(x, slot, time_ns, _NONE)
                    slot = following if what != _CANCEL else np.uint32(0)
        while True:
            if trades:
                _trade(x, time_ns, order_id, account, side, kind, price, lots, flags, cause, replaces)
            slot = np.uint32(0)
            if state["high"] > 0:
                slot = _next_triggered(x, BELOW_LAST, state["low"], state["high"])
            if slot == 0 and marking and state["mark"] > 0:
                slot = _next_triggered(x, BELOW_MARK, state["mark"], state["mark"])
            if slot == 0:
                break
            replaces = False
            o = x.orders[slot]
            order_id = o["order_id"]
            account = np.int64(o["account"])
            side = np.int64(o["side"])
            kind = _MARKET
            price = np.int64(o["price_ticks"])
            lots = np.int64(o["quantity_lots"])
            flags = np.int64(o["flags"])
            cause = np.int64(o["cause"])
            trigger = np.int64(x.links[slot]["trigger_ticks"])
            emit(x, _TRIGGERED, time_ns, account, order_id, side, trigger, lots, cause, _NONE)
            _drop(x, slot)
            trades = x.accounts[np.uint64(account)]["stage"] < _LIQUIDATING
            if not trades:
                emit(x, _REJECTED, time_ns, account, order_id, side, price, lots, cause, _IN_LIQUIDATION)
        marking = False
    return i
