"""The limit order book: price-time priority, O(1) cancel by id, conditional orders in trigger ladders.

One ladder of levels for both sides, a bitmap over it, intrusive FIFO lists in an order pool, a hash from order id to
slot.  All functions work on the `Market` bundle of sim/kernels/state.py.
"""

import numpy as np

from sim.kernels import bitmap, helper, kernel
from sim.kernels.events import emit
from sim.kernels.ledger import settle_side
from sim.records import EventKind, Flag, Reject

_BUY = np.int64(1)
_ZERO = np.int64(0)
_TAKER = np.int64(1)
_MAKER = np.int64(0)
_REDUCE_ONLY = np.int64(Flag.REDUCE_ONLY)
_FILL = np.int64(EventKind.FILL)
_CANCELLED = np.int64(EventKind.CANCELLED)
_EXPIRED = np.int64(EventKind.EXPIRED)
_SELF_TRADE = np.int64(Reject.SELF_TRADE)
_NOT_REDUCING = np.int64(Reject.NOT_REDUCING)
BOOK = np.int64(-1)


@helper
def find(x, order_id):  # type: ignore[no-untyped-def]
    """Slot of a live order, 0 if there is none."""
    mask = x.ids.shape[0] - 1
    i = order_id & mask
    while x.ids[i]["order_id"] != 0:
        if x.ids[i]["order_id"] == order_id:
            return np.int64(x.ids[i]["slot"])
        i = (i + 1) & mask
    return np.int64(0)


@helper
def remember(x, order_id, slot):  # type: ignore[no-untyped-def]
    """Enter an id into the table (linear probing; ids are consecutive, so probes are short)."""
    mask = x.ids.shape[0] - 1
    i = order_id & mask
    while x.ids[i]["order_id"] != 0:
        i = (i + 1) & mask
    x.ids[i]["order_id"] = order_id
    x.ids[i]["slot"] = slot


@helper
def forget(x, order_id):  # type: ignore[no-untyped-def]
    """Remove an id, closing the gap it leaves (backward shift, no tombstones)."""
    mask = x.ids.shape[0] - 1
    i = order_id & mask
    while x.ids[i]["order_id"] != order_id:
        i = (i + 1) & mask
    j = i
    while True:
        j = (j + 1) & mask
        other = x.ids[j]["order_id"]
        if other == 0:
            break
        home = other & mask
        if ((j - home) & mask) >= ((j - i) & mask):
            x.ids[i]["order_id"] = other
            x.ids[i]["slot"] = x.ids[j]["slot"]
            i = j
    x.ids[i]["order_id"] = 0


@helper
def enqueue(x, slot):  # type: ignore[no-untyped-def]
    """Append an order to the end of its level (or of its trigger level)."""
    order = x.orders[slot]
    queue = order["queue"]
    if queue == BOOK:
        index = np.int64(order["price_ticks"])
        level = x.levels[index]
        level["lots"] += order["quantity_lots"]
        tail = level["tail"]
        if tail == 0:
            bitmap.add(x.bits, index)
            level["head"] = slot
            state = x.state[0]
            if order["side"] == _BUY:
                if index > state["best_bid"]:
                    state["best_bid"] = index
            elif index < state["best_ask"]:
                state["best_ask"] = index
        else:
            x.orders[tail]["next"] = slot
        level["tail"] = slot
    else:
        index = queue * x.rules[0]["size"] + order["trigger_ticks"]
        level = x.waiting[index]
        level["lots"] += order["quantity_lots"]
        tail = level["tail"]
        if tail == 0:
            bitmap.add(x.waiting_bits, index)
            level["head"] = slot
        else:
            x.orders[tail]["next"] = slot
        level["tail"] = slot
    order["prev"] = tail
    order["next"] = 0


@helper
def dequeue(x, slot):  # type: ignore[no-untyped-def]
    """Take an order out of its level; keeps the best prices true."""
    order = x.orders[slot]
    queue = order["queue"]
    following = order["next"]
    previous = order["prev"]
    if queue == BOOK:
        index = np.int64(order["price_ticks"])
        level = x.levels[index]
    else:
        index = queue * x.rules[0]["size"] + order["trigger_ticks"]
        level = x.waiting[index]
    level["lots"] -= order["quantity_lots"]
    if following != 0:
        x.orders[following]["prev"] = previous
    else:
        level["tail"] = previous
    if previous != 0:
        x.orders[previous]["next"] = following
    else:
        level["head"] = following
    if level["head"] == 0:
        if queue == BOOK:
            bitmap.discard(x.bits, index)
            state = x.state[0]
            if order["side"] == _BUY:
                if index == state["best_bid"]:
                    found = bitmap.below(x.bits, index - 1)
                    state["best_bid"] = found if found > 0 else 0
            elif index == state["best_ask"]:
                found = bitmap.above(x.bits, index + 1)
                state["best_ask"] = found if found > 0 else x.rules[0]["size"]
        else:
            bitmap.discard(x.waiting_bits, index)


@helper
def add_order(x, order_id, account, side, price, trigger, lots, flags, cause, queue):  # type: ignore[no-untyped-def]
    """Put an order to rest in the book or to wait in a conditional ladder."""
    state = x.state[0]
    slot = state["free"]
    order = x.orders[slot]
    state["free"] = np.int64(order["next"])
    state["live"] += 1
    order["order_id"] = order_id
    order["quantity_lots"] = lots
    order["account"] = account
    order["price_ticks"] = price
    order["trigger_ticks"] = trigger
    order["side"] = side
    order["flags"] = flags
    order["cause"] = cause
    order["queue"] = queue
    a = x.accounts[account]
    head = a["first_order"]
    order["account_next"] = head
    order["account_prev"] = 0
    if head != 0:
        x.orders[head]["account_prev"] = slot
    a["first_order"] = slot
    if queue == BOOK and not flags & _REDUCE_ONLY:
        if side == _BUY:
            a["open_buy_lots"] += lots
        else:
            a["open_sell_lots"] += lots
    remember(x, order_id, slot)
    enqueue(x, slot)


@helper
def release_open(x, slot, lots):  # type: ignore[no-untyped-def]
    """Subtract from the account's resting quantity (reduce-only and waiting orders do not count there)."""
    order = x.orders[slot]
    if order["queue"] == BOOK and not order["flags"] & _REDUCE_ONLY:
        a = x.accounts[order["account"]]
        if order["side"] == _BUY:
            a["open_buy_lots"] -= lots
        else:
            a["open_sell_lots"] -= lots


@helper
def drop_order(x, slot):  # type: ignore[no-untyped-def]
    """Remove an order altogether and give its slot back."""
    dequeue(x, slot)
    order = x.orders[slot]
    release_open(x, slot, order["quantity_lots"])
    following = order["account_next"]
    previous = order["account_prev"]
    if following != 0:
        x.orders[following]["account_prev"] = previous
    if previous != 0:
        x.orders[previous]["account_next"] = following
    else:
        x.accounts[order["account"]]["first_order"] = following
    forget(x, order["order_id"])
    state = x.state[0]
    order["next"] = np.int32(state["free"])
    state["free"] = slot
    state["live"] -= 1


@helper
def cancel_order(x, slot, time_ns, reason):  # type: ignore[no-untyped-def]
    """Drop an order and say so."""
    o = x.orders[slot]
    account = np.int64(o["account"])
    side = np.int64(o["side"])
    price = np.int64(o["price_ticks"])
    cause = np.int64(o["cause"])
    emit(x, _CANCELLED, time_ns, account, o["order_id"], side, price, o["quantity_lots"], cause, reason)
    drop_order(x, slot)


@helper
def reducible(x, account, side):  # type: ignore[no-untyped-def]
    """Lots by which an order on `side` can shrink the account's position."""
    position = x.accounts[account]["position_lots"]
    if side == _BUY:
        return -position if position < 0 else np.int64(0)
    return position if position > 0 else np.int64(0)


@kernel
def fillable(x, account, side, limit, wanted):  # type: ignore[no-untyped-def]
    """Lots available to an aggressor within its limit, not counting its own orders; stops counting at `wanted`."""
    state = x.state[0]
    total = np.int64(0)
    price = state["best_ask"] if side == _BUY else state["best_bid"]
    while total < wanted:
        if side == _BUY:
            if price > limit or price >= x.rules[0]["size"] or price < 0:
                break
        elif price < limit or price <= 0:
            break
        slot = np.int64(x.levels[price]["head"])
        while slot != 0 and total < wanted:
            order = x.orders[slot]
            if order["account"] != account:
                lots = order["quantity_lots"]
                if order["flags"] & _REDUCE_ONLY:
                    lots = min(lots, reducible(x, np.int64(order["account"]), np.int64(order["side"])))
                total += lots
            slot = np.int64(order["next"])
        price = bitmap.above(x.bits, price + 1) if side == _BUY else bitmap.below(x.bits, price - 1)
        if price < 0:
            break
    return total


@kernel
def match(x, time_ns, order_id, account, side, price_said, limit, lots, cause):  # type: ignore[no-untyped-def]
    """Trade against the other side, oldest order of the best level first.  Returns what is left (0 after a
    self-trade that expires the aggressor).  `limit`: worst price; `price_said`: what the order itself says."""
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
        slot = np.int64(x.levels[price]["head"])
        maker = x.orders[slot]
        owner = np.int64(maker["account"])
        if owner == account:
            if x.rules[0]["self_trade_cancels_taker"] != 0:
                emit(x, _EXPIRED, time_ns, account, order_id, side, price_said, remaining, cause, _SELF_TRADE)
                return np.int64(0)
            cancel_order(x, slot, time_ns, _SELF_TRADE)
            continue
        traded = min(remaining, maker["quantity_lots"])
        if maker["flags"] & _REDUCE_ONLY:
            allowed = reducible(x, owner, np.int64(maker["side"]))
            if allowed == 0:
                cancel_order(x, slot, time_ns, _NOT_REDUCING)
                continue
            traded = min(traded, allowed)
        n = emit(x, _FILL, time_ns, account, order_id, side, price, traded, cause, _ZERO)
        x.events[n]["maker_order_id"] = maker["order_id"]
        x.events[n]["maker_account"] = owner
        maker["quantity_lots"] -= traded
        x.levels[price]["lots"] -= traded
        release_open(x, slot, traded)
        if maker["quantity_lots"] == 0:
            drop_order(x, slot)
        state["last"] = price
        remaining -= traded
        signed = traded if side == _BUY else -traded
        x.events[n]["money"] = settle_side(x, account, signed, price, _TAKER, cause, time_ns)
        settle_side(x, owner, -signed, price, _MAKER, _ZERO, time_ns)
    return remaining
