"""Facts about traders of an inverse contract: hedges, entries, exposure and what the book says of prices."""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from marginquake.agents.retail.brackets import Brackets, Exposure
from marginquake.sim.assets.index import FeedbackConfig, Index
from marginquake.sim.assets.spot import SpotHoldings
from marginquake.sim.core.accounts import SYSTEM_ROWS, AccountTable
from marginquake.sim.core.contract import ContractSpec
from marginquake.sim.core.margin import BracketSchedule, backing_equity, bankruptcy_ticks, default_brackets
from marginquake.sim.core.records import MarginMode, OrderKind, Side
from marginquake.sim.rules.formulas.smaller_venues import inverse_bankruptcy_price, inverse_liquidation_price
from marginquake.sim.venue.exchange import Exchange, ExchangeRules
from tests.support.ladder import command
from tests.support.one_participant import DEPTH_1PCT, PRICE, seat_of
from tests.support.still_market import Flat

INVERSE = ContractSpec(
    "BTC", Decimal(1), Decimal(100), Decimal(1), Decimal("1e-8"), 200_000, 20_000_000, True, Decimal(PRICE)
)
BRACKETS = default_brackets()
SCHEDULE = BracketSchedule.from_config(BRACKETS, INVERSE)
AMOUNT = INVERSE.money_amount


def exchange(accounts: int) -> Exchange:
    """A market of the inverse contract under the usual brackets, without fees."""
    rules = ExchangeRules(
        lot_value=INVERSE.lot_value,
        ladder_size=INVERSE.max_price_ticks,
        maker_fee_ppm=0,
        taker_fee_ppm=0,
        liquidation_fee_ppm=0,
        bracket_cap=SCHEDULE.cap,
        bracket_rate_ppm=SCHEDULE.rate_ppm,
        bracket_deduction=SCHEDULE.deduction,
        bracket_initial_ppm=SCHEDULE.initial_ppm,
        max_position_lots=INVERSE.max_position_lots,
    )
    table = AccountTable(SYSTEM_ROWS + accounts, INVERSE.lot_value)
    table.claim(0, accounts)
    return Exchange(rules, table)


@pytest.mark.parametrize("lots", [5000, -5000])
def test_minus_the_position_on_spot_is_a_hedge_at_every_price_without_rebalancing(lots: int) -> None:
    index = Index(Flat(), FeedbackConfig(enabled=False), 1e6)
    index.advance(0, 10**9)
    desk = SpotHoldings(5, index, INVERSE)
    row = np.array([4])
    desk.trade(row, np.array([-float(lots)]))
    bought_at = index.index_ticks
    for moved in (0.6, 0.97, 1.4):
        index.index_ticks = bought_at * moved
        assert abs(INVERSE.gain(lots, bought_at, index.index_ticks)) > 1000
        assert desk.profit(row)[0] == pytest.approx(-INVERSE.gain(lots, bought_at, index.index_ticks), rel=1e-9)


def test_a_hedge_pushes_the_index_by_quote_units_of_the_moment() -> None:
    index = Index(Flat(), FeedbackConfig(one_percent_depth_d1=1.0), 1e6)
    index.advance(0, 10**9)
    SpotHoldings(5, index, INVERSE).trade(np.array([4]), np.array([10_000.0]))
    assert index.displacement == pytest.approx(0.01)


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("leverage", [1, 2, 10, 50, 125])
def test_the_venues_integers_are_the_formulas_of_inverse_venues(side: Side, leverage: int) -> None:
    """Liquidation price with maintenance on mark value, and bankruptcy price: eq. 81, 82 in floats."""
    market = exchange(1)
    row, lots, entry = SYSTEM_ROWS, 200, 98_765  # in the first bracket also where they are called
    table = market.accounts.rows
    table["mode"][row] = MarginMode.ISOLATED
    table["initial_margin_ppm"][row] = 1_000_000 // leverage
    table["collateral"][row] = 10**12
    market.seed_position(row, int(side) * lots, entry)
    margin = int(table["isolated_margin"][row]) * 1e-8
    called = inverse_liquidation_price(side, lots * 100, entry, margin, 0.004)
    ruined = inverse_bankruptcy_price(side, lots * 100, entry, margin)
    bankruptcy = int(bankruptcy_ticks(table[row : row + 1], INVERSE.lot_value)[0])
    if called >= INVERSE.max_price_ticks:
        assert (int(side), leverage) in ((-1, 1), (-1, 2))
        assert table["liquidation_ticks"][row] == 0
        assert bankruptcy >= INVERSE.max_price_ticks - 3_000
    else:
        # the coin of a lot is a whole number: half a unit of 10^5, and the tick
        assert table["liquidation_ticks"][row] == pytest.approx(called, abs=1.0 + 1e-5 * called)
        assert bankruptcy == pytest.approx(ruined, abs=1.0 + 1e-5 * ruined)


# leverage 20 to 100, and one that nothing calls
LEVERAGE = np.array([20, 50, 100, 25, 1])
LOTS = np.array([300, -700, 90_000, -4_000, -100])


def held(mode: MarginMode) -> Exchange:
    market = exchange(len(LOTS))
    rows = np.arange(SYSTEM_ROWS, SYSTEM_ROWS + len(LOTS))
    table = market.accounts.rows
    table["mode"][rows] = mode
    table["initial_margin_ppm"][rows] = 1_000_000 // LEVERAGE
    table["collateral"][rows] = np.abs(INVERSE.lot_value.value(LOTS, PRICE)) // LEVERAGE
    market.seed_positions(rows, LOTS, np.full(len(LOTS), PRICE))
    return market


@pytest.mark.parametrize("mode", list(MarginMode))
def test_an_exposure_knows_the_equity_of_the_account_and_what_more_distance_needs(mode: MarginMode) -> None:
    market = held(mode)
    table = market.accounts.rows
    rows = np.arange(SYSTEM_ROWS, SYSTEM_ROWS + len(LOTS))
    assert (table["liquidation_ticks"][rows] > 0).tolist() == [True, True, True, True, False]
    mark = 99_900
    own = Exposure(market.accounts.view(rows), np.arange(4), mark, INVERSE, Brackets(BRACKETS, 125.0))
    equity = backing_equity(table[rows[:4]], mark, INVERSE.lot_value) * AMOUNT
    assert own.equity == pytest.approx(equity, rel=0.01)
    assert own.notional == pytest.approx(np.abs(LOTS[:4]) * 100 * PRICE / mark)
    # the same equity behind fewer lots: they are as far from their call as was wanted
    wanted = np.full(4, 0.1)
    kept = (own.equity + own.deduction) / INVERSE.notional(own.needed(wanted), mark)
    rate = own.rate
    called = mark * (1 - own.side * wanted)
    left = own.equity + INVERSE.gain(own.side * kept, mark, called)
    assert left == pytest.approx(rate * INVERSE.notional(kept, called) - own.deduction, rel=1e-6, abs=1e-6)


def spare_money(entry: NDArray[Any], lots: NDArray[Any], backing: NDArray[Any], mark: NDArray[Any]) -> NDArray[Any]:
    """Equity less maintenance once the mark stands at `mark`, over notional; small positions."""
    notional = INVERSE.notional(np.abs(lots), mark)
    rate = np.where(notional <= 50e3, 0.004, 0.005)
    return np.asarray((backing + INVERSE.gain(lots, entry, mark) - rate * notional) / notional)


@pytest.mark.parametrize("mode", ["isolated", "cross"])
def test_seeded_entries_keep_their_distance_from_liquidation(mode: str) -> None:
    booth = seat_of(
        "retail",
        spec=INVERSE,
        accounts=3000,
        margin_mode=mode,
        leverage={"distribution": "uniform", "minimum": 5, "maximum": 100},
        entry_offset={"distribution": "uniform", "minimum": -0.02, "maximum": 0.1},
        minimum_distance=0.004,
    )
    seeds = booth.participant.seed_positions(booth.view(), DEPTH_1PCT)
    assert seeds is not None
    chosen = seeds.signed_lots != 0
    lots, entry = seeds.signed_lots[chosen], seeds.entry_ticks[chosen]
    accounts = booth.participant.accounts
    collateral = accounts.collateral[chosen] * AMOUNT
    margin = accounts.initial_margin_ppm[chosen] / 1e6 * INVERSE.notional(np.abs(lots), entry)
    backing = np.minimum(margin, collateral) if mode == "isolated" else collateral
    assert (lots > 0).any()
    assert (lots < 0).any()
    assert spare_money(entry, lots, backing, PRICE * (1 - np.sign(lots) * 0.004)).min() > -0.001
    assert spare_money(entry, lots, backing, PRICE * (1 - np.sign(lots) * 0.02)).min() < -0.001, "some are near"


def test_an_impact_price_is_what_quote_units_buy_of_the_coin() -> None:
    market = exchange(2)
    market.accounts.rows["collateral"][SYSTEM_ROWS] = 10**12
    for order_id, (price, lots) in enumerate(((100_000, 1000), (110_000, 1000)), start=1):
        facts = {"order_id": order_id, "side": Side.SELL, "price_ticks": price, "quantity_lots": lots}
        market.process(command(OrderKind.LIMIT, SYSTEM_ROWS, **facts))
    unit = INVERSE.notional_per_lot(1.0)
    assert market.impact_ticks(Side.BUY, INVERSE.notional(500, 100_000) / unit) == pytest.approx(100_000)
    coin = INVERSE.notional(1000, 100_000) + INVERSE.notional(500, 110_000)
    assert market.impact_ticks(Side.BUY, coin / unit) == pytest.approx(1500 / (1000 / 100_000 + 500 / 110_000))
    assert market.impact_ticks(Side.BUY, 3 * coin / unit) == 0.0
