"""Facts about chartists: forecasts, horizons, saturating demand, orders that go away, and a market that survives."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from marginquake.agents.chartist import Chartist
from marginquake.sim.core.records import OrderKind, Side, Stage
from tests.support.one_participant import DEPTH_1PCT, PRICE, STEP_NS, Booth, seat_of
from tests.support.whole_market import OpenModel

LOT_NOTIONAL = 100.0
EMPTY = {"bid": 0, "ask": 0}
NO_VALUE = {"fundamental_weight": 0, "noise_weight": 0}


def chartist(booth: Booth) -> Chartist:
    assert isinstance(booth.participant, Chartist)
    return booth.participant


def said(booth: Booth, steps: int, **view: Any) -> NDArray[Any]:
    return np.concatenate([booth.decide(**view) for _ in range(steps)])


def orders_of(commands: NDArray[Any]) -> NDArray[Any]:
    return commands[np.isin(commands["kind"], [OrderKind.LIMIT, OrderKind.IOC])]


def at(price: float) -> dict[str, Any]:
    """A tight book around a price, mark there too."""
    ticks = round(price)
    return {"bid": ticks - 2, "ask": ticks + 2, "mark_ticks": ticks, "index_ticks": float(ticks)}


def test_horizons_grow_with_the_weight_of_value_and_shrink_with_that_of_trend() -> None:
    value = chartist(seat_of("chartist", horizon="10min", trend_weight=0))
    trend = chartist(seat_of("chartist", horizon="10min", fundamental_weight=0))
    assert value.horizon_s.min() > 600 > trend.horizon_s.max()
    assert len(np.unique(value.horizon_s)) == 100


def test_value_alone_is_forecast_to_be_reached_in_value_time() -> None:
    booth = seat_of("chartist", trend_weight=0, noise_weight=0, value_time="2h", value_delay="0s")
    booth.decide(fundamental_ticks=PRICE * 1.01)
    one = chartist(booth)
    index = np.arange(100)
    expected = np.log(1.01) / 7200 * one.horizon_s
    assert one.forecast(index, np.log(PRICE), np.zeros(100)) == pytest.approx(expected)


def test_value_is_seen_late() -> None:
    booth = seat_of("chartist", trend_weight=0, noise_weight=0, value_delay="5s", wake_rate=0)
    index, log_price = np.arange(100), np.log(PRICE)
    said(booth, 60)
    said(booth, 45, fundamental_ticks=PRICE * 1.01)
    assert chartist(booth).forecast(index, log_price, np.zeros(100)) == pytest.approx(0.0)
    said(booth, 10, fundamental_ticks=PRICE * 1.01)
    assert (chartist(booth).forecast(index, log_price, np.zeros(100)) > 0).all()


def test_a_pure_trend_follower_expects_the_move_of_its_own_horizon_again() -> None:
    """The price rises 1 bp a second for 100 s: those with shorter horizons extrapolate less, none more than all."""
    booth = seat_of("chartist", horizon="100s", wake_rate=0, **NO_VALUE)
    for step in range(1001):
        booth.decide(**at(PRICE * np.exp(1e-5 * step)))
    one = chartist(booth)
    forecast = one.forecast(np.arange(100), np.log(PRICE) + 1e-2, np.zeros(100))
    assert forecast == pytest.approx(1e-4 * one.horizon_s, rel=0.1, abs=2e-4)


def test_demand_saturates_at_the_capital_of_all_together() -> None:
    booth = seat_of("chartist", wake_rate=1.0, capital_d1=0.3)
    orders = orders_of(said(booth, 400))
    largest = 0.3 * DEPTH_1PCT / LOT_NOTIONAL / 100
    assert len(orders) > 1000
    assert orders["quantity_lots"].max() <= np.rint(largest)
    assert orders["quantity_lots"].max() > 0.9 * largest


def test_at_the_limit_an_account_does_not_add() -> None:
    booth = seat_of("chartist", wake_rate=1.0)
    largest = round(0.3 * DEPTH_1PCT / LOT_NOTIONAL / 100)
    for index in range(100):
        booth.give(index, largest)
    orders = orders_of(said(booth, 100))
    assert len(orders) > 100
    assert (orders["side"] == Side.SELL).all()
    assert (orders["quantity_lots"] <= 2 * largest).all()


def test_prices_spread_around_the_forecast_by_risk_aversion_times_variance() -> None:
    """Without a forecast, limit prices are uniform within the width on both sides of the price."""
    still = {"trend_weight": 0, "noise_weight": 0, "value_delay": "0s", "market_bound": "50%"}
    booth = seat_of("chartist", wake_rate=2.0, **still)
    orders = orders_of(said(booth, 300, **EMPTY))
    width = chartist(booth).width(np.arange(100))
    index = orders["account"] - booth.participant.rows[0]
    share = np.log(orders["price_ticks"] / PRICE) / width[index]
    assert np.abs(share).max() < 1.05
    assert np.mean(np.abs(share)) == pytest.approx(0.5, abs=0.05)
    assert (np.sign(share) == -orders["side"]).all(), "flat accounts bid below the forecast and offer above it"


def test_higher_volatility_spreads_prices_and_so_shrinks_demand() -> None:
    calm = seat_of("chartist", volatility="60%", volatility_time="30s", wake_rate=0)
    wild = seat_of("chartist", volatility="60%", volatility_time="30s", wake_rate=0)
    for step in range(600):
        calm.decide(**at(PRICE))
        wild.decide(**at(PRICE * (1 + 0.002 * (step // 10 % 2))))
    everyone = np.arange(100)
    assert (chartist(wild).width(everyone) > 10 * chartist(calm).width(everyone)).all()


def test_marketable_orders_are_immediate_and_bounded_and_others_rest() -> None:
    booth = seat_of("chartist", wake_rate=1.0, value_delay="0s", market_bound="0.5%")
    commands = said(booth, 300, fundamental_ticks=PRICE * 1.01)
    taking = commands[commands["kind"] == OrderKind.IOC]
    resting = commands[commands["kind"] == OrderKind.LIMIT]
    assert len(taking) > 50
    assert len(resting) > 50
    buys = taking[taking["side"] == Side.BUY]
    assert (buys["price_ticks"] >= PRICE + 2).all()
    assert (buys["price_ticks"] <= 1.005 * PRICE).all()
    assert (resting["price_ticks"][resting["side"] == Side.BUY] < PRICE + 2).all()
    assert (resting["price_ticks"][resting["side"] == Side.SELL] > PRICE - 2).all()
    assert len(buys) > 0.7 * len(taking), "value is above the price"


def test_orders_leave_when_their_life_is_over() -> None:
    booth = seat_of("chartist", accounts=1, wake_rate=1.0, lifetime="3s", **NO_VALUE)
    placed_ns, seen = 0, 0
    for _ in range(3000):
        for command in booth.decide(**EMPTY):
            if command["kind"] == OrderKind.LIMIT:
                placed_ns = command["arrival_ns"]
            else:
                assert command["kind"] == OrderKind.CANCEL_ALL
                assert command["arrival_ns"] - placed_ns <= 3_000_000_000
                seen += command["arrival_ns"] - placed_ns == 3_000_000_000
    assert seen > 5


def test_nobody_orders_before_what_it_took_back_has_arrived() -> None:
    booth = seat_of("chartist", accounts=20, wake_rate=1.0, **NO_VALUE)
    slots = chartist(booth)._slots
    slots._round_trip_ns = 250_000_000
    recalled: dict[int, int] = {}
    orders = 0
    for _ in range(500):
        for command in booth.decide(**EMPTY):
            account, now = int(command["account"]), int(command["arrival_ns"])
            if command["kind"] == OrderKind.CANCEL_ALL:
                recalled[account] = now
            else:
                assert now - recalled.get(account, -(10**12)) >= 3 * STEP_NS
                orders += 1
    assert orders > 100


def test_accounts_in_liquidation_say_nothing_new() -> None:
    booth = seat_of("chartist", wake_rate=1.0)
    booth.table.rows["stage"][booth.participant.rows] = Stage.LIQUIDATING
    assert len(orders_of(said(booth, 50))) == 0


def test_somebody_must_forecast_something() -> None:
    with pytest.raises(ValueError, match="above 0"):
        seat_of("chartist", fundamental_weight=0, trend_weight=0, noise_weight=0)


MARKET = """
name: chartists
question: Does a market of trend followers stay in one piece?
seed: 3
duration: 180s
warmup: 30s
index: {fundamental: {type: gbm, volatility: 45%}}
populations:
  makers: {type: market_maker}
  flow: {type: background}
  arbs: {type: arbitrageur}
  value: {type: fundamentalist}
  chartists: {type: chartist, wake_rate: 0.05, fundamental_weight: 0, noise_weight: 0}
"""


@pytest.mark.model
def test_pure_trend_followers_of_default_size_do_not_blow_the_market_up(
    open_model: OpenModel,
    tmp_path: Path,
) -> None:
    """Trend following beyond a D1 did, in a prototype; they wake 6 x as often here."""
    path = tmp_path / "chartists.yaml"
    path.write_text(MARKET)
    model = open_model(path)
    trend = next(agent for agent in model.agents if isinstance(agent, Chartist))
    limit = round(0.3 * 12e6 / LOT_NOTIONAL / 100)
    traded = 0
    for _ in range(model.steps_total):
        model.step()
        held = np.abs(trend.accounts.position_lots).max()
        assert held <= limit
        traded = max(traded, held)
    series = model.finish().series
    assert traded > 0.5 * limit
    assert np.isfinite(series["mid"]).all()
    assert np.abs(np.log(series["mid"] / series["fundamental"])).max() < 0.004
