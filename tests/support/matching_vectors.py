"""Readers of matching vectors: `*_input.csv` with `*_expected.txt`, and exchange-core's Gherkin features.

A vector names no accounts, so each of its orders gets one of its own: nobody trades with himself.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from marginquake.sim.core.accounts import SYSTEM_ROWS, AccountTable
from marginquake.sim.core.records import COMMAND, EventKind, Side
from tests.support.exchanges import PLAIN

Trade = tuple[str, str, Decimal, int]
Line = tuple[Decimal, int]


@dataclass(frozen=True)
class Book:
    """Resting orders of each side as (price, lots), in priority order."""

    bids: list[Line]
    asks: list[Line]


@dataclass(frozen=True)
class MatchingVector:
    """Orders (id, side, price, lots) in, trades (aggressor, resting, price, lots) and the final book out."""

    name: str
    orders: list[tuple[str, Side, Decimal, int]]
    trades: list[Trade]
    book: Book


def find_vectors(folder: Path) -> list[MatchingVector]:
    """All vectors of a folder; an input without its expectation is an error."""
    return [read_vector(path) for path in sorted(folder.glob("*_input.csv"))]


def read_vector(path: Path) -> MatchingVector:
    """One `name_input.csv` and the `name_expected.txt` beside it."""
    name = path.name.removesuffix("_input.csv")
    orders = [
        (order_id, Side.BUY if side[0].upper() == "B" else Side.SELL, Decimal(price), int(lots))
        for order_id, side, price, lots in (
            [field.strip() for field in line.split(",")][:4] for line in path.read_text().splitlines() if line.strip()
        )
        if not order_id.startswith("#") and order_id.lower() != "id"
    ]
    trades: list[Trade] = []
    book = Book([], [])
    for line in path.with_name(f"{name}_expected.txt").read_text().splitlines():
        if line.strip().startswith("trade"):
            aggressor, resting, price, lots = (part.strip() for part in line.strip()[len("trade") :].split(","))
            trades.append((aggressor, resting, Decimal(price), int(lots)))
        elif "|" in line:
            bid, ask = (_numbers(part) for part in line.split("|"))
            book.bids.extend([(bid[1], int(bid[0]))] if bid else [])
            book.asks.extend([(ask[0], int(ask[1]))] if ask else [])
        elif line.strip():
            raise ValueError(f"{name}_expected.txt: neither a trade nor a line of the book: {line!r}")
    return MatchingVector(name, orders, trades, book)


def _numbers(text: str) -> list[Decimal]:
    return [Decimal(word.replace(",", "")) for word in text.split()]


def run_vector(vector: MatchingVector, implementation: Callable[..., Any]) -> tuple[list[Trade], Book]:
    """The vector through a real exchange, in one batch: its trades and its final book."""
    tick = min((_tick_of(price) for _, _, price, _ in vector.orders), default=Decimal(1))
    commands = np.zeros(len(vector.orders), COMMAND)
    for number, (_, side, price, lots) in enumerate(vector.orders):
        commands[number]["order_id"] = number + 1
        commands[number]["arrival_ns"] = number
        commands[number]["account"] = SYSTEM_ROWS + number
        commands[number]["side"] = int(side)
        commands[number]["price_ticks"] = int(price / tick)
        commands[number]["quantity_lots"] = lots
    rules = replace(PLAIN, ladder_size=int(commands["price_ticks"].max(initial=1)) + 2, max_position_lots=2**31 - 1)
    table = AccountTable(SYSTEM_ROWS + len(commands), 1)
    table.claim(0, len(commands))
    exchange = implementation(rules, table)
    events = exchange.process(commands)
    assert not (events["kind"] == EventKind.REJECTED).any(), f"{vector.name}: an order was refused"

    names = [order_id for order_id, *_ in vector.orders]
    trades = [
        (
            names[e["order_id"] - 1],
            names[e["maker_order_id"] - 1],
            int(e["price_ticks"]) * tick,
            int(e["quantity_lots"]),
        )
        for e in events[events["kind"] == EventKind.FILL]
    ]
    sides = [
        [
            (price * tick, lots)
            for price, _, _ in exchange.book_levels(side, 10**9)
            for _, _, lots in exchange.queue(side, price)
        ]
        for side in (Side.BUY, Side.SELL)
    ]
    return trades, Book(*sides)


def _tick_of(price: Decimal) -> Decimal:
    exponent = price.as_tuple().exponent
    return Decimal(1).scaleb(min(0, int(exponent)))


# -- Gherkin ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GherkinStep:
    """One step without its keyword, with the table below it."""

    text: str
    table: list[list[str]]


@dataclass(frozen=True)
class Scenario:
    """A named list of steps, background first, placeholders filled in."""

    name: str
    steps: list[GherkinStep]


def read_feature(path: Path) -> list[Scenario]:
    """Scenarios of a feature file; one for each row of a Scenario Outline's examples."""
    background: list[GherkinStep] = []
    scenarios: list[Scenario] = []
    examples: dict[str, list[list[str]]] = {}
    name, steps, table = "", background, None
    for raw in path.read_text().splitlines():
        line = raw.strip()
        keyword, _, rest = line.partition(" ")
        if line.startswith("|"):
            if table is not None:
                table.append([cell.strip() for cell in line.strip("|").split("|")])
        elif line.startswith("Scenario"):
            name = line.partition(":")[2].strip()
            steps = []
            scenarios.append(Scenario(name, steps))
        elif line.startswith("Examples"):
            table = examples.setdefault(name, [])
        elif keyword in ("Given", "When", "Then", "And", "But"):
            table = []
            steps.append(GherkinStep(rest.strip(), table))
    return [
        Scenario(filled_name, background + filled)
        for scenario in scenarios
        for filled_name, filled in _filled(scenario, examples.get(scenario.name, []))
    ]


def _filled(scenario: Scenario, examples: list[list[str]]) -> list[tuple[str, list[GherkinStep]]]:
    if not examples:
        return [(scenario.name, scenario.steps)]
    header, *rows = examples
    out = []
    for row in rows:
        values = dict(zip(header, row, strict=True))

        def fill(text: str, values: dict[str, str] = values) -> str:
            return re.sub(r"<(\w+)>", lambda match: values[match[1]], text)

        steps = [GherkinStep(fill(s.text), [[fill(cell) for cell in line] for line in s.table]) for s in scenario.steps]
        out.append((f"{scenario.name} [{' '.join(row)}]", steps))
    return out
