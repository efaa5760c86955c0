"""Facts about the oracle: what the venue believes the index is."""

import math
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marginquake.sim.assets.oracle import Oracle, OracleConfig
from marginquake.sim.core.fields import SECOND
from marginquake.sim.core.records import EventKind, Side
from marginquake.sim.market.orders import OrderEntry
from marginquake.sim.market.view import MarketView
from marginquake.sim.rules.funding import FUNDING_RULES
from marginquake.sim.rules.mark import MarkConfig
from tests.support.scripted_market import PRICE, STEP_NS, Ladder, Orders, Part, part_market


def believed(config: OracleConfig, index: list[float], frozen: range = range(0)) -> list[float]:
    """What the venue has each second."""
    oracle = Oracle(config)
    seen = []
    for second, ticks in enumerate(index):
        oracle.frozen = second in frozen
        oracle.observe(second * SECOND, ticks)
        seen.append(oracle.index_ticks)
    return seen


def naive(config: OracleConfig, index: list[float]) -> list[float]:
    """Every report ever made, looked through again each second."""
    reports: list[tuple[int, float]] = []
    seen = []
    for second, ticks in enumerate(index):
        now = second * SECOND
        if config.period == 0 or now % config.period == 0:
            moved = not reports or abs(ticks / reports[-1][1] - 1) >= config.deviation
            if moved or now - reports[-1][0] >= config.heartbeat:
                reports.append((now, ticks))
        arrived = [price for at, price in reports if at + config.delay <= now]
        seen.append(arrived[-1] if arrived else index[0])
    return seen


def test_by_default_it_is_the_index_now() -> None:
    assert believed(OracleConfig(), [100.0, 101.0, 99.5]) == [100.0, 101.0, 99.5]


def test_it_reports_when_it_looks() -> None:
    assert believed(OracleConfig(period=2 * SECOND), [1.0, 2.0, 3.0, 4.0, 5.0]) == [1.0, 1.0, 3.0, 3.0, 5.0]


def test_it_reports_a_move_of_the_deviation_since_its_last_report() -> None:
    feed = OracleConfig(deviation=0.005)
    assert believed(feed, [1000.0, 1004.0, 1004.9, 1005.1, 1009.0, 999.0]) == [1000, 1000, 1000, 1005.1, 1005.1, 999]


def test_a_heartbeat_reports_without_a_move() -> None:
    feed = OracleConfig(deviation=0.5, heartbeat=3 * SECOND)
    assert believed(feed, [100.0, 101.0, 102.0, 103.0, 104.0]) == [100, 100, 100, 103, 103]


def test_a_report_takes_its_time() -> None:
    assert believed(OracleConfig(delay=2 * SECOND), [1.0, 2.0, 3.0, 4.0]) == [1.0, 1.0, 1.0, 2.0]


def test_a_frozen_oracle_stands_still_and_goes_on_afterwards() -> None:
    index = [float(p) for p in range(1, 9)]
    assert believed(OracleConfig(), index, frozen=range(2, 5)) == [1, 2, 2, 2, 2, 6, 7, 8]
    assert believed(OracleConfig(delay=SECOND), index, frozen=range(2, 5)) == [1, 1, 1, 1, 1, 2, 6, 7]


def test_what_is_frozen_from_the_start_has_the_first_price() -> None:
    assert believed(OracleConfig(), [5.0, 6.0, 7.0], frozen=range(3)) == [5.0, 5.0, 5.0]


@given(
    st.builds(
        OracleConfig,
        period=st.sampled_from([0, SECOND, 3 * SECOND]),
        deviation=st.sampled_from([0.0, 0.005, 0.02]),
        heartbeat=st.sampled_from([4 * SECOND, 1000 * SECOND]),
        delay=st.sampled_from([0, SECOND, 5 * SECOND]),
    ),
    st.integers(0, 2**32),
)
def test_it_agrees_with_its_naive_twin(config: OracleConfig, seed: int) -> None:
    steps = np.random.default_rng(seed).normal(0, 0.004, 40)
    index = (1000.0 * np.exp(np.cumsum(steps))).tolist()
    assert believed(config, index) == naive(config, index)


def test_a_deviation_feed_is_never_further_off_than_its_deviation() -> None:
    steps = np.random.default_rng(1).normal(0, 0.0005, 5000)
    index = (1000.0 * np.exp(np.cumsum(steps))).tolist()
    seen = believed(OracleConfig(deviation=0.005), index)
    errors = [abs(there / here - 1) for there, here in zip(index, seen, strict=True)]
    assert max(errors) < 0.005
    assert len(set(seen)) < 200
    assert not math.isnan(seen[0])
    assert seen[0] == pytest.approx(index[0])


# -- in a market -------------------------------------------------------------------------------------------------------


class Watcher(Orders):
    """Says what it is told, and remembers the index that it sees."""

    seen: ClassVar[list[float]] = []

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        super().decide(market, orders)
        self.seen.append(market.index_ticks)


def test_marks_follow_the_oracle_while_traders_see_the_index() -> None:
    """A fall of 10 % over one second; the oracle is half a second late."""
    model = part_market(
        {"ladder": Part(Ladder), "watcher": Part(Watcher, told={})},
        venue={"mark": MarkConfig(rule="index", period=STEP_NS), "oracle": OracleConfig(delay=5 * STEP_NS)},
        index={"shocks": ({"at": SECOND, "log_return": -0.1, "over": SECOND},)},
    )
    Watcher.seen.clear()
    marks = []
    for _ in range(30):
        marks.append(model.sessions[0].venue.exchange.mark_ticks)
        model.step()
    index = [round(ticks) for ticks in Watcher.seen]
    assert marks[6:] == index[1:-5], "what the venue has is what traders saw half a second ago"
    assert index[20] == round(PRICE * math.exp(-0.1))
    assert marks[20] > index[20]
    series = model.sessions[0].recorder.series()
    at = np.argmin(np.abs(series["time_s"] - 1.6))
    assert (series["oracle"] - series["index"])[at] == pytest.approx(index[11] - index[16], abs=1)


def test_funding_on_oracle_notional_is_paid_at_the_oracles_price() -> None:
    """Two hundred lots push the mark up by 20 ticks; the oracle stands at 10,000, and the rate is the interest."""
    funding = FUNDING_RULES.config(
        "hyperliquid",
        interval=SECOND,
        sample_period=STEP_NS,
        impact_notional=1_000,
        interest=0.05,
        clamp=0.1,
        cap=0.04,
    )
    model = part_market(
        {"ladder": Part(Ladder), "buyer": Part(Orders, told={1: (Side.BUY, 200)})}, venue={"funding": funding}
    )
    events = []
    for _ in range(20):
        model.step()
        events.append(model.sessions[0].last_events.copy())
    paid = np.concatenate(events)
    paid = paid[paid["kind"] == EventKind.FUNDING][-1]
    assert paid["mark_ticks"] == PRICE + 20
    assert paid["price_ticks"] == PRICE
    notional = model.sessions[0].venue.contract.to_money(200 * 0.01 * PRICE)
    assert paid["money"] == pytest.approx(notional * abs(int(paid["quantity_lots"])) / 1e9, abs=2)
    assert paid["quantity_lots"] == round(0.05 / (8 * 3600) * 1e9)
