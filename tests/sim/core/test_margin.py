"""Facts about margin: brackets, liquidation and bankruptcy prices, and their integer forms."""

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from marginquake.sim.core import margin
from marginquake.sim.core.accounts import ACCOUNT
from marginquake.sim.core.contract import ContractSpec
from marginquake.sim.core.margin import BTCUSDT_2024, Bracket, BracketSchedule, default_brackets
from marginquake.sim.core.records import MOST_TICKS, MarginMode, Side
from marginquake.sim.core.valuation import LotValue
from marginquake.sim.rules.formulas import liquidation_price
from marginquake.sim.rules.formulas.liquidation_price import notional_brackets

CONTRACT = ContractSpec("BTC", Decimal(1), Decimal("0.001"), Decimal(1), Decimal("0.000001"), 200_000, 50_000_000)
CAPS = [cap for cap, _, _ in BTCUSDT_2024]
RATES = [rate for _, _, rate in BTCUSDT_2024]
BRACKETS = notional_brackets([0.0, *CAPS[:-1]], CAPS, RATES)
SCHEDULE = BracketSchedule.from_config(default_brackets(), CONTRACT)
PUBLISHED_DEDUCTIONS = [
    0, 50, 950, 11_450, 131_450, 481_450, 2_981_450, 14_481_450, 26_481_450, 41_481_450, 121_481_450, 421_481_450,
]  # fmt: skip


def accounts(*rows: dict[str, int]) -> NDArray[Any]:
    table = np.zeros(len(rows), ACCOUNT)
    for place, row in enumerate(rows):
        for name, value in row.items():
            table[name][place] = value
    return table


def test_integer_deductions_are_those_the_venue_publishes() -> None:
    assert [d / 1_000_000 for d in SCHEDULE.deduction] == PUBLISHED_DEDUCTIONS


def test_float_deductions_are_those_the_venue_publishes() -> None:
    assert [b.deduction for b in BRACKETS] == pytest.approx(PUBLISHED_DEDUCTIONS)


def test_maintenance_has_no_step_at_a_cap() -> None:
    caps = np.array(SCHEDULE.cap[:-1])
    step = SCHEDULE.maintenance(caps + 1) - SCHEDULE.maintenance(caps)
    assert ((step == 0) | (step == 1)).all()


def test_a_notional_on_a_cap_belongs_to_the_lower_bracket() -> None:
    caps = np.array(SCHEDULE.cap)
    assert SCHEDULE.bracket_of(caps).tolist() == list(range(len(caps)))
    assert SCHEDULE.bracket_of(caps + 1).tolist() == [*range(1, len(caps)), len(caps) - 1]


def test_initial_margin_never_allows_more_than_the_brackets_leverage() -> None:
    for ppm, (_, leverage, _) in zip(SCHEDULE.initial_ppm, BTCUSDT_2024, strict=True):
        assert ppm >= 1e6 / leverage
        assert ppm - 1 < 1e6 / leverage
    assert SCHEDULE.max_leverage == 125


def test_brackets_out_of_order_are_refused() -> None:
    brackets = (
        Bracket(notional_cap=2e6, max_leverage=50, maintenance=0.01),
        Bracket(notional_cap=1e6, max_leverage=20, maintenance=0.02),
    )
    with pytest.raises(ValueError, match=r"brackets\[1\]: notional_cap must rise"):
        BracketSchedule.from_config(brackets, CONTRACT)


@given(st.integers(0, 2 * 10**15))
def test_integer_and_float_maintenance_agree(notional: int) -> None:
    found = int(SCHEDULE.maintenance(np.array([notional]))[0])
    assert abs(found - liquidation_price.maintenance_margin(notional / 1e6, BRACKETS) * 1e6) <= 2 + 1e-9 * notional


@given(
    side=st.sampled_from([Side.BUY, Side.SELL]),
    quantity=st.floats(0.001, 20_000),
    leverage=st.floats(1.05, 125),
)
def test_at_the_liquidation_price_equity_is_the_maintenance_margin(
    side: Side, quantity: float, leverage: float
) -> None:
    entry = 60_000.0
    backing = quantity * entry / leverage
    price, number = liquidation_price.bracketed_liquidation_price(side, quantity, entry, backing, BRACKETS)
    if price <= 0:
        return
    equity = backing + side * quantity * (price - entry)
    notional = quantity * price
    assert equity == pytest.approx(
        liquidation_price.maintenance_margin(notional, BRACKETS), rel=1e-6, abs=1e-6 * notional
    )
    assert notional <= BRACKETS[number - 1].cap * (1 + 1e-12) or number == len(BRACKETS)
    assert notional >= BRACKETS[number - 1].floor * (1 - 1e-12)


def test_bracket_of_the_liquidation_price_may_be_below_that_of_the_entry() -> None:
    price, number = liquidation_price.bracketed_liquidation_price(Side.BUY, 51, 60_000, 600_000, BRACKETS)
    assert CAPS[2] < 51 * 60_000
    assert number == 3
    assert price == pytest.approx(
        liquidation_price.liquidation_price(Side.BUY, 51, 60_000, 600_000, RATES[2], BRACKETS[2].deduction)
    )


def test_bankruptcy_lies_beyond_liquidation() -> None:
    liquidation, _ = liquidation_price.bracketed_liquidation_price(Side.BUY, 1, 60_000, 3000, BRACKETS)
    bankruptcy = liquidation_price.bankruptcy_price(Side.BUY, 1, 60_000, 3000)
    assert bankruptcy == 57_000
    assert liquidation > bankruptcy
    assert liquidation_price.bankruptcy_price(Side.SELL, 1, 60_000, 3000) == 63_000


def test_margin_fraction() -> None:
    assert liquidation_price.margin_fraction(500, 10_000) == 0.05
    assert liquidation_price.margin_fraction(500, 0) == math.inf


def test_equity_of_an_isolated_account_ignores_its_other_collateral() -> None:
    rows = accounts(
        {"position_lots": 10, "cost": 1000, "collateral": 5000, "isolated_margin": 70, "mode": MarginMode.ISOLATED},
        {"position_lots": 10, "cost": 1000, "collateral": 5000},
        {"position_lots": -10, "cost": -1000, "collateral": 5000},
    )
    assert margin.backing_equity(rows, 51, LotValue(2)).tolist() == [90, 5020, 4980]


def test_maintenance_of_rows_uses_the_size_of_the_position() -> None:
    rows = accounts({"position_lots": -1000}, {"position_lots": 1000}, {"position_lots": 0})
    money = margin.maintenance_money(rows, 50_000, CONTRACT.lot_value, SCHEDULE)
    assert money.tolist() == [200_000_000, 200_000_000, 0]


@given(
    position=st.integers(-(10**6), 10**6).filter(bool),
    entry=st.integers(1, 200_000),
    backing=st.integers(-(10**10), 10**12),
    value=st.integers(1, 5000),
)
def test_closing_at_the_bankruptcy_tick_leaves_less_than_one_tick_of_equity(
    position: int, entry: int, backing: int, value: int
) -> None:
    rows = accounts({"position_lots": position, "cost": position * entry * value, "collateral": backing})
    ticks = int(margin.bankruptcy_ticks(rows, LotValue(value))[0])
    equity = int(margin.backing_equity(rows, ticks, LotValue(value))[0])
    if position > 0 and ticks == 0:
        assert equity >= 0
    elif position < 0 and ticks == 1 and equity < 0:
        return
    else:
        assert 0 <= equity < abs(position) * value


@given(
    position=st.integers(-(10**6), 10**6).filter(bool),
    entry=st.integers(1, 200_000),
    backing=st.integers(-(10**10), 10**12),
    value=st.integers(10**6, 10**11),
)
def test_the_bankruptcy_tick_of_an_inverse_contract_is_the_last_solvent_one(
    position: int, entry: int, backing: int, value: int
) -> None:
    lot_value = LotValue(value, inverse=True)
    cost = position * lot_value.value_of_lot(entry)
    rows = accounts({"position_lots": position, "cost": cost, "collateral": backing})
    ticks = int(margin.bankruptcy_ticks(rows, lot_value)[0])
    equity = [int(margin.backing_equity(rows, at, lot_value)[0]) for at in (ticks, ticks - (1 if position > 0 else -1))]
    if position < 0 and ticks == 1 and equity[0] < 0:
        return
    if ticks == MOST_TICKS:
        far = int(margin.backing_equity(rows, 10**9, lot_value)[0])
        assert (equity[0] < 0) if position > 0 else (far >= 0)
    else:
        assert equity[0] >= 0
        assert ticks == 1 or equity[1] < 0


def test_a_flat_account_has_no_bankruptcy_price() -> None:
    assert margin.bankruptcy_ticks(accounts({"collateral": 5}), LotValue(1000)).tolist() == [0]
    assert margin.bankruptcy_ticks(accounts({"collateral": 5}), LotValue(1000, inverse=True)).tolist() == [0]
