"""Reads LOBSTER files with nothing but their published description, and rebuilds the book from messages alone.

Slow and obvious: all resting orders in a dictionary, sorted anew for every row.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

Orders = dict[str, tuple[int, int, int]]
"""Side, price and size of each resting order."""
EMPTY = {"ask": ["9999999999", "0"], "bid": ["-9999999999", "0"]}


class Message(NamedTuple):
    """A row of a message file, as text."""

    time: str
    type: str
    order_id: str
    size: str
    price: str
    direction: str


def read_messages(path: Path) -> list[Message]:
    """All rows of a message file."""
    with path.open(newline="") as file:
        return [Message(*row) for row in csv.reader(file)]


def read_book(path: Path) -> list[list[str]]:
    """All rows of an order-book file."""
    with path.open(newline="") as file:
        return list(csv.reader(file))


def rebuilt(messages: list[Message], levels: int) -> Iterator[list[str]]:
    """The row of the order-book file after each message."""
    for orders in resting(messages):
        yield _row(orders, levels)


def resting(messages: list[Message]) -> Iterator[Orders]:
    """All resting orders after each message; one dictionary, changed from message to message."""
    orders: Orders = {}
    for message in messages:
        size, price, direction = int(message.size), int(message.price), int(message.direction)
        assert size > 0, message
        if message.type == "1":
            assert message.order_id not in orders, f"submitted twice: {message}"
            orders[message.order_id] = direction, price, size
        else:
            side, at, rests = orders[message.order_id]
            assert (direction, price) == (side, at), f"of another order: {message}"
            assert message.type in "234", message
            assert size == rests if message.type == "3" else size <= rests, message
            assert size < rests if message.type == "2" else True, f"a partial cancel leaves something: {message}"
            if size == rests:
                del orders[message.order_id]
            else:
                orders[message.order_id] = side, at, rests - size
        yield orders


def _row(orders: Orders, levels: int) -> list[str]:
    depth: dict[int, dict[int, int]] = {1: {}, -1: {}}
    for side, price, size in orders.values():
        depth[side][price] = depth[side].get(price, 0) + size
    asks = [[str(price), str(size)] for price, size in sorted(depth[-1].items())]
    bids = [[str(price), str(size)] for price, size in sorted(depth[1].items(), reverse=True)]
    row: list[str] = []
    for level in range(levels):
        row += asks[level] if level < len(asks) else EMPTY["ask"]
        row += bids[level] if level < len(bids) else EMPTY["bid"]
    return row
