"""Shares, products, prices and margins against fractions, with every argument at the end of its range."""

import math
from fractions import Fraction

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from marginquake.sim.core.accounts import ACCOUNT
from marginquake.sim.core.integers.limits import MOST_BALANCE, MOST_COST
from marginquake.sim.core.margin import BracketSchedule, backing_equity, bankruptcy_ticks, muldiv
from marginquake.sim.core.records import MOST_TICKS, MarginMode
from marginquake.sim.core.valuation import LotValue
from marginquake.sim.kernels import kernel, valuation
from tests.oracles.naive_margin import muldiv as exact_muldiv
from tests.whole.integer_edges.edges import BALANCES, COSTS, EDGES, LARGEST_POSITION, contracts, near

PPM = 10**6
LARGEST_FEE_PPM = 5 * PPM
"""The largest fee that a scenario may have, as parts per million."""


@kernel
def muldiv_of(n, ppm):
    return valuation.muldiv(np.int64(n), np.int64(ppm))


@kernel
def share_of(total, part, whole):
    return valuation.share(np.int64(total), np.int64(part), np.int64(whole))


@kernel
def lot_value_of(value, inverse, ticks):
    return valuation.lot_value_at(np.int64(value), inverse, np.int64(ticks))


@kernel
def lowest_of(value, coin):
    return valuation.lowest_ticks(np.int64(value), np.int64(coin))


@kernel
def highest_of(value, coin):
    return valuation.highest_ticks(np.int64(value), np.int64(coin))


@kernel
def nearest_of(value, inverse, lots, money):
    return valuation.nearest_ticks(np.int64(value), inverse, np.int64(lots), np.int64(money))


def exact_lot(lot: LotValue, ticks: int) -> int:
    """What a lot is worth, by a fraction."""
    if not lot.inverse:
        return ticks * lot.at_one_tick
    return -math.floor(Fraction(lot.at_one_tick, ticks) + Fraction(1, 2))


@EDGES
@given(near(-LARGEST_POSITION, LARGEST_POSITION), near(-LARGEST_FEE_PPM, LARGEST_FEE_PPM, PPM, 990_000))
def test_a_share_in_parts_per_million_is_exact(amount: int, ppm: int) -> None:
    exact = exact_muldiv(amount, ppm)
    assert muldiv_of(amount, ppm) == exact
    assert muldiv(np.array([amount]), np.array([ppm])).tolist() == [exact]
    assert abs(exact - Fraction(amount * ppm, PPM)) <= 1 + abs(Fraction(ppm, PPM))


def test_beyond_the_bounds_the_comparison_sees_a_wrap() -> None:
    """What these tests would miss if they compared wrapped numbers with wrapped numbers."""
    assert muldiv_of(2**62, LARGEST_FEE_PPM) != exact_muldiv(2**62, LARGEST_FEE_PPM)
    lot = LotValue(2**62)
    assert lot_value_of(lot.at_one_tick, False, 8) != exact_lot(lot, 8)


@EDGES
@given(near(0, MOST_BALANCE), near(0, 2**31 - 1), near(1, 2**31 - 1))
def test_a_share_of_lots_is_exact(total: int, part: int, whole: int) -> None:
    part = min(part, whole)
    assert share_of(total, part, whole) == Fraction(total * part, whole).__floor__()


@EDGES
@given(contracts(), st.data())
def test_a_lot_is_worth_what_the_fraction_says_at_both_ends_of_the_ladder(
    contract: tuple[LotValue, int, int], data: st.DataObject
) -> None:
    lot, ladder, most = contract
    ticks = data.draw(near(1, ladder - 1))
    lots = data.draw(near(-most, most))
    exact = exact_lot(lot, ticks)
    assert lot_value_of(lot.at_one_tick, lot.inverse, ticks) == exact
    assert lot.value_of_lot(ticks) == exact
    assert lot.value(np.array([lots]), np.array([ticks])).tolist() == [lots * exact]
    assert abs(lots * exact) <= LARGEST_POSITION


@EDGES
@given(contracts(), near(-MOST_BALANCE - MOST_COST, MOST_BALANCE + MOST_COST))
def test_prices_of_an_inverse_lot_are_exact(contract: tuple[LotValue, int, int], coin: int) -> None:
    """The lowest tick at which a lot is worth no more than `coin`, the highest at which it is worth no less."""
    value = contract[0].at_one_tick
    lot = LotValue(value, inverse=True)

    def worth(ticks: int) -> int:
        return -exact_lot(lot, ticks)

    lowest, highest = lowest_of(value, coin), highest_of(value, coin)
    assert lowest == lot.lowest_ticks(np.array([coin]))[0]
    assert highest == lot.highest_ticks(np.array([coin]))[0]
    if coin < 0:
        assert lowest == MOST_TICKS
    elif lowest < MOST_TICKS:
        assert worth(lowest) <= coin
        assert lowest == 1 or worth(lowest - 1) > coin
    if coin < 1:
        assert highest == MOST_TICKS
    elif highest < MOST_TICKS:
        assert highest == 0 or worth(highest) >= coin
        assert worth(highest + 1) < coin


@EDGES
@given(contracts(), st.data())
def test_the_price_nearest_to_an_amount_is_exact(contract: tuple[LotValue, int, int], data: st.DataObject) -> None:
    lot, _, most = contract
    lots = data.draw(near(-most, most))
    assume(lots != 0)
    money = data.draw(near(-MOST_BALANCE, MOST_BALANCE))
    found = nearest_of(lot.at_one_tick, lot.inverse, lots, money)
    assert found == lot.nearest_ticks(lots, money)
    if lot.inverse:
        if money * lots >= 0:
            assert found == MOST_TICKS
            return
        exact = Fraction(-lots * lot.at_one_tick, money)
    else:
        exact = Fraction(money, lots * lot.at_one_tick)
    cut = min(max(exact, Fraction(-MOST_TICKS - 1)), Fraction(MOST_TICKS))
    assert abs(found - cut) <= Fraction(1, 2)


@EDGES
@given(
    st.lists(near(1, 2**61), min_size=1, max_size=5, unique=True).map(sorted),
    st.lists(near(1, 990_000), min_size=5, max_size=5).map(sorted),
    near(0, LARGEST_POSITION * 4),
)
def test_maintenance_is_exact_for_any_brackets(caps: list[int], rates: list[int], notional: int) -> None:
    deduction = [0]
    for n in range(1, len(caps)):
        step = exact_muldiv(caps[n - 1], rates[n]) - exact_muldiv(caps[n - 1], rates[n - 1])
        deduction.append(deduction[-1] + step)
    schedule = BracketSchedule(tuple(caps), tuple(rates[: len(caps)]), tuple(deduction), (PPM,) * len(caps))
    bracket = next((n for n, cap in enumerate(caps) if notional <= cap), len(caps) - 1)
    exact = exact_muldiv(notional, rates[bracket]) - deduction[bracket]
    assert schedule.maintenance(np.array([notional])).tolist() == [exact]
    assert exact <= notional


@EDGES
@given(contracts(), BALANCES, BALANCES, COSTS, st.booleans(), st.data())
def test_equity_and_bankruptcy_are_exact(
    contract: tuple[LotValue, int, int], collateral: int, margin: int, cost: int, isolated: bool, data: st.DataObject
) -> None:
    lot, ladder, most = contract
    lots, ticks = data.draw(near(-most, most)), data.draw(near(1, ladder - 1))
    rows = np.zeros(1, ACCOUNT)
    rows["position_lots"], rows["cost"], rows["collateral"], rows["isolated_margin"] = lots, cost, collateral, margin
    rows["mode"] = MarginMode.ISOLATED if isolated else MarginMode.CROSS
    backing = margin if isolated else collateral

    def equity(price: int) -> int:
        return backing + lots * exact_lot(lot, price) - cost

    assert backing_equity(rows, ticks, lot).tolist() == [equity(ticks)]
    last = int(bankruptcy_ticks(rows, lot)[0])
    if lots == 0 or not 1 < last < MOST_TICKS:
        return
    worse = last - 1 if lots > 0 else last + 1
    assert equity(last) >= 0
    assert worse < 1 or equity(worse) < 0
