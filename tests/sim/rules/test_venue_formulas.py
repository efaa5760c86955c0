"""Facts about venues' own formulas: at each price the account is what the name says, on both sides."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from marginquake.sim.core import barriers
from marginquake.sim.core.records import Side
from marginquake.sim.rules.formulas import bybit, dydx, hyperliquid, liquidation_price, smaller_venues

SIDES = (Side.BUY, Side.SELL)
each_side = pytest.mark.parametrize("side", SIDES)
sides = st.sampled_from(SIDES)
prices = st.floats(10.0, 1e5)
leverages = st.floats(1.5, 100.0)
rates = st.floats(0.001, 0.009)


@given(sides, prices, leverages, rates)
def test_an_inverse_account_has_its_maintenance_left_at_its_liquidation_price(
    side: Side, entry: float, leverage: float, rate: float
) -> None:
    contracts, coin = 1e5, 1e5 / entry / leverage
    price = smaller_venues.inverse_liquidation_price(side, contracts, entry, coin, rate)
    equity = coin + smaller_venues.inverse_profit(side, contracts, entry, price)
    assert equity == pytest.approx(rate * contracts / price, rel=1e-9)
    bankruptcy = smaller_venues.inverse_bankruptcy_price(side, contracts, entry, coin)
    assert coin + smaller_venues.inverse_profit(side, contracts, entry, bankruptcy) == pytest.approx(
        0.0, abs=1e-9 * coin
    )
    assert side * (price - bankruptcy) > 0


@given(sides, prices, leverages, rates, st.floats(0.0001, 0.001))
def test_a_bybit_inverse_account_has_maintenance_on_entry_and_the_way_out_left(
    side: Side, entry: float, leverage: float, rate: float, fee: float
) -> None:
    contracts = 1e5
    value = contracts / entry
    coin = value / leverage
    assume(1 / leverage > rate + 2 * fee)
    isolated = bybit.inverse_isolated_liquidation_price(side, contracts, entry, leverage, rate)
    left = coin + smaller_venues.inverse_profit(side, contracts, entry, isolated)
    assert left == pytest.approx(rate * value, rel=1e-9)
    bankrupt = bybit.inverse_cross_bankruptcy_price(side, contracts, entry, coin, fee)
    left = coin + smaller_venues.inverse_profit(side, contracts, entry, bankrupt) - fee * contracts / bankrupt
    assert left == pytest.approx(0.0, abs=1e-9 * value)
    called = bybit.inverse_cross_liquidation_price(side, contracts, entry, coin, fee, rate)
    left = coin + smaller_venues.inverse_profit(side, contracts, entry, called)
    assert left == pytest.approx(rate * value + fee * contracts / bankrupt, rel=1e-9)


def test_an_inverse_short_with_its_whole_value_as_margin_is_never_called() -> None:
    assert smaller_venues.inverse_liquidation_price(Side.SELL, 1e4, 1e4, 1.0, 0.005) == math.inf
    assert smaller_venues.inverse_bankruptcy_price(Side.SELL, 1e4, 1e4, 1.0) == math.inf
    assert bybit.inverse_isolated_bankruptcy_price(Side.SELL, 8000.0, 1.0) == math.inf
    assert bybit.inverse_isolated_liquidation_price(Side.SELL, 1e4, 1e4, 0.9, 0.005) == math.inf


@given(sides, prices, leverages, rates)
def test_linear_formulas_agree_where_they_mean_the_same(side: Side, entry: float, leverage: float, rate: float) -> None:
    quantity, backing = 2.0, 2.0 * entry / leverage
    ours = liquidation_price.liquidation_price(side, quantity, entry, backing, rate, 0.0)
    assert smaller_venues.fee_inclusive_liquidation_price(side, quantity, entry, backing, rate, 0.0) == pytest.approx(
        ours
    )
    assert hyperliquid.isolated_liquidation_price(side, quantity, entry, backing, 0.5 / rate) == pytest.approx(ours)
    position = side * quantity
    assert dydx.liquidation_price(backing, position, entry, rate) == pytest.approx(ours)
    fresh = barriers.fresh_distance(side, leverage, rate)
    assert entry * (1 - side * fresh) == pytest.approx(ours)
    assert barriers.log_distance(side, fresh) == pytest.approx(abs(math.log(ours / entry)))


@given(sides, prices, leverages, rates, st.floats(0.9, 1.1))
def test_where_hyperliquids_price_is_evaluated_does_not_matter(
    side: Side, entry: float, leverage: float, rate: float, move: float
) -> None:
    given_entry = hyperliquid.isolated_liquidation_price(side, 2.0, entry, 2 * entry / leverage, 0.5 / rate)
    elsewhere = hyperliquid.isolated_liquidation_price(side, 2.0, entry, 2 * entry / leverage, 0.5 / rate, entry * move)
    assert elsewhere == pytest.approx(given_entry)


@each_side
def test_hyperliquids_backstop_lies_between_liquidation_and_bankruptcy(side: Side) -> None:
    called = hyperliquid.isolated_liquidation_price(side, 1.0, 1e5, 1e4, 40)
    backstop = hyperliquid.backstop_price(side, 1.0, 1e5, 1e4, hyperliquid.maintenance_rate(40))
    bankrupt = liquidation_price.bankruptcy_price(side, 1.0, 1e5, 1e4)
    assert side * called > side * backstop > side * bankrupt


def test_hyperliquids_maintenance_has_no_step_at_a_tier() -> None:
    tiers = hyperliquid.maintenance_brackets([0.0, 150e6], [40, 20])
    below, above = (liquidation_price.maintenance_margin(150e6 + step, tiers) for step in (0.0, 1.0))
    assert below == pytest.approx(150e6 / 80)
    assert above - below == pytest.approx(1 / 40)


@each_side
def test_a_healthy_dydx_account_fills_at_the_oracle_price_and_a_bankrupt_one_pays_the_whole_spread(side: Side) -> None:
    position = 0.1 * side
    at_trigger = 500.0 - position * 50_000
    assert dydx.fillable_price(at_trigger, position, 50_000, 0.1, 1, 1.5) == pytest.approx(50_000)
    assert dydx.fillable_price(at_trigger + 1, position, 50_000, 0.1, 1, 1.5) == pytest.approx(50_000)
    beyond = dydx.fillable_price(-1_000 - position * 50_000, position, 50_000, 0.1, 1, 1.5)
    assert beyond == pytest.approx(50_000 * (1 - side * 0.15))


@each_side
def test_closing_at_the_dydx_bankruptcy_quote_takes_the_collateral_of_the_part(side: Side) -> None:
    position, quote = 0.4 * side, 3_000 - 0.4 * side * 50_000
    for share in (0.25, 1.0):
        received = dydx.bankruptcy_quote(quote, position, -share * position, 50_000, 0.1)
        left = quote + received + (1 - share) * position * 50_000
        assert left == pytest.approx((1 - share) * 3_000)


def test_dydx_initial_fraction_rises_from_its_base_to_one() -> None:
    found = [dydx.open_interest_initial_fraction(0.05, n, 20e6, 50e6) for n in (0, 20e6, 35e6, 50e6, 90e6)]
    assert found == pytest.approx([0.05, 0.05, 0.525, 1.0, 1.0])
    assert dydx.funding_cap_8h(0.1, 0.05) == pytest.approx(0.3)


@each_side
def test_a_bitmex_fill_better_than_bankruptcy_feeds_the_fund(side: Side) -> None:
    assert smaller_venues.takeover_insurance_delta(side, 2.0, 99.0, 99.0 + side) == pytest.approx(2.0)
    assert smaller_venues.takeover_insurance_delta(side, 2.0, 99.0, 99.0 - side) == pytest.approx(-2.0)


def test_deribit_margin_grows_with_the_position_whichever_way_it_is() -> None:
    assert (
        smaller_venues.margin_rates("BTC", -100.0)
        == smaller_venues.margin_rates("BTC", 100.0)
        == pytest.approx((0.025, 0.015))
    )
    assert smaller_venues.margin_rates("ETH", 1000.0) == pytest.approx((0.024, 0.014))


@each_side
def test_first_passage_without_room_is_certain_and_without_time_or_volatility_impossible(side: Side) -> None:
    assert barriers.first_passage_probability(side, 0.0, 0.6, 60.0) == 1.0
    assert barriers.first_passage_probability(side, 0.1, 0.6, 0.0) == 0.0
    assert barriers.first_passage_probability(side, 0.1, 0.0, 60.0) == 0.0


@given(sides, st.floats(0.001, 0.5), st.floats(0.05, 2.0), st.floats(60.0, 1e7), st.floats(-3.0, 3.0))
def test_first_passage_is_a_probability_that_grows_with_time(
    side: Side, distance: float, volatility: float, horizon: float, drift: float
) -> None:
    early, late = (
        barriers.first_passage_probability(side, distance, volatility, t, drift) for t in (horizon, 2 * horizon)
    )
    assert 0.0 <= early <= late + 1e-12 <= 1.0 + 1e-12


@given(st.floats(0.01, 0.5), st.floats(0.1, 2.0), st.floats(-1.0, 1.0))
def test_sides_mirror_each_other_in_the_drift_of_the_log_price(distance: float, volatility: float, nu: float) -> None:
    half = 0.5 * volatility**2
    falls = barriers.first_passage_probability(Side.BUY, distance, volatility, 1e6, half - nu)
    rises = barriers.first_passage_probability(Side.SELL, distance, volatility, 1e6, half + nu)
    assert falls == pytest.approx(rises, abs=1e-9)


def test_the_monitoring_shift_grows_with_the_square_root_of_the_period() -> None:
    one, four = (barriers.monitoring_shift(0.6, period) for period in (1.0, 4.0))
    assert four == pytest.approx(2 * one)
