"""Appending facts to the event buffer; the callers have made room."""

from sim.kernels import helper, kernel


@helper
def emit(x, kind, time_ns, account, order_id, side, price, lots, cause, reason):  # type: ignore[no-untyped-def]
    """Append one event; returns its row so that the caller may add what else it knows."""
    n = x.state[0]["events"]
    event = x.events[n]
    event["kind"] = kind
    event["time_ns"] = time_ns
    event["account"] = account
    event["order_id"] = order_id
    event["side"] = side
    event["price_ticks"] = price
    event["quantity_lots"] = lots
    event["cause"] = cause
    event["reason"] = reason
    event["maker_order_id"] = 0
    event["maker_account"] = -1
    event["money"] = 0
    event["mark_ticks"] = x.state[0]["mark"]
    x.state[0]["events"] = n + 1
    return n


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
