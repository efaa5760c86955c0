"""Facts about the velocity logic: when it trips, what waits, what goes on."""

from typing import Any, ClassVar

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from marginquake.agents.base import Participant
from marginquake.sim.core.fields import SECOND
from marginquake.sim.core.records import Cause, EventKind, Flag, Side
from marginquake.sim.market.context import SeedPositions
from marginquake.sim.market.orders import OrderEntry
from marginquake.sim.market.view import MarketView
from marginquake.sim.model.model import MarketModel
from marginquake.sim.scenario.config import CircuitBreakerConfig
from marginquake.sim.venue.circuit_breaker import CircuitBreaker
from tests.support.scripted_market import PRICE, STEP_NS, Ladder, Orders, Part, PartConfig, part_market


def trips(config: CircuitBreakerConfig, lasts: list[int]) -> list[int]:
    """Steps of one second at which the breaker trips."""
    breaker = CircuitBreaker(config)
    found = []
    for second, last in enumerate(lasts):
        if not breaker.advance(second * SECOND):
            breaker.resume()
            breaker.watch(second * SECOND, last)
            if breaker.paused:
                found.append(second)
    return found


def naive_trips(config: CircuitBreakerConfig, lasts: list[int]) -> list[int]:
    """The same by a look at every price of the window."""
    found: list[int] = []
    began = 0
    for second, last in enumerate(lasts):
        if found and second * SECOND < found[-1] * SECOND + config.pause:
            began = second + 1
            continue
        window = [
            p for s, p in enumerate(lasts) if began <= s <= second and s * SECOND >= second * SECOND - config.window
        ]
        window = [p for p in window if p > 0]
        if last > 0 and (last < max(window) * (1 - config.move) or last > min(window) * (1 + config.move)):
            found.append(second)
            began = second + 1
    return found


def test_a_fast_move_trips_it_and_a_slow_one_does_not() -> None:
    config = CircuitBreakerConfig(move=0.01, window=2 * SECOND, pause=5 * SECOND)
    assert trips(config, [1000, 1000, 989]) == [2]
    assert trips(config, [1000, 995, 991, 986, 982, 977]) == []
    assert trips(config, [1000, 1000, 990]) == [], "more than the move, not the move"
    assert trips(config, [1000, 1005, 1011]) == [2]


def test_after_a_pause_the_window_begins_anew() -> None:
    config = CircuitBreakerConfig(move=0.01, window=60 * SECOND, pause=2 * SECOND)
    assert trips(config, [1000, 980, 980, 980, 980, 981]) == [1]
    assert trips(config, [1000, 980, 980, 980, 980, 960]) == [1, 5]


def test_it_waits_for_a_first_price() -> None:
    config = CircuitBreakerConfig(move=0.01, window=60 * SECOND)
    assert trips(config, [0, 0, 1000, 900]) == [3]


@given(
    st.lists(st.integers(-15, 15), min_size=1, max_size=60),
    st.sampled_from([0.005, 0.01, 0.03]),
    st.integers(1, 8),
    st.integers(1, 5),
)
def test_it_trips_where_its_naive_twin_does(moves: list[int], move: float, window: int, pause: int) -> None:
    config = CircuitBreakerConfig(move=move, window=window * SECOND, pause=pause * SECOND)
    lasts = (1000 + np.cumsum(moves)).tolist()
    assert trips(config, lasts) == naive_trips(config, lasts)


def test_time_paused_is_counted_as_it_passes() -> None:
    breaker = CircuitBreaker(CircuitBreakerConfig(move=0.01, window=10 * SECOND, pause=3 * SECOND))
    breaker.watch(0, 1000)
    breaker.watch(SECOND, 900)
    assert breaker.advance(2 * SECOND)
    assert breaker.paused_ns == SECOND
    assert breaker.resume() == 4 * SECOND
    assert not breaker.paused
    assert breaker.pauses == 1


# -- in a market -------------------------------------------------------------------------------------------------------


class Long(Participant):
    """Holds one base unit on 2.5 % of collateral: called at about 9,790."""

    config_type = PartConfig
    example: ClassVar[dict[str, Any]] = {"type": "part"}

    def seed_positions(self, market: MarketView, depth_1pct: float) -> SeedPositions:
        self.context.table.rows["collateral"][self.rows] = self.context.contract.to_money(0.025 * PRICE)
        return SeedPositions(np.array([100]), np.array([PRICE]))

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        """Holds."""


class Stopper(Participant):
    """The other side of the long; sells five more if the mark falls to 9,800."""

    config_type = PartConfig
    example: ClassVar[dict[str, Any]] = {"type": "part"}

    def seed_positions(self, market: MarketView, depth_1pct: float) -> SeedPositions:
        return SeedPositions(np.zeros(1, np.int64), np.array([PRICE]), takes_other_side=True)

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        if market.step == 1:
            orders.stop(self.rows, Side.SELL, 9_800, 5, flags=Flag.TRIGGER_ON_MARK)


def fall(breaker: CircuitBreakerConfig | None) -> tuple[MarketModel, np.ndarray]:
    """At 2 s a sale takes the last price 3 % down; two sellers' orders arrive at 2.3 s, the slower one named first."""
    model = part_market(
        {
            "ladder": Part(Ladder),
            "seller": Part(Orders, told={15: (Side.SELL, 1), 20: (Side.SELL, 3000)}),
            "slow": Part(Orders, told={20: (Side.SELL, 7)}, latency_ns=350_000_000),
            "fast": Part(Orders, told={20: (Side.SELL, 8)}, latency_ns=305_000_000),
            "long": Part(Long),
            "stopper": Part(Stopper),
        },
        venue={"circuit_breaker": breaker},
        liquidation={"order_bound": "none"},
    )
    events = []
    for _ in range(60):
        model.step()
        events.append(model.sessions[0].last_events.copy())
    return model, np.concatenate(events)


BREAKER = CircuitBreakerConfig(move=0.02, window=SECOND, pause=2 * SECOND)
TRIPPED_NS = 21 * STEP_NS
RESUMED_NS = TRIPPED_NS + BREAKER.pause


def fills(events: np.ndarray) -> np.ndarray:
    return events[events["kind"] == EventKind.FILL]


def test_in_a_pause_nothing_is_matched_and_what_waited_is_matched_in_order_of_arrival() -> None:
    model, events = fall(BREAKER)
    traded = fills(events)
    assert not ((traded["time_ns"] > TRIPPED_NS) & (traded["time_ns"] < RESUMED_NS)).any()
    waited = traded[traded["time_ns"] == RESUMED_NS]
    # the stop fires first, at the mark of then; then the orders of 2.305 and 2.35 s, then the engine's
    said = [(int(f["cause"]), int(f["quantity_lots"])) for f in waited]
    by_cause = [cause for i, (cause, _) in enumerate(said) if i == 0 or said[i - 1][0] != cause]
    assert by_cause == [Cause.STOP, Cause.VOLUNTARY, Cause.LIQUIDATION]
    voluntary = waited[waited["cause"] == Cause.VOLUNTARY]
    accounts = list(dict.fromkeys(voluntary["account"].tolist()))
    lots = [int(voluntary["quantity_lots"][voluntary["account"] == a].sum()) for a in accounts]
    assert lots == [8, 7], "the faster one first"
    assert (np.diff(events["time_ns"]) >= 0).all(), "events are in order of time"
    summary = model.finish().summary
    assert summary["pauses"] == 1
    assert summary["paused_seconds"] == 2.0


def test_nobody_decides_in_a_pause() -> None:
    decided: list[int] = []

    class Watcher(Long):
        def decide(self, market: MarketView, orders: OrderEntry) -> None:
            decided.append(market.now_ns)

    told = {15: (Side.SELL, 1), 20: (Side.SELL, 3000)}
    parts = {"ladder": Part(Ladder), "seller": Part(Orders, told=told), "watcher": Part(Watcher)}
    model = part_market(parts | {"stopper": Part(Stopper)}, venue={"circuit_breaker": BREAKER})
    for _ in range(60):
        model.step()
    assert not [at for at in decided if TRIPPED_NS <= at < RESUMED_NS - STEP_NS]
    assert [at for at in decided if at > RESUMED_NS]


def test_in_a_pause_marks_and_margin_calls_go_on_and_nobody_is_taken_over() -> None:
    model, events = fall(BREAKER)
    call = events[events["kind"] == EventKind.MARGIN_CALL]
    assert len(call) == 1
    assert TRIPPED_NS <= call["time_ns"][0] < RESUMED_NS
    started = events[events["kind"] == EventKind.LIQUIDATION_STARTED]
    assert TRIPPED_NS < started["time_ns"][0] < RESUMED_NS
    assert not (events["kind"] == EventKind.TAKEOVER).any(), "an order that waits has not failed"
    forced = fills(events)[fills(events)["cause"] == Cause.LIQUIDATION]
    assert forced["quantity_lots"].sum() == 100
    series = model.sessions[0].recorder.series()
    assert series["paused_s"].sum() == np.float64(2.0)
    paused = series["paused_s"] > 0
    assert paused.sum() == 20
    assert series["time_s"][paused][0] == np.float64(2.2)


def test_without_a_breaker_nothing_waits() -> None:
    model, events = fall(None)
    traded = fills(events)
    assert ((traded["time_ns"] > TRIPPED_NS) & (traded["time_ns"] < RESUMED_NS)).any()
    assert model.finish().summary["pauses"] == 0
