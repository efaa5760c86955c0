"""Vectors of other matching engines, and our own of the same form, through the real book.

MARGINQUAKE_MATCHING_VECTORS names another folder of `*_input.csv`, `*_expected.txt` (and `*.feature`).
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from marginquake.sim.core.accounts import SYSTEM_ROWS
from marginquake.sim.core.records import EventKind, OrderKind, Side
from tests.support.exchanges import IMPLEMENTATIONS, PLAIN
from tests.support.ladder import command, traders
from tests.support.matching_vectors import GherkinStep, MatchingVector, Scenario, find_vectors, read_feature, run_vector
from tests.support.paths import MATCHING_VECTORS

FOLDER = Path(os.environ.get("MARGINQUAKE_MATCHING_VECTORS") or MATCHING_VECTORS)
VECTORS = find_vectors(FOLDER)
SCENARIOS = [scenario for path in sorted(FOLDER.glob("*.feature")) for scenario in read_feature(path)]
TWIN_IS_PATIENT_UP_TO = 500


def test_there_are_vectors() -> None:
    assert VECTORS, f"no *_input.csv in {FOLDER}: zero vectors tested is a failure"
    assert FOLDER != MATCHING_VECTORS or (len(VECTORS) >= 6 and len(SCENARIOS) >= 3)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_matching_vector(vector: MatchingVector, implementation: str) -> None:
    if implementation == "naive" and len(vector.orders) > TWIN_IS_PATIENT_UP_TO:
        pytest.skip("too long for the naive twin")
    trades, book = run_vector(vector, IMPLEMENTATIONS[implementation])
    assert trades == vector.trades
    assert book == vector.book


@pytest.mark.skipif(FOLDER != MATCHING_VECTORS, reason="about our own vectors")
def test_a_wrong_expectation_is_noticed() -> None:
    vector = next(vector for vector in VECTORS if vector.name == "older_order_first")
    trades, book = run_vector(vector, IMPLEMENTATIONS["kernel"])
    assert trades != vector.trades[::-1]
    assert book.asks != [(price, lots + 1) for price, lots in vector.book.asks]


# -- exchange-core: orders and books (its balances are spot and do not apply) ------------------------------------------

KINDS = {"GTC": OrderKind.LIMIT, "IOC": OrderKind.IOC, "FOK": OrderKind.FOK}
SIDES = {"BID": Side.BUY, "ASK": Side.SELL}


class Player:
    """Acts a scenario out on one exchange a symbol."""

    def __init__(self, implementation: Callable[..., Any], steps: list[GherkinStep]) -> None:
        prices = [int(price) for step in steps for price in re.findall(r"(?:at|price to) (\d+)", step.text)]
        rules = {**vars(PLAIN), "ladder_size": max(prices, default=1) + 2}
        self.make = lambda: implementation(type(PLAIN)(**rules), traders())
        self.exchanges: dict[str, Any] = {}
        self.clients: list[str] = []
        self.placed: dict[int, tuple[str, str, int, Side]] = {}
        self.said: Any = None

    def act(self, step: GherkinStep) -> bool:
        """Do or check one step; False if there is no rule for it."""
        for pattern, method in RULES.items():
            match = re.fullmatch(pattern, step.text)
            if match:
                method(self, step, *match.groups())
                return True
        return False

    def row(self, client: str) -> int:
        if client not in self.clients:
            self.clients.append(client)
        return SYSTEM_ROWS + self.clients.index(client)

    def ignore(self, step: GherkinStep, *_: str) -> None:
        """Balances."""

    def places(self, step: GherkinStep, client: str, side: str, number: str, price: str, lots: str, more: str) -> None:
        facts = dict(part.split(": ") for part in more.split(", "))
        exchange = self.exchanges.setdefault(facts["symbol"], self.make())
        self.placed[int(number)] = (facts["symbol"], client, int(lots), SIDES[side])
        order = command(
            KINDS[facts["type"]],
            self.row(client),
            order_id=int(number),
            side=SIDES[side],
            price_ticks=int(price),
            quantity_lots=int(lots),
        )
        self.said = exchange.process(order)

    def moves(self, step: GherkinStep, client: str, price: str, number: str) -> None:
        exchange = self.exchanges[self.placed[int(number)][0]]
        lots = next(
            int(o["quantity_lots"]) for o in exchange.orders_of(self.row(client)) if o["order_id"] == int(number)
        )
        self.said = exchange.process(
            command(
                OrderKind.MODIFY,
                self.row(client),
                order_id=int(number),
                price_ticks=int(price),
                quantity_lots=lots,
            )
        )

    def cancels(self, step: GherkinStep, client: str, lots: str, number: str) -> None:
        exchange = self.exchanges[self.placed[int(number)][0]]
        self.said = exchange.process(command(OrderKind.CANCEL, self.row(client), order_id=int(number)))
        assert self.said["kind"].tolist() == [EventKind.CANCELLED]
        assert self.said["quantity_lots"].tolist() == [int(lots)]

    def book_is(self, step: GherkinStep, symbol: str) -> None:
        expected: dict[Side, list[tuple[int, int]]] = {Side.BUY: [], Side.SELL: []}
        for bid, price, ask in step.table:
            if price != "price":
                side = Side.BUY if bid else Side.SELL
                expected[side].append((int(price), int(bid or ask)))
        book = {side: [(p, lots) for p, lots, _ in self.exchanges[symbol].book_levels(side, 99)] for side in expected}
        assert book == {Side.BUY: expected[Side.BUY], Side.SELL: expected[Side.SELL][::-1]}

    def no_trades(self, step: GherkinStep) -> None:
        assert not (self.said["kind"] == EventKind.FILL).any()

    def matched(self, step: GherkinStep, number: str, how: str, price: str, lots: str) -> None:
        fills = self.said[self.said["kind"] == EventKind.FILL]
        fills = fills[(fills["maker_order_id"] == int(number)) | (fills["order_id"] == int(number))]
        assert (int(fills["price_ticks"][-1]), int(fills["quantity_lots"][-1])) == (int(price), int(lots))
        symbol, client, _, _ = self.placed[int(number)]
        lives = int(number) in self.exchanges[symbol].orders_of(self.row(client))["order_id"]
        assert lives == (how == "partially")

    def orders_are(self, step: GherkinStep, client: str) -> None:
        header, *rows = step.table
        expected = set()
        for cells in rows:
            fact = dict(zip(header, cells, strict=True))
            left = int(fact["size"]) - int(fact["filled"])
            expected.add((int(fact["id"]), int(fact["price"]), left, int(SIDES[fact["side"]])))
        assert self.live(client) == expected

    def no_orders(self, step: GherkinStep, client: str) -> None:
        assert self.live(client) == set()

    def live(self, client: str) -> set[tuple[int, ...]]:
        names = ("order_id", "price_ticks", "quantity_lots", "side")
        return {
            tuple(int(order[name]) for name in names)
            for exchange in self.exchanges.values()
            for order in exchange.orders_of(self.row(client))
        }


RULES: dict[str, Callable[..., None]] = {
    r"New client (\w+) has a balance:": Player.ignore,
    r"A balance of a client (\w+):": Player.ignore,
    r"A client (\w+) places an (BID|ASK) order (\d+) at (\d+)@(\d+) \((.*)\)": Player.places,
    r"A client (\w+) moves a price to (\d+) of the order (\d+)": Player.moves,
    r"A client (\w+) cancels the remaining size (\d+) of the order (\d+)": Player.cancels,
    r"An (\w+) order book is:": Player.book_is,
    r"No trade events": Player.no_trades,
    r"The order (\d+) is (partially|fully) matched\. LastPx: (\d+), LastQty: (\d+)": Player.matched,
    r"A client (\w+) orders:": Player.orders_are,
    r"A client (\w+) does not have active orders": Player.no_orders,
}


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_exchange_core_scenario(scenario: Scenario, implementation: str) -> None:
    player = Player(IMPLEMENTATIONS[implementation], scenario.steps)
    for step in scenario.steps:
        if not player.act(step):
            assert FOLDER != MATCHING_VECTORS, f"no rule for: {step.text}"
            pytest.skip(f"not covered: {step.text}")
