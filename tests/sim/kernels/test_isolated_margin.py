"""Isolated margin under a real venue's brackets: whoever the venue lets open is not called where he opened."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marginquake.sim.core.accounts import SYSTEM_ROWS, AccountTable
from marginquake.sim.core.contract import ContractSpec
from marginquake.sim.core.margin import BracketSchedule, default_brackets
from marginquake.sim.core.records import EventKind, MarginMode, OrderKind, Side
from marginquake.sim.venue.exchange import Exchange, ExchangeRules
from tests.support.ladder import command
from tests.support.strategies import MODERATE

TRADER, OTHER = SYSTEM_ROWS, SYSTEM_ROWS + 1
ENTRY_TICKS = 100_000
LINEAR = ContractSpec("BTC", Decimal(1), Decimal("0.001"), Decimal(1), Decimal("0.000001"), 200_000, 50_000_000)
INVERSE = ContractSpec(
    name="XBT",
    tick_size=Decimal(1),
    lot_size=Decimal(100),
    multiplier=Decimal(1),
    money_unit=Decimal("0.00000001"),
    max_price_ticks=200_000,
    max_position_lots=20_000_000,
    inverse=True,
    coin_price=Decimal(ENTRY_TICKS),
)


def bought(contract: ContractSpec, leverage: int, amounts: list[float], side: Side = Side.BUY) -> tuple[Exchange, Any]:
    """A trader with isolated margin and any amount of money takes so many quote units, one order after the other, at
    an unchanged mark; and what happened."""
    schedule = BracketSchedule.from_config(default_brackets(), contract)
    table = AccountTable(SYSTEM_ROWS + 2, contract.lot_value)
    rows = table.claim(0, 2)
    table.rows["collateral"][rows] = contract.to_money(1e10)
    table.rows["initial_margin_ppm"][TRADER] = 10**6 // leverage
    table.rows["mode"][TRADER] = MarginMode.ISOLATED
    rules = ExchangeRules(
        lot_value=contract.lot_value,
        ladder_size=contract.max_price_ticks,
        maker_fee_ppm=0,
        taker_fee_ppm=0,
        liquidation_fee_ppm=0,
        bracket_cap=schedule.cap,
        bracket_rate_ppm=schedule.rate_ppm,
        bracket_deduction=schedule.deduction,
        bracket_initial_ppm=schedule.initial_ppm,
        max_position_lots=contract.max_position_lots,
    )
    exchange = Exchange(rules, table)
    exchange.set_mark(ENTRY_TICKS, 1)
    at = {"price_ticks": ENTRY_TICKS, "arrival_ns": 2}
    lots = [max(1, round(amount / contract.notional_per_lot(ENTRY_TICKS))) for amount in amounts]
    maker = command(OrderKind.LIMIT, OTHER, order_id=1, side=Side(-side), quantity_lots=sum(lots), **at)
    exchange.process(maker)
    for number, count in enumerate(lots):
        exchange.process(command(OrderKind.LIMIT, TRADER, order_id=2 + number, side=side, quantity_lots=count, **at))
    return exchange, exchange.set_mark(ENTRY_TICKS, 3)


def margin_of(exchange: Exchange, contract: ContractSpec) -> float:
    """Isolated margin of the trader, quote units."""
    return float(contract.to_amount(int(exchange.accounts.rows["isolated_margin"][TRADER])))


def test_fifty_millions_at_leverage_125_have_the_margin_of_their_bracket() -> None:
    """Venue's table: 12 to 70 millions at most 25 times, maintenance 868,550 of 50 millions."""
    exchange, events = bought(LINEAR, 125, [50e6])
    assert margin_of(exchange, LINEAR) == 50e6 / 25
    assert events["kind"].tolist() == []


@pytest.mark.parametrize("parts", [[1e6] * 50, [49.99e6, 10e3], [40e3, 500e3, 2e6, 9e6, 38.46e6]])
def test_it_does_not_matter_in_how_many_orders(parts: list[float]) -> None:
    exchange, events = bought(LINEAR, 125, parts)
    assert margin_of(exchange, LINEAR) == pytest.approx(50e6 / 25, abs=1e-3)
    assert len(events) == 0


@MODERATE
@given(
    contract=st.sampled_from([LINEAR, INVERSE]),
    leverage=st.sampled_from([1, 2, 3, 5, 10, 20, 25, 50, 75, 100, 125]),
    amounts=st.lists(st.floats(4, 8.6).map(lambda power: 10**power), min_size=1, max_size=4),
    side=st.sampled_from(list(Side)),
)
def test_nobody_is_called_at_the_mark_at_which_he_opened(
    contract: ContractSpec, leverage: int, amounts: list[float], side: Side
) -> None:
    exchange, events = bought(contract, leverage, amounts, side)
    assert EventKind.MARGIN_CALL not in events["kind"]
    assert exchange.accounts.rows["position_lots"][TRADER] != 0
