"""Facts about the liquidation engine: whom it takes, in what order, with which orders, and when it lets go."""

from typing import Any

import numpy as np
import pytest

from marginquake.sim.core.accounts import INSURANCE_ROW, SYSTEM_ROWS
from marginquake.sim.core.records import Cause, Flag, OrderKind, Side, Stage
from marginquake.sim.rules.liquidation import PROCEDURES
from tests.support.one_participant import PRICE, call, engine

FIRST = SYSTEM_ROWS


def test_a_called_account_is_cancelled_then_closed_by_one_reduce_only_market_order() -> None:
    booth, desk = engine()
    call(booth, FIRST, 40, 0.4)
    said = booth.decide()
    assert [OrderKind(k) for k in said["kind"]] == [OrderKind.CANCEL_ALL, OrderKind.MARKET]
    order = said[1]
    assert (order["account"], order["side"], order["quantity_lots"]) == (FIRST, Side.SELL, 40)
    assert order["cause"] == Cause.LIQUIDATION
    assert order["flags"] == Flag.REDUCE_ONLY
    assert order["price_ticks"] == PRICE - 400
    assert desk.started == [FIRST]


def test_shorts_are_bought_back() -> None:
    booth, _ = engine()
    call(booth, FIRST, -40, 0.4)
    order = booth.decide()[1]
    assert (order["side"], order["quantity_lots"], order["price_ticks"]) == (Side.BUY, 40, PRICE + 400)


def test_the_worst_go_first_and_capacity_is_kept() -> None:
    booth, desk = engine(capacity=2)
    for place, equity in enumerate((0.3, 0.1, 0.2)):
        call(booth, FIRST + place, 10, equity)
    booth.decide()
    assert desk.started == [FIRST + 1, FIRST + 2]
    assert booth.table.rows["stage"][FIRST] == Stage.CALLED


def test_the_recovered_are_released_unharmed() -> None:
    booth, desk = engine()
    call(booth, FIRST, 10, 0.9)
    assert len(booth.decide()) == 0
    assert desk.released == [FIRST]


def test_it_scans_once_a_monitor_period() -> None:
    booth, desk = engine(monitor_period=1_000_000_000)
    booth.decide()
    call(booth, FIRST, 10, 0.1)
    for _ in range(9):
        booth.decide()
    assert desk.started == []
    booth.decide()
    assert desk.started == [FIRST]


def test_switched_off_it_does_nothing() -> None:
    booth, desk = engine(enabled=False)
    call(booth, FIRST, 10, 0.1)
    assert len(booth.decide()) == 0
    assert desk.started == desk.released == []


@pytest.mark.parametrize(("lots", "equity", "released"), [(0, 0.0, True), (10, 0.9, True), (10, 0.1, False)])
def test_after_its_order_an_account_is_released_or_taken_over(lots: int, equity: float, released: bool) -> None:
    booth, desk = engine()
    call(booth, FIRST, lots, equity, Stage.LIQUIDATING)
    desk.due = [FIRST]
    assert len(booth.decide()) == 0
    assert (desk.released, desk.taken_over) == (([FIRST], []) if released else ([], [FIRST]))


def test_without_takeover_another_order_follows() -> None:
    booth, desk = engine(takeover=False)
    call(booth, FIRST, 10, 0.1, Stage.LIQUIDATING)
    desk.due = [FIRST]
    assert booth.decide()["quantity_lots"].tolist() == [10]
    assert desk.taken_over == []


@pytest.mark.parametrize(("bound", "ticks"), [("none", 0), (0.05, PRICE * 0.95), ("bankruptcy", PRICE - 400)])
def test_the_bound_of_an_order_is_the_rule_of_the_venue(bound: Any, ticks: float) -> None:
    booth, _ = engine(order_bound=bound)
    call(booth, FIRST, 10, 0.4)
    assert booth.decide()[1]["price_ticks"] == ticks


def test_large_positions_are_sliced_with_a_cooldown() -> None:
    booth, desk = engine(procedure="sliced", slice_cooldown=2_000_000_000)
    call(booth, FIRST, 2000, 0.4)
    call(booth, FIRST + 1, 500, 0.4)
    said = booth.decide()
    assert said[said["kind"] == OrderKind.MARKET]["quantity_lots"].tolist() == [400, 500]
    desk.due = [FIRST]
    later = [booth.decide()["quantity_lots"].tolist() for _ in range(25)]
    assert [lots for lots in later if lots] == [[400]]
    assert later.index([400]) == 19


def test_a_sliced_account_beyond_bankruptcy_is_taken_over() -> None:
    booth, desk = engine(procedure="sliced")
    call(booth, FIRST, 2000, -0.5, Stage.LIQUIDATING)
    desk.due = [FIRST]
    booth.decide()
    assert desk.taken_over == [FIRST]


def test_the_fund_unwinds_within_its_bound() -> None:
    booth, desk = engine(unwind_bound=0.05)
    booth.table.rows["position_lots"][INSURANCE_ROW] = 30
    booth.decide()
    order = desk.fund_orders.drain(0)[0]
    assert (order["account"], order["side"], order["quantity_lots"]) == (INSURANCE_ROW, Side.SELL, 30)
    assert order["price_ticks"] == PRICE * 0.95
    assert order["cause"] == Cause.TAKEOVER


def test_an_unknown_procedure_names_those_there_are() -> None:
    with pytest.raises(ValueError, match=", ".join(PROCEDURES)):
        engine(procedure="gently")


def test_slices_never_exceed_the_position() -> None:
    booth, _ = engine(procedure="sliced", slice_fraction=0.2, slice_min_notional=0)
    for place in range(4):
        call(booth, FIRST + place, place + 1, 0.1)
    orders = booth.decide()
    orders = orders[orders["kind"] == OrderKind.MARKET]
    held = np.abs(booth.table.rows["position_lots"][orders["account"]])
    assert (orders["quantity_lots"] <= held).all()
    assert (orders["quantity_lots"] >= 1).all()
