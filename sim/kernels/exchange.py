"""The rulebook: what a command must pass, what it does, which conditional orders it sets off."""

import numpy as np

from sim.accounts import INSURANCE_ROW, SYSTEM_ROWS
from sim.kernels import bitmap, helper, kernel
from sim.kernels.book import (
    BOOK,
    add_order,
    cancel_order,
    drop_order,
    fillable,
    find,
    match,
    reducible,
    release_open,
)
from sim.kernels.events import emit
from sim.kernels.ledger import bracket_initial_ppm, muldiv, solvent_limit
from sim.kernels.state import ABOVE_LAST, ABOVE_MARK, BELOW_LAST, BELOW_MARK
from sim.records import Cause, EventKind, Flag, OrderKind, Reject, Stage

_BUY = np.int64(1)
_ZERO = np.int64(0)
_REDUCE_ONLY = np.int64(Flag.REDUCE_ONLY)
_ON_MARK = np.int64(Flag.TRIGGER_ON_MARK)
_LIQUIDATION = np.int64(Cause.LIQUIDATION)
_TAKEOVER = np.int64(Cause.TAKEOVER)
_LIQUIDATING = np.int64(Stage.LIQUIDATING)

_ACCEPTED = np.int64(EventKind.ACCEPTED)
_MODIFIED = np.int64(EventKind.MODIFIED)
_REJECTED = np.int64(EventKind.REJECTED)
_EXPIRED = np.int64(EventKind.EXPIRED)
_TRIGGERED = np.int64(EventKind.TRIGGERED)

_LIMIT = np.int64(OrderKind.LIMIT)
_POST_ONLY = np.int64(OrderKind.POST_ONLY)
_MARKET = np.int64(OrderKind.MARKET)
_FOK = np.int64(OrderKind.FOK)
_STOP = np.int64(OrderKind.STOP)
_TAKE_PROFIT = np.int64(OrderKind.TAKE_PROFIT)
_CANCEL = np.int64(OrderKind.CANCEL)
_MODIFY = np.int64(OrderKind.MODIFY)
_CANCEL_ALL = np.int64(OrderKind.CANCEL_ALL)

_NONE = np.int64(Reject.NONE)
_UNKNOWN_ORDER = np.int64(Reject.UNKNOWN_ORDER)
_WOULD_CROSS = np.int64(Reject.WOULD_CROSS)
_NOT_FILLABLE = np.int64(Reject.NOT_FILLABLE)
_PRICE_BAND = np.int64(Reject.PRICE_BAND)
_PRICE_OUT_OF_RANGE = np.int64(Reject.PRICE_OUT_OF_RANGE)
_INSUFFICIENT_MARGIN = np.int64(Reject.INSUFFICIENT_MARGIN)
_NOT_REDUCING = np.int64(Reject.NOT_REDUCING)
_BAD_QUANTITY = np.int64(Reject.BAD_QUANTITY)
_NO_LIQUIDITY = np.int64(Reject.NO_LIQUIDITY)
_IN_LIQUIDATION = np.int64(Reject.IN_LIQUIDATION)
_NOT_OWNER = np.int64(Reject.NOT_OWNER)
_TRIGGER_CROSSED = np.int64(Reject.TRIGGER_CROSSED)
_POSITION_LIMIT = np.int64(Reject.POSITION_LIMIT)


@helper
def in_range(x, price):  # type: ignore[no-untyped-def]
    """True for a price on the ladder."""
    return 1 <= price < x.rules[0]["size"]


@helper
def outside_band(x, side, price):  # type: ignore[no-untyped-def]
    """True where a limit price may trade further from the mark than the venue allows."""
    state = x.state[0]
    if x.rules[0]["price_band_ppm"] == 0 or state["mark"] == 0:
        return False
    return price > state["band_high"] if side == _BUY else price < state["band_low"]


@helper
def market_limit(x, side, bound):  # type: ignore[no-untyped-def]
    """Worst price a market order may trade at: its bound, clamped to the band."""
    state = x.state[0]
    banded = x.rules[0]["price_band_ppm"] != 0 and state["mark"] != 0
    if side == _BUY:
        limit = bound if bound > 0 else x.rules[0]["size"] - 1
        return min(limit, state["band_high"]) if banded else limit
    limit = bound if bound > 0 else np.int64(1)
    return max(limit, state["band_low"]) if banded else limit


@helper
def beyond_limit(x, account, side, lots):  # type: ignore[no-untyped-def]
    """True where `lots` more on `side`, with all that rests there filled, exceed the venue's largest position
    (eq. 23a)."""
    if account < SYSTEM_ROWS:
        return False
    a = x.accounts[account]
    position = a["position_lots"]
    worst = position + a["open_buy_lots"] if side == _BUY else np.int64(a["open_sell_lots"]) - position
    return worst + lots > x.rules[0]["max_position_lots"]


@helper
def lacks_margin(x, account, side, lots):  # type: ignore[no-untyped-def]
    """True where the worst position this order can lead to is larger than equity allows (eq. 23)."""
    a = x.accounts[account]
    mark = x.state[0]["mark"]
    own_ppm = np.int64(a["initial_margin_ppm"])
    if account < SYSTEM_ROWS or own_ppm <= 0 or mark == 0:
        return False
    position = a["position_lots"]
    buys = np.int64(a["open_buy_lots"])
    sells = np.int64(a["open_sell_lots"])
    before = max(abs(position + buys), abs(position - sells))
    if side == _BUY:
        buys += lots
    else:
        sells += lots
    after = max(abs(position + buys), abs(position - sells))
    if after <= before:
        return False
    value = x.rules[0]["value"]
    notional = after * mark * value
    ppm = max(own_ppm, bracket_initial_ppm(x, notional))
    equity = a["collateral"] + position * mark * value - a["cost"]
    return equity < muldiv(notional, ppm)


@helper
def reject(x, time_ns, account, order_id, side, price, lots, cause, reason):  # type: ignore[no-untyped-def]
    """Refuse a command and say why."""
    emit(x, _REJECTED, time_ns, account, order_id, side, price, lots, cause, reason)


@kernel
def trade_or_rest(x, time_ns, order_id, account, side, kind, price, asked, flags, cause):  # type: ignore[no-untyped-def]
    """The checks that need the present position and book, matching, and what becomes of the remainder."""
    lots = asked
    forced = cause in (_LIQUIDATION, _TAKEOVER)
    if flags & _REDUCE_ONLY:
        lots = min(lots, reducible(x, account, side))
        if lots <= 0:
            reject(x, time_ns, account, order_id, side, price, asked, cause, _NOT_REDUCING)
            return
    elif not forced and beyond_limit(x, account, side, lots):
        reject(x, time_ns, account, order_id, side, price, asked, cause, _POSITION_LIMIT)
        return
    elif not forced and lacks_margin(x, account, side, lots):
        reject(x, time_ns, account, order_id, side, price, asked, cause, _INSUFFICIENT_MARGIN)
        return
    limit = market_limit(x, side, price) if kind == _MARKET else price
    if account == INSURANCE_ROW and kind not in (_LIMIT, _POST_ONLY):
        limit = solvent_limit(x, account, side, limit)
    state = x.state[0]
    if kind == _POST_ONLY:
        crosses = state["best_ask"] <= price if side == _BUY else state["best_bid"] >= price
        if crosses:
            reject(x, time_ns, account, order_id, side, price, asked, cause, _WOULD_CROSS)
            return
    elif kind == _FOK and fillable(x, account, side, limit, lots) < lots:
        reject(x, time_ns, account, order_id, side, price, asked, cause, _NOT_FILLABLE)
        return
    left = match(x, time_ns, order_id, account, side, price, limit, lots, cause)
    if left <= 0:
        return
    if kind in (_LIMIT, _POST_ONLY):
        add_order(x, order_id, account, side, price, _ZERO, left, flags, cause, BOOK)
        emit(x, _ACCEPTED, time_ns, account, order_id, side, price, left, cause, _ZERO)
    else:
        emit(x, _EXPIRED, time_ns, account, order_id, side, price, left, cause, _NO_LIQUIDITY)


@helper
def place(x, c):  # type: ignore[no-untyped-def]
    """A new order: admission checks in the order of docs/model.md, then trade, rest or wait."""
    time_ns = c["arrival_ns"]
    order_id = c["order_id"]
    account = np.int64(c["account"])
    side = np.int64(c["side"])
    kind = np.int64(c["kind"])
    price = np.int64(c["price_ticks"])
    trigger = np.int64(c["trigger_ticks"])
    lots = c["quantity_lots"]
    flags = np.int64(c["flags"])
    cause = np.int64(c["cause"])
    conditional = kind in (_STOP, _TAKE_PROFIT)
    reason = _NONE
    if lots <= 0 or lots > x.rules[0]["max_position_lots"]:
        reason = _BAD_QUANTITY
    elif x.accounts[account]["stage"] >= _LIQUIDATING and cause not in (_LIQUIDATION, _TAKEOVER):
        reason = _IN_LIQUIDATION
    elif conditional or kind == _MARKET:
        if (price != 0 and not in_range(x, price)) or (conditional and not in_range(x, trigger)):
            reason = _PRICE_OUT_OF_RANGE
    elif not in_range(x, price):
        reason = _PRICE_OUT_OF_RANGE
    elif outside_band(x, side, price):
        reason = _PRICE_BAND
    if reason != _NONE:
        reject(x, time_ns, account, order_id, side, price, lots, cause, reason)
        return
    if not conditional:
        trade_or_rest(x, time_ns, order_id, account, side, kind, price, lots, flags, cause)
        return
    fires_below = (kind == _STOP) == (side != _BUY)
    on_mark = (flags & _ON_MARK) != 0
    watched = x.state[0]["mark"] if on_mark else x.state[0]["last"]
    crossed = watched <= trigger if fires_below else watched >= trigger
    if watched > 0 and crossed:
        reject(x, time_ns, account, order_id, side, price, lots, cause, _TRIGGER_CROSSED)
        return
    if on_mark:
        queue = BELOW_MARK if fires_below else ABOVE_MARK
    else:
        queue = BELOW_LAST if fires_below else ABOVE_LAST
    add_order(x, order_id, account, side, price, trigger, lots, flags, cause, queue)
    emit(x, _ACCEPTED, time_ns, account, order_id, side, price, lots, cause, _ZERO)


@kernel
def modify(x, c):  # type: ignore[no-untyped-def]
    """New price and remaining quantity; only a reduction at the same price keeps the place in the queue."""
    time_ns = c["arrival_ns"]
    order_id = c["order_id"]
    account = np.int64(c["account"])
    price = np.int64(c["price_ticks"])
    lots = c["quantity_lots"]
    slot = find(x, order_id)
    if slot == 0 or x.orders[slot]["queue"] != BOOK:
        reject(x, time_ns, account, order_id, _ZERO, price, lots, _ZERO, _UNKNOWN_ORDER)
        return
    order = x.orders[slot]
    side = np.int64(order["side"])
    flags = np.int64(order["flags"])
    cause = np.int64(order["cause"])
    held = order["quantity_lots"]
    forced = cause in (_LIQUIDATION, _TAKEOVER)
    reason = _NONE
    if order["account"] != account:
        reason = _NOT_OWNER
    elif x.accounts[account]["stage"] >= _LIQUIDATING and not forced:
        reason = _IN_LIQUIDATION
    elif lots <= 0 or lots > x.rules[0]["max_position_lots"]:
        reason = _BAD_QUANTITY
    elif not in_range(x, price):
        reason = _PRICE_OUT_OF_RANGE
    elif outside_band(x, side, price):
        reason = _PRICE_BAND
    elif flags & _REDUCE_ONLY:
        lots = min(lots, reducible(x, account, side))
        if lots <= 0:
            reason = _NOT_REDUCING
            lots = c["quantity_lots"]
    elif lots > held and not forced:
        if beyond_limit(x, account, side, lots - held):
            reason = _POSITION_LIMIT
        elif lacks_margin(x, account, side, lots - held):
            reason = _INSUFFICIENT_MARGIN
    if reason != _NONE:
        reject(x, time_ns, account, order_id, side, price, lots, cause, reason)
        return
    emit(x, _MODIFIED, time_ns, account, order_id, side, price, lots, cause, _ZERO)
    if price == order["price_ticks"] and lots <= held:
        release_open(x, slot, held - lots)
        x.levels[price]["lots"] -= held - lots
        order["quantity_lots"] = lots
        return
    drop_order(x, slot)
    left = match(x, time_ns, order_id, account, side, price, price, lots, cause)
    if left > 0:
        add_order(x, order_id, account, side, price, _ZERO, left, flags, cause, BOOK)


@kernel
def fire(x, slot, time_ns):  # type: ignore[no-untyped-def]
    """A conditional order becomes a market order."""
    o = x.orders[slot]
    order_id = o["order_id"]
    account = np.int64(o["account"])
    side = np.int64(o["side"])
    bound = np.int64(o["price_ticks"])
    lots = o["quantity_lots"]
    flags = np.int64(o["flags"])
    cause = np.int64(o["cause"])
    emit(x, _TRIGGERED, time_ns, account, order_id, side, np.int64(o["trigger_ticks"]), lots, cause, _ZERO)
    drop_order(x, slot)
    if x.accounts[account]["stage"] >= _LIQUIDATING:
        reject(x, time_ns, account, order_id, side, bound, lots, cause, _IN_LIQUIDATION)
        return
    trade_or_rest(x, time_ns, order_id, account, side, _MARKET, bound, lots, flags, cause)


@helper
def next_triggered(x, below_queue, price):  # type: ignore[no-untyped-def]
    """Oldest order of the first trigger level that `price` satisfies; 0 = none."""
    size = x.rules[0]["size"]
    index = bitmap.below(x.waiting_bits, (below_queue + 1) * size - 1)
    if index >= below_queue * size + price:
        return np.int64(x.waiting[index]["head"])
    index = bitmap.above(x.waiting_bits, (below_queue + 1) * size)
    if index >= 0 and index <= (below_queue + 1) * size + price:
        return np.int64(x.waiting[index]["head"])
    return np.int64(0)


@helper
def run_triggers(x, below_queue, time_ns):  # type: ignore[no-untyped-def]
    """Fire orders that watch one price until none is due."""
    while True:
        price = x.state[0]["last"] if below_queue == BELOW_LAST else x.state[0]["mark"]
        if price <= 0:
            return
        slot = next_triggered(x, below_queue, price)
        if slot == 0:
            return
        fire(x, slot, time_ns)
        if below_queue == BELOW_MARK:
            while x.state[0]["last"] > 0:
                slot = next_triggered(x, BELOW_LAST, x.state[0]["last"])
                if slot == 0:
                    break
                fire(x, slot, time_ns)


@kernel
def process(x, commands, first):  # type: ignore[no-untyped-def]
    """Run commands from `first` on, in order.  Returns how many are done: fewer than given when the event buffer or
    the order pool may not hold the next one; the caller grows them and calls again."""
    state = x.state[0]
    for i in range(first, commands.shape[0]):
        if state["free"] == 0 or x.events.shape[0] - state["events"] < 6 * state["live"] + 64:
            return i
        c = commands[i]
        kind = c["kind"]
        time_ns = c["arrival_ns"]
        if kind < _CANCEL:
            place(x, c)
        elif kind == _CANCEL:
            slot = find(x, c["order_id"])
            if slot == 0 or x.orders[slot]["account"] != c["account"]:
                reason = _UNKNOWN_ORDER if slot == 0 else _NOT_OWNER
                reject(x, time_ns, np.int64(c["account"]), c["order_id"], _ZERO, _ZERO, _ZERO, _ZERO, reason)
            else:
                cancel_order(x, slot, time_ns, _ZERO)
        elif kind == _CANCEL_ALL:
            slot = np.int64(x.accounts[c["account"]]["first_order"])
            while slot != 0:
                following = np.int64(x.orders[slot]["account_next"])
                cancel_order(x, slot, time_ns, _ZERO)
                slot = following
        else:
            modify(x, c)
        run_triggers(x, BELOW_LAST, time_ns)
    return commands.shape[0]


@kernel
def apply_mark(x, mark, time_ns):  # type: ignore[no-untyped-def]
    """A new mark price: the band moves, and conditional orders that watch the mark fire."""
    state = x.state[0]
    state["mark"] = mark
    reach = muldiv(np.int64(mark), x.rules[0]["price_band_ppm"])
    state["band_low"] = mark - reach
    state["band_high"] = mark + reach
    run_triggers(x, BELOW_MARK, time_ns)
    return 0


@kernel
def depth(x, side, low, high):  # type: ignore[no-untyped-def]
    """Resting lots of one side at prices in [low, high]."""
    total = np.int64(0)
    state = x.state[0]
    if side == _BUY:
        price = bitmap.below(x.bits, min(np.int64(high), state["best_bid"]))
        while price >= low and price > 0:
            total += x.levels[price]["lots"]
            price = bitmap.below(x.bits, price - 1)
    else:
        price = bitmap.above(x.bits, max(np.int64(low), state["best_ask"]))
        while 0 <= price <= high:
            total += x.levels[price]["lots"]
            price = bitmap.above(x.bits, price + 1)
    return total


@kernel
def profile(x, edges, bids, asks, longs, shorts):  # type: ignore[no-untyped-def]
    """Histograms over price bins: resting lots of both sides, and lots waiting to be liquidated."""
    size = x.rules[0]["size"]
    bins = edges.shape[0] - 1
    for k in range(bins):
        low = max(np.int64(1), np.int64(edges[k]))
        high = min(size, np.int64(edges[k + 1]))
        price = bitmap.above(x.bits, low)
        while 0 <= price < high:
            if price <= x.state[0]["best_bid"]:
                bids[k] += x.levels[price]["lots"]
            else:
                asks[k] += x.levels[price]["lots"]
            price = bitmap.above(x.bits, price + 1)
        for side in range(2):
            bucket = bitmap.above(x.call_bits, side * size + low)
            while 0 <= bucket < side * size + high:
                row = np.int64(x.calls[bucket])
                while row != 0:
                    lots = abs(x.accounts[row]["position_lots"])
                    if side == 0:
                        longs[k] += lots
                    else:
                        shorts[k] += lots
                    row = np.int64(x.accounts[row]["index_next"])
                bucket = bitmap.above(x.call_bits, bucket + 1)
    return bins


@kernel
def impact_ticks(x, side, tick_lots):  # type: ignore[no-untyped-def]
    """Average price at which an aggressor on `side` trades `tick_lots` (ticks x lots of notional); 0 if the book is
    too thin."""
    state = x.state[0]
    left = float(tick_lots)
    lots = 0.0
    price = state["best_ask"] if side == _BUY else state["best_bid"]
    while 0 < price < x.rules[0]["size"]:
        here = float(x.levels[price]["lots"])
        if here * price >= left:
            lots += left / price
            return float(tick_lots) / lots
        lots += here
        left -= here * price
        price = bitmap.above(x.bits, price + 1) if side == _BUY else bitmap.below(x.bits, price - 1)
    return 0.0
