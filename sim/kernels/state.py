"""The arrays of one market, bundled: what every kernel receives, and how one is made."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.kernels.bitmap import make_bitmap
from sim.records import EVENT

ORDER = np.dtype(
    [
        ("order_id", "i8"),
        ("quantity_lots", "i8"),
        ("account", "i4"),
        ("price_ticks", "i4"),
        ("trigger_ticks", "i4"),
        ("next", "i4"),
        ("prev", "i4"),
        ("account_next", "i4"),
        ("account_prev", "i4"),
        ("side", "i1"),
        ("flags", "u1"),
        ("cause", "u1"),
        ("queue", "i1"),
    ],
    align=True,
)
"""One order in the pool; slot 0 is null.  `queue`: -1 rests in the book, 0-3 waits in that conditional ladder."""

LEVEL = np.dtype([("lots", "i8"), ("head", "i4"), ("tail", "i4")])
IDENT = np.dtype([("order_id", "i8"), ("slot", "i8")])
BRACKET = np.dtype([("cap", "i8"), ("rate_ppm", "i8"), ("deduction", "i8"), ("initial_ppm", "i8")])

RULES = np.dtype(
    [
        ("value", "i8"),
        ("size", "i8"),
        ("maker_fee_ppm", "i8"),
        ("taker_fee_ppm", "i8"),
        ("liquidation_fee_ppm", "i8"),
        ("max_position_lots", "i8"),
        ("self_trade_cancels_taker", "i8"),
        ("price_band_ppm", "i8"),
    ]
)

STATE = np.dtype(
    [
        ("best_bid", "i8"),
        ("best_ask", "i8"),
        ("last", "i8"),
        ("mark", "i8"),
        ("band_low", "i8"),
        ("band_high", "i8"),
        ("free", "i8"),
        ("live", "i8"),
        ("events", "i8"),
    ]
)
"""`best_ask` is `size` while there is no ask, `best_bid` 0 while there is no bid: comparisons need no special case."""

BELOW_LAST, ABOVE_LAST = np.int64(0), np.int64(1)
BELOW_MARK, ABOVE_MARK = np.int64(2), np.int64(3)


class Market(NamedTuple):
    """Everything of one market that kernels touch."""

    accounts: NDArray[Any]
    orders: NDArray[Any]
    levels: NDArray[Any]
    bits: NDArray[np.uint64]
    waiting: NDArray[Any]
    waiting_bits: NDArray[np.uint64]
    calls: NDArray[np.int32]
    call_bits: NDArray[np.uint64]
    ids: NDArray[Any]
    brackets: NDArray[Any]
    rules: NDArray[Any]
    state: NDArray[Any]
    events: NDArray[Any]


def make_market(accounts: NDArray[Any], rules: NDArray[Any], brackets: NDArray[Any], orders: int) -> Market:
    """An empty market for these accounts with room for `orders` live orders (grown by `grow_orders`)."""
    size = int(rules["size"][0])
    state = np.zeros(1, STATE)
    state["best_ask"] = size
    market = Market(
        accounts=accounts,
        orders=np.zeros(orders, ORDER),
        levels=np.zeros(size, LEVEL),
        bits=make_bitmap(size),
        waiting=np.zeros(4 * size, LEVEL),
        waiting_bits=make_bitmap(4 * size),
        calls=np.zeros(2 * size, np.int32),
        call_bits=make_bitmap(2 * size),
        ids=np.zeros(_table_size(orders), IDENT),
        brackets=brackets,
        rules=rules,
        state=state,
        events=np.zeros(4096, EVENT),
    )
    _link_free(market.orders, 1, orders)
    state["free"] = 1
    return market


def grow_orders(market: Market) -> Market:
    """Twice the order pool; ids are hashed anew."""
    old = market.orders
    orders = np.zeros(2 * len(old), ORDER)
    orders[: len(old)] = old
    _link_free(orders, len(old), len(orders))
    orders["next"][len(orders) - 1] = market.state["free"][0]
    market.state["free"] = len(old)
    ids = np.zeros(_table_size(len(orders)), IDENT)
    mask = len(ids) - 1
    used = market.ids[market.ids["order_id"] != 0]
    for order_id, slot in zip(used["order_id"].tolist(), used["slot"].tolist(), strict=True):
        i = order_id & mask
        while ids["order_id"][i] != 0:
            i = (i + 1) & mask
        ids[i] = (order_id, slot)
    return market._replace(orders=orders, ids=ids)


def grow_events(market: Market, needed: int) -> Market:
    """An event buffer with room for `needed` more rows."""
    used = int(market.state["events"][0])
    events = np.zeros(max(2 * len(market.events), used + needed), EVENT)
    events[:used] = market.events[:used]
    return market._replace(events=events)


def _table_size(orders: int) -> int:
    return 1 << (2 * orders - 1).bit_length()


def _link_free(orders: NDArray[Any], first: int, last: int) -> None:
    orders["next"][first : last - 1] = np.arange(first + 1, last)
    orders["next"][last - 1] = 0
