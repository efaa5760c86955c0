"""Appending facts to the event buffer; the callers have made room."""

import numpy as np

from sim.kernels import helper, kernel
from sim.records import EventKind

_ZERO = np.int64(0)
_NOBODY = np.int64(-1)
_FILL = np.int64(EventKind.FILL)


@helper
def _append(x, kind, time_ns, account, order_id, side, price, lots, cause, reason, maker_order_id, maker):  # type: ignore[no-untyped-def]
    state = x.state[0]
    n = np.uint64(state["events"])
    event = x.events[n]
    event["time_ns"] = time_ns
    event["order_id"] = order_id
    event["maker_order_id"] = maker_order_id
    event["quantity_lots"] = lots
    event["money"] = 0
    event["account"] = account
    event["maker_account"] = maker
    event["price_ticks"] = price
    event["mark_ticks"] = state["mark"]
    event["kind"] = kind
    event["side"] = side
    event["cause"] = cause
    event["reason"] = reason
    state["events"] += 1
    return n


@helper
def emit(x, kind, time_ns, account, order_id, side, price, lots, cause, reason):  # type: ignore[no-untyped-def]
    """Append one event; returns its row so that the caller may add what else it knows."""
    return _append(x, kind, time_ns, account, order_id, side, price, lots, cause, reason, _ZERO, _NOBODY)


@helper
def emit_fill(x, time_ns, account, order_id, side, price, lots, cause, maker_order_id, maker):  # type: ignore[no-untyped-def]
    """Append one fill, seen from the aggressor; returns its row."""
    return _append(x, _FILL, time_ns, account, order_id, side, price, lots, cause, _ZERO, maker_order_id, maker)


@kernel
def touching(events, first, last, places):  # type: ignore[no-untyped-def]
    """Places of the events with a row of [first, last] on either side; returns how many."""
    count = 0
    for n in range(events.shape[0]):
        account = events[n]["account"]
        maker = events[n]["maker_account"]
        if first <= account <= last or first <= maker <= last:
            places[count] = n
            count += 1
    return count
