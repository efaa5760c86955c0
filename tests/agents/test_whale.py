"""Facts about metaorders: power-law lengths, one parent an account, children that fit the book, signs that last."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from marginquake.agents import AGENT_TYPES
from marginquake.agents.whale import Whale, parent_lengths, poisson_counts
from marginquake.sim.core.records import EventKind, OrderKind, Side
from tests.support.one_participant import DEPTH_1PCT, PRICE, STEP_NS, Booth, FakeDepth, seat_of
from tests.support.whole_market import simulate

LOT_NOTIONAL = 100.0
DEEP = FakeDepth(10**9)
CHILD_LOTS = 9e-4 * DEPTH_1PCT / LOT_NOTIONAL
MARKET = """
question: Do order signs remember?
duration: 4min
warmup: 30s
step: 500ms
index: {fundamental: {type: gbm, volatility: 10%}}
record: {events: all}
populations:
  background: {type: background}
  makers: {type: market_maker}
  arbitrageurs: {type: arbitrageur}
"""
WHALES = "  whales: {type: whale, parent_rate: 0.1, child_interval: 500ms, children_range: [20, 3000]}\n"


def whale_of(booth: Booth) -> Whale:
    assert isinstance(booth.participant, Whale)
    return booth.participant


def accounts_of(said: NDArray[Any], booth: Booth) -> NDArray[np.int64]:
    return said["account"] - int(booth.participant.rows[0])


def hill(lengths: NDArray[np.int64], least: int) -> float:
    """Tail exponent above `least`; whole numbers, hence the half (Clauset, Shalizi, Newman 2009, eq. 3.7)."""
    tail = lengths[lengths >= least]
    return len(tail) / float(np.log(tail / (least - 0.5)).sum())


def taker_signs(tmp_path: Path, more: str, seed: int) -> NDArray[np.float64]:
    path = tmp_path / "market.yaml"
    path.write_text(MARKET + more)
    events = simulate(path=path, seed=seed).events["main"]
    fills = events[events["kind"] == EventKind.FILL]
    _, first = np.unique(fills["order_id"], return_index=True)
    return fills["side"][np.sort(first)].astype(float)


def autocorrelation(series: NDArray[np.float64], lags: range) -> NDArray[np.float64]:
    centred = series - series.mean()
    return np.array([(centred[lag:] * centred[:-lag]).mean() for lag in lags]) / (centred**2).mean()


def test_lengths_have_the_tail_asked_for() -> None:
    lengths = parent_lengths(np.random.default_rng(0).random(100_000), 1.5, 5, 3000)
    assert lengths.min() == 5
    assert lengths.max() <= 3000
    assert hill(lengths, 20) == pytest.approx(1.5, abs=0.1)
    assert np.mean(lengths >= 20) == pytest.approx((5 / 20) ** 1.5, rel=0.03)


def test_parents_begun_have_that_tail_and_either_side() -> None:
    booth = seat_of("whale", accounts=2500, parent_rate=500.0, child_interval="10h", rest="50h", working_at_start=False)
    for _ in range(45):
        booth.decide(depth=DEEP)
    whale = whale_of(booth)
    lengths = whale.children_left[whale.children_left > 0]
    assert len(lengths) > 2000
    assert hill(lengths, 10) == pytest.approx(1.5, abs=0.15)
    assert abs(whale.side.sum()) < 4 * math.sqrt(len(lengths))


def test_counts_are_poisson() -> None:
    units = (np.arange(100_000) + 0.5) / 100_000
    for mean in (0.05, 1.0, 30.0):
        counts = poisson_counts(units, mean)
        assert counts.mean() == pytest.approx(mean, rel=0.01)
        assert counts.var() == pytest.approx(mean, rel=0.01)
    assert poisson_counts(units[:10], 0.0).tolist() == [0] * 10


def test_the_market_starts_with_parents_under_way() -> None:
    """Little's law: rate x mean length x interval = 0.2 x 14.4 x 2 s, about 6; and length-biased, so longer ones."""
    working = []
    for seed in range(40):
        booth = seat_of("whale", seed=seed)
        booth.decide(depth=FakeDepth(0))
        working.append(np.count_nonzero(whale_of(booth).children_left))
    assert np.mean(working) == pytest.approx(5.8, abs=1.2)
    booth = seat_of("whale", working_at_start=False, parent_rate=0.0)
    booth.decide(depth=DEEP)
    assert not whale_of(booth).children_left.any()


def test_every_child_is_sent_and_nothing_else() -> None:
    """Equal children: what an account says is what its parent loses, one mean size for each child."""
    booth = seat_of("whale", size_deviation=0.0, child_deviation=0.0, child_interval="200ms", rest="1s")
    whale = whale_of(booth)
    before, ended = whale.children_left.copy(), 0
    for _ in range(1500):
        said = booth.decide(depth=DEEP)
        assert (said["kind"] == OrderKind.MARKET).all()
        sent = np.zeros_like(before)
        sent[accounts_of(said, booth)] = np.rint(said["quantity_lots"] / CHILD_LOTS)
        settled = before > 0  # the length of a parent begun at this step is not seen from outside
        assert (before - whale.children_left)[settled].tolist() == sent[settled].tolist()
        assert (np.abs(said["quantity_lots"] - sent[accounts_of(said, booth)] * CHILD_LOTS) <= 1).all()
        ended += np.count_nonzero(settled & (whale.children_left == 0))
        before = whale.children_left.copy()
    assert ended > 15


def test_an_account_works_one_parent_at_a_time_and_rests_between_two() -> None:
    booth = seat_of("whale", accounts=6, parent_rate=5.0, child_interval="200ms", rest="4s", children_range=(1, 20))
    whale = whale_of(booth)
    ended = np.full(6, -(10**6))
    begun = 0
    before, side = whale.children_left.copy(), whale.side.copy()
    for step in range(1500):
        said = booth.decide(depth=DEEP)
        begins = (before == 0) & (whale.children_left > 0)
        assert (step - ended[begins] >= 40).all()
        still = before > 0
        assert (whale.side[still] == side[still]).all()
        assert (said["side"] == whale.side[accounts_of(said, booth)]).all()
        assert len(np.unique(said["account"])) == len(said)
        ended[still & (whale.children_left == 0)] = step
        begun += np.count_nonzero(begins)
        before, side = whale.children_left.copy(), whale.side.copy()
    assert begun > 50


def test_a_parent_without_a_free_account_is_not_begun() -> None:
    booth = seat_of("whale", accounts=2, parent_rate=100.0, child_interval="10h", rest="50h")
    booth.decide(depth=DEEP)
    first = whale_of(booth).children_left.copy()
    assert (first > 0).all()
    for _ in range(20):
        booth.decide(depth=DEEP)
    assert whale_of(booth).children_left.tolist() == first.tolist()


def test_a_child_takes_at_most_its_share_of_the_depth_near_the_touch() -> None:
    """Half a spread of 0.2 bp and a reach of 1.5 bp, 10,000 lots per 1 %: 170 lots, of which 30 %."""
    booth = seat_of("whale", size_deviation=2.0, child_interval="100ms", rest="1s", parent_rate=10.0)
    said = np.concatenate([booth.decide(depth=FakeDepth(10_000)) for _ in range(300)])
    assert len(said) > 300
    assert said["quantity_lots"].max() == math.floor(0.3 * 170)


def test_without_depth_children_wait() -> None:
    booth = seat_of("whale", child_interval="100ms", parent_rate=10.0, rest="50s", accounts=10)
    booth.decide(depth=FakeDepth(0))
    waiting = whale_of(booth).children_left.copy()
    assert waiting.any()
    for view in ({"depth": FakeDepth(0)}, {"bid": 0}, {"ask": 0}):
        for _ in range(20):
            assert len(booth.decide(**view)) == 0
    assert whale_of(booth).children_left.tolist() == waiting.tolist()
    assert sum(len(booth.decide(depth=DEEP)) for _ in range(20)) > 0


def test_only_the_position_limit_ends_a_parent_early() -> None:
    limit = round(0.01 * DEPTH_1PCT / LOT_NOTIONAL)
    booth = seat_of("whale", limit_d1=0.01, children_range=(1000, 1000), child_interval="100ms", rest="1s")
    whale = whale_of(booth)
    for _ in range(400):
        said = booth.decide(depth=DEEP)
        for account, order in zip(accounts_of(said, booth), said, strict=True):
            booth.give(int(account), int(order["side"] * order["quantity_lots"]))
        held = np.abs(whale.accounts.position_lots)
        assert held.max() <= limit
    assert (held == limit).any()
    assert (whale.children_left[held == limit] == 0).any()


def test_far_from_flat_the_side_leans_back() -> None:
    booth = seat_of("whale", accounts=1000, parent_rate=0.0, child_interval="10h", rest="50h")
    limit = 3.0 * DEPTH_1PCT / LOT_NOTIONAL
    whale = whale_of(booth)
    chance = {share: whale._buy_chance(round(share * limit)) for share in (0.0, 0.5, -0.5, 0.75, -0.75, 1.0, -2.0)}
    expected = {0.0: 0.5, 0.5: 0.5, -0.5: 0.5, 0.75: 0.25, -0.75: 0.75, 1.0: 0.0, -2.0: 1.0}
    assert chance == pytest.approx(expected, abs=1e-6)


def test_twins_share_parents_whatever_the_market_does() -> None:
    one, other = (seat_of("whale", accounts=500, parent_rate=5.0, child_interval="10h", rest="50h") for _ in range(2))
    other.give(3, 1000)
    for step in range(200):
        one.decide(depth=DEEP)
        price = PRICE - 20 * step
        other.decide(bid=price - 9, ask=price + 9, mark_ticks=price)
    left, right = whale_of(one), whale_of(other)
    assert np.count_nonzero(left.children_left) > 50
    assert left.children_left.tolist() == right.children_left.tolist()
    assert left.side.tolist() == right.side.tolist()


def test_rates_are_per_second_whatever_the_step() -> None:
    """Ten decisions a second against two: the same number of children."""
    sent = []
    for interval in ("100ms", "500ms"):
        booth = seat_of("whale", decision_interval=interval, parent_rate=0.0, activity_floor=1.0)
        whale = whale_of(booth)
        whale.children_left[:] = 1000
        whale.side[:] = Side.BUY
        whale._child_lots[:] = 10.0
        whale._name[:] = np.arange(60)
        stride = round(whale.interval_s * 1e9) // STEP_NS
        for step in range(0, 600, stride):
            booth.step = step
            booth.decide(depth=DEEP)
        sent.append(1000 * 60 - whale.children_left.sum())
    assert sent[0] == pytest.approx(60 * 30, rel=0.1)
    assert sent[1] == pytest.approx(60 * 30, rel=0.1)


def test_rest_must_tell_parents_apart() -> None:
    config = AGENT_TYPES["whale"].config_type
    with pytest.raises(ValueError, match="rest must be at least 5 child intervals"):
        config.model_validate({"type": "whale", "child_interval": "2s", "rest": "9s"})
    with pytest.raises(ValueError, match="fewest, most"):
        config.model_validate({"type": "whale", "children_range": (9, 4)})


def test_order_signs_remember_with_whales_and_not_without(tmp_path: Path) -> None:
    with_whales = autocorrelation(taker_signs(tmp_path, WHALES, seed=1), range(1, 21))
    without = autocorrelation(taker_signs(tmp_path, "", seed=1), range(1, 21))
    assert (with_whales > 0).all()
    assert with_whales.mean() > 0.1
    assert abs(without.mean()) < 0.05
