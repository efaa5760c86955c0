"""Fills, takeovers, ADL and funding with amounts at the end of their range, beside their naive twins in Python's own
integers: equal to the unit, and all money where it was."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from marginquake.sim.core.accounts import INSURANCE_ROW, ROUNDING_ROW, SYSTEM_ROWS, AccountTable
from marginquake.sim.core.integers.casts import exact_sum
from marginquake.sim.core.integers.limits import MOST_COST, MOST_MONEY, TooLarge
from marginquake.sim.core.records import EVENT, MarginMode, Stage
from marginquake.sim.core.valuation import LotValue
from marginquake.sim.kernels import takeover
from marginquake.sim.rules.adl_allocation import haircuts, shares
from marginquake.sim.rules.funding import FundingConfig, MarginTerms
from marginquake.sim.venue.exchange import Exchange
from marginquake.sim.venue.funding import PPB, Funding
from tests.oracles.naive_exchange import NaiveExchange
from tests.oracles.takeover import NaiveDeleveraging, NaiveTakeover
from tests.support.compare_exchanges import assert_twins_agree
from tests.support.strategies import LADDER, Case, cases
from tests.whole.integer_edges.edges import BALANCES, COSTS, EDGES, LARGEST_POSITION, contracts, near

MOST_LOTS = 100
"""Largest position of the small markets below; a stream of 80 commands goes far beyond it where it may."""
LARGEST_VALUE = LARGEST_POSITION // (MOST_LOTS * LADDER)
"""Money of a lot and tick, so that the largest position at the dearest price is as large as it may be."""
MONEY = ("position_lots", "cost", "collateral", "isolated_margin")


@st.composite
def markets(draw: st.DrawFn) -> Case:
    """A market with the largest amounts that a contract and the bounds of deposits allow."""
    value = draw(st.sampled_from([LARGEST_VALUE, LARGEST_VALUE - 1, LARGEST_VALUE // 1000]))
    case = draw(cases(values=(value,)))
    if case.rules.lot_value.inverse:
        # Worth most at one tick, where a linear one is worth least.
        most = LotValue(LARGEST_POSITION // MOST_LOTS - draw(st.integers(0, 9)), inverse=True)
        case = replace(case, rules=replace(case.rules, lot_value=most))
    deposits = near(0, MOST_MONEY // 4, value * 1000)
    accounts = tuple(replace(account, collateral=draw(deposits)) for account in case.accounts)
    limited = replace(case.rules, max_position_lots=MOST_LOTS)
    return Case(limited, draw(near(0, MOST_MONEY)), accounts, case.steps)


@EDGES
@given(markets())
def test_kernel_and_twin_agree_to_the_unit_on_markets_of_the_largest_amounts(case: Case) -> None:
    assert_twins_agree(case, Exchange, NaiveExchange)


@st.composite
def ledgers(draw: st.DrawFn, count: int) -> tuple[LotValue, int, NDArray[Any]]:
    """A contract, a mark and a table of `count` traders and the fund, whose lots add up to nothing."""
    lot, ladder, most = draw(contracts())
    table = AccountTable(SYSTEM_ROWS + count, lot)
    rows = table.claim(0, count)
    lots = [draw(near(-(most // count), most // count)) for _ in range(count)]
    for row, held in zip([INSURANCE_ROW, *rows.tolist()], [-sum(lots), *lots], strict=True):
        line = table.rows[row : row + 1]
        line["position_lots"] = held
        line["cost"] = draw(COSTS) // count if held else 0
        line["collateral"] = draw(BALANCES) // 2
        if row != INSURANCE_ROW and draw(st.booleans()):
            line["mode"] = MarginMode.ISOLATED
            line["isolated_margin"] = draw(BALANCES) // 2 if held else 0
        line["stage"] = draw(st.sampled_from(Stage))
    return lot, draw(near(1, ladder - 1)), table.rows


def money_in(rows: NDArray[Any]) -> int:
    return exact_sum(rows["collateral"]) - exact_sum(rows["cost"])


@EDGES
@given(ledgers(1))
def test_a_takeover_is_exact(ledger: tuple[LotValue, int, NDArray[Any]]) -> None:
    lot, mark, rows = ledger
    bankrupt = SYSTEM_ROWS
    assume(rows["position_lots"][bankrupt] != 0)
    before, deposits = rows.copy(), money_in(rows)
    twin = NaiveTakeover(before[[INSURANCE_ROW, bankrupt]], lot, mark)
    limits = np.array([-(2**62), 2**62], np.int64)
    events, written = np.zeros(4, EVENT), np.zeros(1, np.int64)
    assert takeover.absorb(rows, *lot, mark, np.array([bankrupt]), 0, limits, 0, events, written) == 1
    assert events["money"][0] == twin.equity
    assert rows["cost"][INSURANCE_ROW] == twin.fund["cost"]
    assert rows["position_lots"][INSURANCE_ROW] == twin.fund["position_lots"]
    assert money_in(rows) == deposits
    paid = int(events["money"][1]) if written[0] > 1 else 0
    assert 0 <= paid <= twin.paid, "the fund pays a deficit, as far as it has money"
    assert rows["collateral"][bankrupt] == twin.bankrupt["collateral"] - twin.paid + paid


@EDGES
@given(ledgers(4), st.data())
def test_adl_is_exact(ledger: tuple[LotValue, int, NDArray[Any]], data: st.DataObject) -> None:
    _lot, mark, rows = ledger
    bankrupt = SYSTEM_ROWS
    position = int(rows["position_lots"][bankrupt])
    others = [row for row in range(SYSTEM_ROWS + 1, len(rows)) if int(rows["position_lots"][row]) * position < 0]
    held = np.array([abs(int(rows["position_lots"][row])) for row in others], np.int64)
    assume(position != 0 and held.sum() >= abs(position))
    lots = shares(abs(position), held)
    money = data.draw(near(-MOST_COST, MOST_COST))
    before, deposits = rows.copy(), money_in(rows)
    twin = NaiveDeleveraging(before, bankrupt, money, list(zip(others, lots.tolist(), strict=True)))
    events = np.zeros(2 * len(others) + 1, EVENT)
    limits = np.array([0, 2**62], np.int64)
    takeover.deleverage(rows, mark, bankrupt, money, 0, 1, np.array(others), lots, limits, 0, events)
    for row, expected in enumerate(twin.accounts):
        assert {name: int(rows[name][row]) for name in expected} == expected
    assert money_in(rows) == deposits
    assert abs(int(rows["collateral"][ROUNDING_ROW])) <= len(others)


@EDGES
@given(st.lists(near(1, 2**31 - 1), min_size=1, max_size=6), near(0, 2**33))
def test_lots_are_divided_to_the_last(lots: list[int], quantity: int) -> None:
    quantity = min(quantity, sum(lots))
    closed = shares(quantity, np.array(lots))
    assert sum(closed.tolist()) == quantity
    assert all(0 <= part <= held for part, held in zip(closed.tolist(), lots, strict=True))


@EDGES
@given(st.lists(near(1, 2**59), min_size=1, max_size=6), near(0, 2**62))
def test_a_socialised_loss_is_divided_to_the_last_unit(profits: list[int], shortfall: int) -> None:
    given_up = haircuts(shortfall, np.array(profits))
    assert sum(given_up.tolist()) == min(shortfall, sum(profits))
    assert all(0 <= part <= profit for part, profit in zip(given_up.tolist(), profits, strict=True))


class _Rows:
    """The part of an exchange that funding needs."""

    def __init__(self, rows: NDArray[Any], lot: LotValue, mark: int) -> None:
        self.accounts = SimpleNamespace(rows=rows, count=len(rows))
        self.mark_ticks = mark
        self.events: list[Any] = []

    def relink(self, rows: Any) -> None:
        """Liquidation prices are not looked at here."""

    def append_events(self, events: NDArray[Any]) -> None:
        self.events += events.tolist()


@EDGES
@given(ledgers(4), near(-PPB, PPB))
def test_funding_is_exact_and_its_rest_goes_to_rounding(ledger: tuple[LotValue, int, NDArray[Any]], ppb: int) -> None:
    lot, mark, rows = ledger
    exchange: Any = _Rows(rows, lot, mark)
    contract: Any = SimpleNamespace(lot_value=lot, name="edge")
    oracle: Any = SimpleNamespace(index_ticks=float(mark))
    funding = Funding(FundingConfig(), MarginTerms(0.01, 0.005), contract, exchange, oracle)
    before, deposits = rows.copy(), money_in(rows)
    funding._pay(ppb / PPB, 0)
    worth = abs(lot.value_of_lot(mark))
    paid = [int(lots) * worth // PPB * ppb + int(lots) * worth % PPB * ppb // PPB for lots in before["position_lots"]]
    for row, payment in enumerate(paid):
        rest = sum(paid) if row == ROUNDING_ROW else 0
        assert int(rows["collateral"][row]) == int(before["collateral"][row]) - payment + rest
        isolated = before["mode"][row] == MarginMode.ISOLATED and payment != 0
        assert int(rows["isolated_margin"][row]) == int(before["isolated_margin"][row]) - isolated * payment
    assert money_in(rows) == deposits
    assert abs(sum(paid)) <= 2 * len(rows)
    money = EVENT.names.index("money") if EVENT.names else 0
    assert exchange.events[0][money] == sum(map(abs, paid)) // 2


def test_a_rate_beyond_the_whole_notional_is_refused_and_nothing_is_paid() -> None:
    rows = AccountTable(SYSTEM_ROWS + 1, LotValue(1)).rows
    rows["position_lots"][SYSTEM_ROWS] = 1
    exchange: Any = _Rows(rows, LotValue(1), 10)
    contract: Any = SimpleNamespace(lot_value=LotValue(1), name="edge")
    oracle: Any = SimpleNamespace(index_ticks=10.0)
    funding = Funding(FundingConfig(), MarginTerms(0.01, 0.005), contract, exchange, oracle)
    for rate in (1.5, -2.0, float("nan"), 1e300):
        with pytest.raises(TooLarge, match=r"a funding rate of .* is more than the whole notional"):
            funding._pay(rate, 0)
    assert (rows["collateral"] == 0).all()
