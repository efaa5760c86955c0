"""The book alone: limit, post-only, market, immediate-or-cancel and fill-or-kill orders, and cancellations."""

from typing import Any

import numpy as np

from marginquake.sim.core.records import EventKind, OrderKind, Reject
from marginquake.sim.kernels import Helper, helper, kernel
from marginquake.sim.kernels.admission import in_range
from marginquake.sim.kernels.book import find
from marginquake.sim.kernels.matching import matching

BOOK_EVENT = np.dtype(
    [
        ("time_ns", "i8"),
        ("order_id", "i8"),
        ("maker_order_id", "i8"),
        ("quantity_lots", "i4"),
        ("price_ticks", "i4"),
        ("account", "i4"),
        ("kind", "u1"),
        ("side", "i1"),
        ("cause", "u1"),
        ("reason", "u1"),
    ]
)
"""One fact about a bare book: the columns of `sim.core.records.EVENT` that mean something without accounts.

Kernels write it as five words of 64 bits: stores are what a log costs.
"""

EVENT_WORDS = 5
SPARE_EVENTS = 4
"""A command makes at most one event a live order and so many more."""

_W1, _W2, _W3, _W4 = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)

_ZERO = np.int64(0)
_FILL = np.int64(EventKind.FILL)
_LOW = np.int64(0xFFFFFFFF)
_REJECTED = np.int64(EventKind.REJECTED)
_MARKET = np.int64(OrderKind.MARKET)
_STOP = np.int64(OrderKind.STOP)
_CANCEL = np.int64(OrderKind.CANCEL)
_NONE = np.int64(Reject.NONE)
_UNKNOWN_ORDER = np.int64(Reject.UNKNOWN_ORDER)
_NOT_OWNER = np.int64(Reject.NOT_OWNER)
_BAD_QUANTITY = np.int64(Reject.BAD_QUANTITY)
_PRICE_OUT_OF_RANGE = np.int64(Reject.PRICE_OUT_OF_RANGE)


@helper
def _append(x, kind, time_ns, account, order_id, side, price, lots, cause, reason, maker_order_id):
    state = x.state[0]
    at = np.uint64(state["events"])
    x.events[at] = time_ns
    x.events[at + _W1] = order_id
    x.events[at + _W2] = maker_order_id
    x.events[at + _W3] = (lots & _LOW) | (price << 32)
    x.events[at + _W4] = (account & _LOW) | (kind << 32) | ((side & 255) << 40) | (cause << 48) | (reason << 56)
    state["events"] += EVENT_WORDS


@helper
def _emit(x, kind, time_ns, account, order_id, side, price, lots, cause, reason):
    _append(x, kind, time_ns, account, order_id, side, price, lots, cause, reason, _ZERO)


@helper
def _emit_fill(x, time_ns, account, order_id, side, price, lots, cause, maker_order_id, maker):
    _append(x, _FILL, time_ns, account, order_id, side, price, lots, cause, _ZERO, maker_order_id)


def _running(*, log: bool) -> Helper:
    emit: Any = _emit if log else None
    book = matching(ledger=False, emit=emit, emit_fill=_emit_fill if log else None)
    trade = book.trade
    cancel = book.cancel

    @helper
    def run(x, commands, first):
        state = x.state[0]
        for i in range(first, commands.shape[0]):
            if state["free"] == 0:
                return i
            if log:
                if x.events.shape[0] - state["events"] < EVENT_WORDS * (state["live"] + SPARE_EVENTS):
                    return i
            c = commands[np.uint64(i)]
            time_ns = c["arrival_ns"]
            order_id = c["order_id"]
            account = np.int64(c["account"])
            kind = np.int64(c["kind"])
            if kind < _STOP:
                side = np.int64(c["side"])
                price = np.int64(c["price_ticks"])
                lots = c["quantity_lots"]
                flags = np.int64(c["flags"])
                cause = np.int64(c["cause"])
                reason = _NONE
                if lots <= 0 or lots > x.rules[0]["max_position_lots"]:
                    reason = _BAD_QUANTITY
                elif not in_range(x, price) and not (kind == _MARKET and price == 0):
                    reason = _PRICE_OUT_OF_RANGE
                if reason == _NONE:
                    trade(x, time_ns, order_id, account, side, kind, price, lots, flags, cause, False)
                elif log:
                    emit(x, _REJECTED, time_ns, account, order_id, side, price, lots, cause, reason)
            elif kind == _CANCEL:
                slot = find(x, order_id)
                if slot != 0 and x.orders[slot]["account"] == account:
                    cancel(x, slot, time_ns, _NONE)
                elif log:
                    reason = _UNKNOWN_ORDER if slot == 0 else _NOT_OWNER
                    emit(x, _REJECTED, time_ns, account, order_id, _ZERO, _ZERO, _ZERO, _ZERO, reason)
            else:
                return -1 - i
        return commands.shape[0]

    return run


_run_logged = _running(log=True)
_run_unlogged = _running(log=False)


@kernel
def run_logged(x, commands, first):
    """Run commands from `first` on, in order, and log what happens.  Returns how many are done (fewer than given when
    a buffer has to grow), or -1 - i if command i is of a kind that a bare book does not know."""
    return _run_logged(x, commands, first)


@kernel
def run_unlogged(x, commands, first):
    """As `run_logged`, without a log."""
    return _run_unlogged(x, commands, first)
