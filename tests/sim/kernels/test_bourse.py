"""Our book against the Rust order book of the PyPI package `bourse`, on a thousand random streams.

bourse knows no accounts: every order of ours has its own, so that nobody meets himself.  It needs `set_time` before
each order (docs/performance.md): two orders of one instant and price share a key there, and a fill is lost.
"""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from marginquake.sim.core.accounts import SYSTEM_ROWS, AccountTable
from marginquake.sim.core.records import COMMAND, EventKind, OrderKind, Side
from marginquake.sim.venue.exchange import Exchange
from tests.support.exchanges import PLAIN

bourse = pytest.importorskip("bourse", reason="bourse is built for Python below 3.13")

STREAMS = 1_000
LENGTH = 120
Trade = tuple[int, int, int, int]


def random_stream(seed: int) -> NDArray[Any]:
    """Limit, market and cancel commands around one price; ids from 1; also cancels of what is gone or never was."""
    rng = np.random.default_rng(seed)
    stream = np.zeros(LENGTH, COMMAND)
    stream["arrival_ns"] = np.arange(1, LENGTH + 1)
    stream["order_id"] = np.arange(1, LENGTH + 1)
    stream["account"] = SYSTEM_ROWS + np.arange(LENGTH)
    stream["kind"] = rng.choice([OrderKind.LIMIT, OrderKind.MARKET, OrderKind.CANCEL], LENGTH, p=[0.65, 0.1, 0.25])
    stream["side"] = rng.choice([1, -1], LENGTH)
    stream["quantity_lots"] = rng.integers(1, 30, LENGTH)
    stream["price_ticks"] = 100 - stream["side"] * rng.integers(-2, 8, LENGTH)
    stream["price_ticks"][stream["kind"] == OrderKind.MARKET] = 0
    for number in np.flatnonzero(stream["kind"] == OrderKind.CANCEL):
        named = int(rng.integers(0, number)) if number else 0
        stream["order_id"][number] = stream["order_id"][named]
        stream["account"][number] = stream["account"][named]
    return stream


def ours(stream: NDArray[Any]) -> tuple[list[Trade], dict[int, tuple[int, int, int]]]:
    """Trades (aggressor, resting, price, lots) and the resting orders: id -> (side, price, lots)."""
    table = AccountTable(SYSTEM_ROWS + LENGTH, 1)
    table.claim(0, LENGTH)
    exchange = Exchange(PLAIN, table)
    events = exchange.process(stream)
    fills = events[events["kind"] == EventKind.FILL]
    columns = ("order_id", "maker_order_id", "price_ticks", "quantity_lots")
    trades = list(zip(*(fills[name].tolist() for name in columns), strict=True))
    resting = {
        order_id: (int(side), price, lots)
        for side in (Side.BUY, Side.SELL)
        for price, _, _ in exchange.book_levels(side, 10**6)
        for order_id, _, lots in exchange.queue(side, price)
    }
    return trades, resting


def theirs(stream: NDArray[Any]) -> tuple[list[Trade], dict[int, tuple[int, int, int]]]:
    """The same from bourse, with its ids translated to ours."""
    book = bourse.core.OrderBook(0, 1)
    their_id: dict[int, int] = {}
    for command in stream:
        book.set_time(int(command["arrival_ns"]))
        order_id, lots = int(command["order_id"]), int(command["quantity_lots"])
        if command["kind"] == OrderKind.CANCEL:
            if order_id in their_id:
                book.cancel_order(their_id[order_id])
            continue
        price = int(command["price_ticks"]) or None
        their_id[order_id] = book.place_order(bool(command["side"] == Side.BUY), lots, 0, price)
    our_id = {their: our for our, their in their_id.items()}
    trades = [
        (our_id[aggressor], our_id[resting], price, lots) for _, _, price, lots, aggressor, resting in book.get_trades()
    ]
    active = 1
    resting_orders = {
        our_id[number]: (1 if is_bid else -1, price, left)
        for is_bid, status, _, _, left, _, price, _, number in book.get_orders()
        if status == active
    }
    return trades, resting_orders


def test_a_thousand_random_streams_give_the_same_trades_and_book() -> None:
    trades = 0
    for seed in range(STREAMS):
        stream = random_stream(seed)
        our_trades, our_book = ours(stream)
        their_trades, their_book = theirs(stream)
        assert our_trades == their_trades, f"stream {seed}"
        assert our_book == their_book, f"stream {seed}"
        trades += len(our_trades)
    assert trades > 20 * STREAMS, "the streams hardly trade"
