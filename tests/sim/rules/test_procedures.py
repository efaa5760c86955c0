"""Facts about liquidation procedures: what each venue's engine sends, how much, and when it gives up."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marginquake.sim.core.accounts import INSURANCE_ROW, SYSTEM_ROWS
from marginquake.sim.core.records import Cause, EventKind, Flag, OrderKind, Side, Stage
from marginquake.sim.rules.formulas import dydx
from marginquake.sim.rules.liquidation import PROCEDURES
from tests.support.one_participant import PRICE, Booth, FakeDesk, call, engine
from tests.support.still_market import OpenStillMarket, fall, kinds

FIRST = SYSTEM_ROWS
LOT_NOTIONAL = 100
"""Quote units of one lot at the mark."""


def forced(said: Any) -> Any:
    """The orders among the commands."""
    return said[said["kind"] != OrderKind.CANCEL_ALL]


def again(booth: Booth, desk: FakeDesk, row: int = FIRST) -> Any:
    """The account's order is done: the next scan."""
    desk.due = [row]
    for _ in range(9):
        assert len(booth.decide()) == 0
    return forced(booth.decide())


# -- BitMEX, Bybit -----------------------------------------------------------------------------------------------------


def test_tier_reduction_kills_or_fills_what_exceeds_the_bracket_below() -> None:
    booth, desk = engine(procedure="tier_reduction")
    desk.tier_caps = (100, 500)
    call(booth, FIRST, 700, 0.4)
    said = booth.decide()
    assert [OrderKind(k) for k in said["kind"]] == [OrderKind.CANCEL_ALL, OrderKind.FOK]
    assert (said["quantity_lots"][1], said["price_ticks"][1], said["side"][1]) == (200, PRICE - 400, Side.SELL)
    assert said["flags"][1] == Flag.REDUCE_ONLY
    call(booth, FIRST, 500, 0.4, Stage.LIQUIDATING)
    assert again(booth, desk)["quantity_lots"].tolist() == [400]
    assert desk.taken_over == []
    call(booth, FIRST, 100, 0.4, Stage.LIQUIDATING)
    assert len(again(booth, desk)) == 0
    assert desk.taken_over == [FIRST]


def test_tier_reduction_gives_up_where_its_order_was_killed() -> None:
    booth, desk = engine(procedure="tier_reduction")
    desk.tier_caps = (100,)
    call(booth, FIRST, 700, 0.4)
    booth.decide()
    assert len(again(booth, desk)) == 0
    assert desk.taken_over == [FIRST]


def test_tier_reduction_lets_go_whoever_is_compliant_in_the_smaller_bracket() -> None:
    booth, desk = engine(procedure="tier_reduction")
    desk.tier_caps = (100,)
    call(booth, FIRST, 700, 0.4)
    booth.decide()
    call(booth, FIRST, 100, 0.6, Stage.LIQUIDATING)
    assert len(again(booth, desk)) == 0
    assert (desk.released, desk.taken_over) == ([FIRST], [])


def test_in_the_lowest_tier_nothing_is_sent_before_the_takeover() -> None:
    booth, desk = engine(procedure="tier_reduction")
    call(booth, FIRST, 700, 0.4)
    assert len(forced(booth.decide())) == 0
    assert desk.taken_over == []
    again(booth, desk)
    assert desk.taken_over == [FIRST]


@pytest.mark.parametrize(("lots", "price"), [(40, PRICE - 400), (-40, PRICE + 400)])
def test_bitmex_takes_over_and_offers_at_the_bankruptcy_price(lots: int, price: int) -> None:
    booth, desk = engine(procedure="takeover_at_bankruptcy")
    call(booth, FIRST, lots, 0.4)
    said = booth.decide()
    assert [OrderKind(k) for k in said["kind"]] == [OrderKind.CANCEL_ALL]
    desk.due = [FIRST]
    for _ in range(10):
        booth.decide()
    assert desk.taken_over == [FIRST]
    (order,) = desk.fund_orders.drain(0)
    assert (order["kind"], order["account"], order["cause"]) == (OrderKind.LIMIT, INSURANCE_ROW, Cause.TAKEOVER)
    assert (order["quantity_lots"], order["price_ticks"], order["side"]) == (40, price, -np.sign(lots))


def test_the_funds_offers_end_with_its_position() -> None:
    booth, desk = engine(procedure="takeover_at_bankruptcy")
    call(booth, FIRST, 40, 0.4)
    booth.decide()
    desk.due = [FIRST]
    for _ in range(10):
        booth.decide()
    desk.fund_orders.drain(0)
    desk.due = []
    for _ in range(10):
        booth.decide()
    assert [OrderKind(k) for k in desk.fund_orders.drain(0)["kind"]] == [OrderKind.CANCEL_ALL]


# -- dYdX --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lots", [2000, -2000])
@pytest.mark.parametrize("equity", [0.45, 0.2, 0.0])
def test_fillable_is_bound_by_dydxs_fillable_price(lots: int, equity: float) -> None:
    booth, _ = engine(procedure="fillable")
    call(booth, FIRST, lots, equity)
    (order,) = forced(booth.decide())
    coins = lots / 1000
    quote = abs(lots) * equity - coins * PRICE
    exact = dydx.fillable_price(quote, coins, PRICE, 0.005, 1.0, 1.5)
    assert 0 <= (order["price_ticks"] - exact) * np.sign(lots) < 1
    assert order["quantity_lots"] == 200


@pytest.mark.parametrize(("lots", "sold"), [(4, 4), (50, 10), (3000, 300), (50_000, 1000)])
def test_fillable_sells_a_tenth_within_a_thousand_and_a_hundred_thousand(lots: int, sold: int) -> None:
    booth, _ = engine(procedure="fillable")
    call(booth, FIRST, lots, 0.4)
    assert forced(booth.decide())["quantity_lots"].tolist() == [sold]


def test_fillable_gives_up_below_zero_equity_only() -> None:
    booth, desk = engine(procedure="fillable")
    call(booth, FIRST, 1000, 0.1)
    booth.decide()
    call(booth, FIRST, 900, 0.1, Stage.LIQUIDATING)
    assert again(booth, desk)["quantity_lots"].tolist() == [90]
    call(booth, FIRST, 810, -0.1, Stage.LIQUIDATING)
    again(booth, desk)
    assert desk.taken_over == [FIRST]


def test_orders_beyond_bankruptcy_cost_the_fund_no_more_than_it_may_lose() -> None:
    booth, desk = engine(procedure="fillable", fillable={"fraction": 1, "most_notional": 1e9})
    desk.allowance = 100_000_000  # 100 quote units
    # equity 0 a lot: the fillable price costs 0.75 a lot beyond bankruptcy
    for place in range(3):
        call(booth, FIRST + place, 100, 0.0)
    assert forced(booth.decide())["quantity_lots"].tolist() == [100, 33]
    assert 0 <= desk.allowance < 1_000_000


# -- Deribit -----------------------------------------------------------------------------------------------------------


def test_incremental_sells_the_rounds_of_a_scan_until_the_account_is_compliant() -> None:
    booth, desk = engine(procedure="incremental", incremental={"slice_notional": 100, "rounds_per_second": 25})
    call(booth, FIRST, 700, 0.4)
    assert forced(booth.decide())["quantity_lots"].tolist() == [25]
    call(booth, FIRST, 675, 0.45, Stage.LIQUIDATING)
    assert again(booth, desk)["quantity_lots"].tolist() == [25]
    call(booth, FIRST, 650, 0.51, Stage.LIQUIDATING)
    assert len(again(booth, desk)) == 0
    assert desk.released == [FIRST]


# -- Hyperliquid -------------------------------------------------------------------------------------------------------


def test_slices_may_have_a_least_and_a_most() -> None:
    limits = {"slice_least_notional": 50_000, "slice_most_notional": 90_000}
    booth, _ = engine(procedure="sliced", **limits)
    for place, lots in enumerate((2000, 4000, 20_000)):
        call(booth, FIRST + place, lots, 0.4)
    assert sorted(forced(booth.decide())["quantity_lots"].tolist()) == [500, 800, 900]


def test_in_hyperliquids_cooldown_orders_are_for_the_entire_position() -> None:
    booth, desk = engine(procedure="sliced", slice_cooldown_orders="whole", slice_cooldown=3_000_000_000)
    call(booth, FIRST, 2000, 0.4)
    assert forced(booth.decide())["quantity_lots"].tolist() == [400]
    call(booth, FIRST, 1600, 0.4, Stage.LIQUIDATING)
    assert again(booth, desk)["quantity_lots"].tolist() == [1600], "a second later: all that is left"
    call(booth, FIRST, 1500, 0.6, Stage.LIQUIDATING)
    again(booth, desk)
    assert desk.released == [FIRST]
    desk.due = []
    call(booth, FIRST, 1500, 0.4)
    assert forced(np.concatenate([booth.decide() for _ in range(10)]))["quantity_lots"].tolist() == [300], "4 s later"


@pytest.mark.parametrize("procedure", sorted(set(PROCEDURES) - {"full", "takeover_at_bankruptcy"}))
def test_the_backstop_takes_who_has_less_than_its_share_of_maintenance(procedure: str) -> None:
    booth, desk = engine(procedure=procedure, backstop_fraction=2 / 3)
    desk.tier_caps = (10, 100)
    for place, equity in enumerate((0.34, 0.33)):
        call(booth, FIRST + place, 2000, equity)
    booth.decide()
    for place in range(2):
        booth.table.rows["position_lots"][FIRST + place] -= 100
        booth.table.rows["cost"][FIRST + place] -= 100 * PRICE * booth.table.lot_value.at_one_tick
    call(booth, FIRST, 1900, 0.34, Stage.LIQUIDATING)
    call(booth, FIRST + 1, 1900, 0.33, Stage.LIQUIDATING)
    desk.due = [FIRST, FIRST + 1]
    for _ in range(10):
        booth.decide()
    assert desk.taken_over == [FIRST + 1]


# -- all of them -------------------------------------------------------------------------------------------------------


@settings(max_examples=120, deadline=None)
@given(
    procedure=st.sampled_from(sorted(PROCEDURES)),
    positions=st.lists(st.integers(-60_000, 60_000).filter(bool), min_size=1, max_size=8),
    equities=st.lists(st.floats(-1.0, 0.5), min_size=8, max_size=8),
    caps=st.lists(st.integers(1, 50_000), max_size=3, unique=True).map(sorted),
    allowance=st.none() | st.integers(0, 10**9),
)
def test_no_procedure_sells_more_than_the_position_or_more_than_its_rule(
    procedure: str, positions: list[int], equities: list[float], caps: list[int], allowance: int | None
) -> None:
    booth, desk = engine(**({"slice_most_notional": 90_000} if procedure == "sliced" else {}), procedure=procedure)
    desk.tier_caps, desk.allowance = tuple(caps), allowance
    for place, lots in enumerate(positions):
        call(booth, FIRST + place, lots, equities[place])
    orders = forced(booth.decide())
    held = np.abs(booth.table.rows["position_lots"][orders["account"]])
    lots = orders["quantity_lots"]
    assert (orders["side"] == -np.sign(booth.table.rows["position_lots"][orders["account"]])).all()
    assert ((lots >= 1) & (lots <= held)).all()
    assert (orders["flags"] & Flag.REDUCE_ONLY).all()
    assert len(set(orders["account"].tolist())) == len(orders), "one order an account"
    most = {
        "full": held,
        "sliced": np.where(held > 1000, np.minimum(np.ceil(0.2 * held), 900), held),
        "tier_reduction": held - np.array([max([c for c in caps if c < lots], default=lots) for lots in held.tolist()]),
        "takeover_at_bankruptcy": 0 * held,
        "fillable": np.minimum(np.maximum(np.ceil(0.1 * held), 10), 1000),
        "incremental": np.full(len(held), 25),
    }[procedure]
    assert (lots <= most).all()


@pytest.mark.parametrize("procedure", sorted(PROCEDURES))
@pytest.mark.parametrize("share", [0.047, 0.06])
def test_every_procedure_keeps_the_laws_and_leaves_nobody_in_its_hands(
    still_market: OpenStillMarket, procedure: str, share: float
) -> None:
    """A fall to just past the liquidation price, and one past bankruptcy; every step's invariants are checked."""
    rules = {"procedure": procedure, "slice_cooldown": "2s", "incremental": {"slice_notional": 5000}}
    brackets = [
        {"notional_cap": cap, "max_leverage": lev, "maintenance": rate}
        for cap, lev, rate in ((5000, 125, "0.4%"), (20_000, 100, "0.5%"), ("1000M", 50, "1%"))
    ]
    market = still_market(
        index={"fundamental": {"volatility": 0}, "feedback": {"enabled": False}, "shocks": [fall(share)]},
        venue={"brackets": brackets, "insurance": {"initial": 1e9}},
        liquidation=rules,
        crowd={"deposit": {"distribution": "uniform", "minimum": 100, "maximum": 3000}},
        duration="60s",
    )
    data = market.finish()
    events = data.events["main"]
    called = set(events["account"][events["kind"] == EventKind.MARGIN_CALL].tolist())
    assert called
    left = market.table[sorted(called)]
    assert (left["stage"] == Stage.OK).all()
    if procedure not in ("tier_reduction", "incremental", "fillable", "sliced"):
        assert (left["position_lots"] == 0).all()
    for row in called:
        told_of = list(kinds(events, row))
        assert told_of.count("liquidation_started") == told_of.count("liquidation_ended")
    assert data.summary["accounts_in_liquidation_end"] == 0


def test_partial_liquidation_leaves_a_smaller_position_that_is_compliant(still_market: OpenStillMarket) -> None:
    brackets = [
        {"notional_cap": cap, "max_leverage": lev, "maintenance": rate}
        for cap, lev, rate in ((5000, 125, "0.1%"), ("1000M", 50, "2%"))
    ]
    market = still_market(
        index={"fundamental": {"volatility": 0}, "feedback": {"enabled": False}, "shocks": [fall(0.04)]},
        venue={"brackets": brackets},
        liquidation={"procedure": "tier_reduction"},
        crowd={"deposit": 1000},
    )
    market.finish()
    held = market.table["position_lots"][market.crowd]
    assert (held > 0).all()
    assert (held * 96_000 * market.room.venue.contract.lot_value.at_one_tick <= 5000 * 10**6).all()
    assert (market.table["stage"][market.crowd] == Stage.OK).all()


def test_what_bitmexs_fund_sells_better_than_bankruptcy_it_keeps(still_market: OpenStillMarket) -> None:
    """Called at a fall of 4.52 %, bankrupt at 5 %, sold a little below the mark: the fund gains the difference."""
    market = still_market(
        index={"fundamental": {"volatility": 0}, "feedback": {"enabled": False}, "shocks": [fall(0.047)]},
        liquidation={"procedure": "takeover_at_bankruptcy"},
    )
    data = market.finish()
    events = data.events["main"]
    sold = events[(events["kind"] == EventKind.FILL) & (events["account"] == INSURANCE_ROW)]
    taken = events[events["kind"] == EventKind.TAKEOVER]
    assert len(taken) == len(market.crowd)
    assert sold["quantity_lots"].sum() == taken["quantity_lots"].sum()
    assert (sold["price_ticks"] > taken["price_ticks"].max()).all()
    lot_value = market.room.venue.contract.lot_value.at_one_tick
    gained = sold["quantity_lots"] @ sold["price_ticks"] - taken["quantity_lots"] @ taken["price_ticks"].astype(
        np.int64
    )
    gain = data.summary["insurance_fund_end"] - data.summary["insurance_fund_start"]
    assert gain == pytest.approx(float(gained) * lot_value * 1e-6, rel=0.01)
    assert gain > 0


def test_a_backstop_is_the_funds_gain_where_the_price_stands(still_market: OpenStillMarket) -> None:
    """After a fall that leaves less than two thirds of maintenance slices are too slow: the vault takes it."""
    rules = {"procedure": "sliced", "slice_min_notional": 0, "slice_cooldown": "1s", "backstop_fraction": 2 / 3}
    market = still_market(
        index={"fundamental": {"volatility": 0}, "feedback": {"enabled": False}, "shocks": [fall(0.0485)]},
        liquidation=rules,
        venue={"fees": {"maker": 0, "taker": 0, "liquidation": 0}},
    )
    data = market.finish()
    events = data.events["main"]
    taken = events[events["kind"] == EventKind.TAKEOVER]
    assert len(taken) == len(market.crowd)
    assert (taken["money"] > 0).all(), "the margin that was left goes with the position"
    assert data.summary["bad_debt"] == 0
