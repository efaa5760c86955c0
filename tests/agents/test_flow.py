"""Facts about background flow, arbitrage, value traders, hedgers and the gauges they read."""

import numpy as np
import pytest

from marginquake.agents.background import Background
from marginquake.agents.toolbox.indicators import ActivityGauge, BasisGauge, VolatilityGauge, per_second
from marginquake.sim.core.records import EventKind, OrderKind, Side
from tests.support.one_participant import DEPTH_1PCT, PRICE, seat_of

LOT_NOTIONAL = 100.0
LIMIT, MARKET, CANCEL = int(OrderKind.LIMIT), int(OrderKind.MARKET), int(OrderKind.CANCEL)


def test_background_starts_with_a_book_deep_on_both_sides() -> None:
    said = seat_of("background").decide(bid=0, ask=0)
    for side in (Side.BUY, Side.SELL):
        own = said[(said["kind"] == LIMIT) & (said["side"] == side)]
        distance = np.abs(own["price_ticks"] / PRICE - 1)
        for low, high in ((0.0, 0.01), (0.01, 0.05), (0.05, 0.10)):
            within = own["quantity_lots"][(distance > low) & (distance <= high)].sum() * LOT_NOTIONAL
            assert 0.15 * DEPTH_1PCT < within < 5 * DEPTH_1PCT


def test_background_neither_grows_nor_shrinks_without_trades() -> None:
    booth = seat_of("background", accounts=1)
    participant = booth.participant
    assert isinstance(participant, Background)
    booth.decide(bid=0, ask=0)
    start = participant.resting_orders
    for _ in range(3000):
        booth.decide()
    assert participant.resting_orders == pytest.approx(start, rel=0.15)


def test_background_orders_never_cross() -> None:
    booth = seat_of("background")
    said = np.concatenate([booth.decide(bid=PRICE - 1, ask=PRICE + 1) for _ in range(2000)])
    limits = said[said["kind"] == LIMIT]
    assert (limits["price_ticks"][limits["side"] == Side.BUY] <= PRICE).all()
    assert (limits["price_ticks"][limits["side"] == Side.SELL] >= PRICE).all()


def test_background_cancels_only_orders_it_believes_alive() -> None:
    booth = seat_of("background", accounts=1, cancel_rate=0.5)
    row = int(booth.participant.rows[0])
    alive: set[int] = set()
    for step in range(400):
        for command in booth.decide():
            if command["kind"] == LIMIT:
                alive.add(int(command["order_id"]))
            elif command["kind"] == CANCEL:
                alive.remove(int(command["order_id"]))
        if alive and step % 3 == 0:
            filled = sorted(alive)[step % len(alive)]
            alive.remove(filled)
            booth.tell(
                {
                    "kind": EventKind.FILL,
                    "maker_account": row,
                    "maker_order_id": filled,
                    "account": 1,
                    "quantity_lots": 10**9,
                }
            )


def test_background_fills_the_book_to_a_stated_shape() -> None:
    shape = [{"within": 0.01, "bid": 20e6, "ask": 30e6}, {"within": 0.05, "bid": 60e6, "ask": 50e6}]
    booth = seat_of("background", starting_depth=shape, depth_profile=False, fill_after="1s", limit_rate=0)
    said = np.concatenate([booth.decide() for _ in range(12)])
    per_percent = 100 * LOT_NOTIONAL  # what the harness's book holds already
    for side, inner, outer in ((Side.BUY, 20e6, 60e6), (Side.SELL, 30e6, 50e6)):
        own = said[(said["kind"] == LIMIT) & (said["side"] == side)]
        distance = np.abs(own["price_ticks"] / PRICE - 1)
        notional = own["quantity_lots"] * LOT_NOTIONAL
        assert notional[distance <= 0.01].sum() + per_percent == pytest.approx(inner, rel=0.1)
        assert notional.sum() + 5 * per_percent == pytest.approx(outer, rel=0.1)


def test_background_keeps_the_stated_shape() -> None:
    shape = [{"within": 0.01, "bid": 20e6, "ask": 30e6}, {"within": 0.05, "bid": 60e6, "ask": 50e6}]
    booth = seat_of("background", starting_depth=shape, fill_after="0s", limit_rate=0, market_rate=0)
    participant = booth.participant
    assert isinstance(participant, Background)
    booth.decide()
    start = participant.resting_lots
    for _ in range(3000):
        booth.decide()
    assert participant.resting_lots == pytest.approx(start, rel=0.1)


def test_starting_depth_must_be_cumulative() -> None:
    shape = [{"within": 0.01, "bid": 20e6, "ask": 30e6}, {"within": 0.05, "bid": 10e6, "ask": 50e6}]
    with pytest.raises(ValueError, match="cumulative"):
        seat_of("background", starting_depth=shape)


@pytest.mark.parametrize(("move", "side"), [(200, Side.SELL), (-200, Side.BUY)])
def test_arbitrage_trades_the_basis_and_hedges_it_on_spot(move: int, side: Side) -> None:
    booth = seat_of("arbitrageur")
    said = np.concatenate([booth.decide(bid=PRICE + move - 2, ask=PRICE + move + 2) for _ in range(50)])
    assert (said["side"] == side).all()
    assert ((said["price_ticks"] - PRICE) * -side >= 0.0004 * PRICE).all()
    rate = said["quantity_lots"].sum() * LOT_NOTIONAL / 5.0
    assert rate == pytest.approx(0.0053 * DEPTH_1PCT * 15.8, rel=0.5)
    booth.give(0, 40 * side)
    booth.decide()
    assert booth.spot.lots[booth.participant.rows[0]] == -40 * side


def test_arbitrage_leaves_a_small_basis_alone_and_hands_capital_back() -> None:
    booth = seat_of("arbitrageur", unwind_time="10s")
    assert len(np.concatenate([booth.decide(bid=PRICE + 18, ask=PRICE + 22) for _ in range(50)])) == 0
    booth.give(0, 1000)
    said = np.concatenate([booth.decide() for _ in range(50)])
    assert (said["side"] == Side.SELL).all()
    assert len(said) > 0


def test_arbitrage_capital_is_finite() -> None:
    booth = seat_of("arbitrageur")
    booth.give(0, -round(5 * DEPTH_1PCT / LOT_NOTIONAL))
    assert len(np.concatenate([booth.decide(bid=PRICE + 198, ask=PRICE + 202) for _ in range(50)])) == 0


@pytest.mark.parametrize(("value", "side"), [(1.05, Side.BUY), (0.95, Side.SELL)])
def test_value_traders_trade_toward_value(value: float, side: Side) -> None:
    booth = seat_of("fundamentalist", value_delay="0s", wake_rate=5.0)
    said = np.concatenate([booth.decide(fundamental_ticks=PRICE * value) for _ in range(200)])
    assert len(said) > 50
    assert (said["side"] == side).all()


def test_value_is_seen_late() -> None:
    booth = seat_of("fundamentalist", value_delay="10s", wake_rate=10.0, noise=0, threshold=0.005)
    booth.decide()
    early = np.concatenate([booth.decide(fundamental_ticks=PRICE * 0.9) for _ in range(100)])
    late = np.concatenate([booth.decide(fundamental_ticks=PRICE * 0.9) for _ in range(50)])
    assert len(early) == 0
    assert (late["side"] == Side.SELL).all()
    assert len(late) > 0


def test_value_traders_keep_their_limit() -> None:
    booth = seat_of("fundamentalist", accounts=1, value_delay="0s", wake_rate=10.0)
    booth.give(0, round(1.75 * DEPTH_1PCT / LOT_NOTIONAL))
    assert len(np.concatenate([booth.decide(fundamental_ticks=PRICE * 1.2) for _ in range(50)])) == 0


def test_a_hedger_sells_the_spot_that_adl_sets_free() -> None:
    booth = seat_of("hedger", accounts=2)
    booth.give(0, -100)
    row = int(booth.participant.rows[0])
    booth.spot.lots[row] = 100.0
    booth.decide()
    assert booth.spot.trades == []
    booth.table.rows["position_lots"][row] = -30
    booth.tell({"kind": EventKind.ADL, "account": row})
    booth.decide()
    assert booth.spot.lots[row] == pytest.approx(30.0)
    booth.decide()
    assert len(booth.spot.trades) == 1


def test_a_hedger_takes_the_other_side() -> None:
    booth = seat_of("hedger")
    seeds = booth.participant.seed_positions(booth.view(), DEPTH_1PCT)
    assert seeds is not None
    assert seeds.takes_other_side
    assert seeds.hedged_on_spot
    assert not seeds.signed_lots.any()


def test_local_volatility_finds_the_volatility_of_a_random_walk() -> None:
    gauge = VolatilityGauge(0.3, 1.0, slow_s=2000.0, fast_s=30.0, window_s=300.0)
    steps = np.random.default_rng(1).normal(0.0, per_second(0.6), 20_000)
    for price in 100_000 * np.exp(np.cumsum(steps)):
        gauge.update(float(price))
    assert gauge.local == pytest.approx(per_second(0.6), rel=0.1)


def test_one_mad_print_does_not_poison_volatility() -> None:
    gauge = VolatilityGauge(0.6, 1.0, slow_s=4 * 3600.0, fast_s=30.0, window_s=300.0)
    for price in [100_000.0] * 10 + [50_000.0] + [100_000.0] * 10:
        gauge.update(price)
    assert gauge.local < 1.1 * per_second(0.6)


def test_basis_decays_while_the_book_is_one_sided() -> None:
    booth = seat_of("hedger")
    gauge = BasisGauge(20.0, 0.01, 0.01)
    for _ in range(200):
        gauge.update(booth.view(bid=PRICE + 98, ask=PRICE + 102), 1.0)
    assert gauge.value == pytest.approx(0.001, rel=0.01)
    for _ in range(200):
        gauge.update(booth.view(bid=PRICE + 98, ask=0), 1.0)
    assert gauge.value == pytest.approx(0.0, abs=1e-6)


def test_activity_is_one_in_usual_times_and_capped() -> None:
    gauge = ActivityGauge(0.6, 1.0, 0.2, 4.0)
    rng = np.random.default_rng(2)
    price = 100_000.0
    for _ in range(3000):
        price *= float(np.exp(rng.normal(0.0, per_second(0.6))))
        gauge.update(price)
    assert gauge.value == pytest.approx(1.0, abs=0.4)
    for _ in range(300):
        price *= 1.001
        gauge.update(price)
    assert gauge.value == 4.0
