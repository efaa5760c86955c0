"""The order pool and the price ladder: O(1) enter, leave and find by id.

One ladder of levels for both sides, a bitmap over it, intrusive FIFO lists in an order pool, a table from order id to
slot.  All functions work on the `Book` and the `Market` of sim/kernels/state.py; only conditional orders need the
latter.
"""

import numpy as np

from marginquake.sim.kernels import bitmap, helper, routine

_BUY = np.int64(1)
BOOK = np.int64(-1)
"""The `queue` of an order that rests in the book."""
POSTED = np.int64(-2)
"""The `queue` of an order that rests in the book and may never take: it was sent post-only."""


@helper
def find(x, order_id):
    """Slot of a live order, 0 if there is none."""
    home = np.uint64(order_id & (x.ids.shape[0] - 1))
    slot = x.ids[home]
    while slot != 0 and x.orders[slot]["order_id"] != order_id:
        slot = x.links[slot]["same_hash"]
    return slot


@helper
def remember(x, order_id, slot):
    """Enter an id into the table (chained; ids are consecutive, so chains are short)."""
    home = np.uint64(order_id & (x.ids.shape[0] - 1))
    x.links[slot]["same_hash"] = x.ids[home]
    x.ids[home] = slot


@helper
def forget(x, order_id, slot):
    """Remove the id of a live order."""
    home = np.uint64(order_id & (x.ids.shape[0] - 1))
    following = x.links[slot]["same_hash"]
    at = x.ids[home]
    if at == slot:
        x.ids[home] = following
    else:
        while x.links[at]["same_hash"] != slot:
            at = x.links[at]["same_hash"]
        x.links[at]["same_hash"] = following


@helper
def take_slot(x):
    """A free slot of the pool (the callers have made sure that there is one)."""
    state = x.state[0]
    slot = np.uint32(state["free"])
    state["free"] = np.int64(x.orders[slot]["next"])
    state["live"] += 1
    return slot


@helper
def give_slot(x, slot):
    """Give a slot back; the last one given is the next one taken, so that the pool stays in the cache."""
    state = x.state[0]
    order = x.orders[slot]
    order["quantity_lots"] = 0
    order["next"] = np.uint32(state["free"])
    state["free"] = np.int64(slot)
    state["live"] -= 1


@helper
def enter_level(x, slot, side, price, lots):
    """Append an order to the end of its price level; keeps the best prices true."""
    order = x.orders[slot]
    level = x.levels[np.uint64(price)]
    tail = level["tail"]
    level["lots"] += lots
    level["tail"] = slot
    order["prev"] = tail
    order["next"] = 0
    if tail != 0:
        x.orders[tail]["next"] = slot
    else:
        level["head"] = slot
        bitmap.add(x.bits, price)
        state = x.state[0]
        if side == _BUY:
            if price > state["best_bid"]:
                state["best_bid"] = price
        elif price < state["best_ask"]:
            state["best_ask"] = price


@helper
def leave_level(x, slot):
    """Take an order out of its price level; keeps the best prices true."""
    order = x.orders[slot]
    price = np.int64(order["price_ticks"])
    level = x.levels[np.uint64(price)]
    following = order["next"]
    previous = order["prev"]
    level["lots"] -= order["quantity_lots"]
    if following != 0:
        x.orders[following]["prev"] = previous
    else:
        level["tail"] = previous
    if previous != 0:
        x.orders[previous]["next"] = following
    else:
        level["head"] = following
        if following == 0:
            bitmap.discard(x.bits, price)
            state = x.state[0]
            if order["side"] == _BUY:
                if price == state["best_bid"]:
                    found = bitmap.below(x.bits, price - 1)
                    state["best_bid"] = found if found > 0 else 0
            elif price == state["best_ask"]:
                found = bitmap.above(x.bits, price + 1)
                state["best_ask"] = found if found > 0 else x.rules[0]["size"]


@helper
def enter_trigger(x, slot, queue, trigger, lots):
    """Append a conditional order to the end of its trigger level."""
    order = x.orders[slot]
    index = queue * x.rules[0]["size"] + trigger
    level = x.waiting[np.uint64(index)]
    tail = level["tail"]
    level["lots"] += lots
    level["tail"] = slot
    order["prev"] = tail
    order["next"] = 0
    if tail != 0:
        x.orders[tail]["next"] = slot
    else:
        level["head"] = slot
        bitmap.add(x.waiting_bits, index)


@routine
def leave_trigger(x, slot):
    """Take a conditional order out of its trigger level."""
    order = x.orders[slot]
    index = order["queue"] * x.rules[0]["size"] + x.links[slot]["trigger_ticks"]
    level = x.waiting[np.uint64(index)]
    following = order["next"]
    previous = order["prev"]
    level["lots"] -= order["quantity_lots"]
    if following != 0:
        x.orders[following]["prev"] = previous
    else:
        level["tail"] = previous
    if previous != 0:
        x.orders[previous]["next"] = following
    else:
        level["head"] = following
        if following == 0:
            bitmap.discard(x.waiting_bits, index)
