"""Facts about contracts: what lots are worth, amounts and money, and what is refused."""

from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from marginquake.agents import AGENT_TYPES
from marginquake.sim.core.contract import ContractSpec, InverseContractConfig
from marginquake.sim.core.records import MOST_TICKS
from marginquake.sim.core.valuation import LotValue
from marginquake.sim.kernels import kernel
from marginquake.sim.kernels import valuation as kernels
from marginquake.sim.scenario.loader import load_scenario
from marginquake.sim.venue.venue import contract_from

LINEAR = ContractSpec("BTC", Decimal(1), Decimal("0.001"), Decimal(1), Decimal("0.000001"), 200_000, 50_000_000)
INVERSE = contract_from(InverseContractConfig(initial_price=50_000, tick_size=0.5, contract_value=100), "BTC")
VALUES = st.integers(10**4, 10**12)
TICKS = st.integers(1, 10**6)
LOTS = st.integers(-(10**6), 10**6)
COMPILES = settings(deadline=None)


@kernel
def kernel_worth(value, inverse, ticks):
    return kernels.lot_value_at(value, inverse, ticks)


@kernel
def kernel_nearest(value, inverse, lots, money):
    return kernels.nearest_ticks(value, inverse, lots, money)


@kernel
def kernel_levels(value, coin):
    return kernels.lowest_ticks(value, coin), kernels.highest_ticks(value, coin)


def test_an_inverse_long_gains_the_difference_of_inverse_prices() -> None:
    lots = np.array([1000, -1000])  # 100,000 quote units
    gained = INVERSE.lot_value.value(lots, INVERSE.to_ticks(60_000)) - INVERSE.lot_value.value(
        lots, INVERSE.to_ticks(50_000)
    )
    coin = 100_000 * (1 / 50_000 - 1 / 60_000)
    assert gained / 1e8 == pytest.approx([coin, -coin], rel=1e-4)
    assert INVERSE.gain(lots, 100_000, 120_000) == pytest.approx([coin * 50_000, -coin * 50_000])


def test_amounts_of_an_inverse_contract_are_coin_at_the_initial_price() -> None:
    assert INVERSE.to_money(50_000) == 10**8
    assert INVERSE.to_amount(10**8) == 50_000
    assert INVERSE.notional_per_lot(100_000) == pytest.approx(100.0)
    assert INVERSE.notional_per_lot(200_000) == pytest.approx(50.0)
    assert INVERSE.lots_for(1000.0, 200_000) == pytest.approx(20.0)
    assert INVERSE.quote_per_lot(200_000) == 100.0
    assert (LINEAR.worth_per_lot(60_000), INVERSE.worth_per_lot(100_000)) == pytest.approx((60.0, -100.0))
    assert (LINEAR.worth_per_lot(0), INVERSE.worth_per_lot(0)) == (0.0, 0.0)


def test_before_there_is_a_price_nothing_is_worth_anything() -> None:
    for lot_value in (LINEAR.lot_value, INVERSE.lot_value):
        assert lot_value.value_of_lot(0) == 0
        assert (
            lot_value.value(np.array([5, -5]), 0).tolist()
            == lot_value.value_real(np.array([5, -5]), 0).tolist()
            == [0, 0]
        )


@COMPILES
@given(value=VALUES, ticks=TICKS, lots=LOTS, inverse=st.booleans())
def test_kernels_and_columns_agree_on_worth(value: int, ticks: int, lots: int, inverse: bool) -> None:
    lot_value = LotValue(value, inverse)
    one = lot_value.value_of_lot(ticks)
    assert one == kernel_worth(value, inverse, ticks)
    assert one == (-round_half_up(Fraction(value, ticks)) if inverse else value * ticks)
    assume(abs(lots * one) < 2**62)
    assert lot_value.value(np.array([lots, -lots, 1]), ticks).tolist() == [lots * one, -lots * one, one]
    assert lot_value.notional(np.array([lots]), np.array([ticks])).tolist() == [abs(lots * one)]
    assert abs(lot_value.value_real(np.array([1]), ticks)[0] - one) <= 0.5 + 1e-9 * abs(one)


def round_half_up(number: Fraction) -> int:
    return int((number + Fraction(1, 2)).__floor__())


@COMPILES
@given(value=VALUES, coin=st.integers(-5, 10**8))
def test_levels_of_an_inverse_contract_are_found_exactly(value: int, coin: int) -> None:
    lot_value = LotValue(value, inverse=True)
    lowest, highest = (int(found) for found in kernel_levels(value, coin))
    assert (lot_value.lowest_ticks(np.array([coin]))[0], lot_value.highest_ticks(np.array([coin]))[0]) == (
        lowest,
        highest,
    )
    if lowest != MOST_TICKS:
        assert -lot_value.value_of_lot(lowest) <= coin
        assert lowest == 1 or -lot_value.value_of_lot(lowest - 1) > coin
    if 0 < highest < MOST_TICKS:
        assert -lot_value.value_of_lot(highest) >= coin > -lot_value.value_of_lot(highest + 1)
    assert highest > 0 or -lot_value.value_of_lot(1) < coin


@COMPILES
@given(value=VALUES, money=st.integers(-(10**15), 10**15), lots=LOTS.filter(bool), inverse=st.booleans())
def test_the_nearest_price_is_the_exact_one_rounded(value: int, money: int, lots: int, inverse: bool) -> None:
    lot_value = LotValue(value, inverse)
    found = lot_value.nearest_ticks(lots, money)
    assert found == kernel_nearest(value, inverse, lots, money)
    if inverse and money * lots >= 0:
        assert found == MOST_TICKS
        return
    exact = Fraction(-lots * value, money) if inverse else Fraction(money, lots * value)
    assert found == min(max(round_half_up(exact), -MOST_TICKS - 1), MOST_TICKS)
    assert lot_value.entry_ticks(np.array([money]), np.array([lots]))[0] == pytest.approx(float(exact))


def test_what_no_price_makes_lots_worth_has_a_price_beyond_all_prices() -> None:
    for lots, money in ((5, 3), (-5, -3), (5, 0)):
        assert INVERSE.lot_value.nearest_ticks(lots, money) == MOST_TICKS
        assert kernel_nearest(INVERSE.lot_value.at_one_tick, True, lots, money) == MOST_TICKS


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"max_position_lots": 10**9, "tick_size": 0.5},
            "worth of a lot at one tick .* larger tick_size or money_unit",
        ),
        ({"contract_value": 1}, "one lot is worth 1000 money units"),
    ],
)
def test_an_inverse_contract_that_cannot_be_reckoned_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        contract_from(InverseContractConfig(**fields), "BTC")


def test_defaults_of_an_inverse_contract_hold_large_positions() -> None:
    contract = contract_from(InverseContractConfig(), "BTC")
    assert contract.notional(contract.max_position_lots, 100_000) == pytest.approx(2e9)


def test_a_preset_brings_the_type_and_a_scenario_its_price(tmp_path: Path) -> None:
    preset, mine = tmp_path / "preset.yaml", tmp_path / "mine.yaml"
    preset.write_text("contract: {type: inverse, tick_size: 0.5, contract_value: 100}\n")
    mine.write_text("extends: preset.yaml\nduration: 1s\ncontract: {initial_price: 60000}\n")
    contract = load_scenario(mine, AGENT_TYPES).markets[0].contract
    assert (contract.type, contract.tick_size, contract.initial_price) == ("inverse", 0.5, 60_000)


def test_another_type_replaces_an_inherited_contract_whole(tmp_path: Path) -> None:
    base, mine = tmp_path / "base.yaml", tmp_path / "mine.yaml"
    base.write_text("contract: {initial_price: 60000, lot_size: 0.01}\n")
    mine.write_text("extends: base.yaml\nduration: 1s\ncontract: {type: inverse}\n")
    assert load_scenario(mine, AGENT_TYPES).markets[0].contract == InverseContractConfig()
    assert load_scenario(mine, AGENT_TYPES).resolved()["contract"]["contract_value"] == 100
