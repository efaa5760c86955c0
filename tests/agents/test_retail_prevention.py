"""Facts about what retail accounts do before a margin call: de-lever, hedge in a second account, or stop."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from marginquake.agents import AGENT_TYPES
from marginquake.sim.core.records import Flag, MarginMode, OrderKind, Stage
from tests.support.one_participant import PRICE, Booth, seat_of
from tests.support.paths import TINY
from tests.support.whole_market import OpenModel

NOBODY = {"none": 0, "stop": 0, "delever": 0, "hedge": 0}
QUIET: dict[str, Any] = {"accounts": 20, "entry_time": "1000h", "exit_time": "1000h"}
RATE = 0.004
"""Maintenance of the first bracket."""


def policy(**shares: float) -> dict[str, float]:
    return NOBODY | shares


def called_at(lots: int, equity: float, mark: int = PRICE, rate: float = RATE) -> int:
    """Liquidation price of a small position with this equity (quote units) at the mark."""
    side, size = (1 if lots > 0 else -1), abs(lots) * 1e-3
    return round(mark - side * (equity - rate * size * mark) / (size * (1 - side * rate)))


def distance(booth: Booth, index: int, mark: int = PRICE) -> float:
    accounts = booth.participant.accounts
    side = np.sign(accounts.position_lots[index])
    return float(side * (1 - accounts.liquidation_ticks[index] / mark))


# ---- shares ---------------------------------------------------------------------------------------------------------


def test_policies_are_spread_as_configured_and_stop_replaces_stop_share() -> None:
    shares = {"none": 0.2, "stop": 0.3, "delever": 0.4, "hedge": 0.1}
    booth = seat_of("retail", accounts=4000, stop_share=1, prevention=shares)
    prevention = booth.participant._prevention
    assert len(prevention._delevering) / 4000 == pytest.approx(0.4, abs=0.03)
    assert len(prevention._hedging) / 4000 == pytest.approx(0.1, abs=0.02)
    assert booth.participant._protection._uses_stop.mean() == pytest.approx(0.3, abs=0.03)
    assert not np.intersect1d(prevention._delevering, prevention._hedging).size


def test_shares_that_do_not_add_up_are_refused_with_their_sum() -> None:
    with pytest.raises(ValueError, match=r"must add up to 1; they add up to 0\.9"):
        seat_of("retail", prevention={"none": 0.4, "stop": 0.3, "delever": 0.15, "hedge": 0.05})


def test_the_defaults_of_the_block_are_those_of_the_literature() -> None:
    config = AGENT_TYPES["retail"].config_type.model_validate({"type": "retail", "prevention": {}})
    assert (config.prevention.none, config.prevention.stop) == (0.5, 0.3)


# ---- de-lever -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lots", [100, -100])
def test_a_de_leverer_cuts_to_the_position_whose_liquidation_is_far_enough(lots: int) -> None:
    booth = seat_of("retail", **QUIET, margin_mode="cross", prevention=policy(delever=1), reference_volatility=0.6)
    equity = 0.03 * 100 * PRICE * 1e-3
    booth.give(0, lots, liquidation_ticks=called_at(lots, equity))
    said = booth.decide()
    wanted = 3 * 0.6 / np.sqrt(365)
    assert distance(booth, 0) < wanted
    assert (said["kind"] == OrderKind.MARKET).all()
    assert len(said) == 1
    assert said["side"][0] == -np.sign(lots)
    assert said["flags"][0] == Flag.REDUCE_ONLY
    assert (said["price_ticks"][0] - PRICE) * said["side"][0] == 0.02 * PRICE
    kept = (100 - int(said["quantity_lots"][0])) * int(np.sign(lots))
    away = abs(called_at(kept, equity) / PRICE - 1)
    one_more = abs(called_at(kept + int(np.sign(lots)), equity) / PRICE - 1)
    assert away >= wanted - 1e-4 > one_more - 2e-4


def test_whoever_is_far_enough_or_in_liquidation_cuts_nothing() -> None:
    booth = seat_of("retail", **QUIET, prevention=policy(delever=1))
    booth.give(0, 100, liquidation_ticks=round(PRICE * 0.8))
    booth.give(1, 100, liquidation_ticks=0)
    booth.give(2, 100, liquidation_ticks=round(PRICE * 0.99))
    booth.table.rows["stage"][booth.participant.rows[2]] = Stage.CALLED
    assert len(booth.decide()) == 0


def test_de_leverers_look_on_their_timer_and_not_in_between() -> None:
    booth = seat_of("retail", **QUIET, prevention=policy(delever=1), prevention_period="2s")
    assert len(booth.decide()) == 0
    booth.give(0, 100, liquidation_ticks=round(PRICE * 0.99))
    assert [len(booth.decide()) for _ in range(20)] == [0] * 19 + [1]


@pytest.mark.parametrize("mode", ["isolated", "cross"])
@pytest.mark.model
def test_in_a_market_de_levering_removes_most_of_the_shortfall_of_distance(
    open_model: OpenModel,
    mode: str,
) -> None:
    """Isolated margin is released in step with the position: without putting it back, the distance would not move."""
    overrides = (
        "index.shocks=[]",
        "warmup=5s",
        "populations.crowd.leverage=15",
        f"populations.crowd.margin_mode={mode}",
        "populations.crowd.prevention={none: 0, stop: 0, delever: 1, hedge: 0}",
        "populations.crowd.prevention_period=2s",
        "populations.crowd.reference_volatility=50%",
    )
    model = open_model(TINY, *overrides, check=True)
    room = model.sessions[0]
    crowd = next(desk.participant for desk in room.participants if desk.participant.name == "crowd")
    rows = room.venue.accounts.rows[crowd.rows]
    while model.now_ns < 0:
        model.step()

    def shortfall() -> NDArray[Any]:
        block = room.venue.accounts.rows[crowd.rows]
        away = np.sign(block["position_lots"]) * (1 - block["liquidation_ticks"] / room.venue.exchange.mark_ticks)
        held = (block["position_lots"] != 0) & (block["liquidation_ticks"] > 0)
        return np.where(held, np.maximum(0, 3 * 0.5 / np.sqrt(365) - away), 0)

    before, lots_before = shortfall(), np.abs(room.venue.accounts.rows["position_lots"][crowd.rows]).sum()
    for _ in range(60):
        model.step()
    after, lots_after = shortfall(), np.abs(room.venue.accounts.rows["position_lots"][crowd.rows]).sum()
    assert (rows["mode"] == (MarginMode.ISOLATED if mode == "isolated" else MarginMode.CROSS)).all()
    assert before.max() > 0.01
    assert after.sum() < 0.15 * before.sum()
    assert 0.3 * lots_before < lots_after < 0.95 * lots_before


# ---- hedge ----------------------------------------------------------------------------------------------------------


def hedgers(lots: int, health: float, **settings: Any) -> Booth:
    booth = seat_of("retail", **QUIET, prevention=policy(hedge=1), prevention_period="1s", **settings)
    booth.give(0, lots, liquidation_ticks=called_at(lots, health * RATE * abs(lots) * PRICE * 1e-3))
    return booth


def set_health(booth: Booth, lots: int, health: float) -> None:
    row = booth.participant.rows[0]
    booth.table.rows["liquidation_ticks"][row] = called_at(lots, health * RATE * abs(lots) * PRICE * 1e-3)


def run(booth: Booth, seconds: int = 1) -> float:
    """Spot held by the first account after a while."""
    for _ in range(10 * seconds):
        assert len(booth.decide()) == 0, "a hedger leaves the position alone"
    return float(booth.spot.lots[booth.participant.rows[0]])


@pytest.mark.parametrize("lots", [100, -100])
def test_a_hedger_in_danger_offsets_the_position_on_spot_and_lifts_that_when_well(lots: int) -> None:
    booth = hedgers(lots, health=1.6)
    assert run(booth) == 0
    set_health(booth, lots, 1.4)
    assert run(booth) == -lots
    set_health(booth, lots, 1.9)
    assert run(booth, 3) == -lots, "not yet well enough"
    assert len(booth.spot.trades) == 1
    set_health(booth, lots, 2.2)
    assert run(booth) == 0


@pytest.mark.parametrize("lots", [100, -100])
def test_health_is_reckoned_with_the_maintenance_in_force(lots: int) -> None:
    """Equity 2.8 times the published maintenance: well by the table, 1.4 where the venue asks twice as much."""
    booth = seat_of("retail", **QUIET, prevention=policy(hedge=1), prevention_period="1s")
    equity = 2.8 * RATE * abs(lots) * PRICE * 1e-3
    booth.give(0, lots, liquidation_ticks=called_at(lots, equity, rate=2 * RATE))
    for _ in range(10):
        booth.decide(maintenance_multiplier=2.0)
    assert booth.spot.lots[booth.participant.rows[0]] == -lots
    assert booth.participant._brackets.maintenance(np.array([1000.0]))[0] == 2 * RATE


def test_a_hedge_goes_with_the_position() -> None:
    booth = hedgers(100, health=1.2)
    assert run(booth) == -100
    booth.tell(booth.give(0, -40, liquidation_ticks=called_at(60, 1.2 * RATE * 60 * PRICE * 1e-3)))
    assert run(booth) == -60
    booth.tell(booth.give(0, -60))
    assert booth.spot.lots[booth.participant.rows[0]] == 0, "lifted at once"


def test_a_hedge_stays_while_the_account_is_liquidated() -> None:
    booth = hedgers(100, health=1.2)
    assert run(booth) == -100
    booth.table.rows["stage"][booth.participant.rows[0]] = Stage.LIQUIDATING
    set_health(booth, 100, 3.0)
    assert run(booth) == -100


@pytest.mark.model
def test_in_a_fall_hedgers_sell_spot_and_their_accounts_are_liquidated_all_the_same(
    open_model: OpenModel,
) -> None:
    overrides = (
        "populations.crowd.prevention={none: 0, stop: 0, delever: 0, hedge: 1}",
        "populations.crowd.prevention_period=100ms",
    )
    model = open_model(TINY, *overrides, check=True)
    room = model.sessions[0]
    crowd = next(desk.participant for desk in room.participants if desk.participant.name == "crowd")
    hedged = np.zeros(len(crowd.rows))
    for _ in range(model.steps_total):
        model.step()
        hedged = np.maximum(hedged, np.abs(room.venue.spot.position_lots(crowd.rows)))
        open_ = room.venue.accounts.rows["position_lots"][crowd.rows]
        held = room.venue.spot.position_lots(crowd.rows)
        assert (np.sign(held) * np.sign(open_) <= 0).all(), "spot offsets, it never adds"
    summary = model.finish().summary
    assert (hedged > 0).sum() > 3
    assert summary["liquidations"] > 0


def test_a_hedge_that_is_lifted_before_it_is_made_is_refused() -> None:
    with pytest.raises(ValueError, match="hedge_release"):
        seat_of("retail", hedge_health=1.5, hedge_release=1.2)
