"""The waterfall as a state machine: every order of marks, fills, takeovers, ADL and socialised loss in small worlds.

Three accounts, two prices, a fund of some units; breadth first over all states that can be reached, with the code that
simulations run.  `MARGINQUAKE_THOROUGH=1` goes further.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import Any, TypeAlias

import numpy as np
import pytest

from marginquake.sim.core.accounts import FEES_ROW, INSURANCE_ROW, SYSTEM_ROWS
from marginquake.sim.core.margin import backing_equity, maintenance_money
from marginquake.sim.core.records import COMMAND, EventKind, OrderKind, Side
from marginquake.sim.venue.exchange import Exchange, ExchangeRules
from tests.golden import THOROUGH
from tests.support.bankruptcies import BRACKETS, CONTRACT, ENTRY, INVERSE, Trader, market, rules

MOST_STATES = 3_000 if THOROUGH else 120
PRICES = (ENTRY, 57_000)
TRADE, MOST_LOTS = 20, 40
"""Lots of a fill, and what no account trades itself beyond."""
TRADERS = (Trader(40, 40.0), Trader(-20, 400.0), Trader(-20, 30.0, isolated=20.0))
"""The long and the second short are bankrupt after a move of a twentieth; the first short can bear it."""
FIELDS = ("position_lots", "cost", "collateral", "isolated_margin")
VENUES = {
    "queue": rules(),
    "pro rata": rules(allocation="pro_rata", ranking="bitmex"),
    "water filling": rules(allocation="water_filling", ranking="profit"),
    "at the mark before": rules(price="previous_mark"),
    "band": rules(band=0.01),
    "socialised": rules(insurance={"shortfall": "socialised"}),
    "loss per scan": rules(insurance={"max_loss_per_scan": 5}),
    "drawdown": rules(trigger="fund_drawdown"),
}
State: TypeAlias = tuple[int, int, bytes]
"""Index of the mark, of the mark before it, and the ledger."""


@dataclass
class World:
    """One market whose ledger is set to a state, changed by real code, and read again."""

    name: str
    contract: Any
    fund: float

    def __post_init__(self) -> None:
        book = market(list(TRADERS), fund=self.fund, venue=VENUES[self.name], contract=self.contract)
        self.rows, self.waterfall, self.lot_value = book.rows, book.waterfall, self.contract.lot_value
        brackets = {
            f"bracket_{field}": getattr(BRACKETS, field) for field in ("cap", "rate_ppm", "deduction", "initial_ppm")
        }
        venue = ExchangeRules(
            lot_value=self.lot_value, ladder_size=80_000, maker_fee_ppm=0, taker_fee_ppm=0, liquidation_fee_ppm=0,
            max_position_lots=10**6, **brackets,
        )  # fmt: skip
        self.exchange = Exchange(venue, book.table)
        self.everyone = np.arange(SYSTEM_ROWS, SYSTEM_ROWS + len(TRADERS))
        self.start: State = (0, 0, self._ledger())
        self.money = self._money()
        self.orders = 0

    def _ledger(self) -> bytes:
        return np.stack([self.rows[name] for name in FIELDS]).tobytes()

    def _money(self) -> int:
        return sum(map(int, self.rows["collateral"])) - sum(map(int, self.rows["cost"]))

    def enter(self, state: State) -> None:
        """The ledger of a state, at the beginning of a scan."""
        mark, before, ledger = state
        for name, values in zip(FIELDS, np.frombuffer(ledger, np.int64).reshape(len(FIELDS), -1), strict=True):
            self.rows[name] = values
        self.exchange.relink(self.everyone)
        self.waterfall.set_mark(PRICES[mark], 0, PRICES[before])

    def moves(self, state: State) -> Iterator[tuple[str, State]]:
        """Everything that may happen next, and what comes of it."""
        mark, _, _ = state
        yield "mark", (1 - mark, mark, state[2])
        self.enter(state)
        for buyer, seller in permutations(self.everyone.tolist(), 2):
            self.enter(state)
            positions = self.rows["position_lots"]
            if positions[buyer] + TRADE <= MOST_LOTS and positions[seller] - TRADE >= -MOST_LOTS:
                yield "fill", self._after(state, lambda a=buyer, b=seller: self._fill(a, b, PRICES[mark]))
        self.enter(state)
        if self.rows["position_lots"][INSURANCE_ROW]:
            yield "fund", self._after(state, self._deleverage_fund)
        self.enter(state)
        if self.waterfall.fund_equity < 0:
            return  # a scan begins with the fund (sim/venue/margin_calls.py)
        due = self._due()
        for count in range(1, len(due) + 1):
            for order in permutations(due, count):
                self.enter(state)
                yield "close", self._after(state, lambda chosen=order: self._close(chosen))

    def _after(self, state: State, change: Any) -> State:
        change()
        self._laws()
        return state[0], state[1], self._ledger()

    def _due(self) -> list[int]:
        """Whom the engine may give up: below maintenance."""
        held = self.rows[self.everyone]
        mark = PRICES[0] if self.waterfall._mark_ticks == PRICES[0] else PRICES[1]
        under = backing_equity(held, mark, self.lot_value) <= maintenance_money(held, mark, self.lot_value, BRACKETS)
        return self.everyone[under & (held["position_lots"] != 0)].tolist()

    def _fill(self, buyer: int, seller: int, price: int) -> None:
        for row, side, kind in ((seller, Side.SELL, OrderKind.LIMIT), (buyer, Side.BUY, OrderKind.MARKET)):
            self.orders += 1
            command = np.zeros(1, COMMAND)
            facts = {"order_id": self.orders, "account": row, "side": side, "kind": kind, "quantity_lots": TRADE}
            for name, value in (facts | {"price_ticks": price if kind == OrderKind.LIMIT else 0}).items():
                command[name] = value
            events = self.exchange.process(command)
        assert (events["kind"] == EventKind.FILL).sum() == 1

    def _close(self, chosen: tuple[int, ...]) -> None:
        before = self.rows.copy()
        fund_before = self.waterfall.fund_equity
        outcome = self.waterfall.take_over(np.array(chosen), 0)
        self._only_those_named_changed(before, outcome.rows, chosen)
        for row in chosen:
            assert self.rows["position_lots"][row] == 0, "closed whole"
        if self.name in ("queue", "pro rata", "water filling", "socialised"):
            closed = self.rows[list(chosen)]
            owes = (closed["collateral"] < 0).any()
            assert not owes or self.waterfall.fund_equity <= 0, "nobody is left owing while the fund has something"
        assert fund_before < 0 or self.waterfall.fund_equity >= 0, "the fund bears no more than it has"

    def _deleverage_fund(self) -> None:
        before = self.rows.copy()
        outcome = self.waterfall.deleverage_fund(0)
        self._only_those_named_changed(before, outcome.rows, ())
        assert self.waterfall.fund_equity >= 0 or self.rows["position_lots"][INSURANCE_ROW] == 0

    def _only_those_named_changed(self, before: Any, named: Any, chosen: tuple[int, ...]) -> None:
        touched = {row for row in self.everyone.tolist() if any(before[f][row] != self.rows[f][row] for f in FIELDS)}
        assert touched <= set(named.tolist()) | set(chosen)
        for row in touched - set(chosen):
            assert before["position_lots"][row], "nobody without a position loses"
            now, then = int(self.rows["position_lots"][row]), int(before["position_lots"][row])
            assert 0 <= now * np.sign(then) <= abs(then), "ADL only closes"

    def _laws(self) -> None:
        assert sum(map(int, self.rows["position_lots"])) == 0, "every long lot has a short lot"
        assert self._money() == self.money, "money is neither made nor lost, to the unit"
        flat = self.rows["position_lots"] == 0
        assert not self.rows["cost"][flat].any(), "nobody pays for no position"
        assert not self.rows["isolated_margin"][flat].any()
        fund = self.rows[INSURANCE_ROW]
        assert fund["collateral"] >= 0 or fund["position_lots"], "a fund without a position owes nothing"
        assert self.rows["collateral"][FEES_ROW] == 0


@pytest.mark.parametrize("fund", [0.0, 3.0, 60.0])
@pytest.mark.parametrize("contract", [CONTRACT, INVERSE], ids=["linear", "inverse"])
@pytest.mark.parametrize("name", VENUES)
def test_every_order_of_events_keeps_the_laws(name: str, contract: Any, fund: float) -> None:
    world = World(name, contract, fund)
    seen, waiting, moves = {world.start}, deque([world.start]), 0
    kinds: set[str] = set()
    while waiting and len(seen) < MOST_STATES:
        for kind, state in world.moves(waiting.popleft()):
            moves += 1
            kinds.add(kind)
            if state not in seen:
                seen.add(state)
                waiting.append(state)
    print(f"{len(seen)} states, {moves} moves, {'all' if not waiting else f'{len(waiting)} left'}")
    assert kinds >= {"mark", "fill", "close"}
    assert moves > 40
