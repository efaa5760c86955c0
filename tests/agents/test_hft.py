"""Facts about high-frequency traders: they follow the move, arrive first, hold little, and let go in two minutes."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from marginquake.agents import AGENT_TYPES
from marginquake.agents.hft import Hft
from marginquake.sim.core.records import EventKind, Flag, OrderKind, Reject, Side
from tests.support.one_participant import DEPTH_1PCT, PRICE, STEP_NS, Booth, seat_of
from tests.support.whole_market import OpenModel

LOT_NOTIONAL = 100.0
SIZE = round(4e-4 * DEPTH_1PCT / LOT_NOTIONAL)
LIMIT = int(0.02 * DEPTH_1PCT / LOT_NOTIONAL)
STEP_S = STEP_NS * 1e-9
SIGMA_TICKS = PRICE * 0.6 / math.sqrt(365 * 86400)
"""One-second standard deviation that the gauge starts with, about 11 ticks."""
DEEP = {"bid_lots": 10_000, "ask_lots": 10_000}
MARKET = """
question: Who is first?
duration: 90s
warmup: 20s
step: 500ms
index: {fundamental: {type: gbm, volatility: 60%}}
record: {events: all}
populations:
  background: {type: background}
  makers: {type: market_maker}
  fast: {type: hft, threshold: 1.0}
"""


def at(price: float, **more: Any) -> dict[str, Any]:
    return {"bid": round(price) - 2, "ask": round(price) + 2, "mark_ticks": round(price)} | more


def calm(booth: Booth, steps: int = 60, **view: Any) -> NDArray[Any]:
    return np.concatenate([booth.decide(**(DEEP | view)) for _ in range(steps)])


def crossing(said: NDArray[Any]) -> NDArray[Any]:
    return said[said["kind"] == OrderKind.IOC]


def fill(booth: Booth, orders: NDArray[Any]) -> None:
    """Settle these orders as if they filled whole."""
    for order in orders:
        index = int(order["account"]) - int(booth.participant.rows[0])
        booth.give(index, int(order["side"] * order["quantity_lots"]))


def held(booth: Booth) -> NDArray[np.int64]:
    return booth.participant.accounts.position_lots.copy()


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_they_follow_a_move_at_the_touch_and_no_further(side: Side) -> None:
    booth = seat_of("hft", horizon=("1s", "1s"))
    assert len(calm(booth)) == 0
    said = booth.decide(**at(PRICE + int(side) * 4 * SIGMA_TICKS, bid_lots=30, ask_lots=30))
    assert len(said) == 10
    assert (said["kind"] == OrderKind.IOC).all()
    assert (said["side"] == side).all()
    assert (said["quantity_lots"] == 15).all(), "half of the touch"
    assert (said["price_ticks"] == round(PRICE + int(side) * 4 * SIGMA_TICKS) + 2 * side).all()


def test_accounts_differ_in_horizon_and_threshold() -> None:
    """A slow drift moves the long horizons only; a small jump wakes the nervous ones only."""
    drifting = seat_of("hft", pull_sigmas=1e9)
    calm(drifting)
    traded: set[int] = set()
    for step in range(60):
        said = drifting.decide(**DEEP, **at(PRICE + 0.17 * SIGMA_TICKS * step))
        traded |= set(crossing(said)["account"].tolist())
    assert 0 < len(traded) < 10
    jumping = seat_of("hft", horizon=("1s", "1s"), imbalance_weight=0.0)
    calm(jumping)
    assert 0 < len(jumping.decide(**DEEP, **at(PRICE + 1.5 * SIGMA_TICKS))) < 10


def test_the_imbalance_of_the_touch_is_a_signal() -> None:
    booth = seat_of("hft", imbalance_weight=3.0)
    said = crossing(calm(booth, 5, bid_lots=1000, ask_lots=10))
    assert len(said) == 10
    assert (said["side"] == Side.BUY).all()
    assert len(calm(seat_of("hft", imbalance_weight=0.0), 5, bid_lots=1000, ask_lots=10)) == 0


def test_inventory_stays_within_its_limit_in_a_trend() -> None:
    booth = seat_of("hft", pause=0, pull_sigmas=1e9, crowded_fraction=1.0)
    calm(booth)
    most = 0
    for step in range(400):
        said = booth.decide(**DEEP, **at(PRICE + 8 * step))
        fill(booth, crossing(said))
        most = max(most, int(np.abs(held(booth)).max()))
    assert LIMIT - SIZE <= most <= LIMIT


def test_near_its_limit_it_leaves_across_the_spread() -> None:
    booth = seat_of("hft", accounts=1, half_life="10h")
    booth.give(0, LIMIT)
    said = booth.decide(**DEEP)
    assert (said["kind"], said["side"], said["quantity_lots"]) == (OrderKind.IOC, Side.SELL, LIMIT - int(0.8 * LIMIT))
    fill(booth, said)
    assert len(calm(booth, 20)) == 0, "below four fifths of the limit there is no hurry"


def test_inventory_decays_with_the_configured_half_life() -> None:
    """Passive exits fill after a while, or not at all; momentum is off."""
    booth = seat_of("hft", threshold=1e9, half_life="60s")
    for index in range(10):
        booth.give(index, (1000 if index % 2 else -1000))
    rng = np.random.default_rng(1)
    resting: dict[int, Any] = {}
    total = []
    for _ in range(1200):
        said = booth.decide(**DEEP)
        for order in said:
            if order["kind"] == OrderKind.CANCEL_ALL:
                resting.pop(int(order["account"]), None)
            elif order["kind"] == OrderKind.POST_ONLY:
                assert int(order["account"]) not in resting
                resting[int(order["account"])] = order.copy()
        fill(booth, crossing(said))
        for account in [a for a in resting if rng.random() < 0.02]:
            fill(booth, np.array([resting.pop(account)]))
        total.append(np.abs(held(booth)).sum())
    for half_lives in (1, 2):
        elapsed = round(half_lives * 60 / STEP_S) - 1
        expected = 10_000 * 0.5**half_lives
        assert total[elapsed] == pytest.approx(expected, rel=0.25)


@pytest.mark.parametrize("decision_s", [0.1, 5.0, 60.0])
def test_the_half_life_does_not_depend_on_the_decision_interval(decision_s: float) -> None:
    settings = {"accounts": 400, "threshold": 1e9, "half_life": "60s", "patience": 0, "touch_share": 1.0}
    booth = seat_of("hft", **settings, decision_interval=f"{decision_s}s")
    for index in range(400):
        booth.give(index, 100)
    for step in range(round(60.0 / decision_s)):
        booth.step = round(step * decision_s * 10)
        fill(booth, crossing(booth.decide(**DEEP)))
    assert held(booth).mean() == pytest.approx(50, abs=5)


def test_whoever_leaves_says_so_to_the_venue() -> None:
    booth = seat_of("hft", threshold=1e9, half_life="1s", requote_rate=20.0)
    for index in range(10):
        booth.give(index, 60)
    said = np.concatenate([booth.decide(**DEEP) for _ in range(300)])
    said = said[said["kind"] != OrderKind.CANCEL_ALL]
    assert {OrderKind.IOC, OrderKind.POST_ONLY} == set(said["kind"].tolist())
    assert (said["flags"] & Flag.REDUCE_ONLY).all()


def test_exits_rest_at_the_touch_first_and_cross_when_patience_ends() -> None:
    booth = seat_of("hft", accounts=1, threshold=1e9, half_life="100ms", requote_rate=20.0, patience="3s")
    booth.give(0, 60)
    resting: list[int] = []
    for step in range(60):
        said = booth.decide(**DEEP, **at(PRICE - step))
        if len(crossing(said)):
            break
        posted = said[said["kind"] == OrderKind.POST_ONLY]
        assert (posted["side"] == Side.SELL).all()
        assert (posted["price_ticks"] == PRICE - step + 2).all(), "it follows the touch"
        if len(posted) and resting:
            assert (said["kind"] == OrderKind.CANCEL_ALL).any(), "the stale one is taken back first"
        resting += posted["quantity_lots"].tolist()
    assert 28 <= step <= 40
    assert len(resting) > 5
    assert said["kind"].tolist()[-2:] == [OrderKind.CANCEL_ALL, OrderKind.IOC]
    assert said["side"][-1] == Side.SELL
    fill(booth, crossing(said))
    assert held(booth).tolist() == [0]
    assert len(calm(booth, 20)) == 0


def test_orders_are_bounded_in_number_however_wild_the_market() -> None:
    booth = seat_of("hft", pull_sigmas=1e9)
    calm(booth)
    said = []
    for step in range(300):
        said.append(booth.decide(**DEEP, **at(PRICE + 400 * (step // 3 % 2))))
        fill(booth, crossing(said[-1]))
    orders = np.concatenate(said)
    for row in booth.participant.rows:
        own = orders[orders["account"] == row]
        # 30 s: a momentum order a second, an exit with its cancellation at each look or each crossing.
        assert np.count_nonzero(own["kind"] == OrderKind.IOC) <= 31 + 15
        assert len(own) <= 31 + 15 + 3 * 60


def test_a_great_move_makes_them_stop_and_flatten() -> None:
    booth = seat_of("hft", half_life="10h", pull_time="1h")
    participant = booth.participant
    assert isinstance(participant, Hft)
    booth.give(0, 200)
    booth.give(1, -200)
    calm(booth)
    high = at(PRICE + 20 * SIGMA_TICKS)
    said = booth.decide(**DEEP, **high)
    assert (participant.pulled_until_ns > booth.step * STEP_NS).all()
    rows = participant.rows
    assert {(int(o["account"]), int(o["side"]), int(o["quantity_lots"])) for o in said} == {
        (int(rows[0]), -1, 200),
        (int(rows[1]), 1, 200),
    }
    fill(booth, said)
    assert len(calm(booth, 100, **high)) == 0
    assert not held(booth).any()


def test_the_timid_pull_first_and_come_back() -> None:
    booth = seat_of("hft", pull_time="2s")
    calm(booth)
    participant = booth.participant
    assert isinstance(participant, Hft)
    price = PRICE + 8 * SIGMA_TICKS
    booth.decide(**DEEP, **at(price))
    pulled = participant.pulled_until_ns > booth.step * STEP_NS
    assert 0 < np.count_nonzero(pulled) < 10
    calm(booth, 300, **at(price))
    assert (participant.pulled_until_ns < booth.step * STEP_NS).all()
    assert len(crossing(booth.decide(**DEEP, **at(price + 3 * SIGMA_TICKS)))) > 0


def test_horizon_is_ordered() -> None:
    with pytest.raises(ValueError, match="shortest, longest"):
        AGENT_TYPES["hft"].config_type.model_validate({"type": "hft", "horizon": ("5s", "1s")})


def test_they_arrive_before_slower_traders_hold_little_and_never_meet_themselves(
    open_model: OpenModel,
    tmp_path: Path,
) -> None:
    path = tmp_path / "market.yaml"
    path.write_text(MARKET)
    model = open_model(path, seed=1)
    fast = next(desk.participant for desk in model.sessions[0].participants if desk.participant.name == "fast")
    largest = 0
    for _ in range(model.steps_total):
        model.step()
        largest = max(largest, int(np.abs(fast.accounts.position_lots).max()))
    events = model.finish().events["main"]
    assert 0 < largest <= fast._limit_lots + fast._size_lots
    mine = np.isin(events["account"], fast.rows)
    fills = events["kind"] == EventKind.FILL
    since_step_ms = events["time_ns"] % model.step_ns / 1e6
    assert np.count_nonzero(fills & mine) > 20
    assert since_step_ms[fills & mine].min() >= 1.0
    assert since_step_ms[fills & mine].max() <= 5.0
    assert since_step_ms[fills & ~mine].min() >= 10.0
    assert not np.any(mine & (events["reason"] == Reject.SELF_TRADE))
