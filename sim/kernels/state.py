"""The arrays of one market, bundled: what every kernel receives, and how one is made.

`MarketArrays` is a venue's; `BookArrays` is the part that matching alone needs, under the same names, so that one
function serves
both.  Slots, heads and links are unsigned: numba looks for negative indices in signed ones.
"""

from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.records import EVENT, EventKind
from marginquake.sim.kernels import helper, kernel
from marginquake.sim.kernels.bitmap import make_bitmap

ORDER = np.dtype(
    [
        ("order_id", "i8"),
        ("quantity_lots", "i4"),
        ("account", "i4"),
        ("price_ticks", "i4"),
        ("next", "u4"),
        ("prev", "u4"),
        ("side", "i1"),
        ("flags", "u1"),
        ("cause", "u1"),
        ("queue", "i1"),
    ],
)
"""One order in the pool, half a cache line; slot 0 is null.  `queue`: -1 rests in the book, -2 likewise and
never takes, 0-3 waits in that conditional ladder; there, `price_ticks` bounds the market order to come."""
ORDER_LINKS = np.dtype([("same_hash", "u4"), ("trigger_ticks", "i4"), ("account_next", "u4"), ("account_prev", "u4")])
"""What matching does not look at, in a row of its own: the next order with the same place in the table of ids, the
trigger, the neighbours in the list of the account's orders."""
LEVEL = np.dtype([("lots", "i8"), ("head", "u4"), ("tail", "u4")])
BRACKET = np.dtype([("cap", "i8"), ("rate_ppm", "i8"), ("deduction", "i8"), ("initial_ppm", "i8")])
RULES = np.dtype(
    [
        ("value", "i8"),
        ("inverse", "i8"),
        ("size", "i8"),
        ("maker_fee_ppm", "i8"),
        ("taker_fee_ppm", "i8"),
        ("liquidation_fee_ppm", "i8"),
        ("max_position_lots", "i8"),
        ("self_trade_cancels_taker", "i8"),
        ("price_band_ppm", "i8"),
        ("warning_ppm", "i8"),
        ("call_ppm", "i8"),
    ]
)
"""`warning_ppm`, `call_ppm`: an account is warned, or called, where equity is no more than so many parts per million
of maintenance: one over the venue's margin ratio.  Without warnings the two are equal."""
STATE = np.dtype(
    [
        ("best_bid", "i8"),
        ("best_ask", "i8"),
        ("last", "i8"),
        ("low", "i8"),
        ("high", "i8"),
        ("mark", "i8"),
        ("band_low", "i8"),
        ("band_high", "i8"),
        ("free", "i8"),
        ("live", "i8"),
        ("events", "i8"),
        ("fills", "i8"),
    ]
)
"""`best_ask` is `size` while there is no ask, `best_bid` 0 while there is no bid: comparisons need no special case.
`low`, `high`: lowest and highest price traded since the present command came, with the conditional orders it set
off; `size` and 0 before the first trade, which no trigger satisfies.  `fills`: trades since the market was opened."""
STATE_WORD = {name: place for place, name in enumerate(STATE.names or ())}
"""Where each field stands in a STATE seen as plain integers, which Python reads five times as fast."""
MOST_LOTS = 2**31 - 1
"""Largest quantity of one order: it is kept in 32 bits."""
BELOW_LAST, ABOVE_LAST = np.int64(0), np.int64(1)
BELOW_MARK, ABOVE_MARK = np.int64(2), np.int64(3)


class BookArrays(NamedTuple):
    """Everything that matching alone touches; `events`: words, a few for each fact
    (`sim.kernels.book_only.BOOK_EVENT`)."""

    orders: NDArray[Any]
    links: NDArray[Any]
    levels: NDArray[Any]
    bits: NDArray[np.uint64]
    ids: NDArray[np.uint32]
    rules: NDArray[Any]
    state: NDArray[Any]
    events: NDArray[Any]


class MarketArrays(NamedTuple):
    """Everything of one market that kernels touch."""

    accounts: NDArray[Any]
    orders: NDArray[Any]
    links: NDArray[Any]
    levels: NDArray[Any]
    bits: NDArray[np.uint64]
    waiting: NDArray[Any]
    waiting_bits: NDArray[np.uint64]
    calls: NDArray[np.int32]
    call_bits: NDArray[np.uint64]
    ids: NDArray[np.uint32]
    brackets: NDArray[Any]
    rules: NDArray[Any]
    state: NDArray[Any]
    events: NDArray[Any]


FIRST_EVENTS = 4096
"""Entries of a new event buffer."""
AnyBook = TypeVar("AnyBook", BookArrays, MarketArrays)


def make_book(rules: NDArray[Any], orders: int) -> BookArrays:
    """An empty book with room for `orders` live orders (grown by `grow_orders`)."""
    size = int(rules["size"][0])
    state = np.zeros(1, STATE)
    state["best_ask"] = size
    book = BookArrays(
        orders=np.zeros(orders, ORDER),
        links=np.zeros(orders, ORDER_LINKS),
        levels=np.zeros(size, LEVEL),
        bits=make_bitmap(size),
        ids=np.zeros(_table_size(orders), np.uint32),
        rules=rules,
        state=state,
        events=np.zeros(FIRST_EVENTS, np.int64),
    )
    _link_free(book.orders, 1, orders)
    state["free"] = 1
    return book


def make_market(accounts: NDArray[Any], rules: NDArray[Any], brackets: NDArray[Any], orders: int) -> MarketArrays:
    """An empty market for these accounts with room for `orders` live orders (grown by `grow_orders`)."""
    size = int(rules["size"][0])
    return MarketArrays(
        accounts=accounts,
        waiting=np.zeros(4 * size, LEVEL),
        waiting_bits=make_bitmap(4 * size),
        calls=np.zeros(2 * size, np.int32),
        call_bits=make_bitmap(2 * size),
        brackets=brackets,
        **make_book(rules, orders)._replace(events=np.zeros(FIRST_EVENTS, EVENT))._asdict(),
    )


def grow_orders(book: AnyBook) -> AnyBook:
    """Twice the order pool; ids are hashed again."""
    old = len(book.orders)
    orders = np.zeros(2 * old, ORDER)
    orders[:old] = book.orders
    links = np.zeros(2 * old, ORDER_LINKS)
    links[:old] = book.links
    _link_free(orders, old, 2 * old)
    orders["next"][-1] = book.state["free"][0]
    book.state["free"] = old
    ids = np.zeros(_table_size(2 * old), np.uint32)
    _hash_anew(book.ids, orders, links, ids)
    return book._replace(orders=orders, links=links, ids=ids)


def grow_events(book: AnyBook, needed: int) -> AnyBook:
    """An event buffer with room for `needed` more entries (rows of a market, words of a book)."""
    used = int(book.state["events"][0])
    events = np.zeros(max(2 * len(book.events), used + needed), book.events.dtype)
    events[:used] = book.events[:used]
    return book._replace(events=events)


def live_slots(book: BookArrays | MarketArrays) -> NDArray[np.int64]:
    """Slots of all live orders, in no order that means anything: a free slot holds no lots."""
    return np.flatnonzero(book.orders["quantity_lots"])


def _table_size(orders: int) -> int:
    return 1 << (2 * orders - 1).bit_length()


def _link_free(orders: NDArray[Any], first: int, last: int) -> None:
    orders["next"][first : last - 1] = np.arange(first + 1, last)
    orders["next"][last - 1] = 0


@kernel
def _hash_anew(old, orders, links, ids):
    """Enter into the empty table `ids` the live orders that `old` knows; returns how many."""
    mask = np.int64(ids.shape[0] - 1)
    count = 0
    for place in range(old.shape[0]):
        slot = np.int64(old[place])
        while slot != 0:
            following = np.int64(links[slot]["same_hash"])
            home = orders[slot]["order_id"] & mask
            links[slot]["same_hash"] = ids[home]
            ids[home] = slot
            slot = following
            count += 1
    return count


_ZERO = np.int64(0)
_NOBODY = np.int64(-1)
_FILL = np.int64(EventKind.FILL)


@helper
def _append(x, kind, time_ns, account, order_id, side, price, lots, cause, reason, maker_order_id, maker):
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
def emit(x, kind, time_ns, account, order_id, side, price, lots, cause, reason):
    """Append one event; returns its row so that the caller may add what else it knows."""
    return _append(x, kind, time_ns, account, order_id, side, price, lots, cause, reason, _ZERO, _NOBODY)


@helper
def emit_fill(x, time_ns, account, order_id, side, price, lots, cause, maker_order_id, maker):
    """Append one fill, seen from the aggressor; returns its row."""
    return _append(x, _FILL, time_ns, account, order_id, side, price, lots, cause, _ZERO, maker_order_id, maker)


@kernel
def touching(events, first, last, places):
    """Places of the events with a row of [first, last] on either side; returns how many."""
    count = 0
    for n in range(events.shape[0]):
        account = events[n]["account"]
        maker = events[n]["maker_account"]
        if first <= account <= last or first <= maker <= last:
            places[count] = n
            count += 1
    return count
