"""One market with everybody in it, and what each of them does in a step."""

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.records import EVENT, Side
from marginquake.sim.kernels.state import touching
from marginquake.sim.market.orders import OrderEntry
from marginquake.sim.market.view import MarketView
from marginquake.sim.recording.recorder import MarketRecorder
from marginquake.sim.scenario.config import RecordConfig
from marginquake.sim.venue.ledger_bounds import LOOK_EVERY
from marginquake.sim.venue.margin_calls import MarginCalls, SeatedEngine
from marginquake.sim.venue.market_data import MarketData
from marginquake.sim.venue.venue import Venue

SECOND_NS = 1_000_000_000
DEPTH_WINDOW_NS = 30 * SECOND_NS
"""D1 is the mean depth within 1 % over this last part of the warm-up."""


@final
@dataclass(slots=True)
class SeatedParticipant:
    """A participant at its place: its order entry, its rhythm, and what it sees how late."""

    participant: Any
    orders: OrderEntry
    every_steps: int
    delay_steps: int
    first_row: int
    last_row: int
    listens: bool
    starts_seeded: bool


@final
class MarketSession:
    """One market with everybody in it."""

    def __init__(
        self,
        venue: Venue,
        data: MarketData,
        participants: list[SeatedParticipant],
        margin_calls: MarginCalls,
        engine: SeatedEngine,
        recorder: MarketRecorder,
    ) -> None:
        self.venue = venue
        self.data = data
        self.participants = participants
        self.margin_calls = margin_calls
        self.engine = engine
        self.recorder = recorder
        self.depth_samples: list[float] = []
        self.last_events: NDArray[Any] = np.empty(0, EVENT)
        """What happened in the last step."""
        self._places = np.empty(0, np.int64)

    def decide(self, now_ns: int) -> None:
        """All participants decide on one view; their orders are under way."""
        self.venue.arrivals.outbox.now_ns = now_ns
        now = self.data.publish(now_ns)
        for seated in self.participants:
            if now_ns >= 0 or not seated.starts_seeded:
                self._decide(seated, now)

    def _decide(self, seated: SeatedParticipant, now: MarketView) -> None:
        """One participant learns what happened to it and decides on what it sees."""
        seen = self.data.delayed(seated.delay_steps) if seated.delay_steps else now
        if seated.listens and len(self.last_events):
            own = self._touching(seated.first_row, seated.last_row)
            if len(own):
                seated.participant.on_events(own, seen, seated.orders)
        if now.step % seated.every_steps == 0 and not self.venue.paused:
            seated.participant.decide(seen, seated.orders)
        if seated.orders.moves_money:
            self._move_money(seated.orders, now.now_ns)

    def _move_money(self, orders: OrderEntry, now_ns: int) -> None:
        """Money and leverage sent to the venue work at once."""
        for rows, money in orders.drain_deposits():
            self.venue.deposit(rows, money, now_ns)
        for rows, money in orders.drain_margins():
            self.venue.add_margin(rows, money)
        for rows, leverage in orders.drain_leverages():
            self.venue.set_leverage(rows, leverage)

    def _touching(self, first: int, last: int) -> NDArray[Any]:
        """Events of the last step with one of these rows on either side."""
        count = touching(self.last_events, first, last, self._places)
        return self.last_events.take(self._places[:count])

    def record(self, now_ns: int, record: RecordConfig) -> None:
        """The events of the step that has just ended; series and maps on their own clocks."""
        self.last_events = self.venue.take_events()
        if len(self.last_events) > len(self._places):
            self._places = np.empty(2 * len(self.last_events), np.int64)
        self.recorder.observe(now_ns)
        if now_ns // self.venue.step_ns % LOOK_EVERY == 0:
            self.venue.check_bounds()
        if now_ns % record.series_every == 0:
            self.recorder.sample(now_ns)
        if now_ns % record.map_every == 0 and now_ns >= 0:
            self.recorder.snapshot(now_ns)
        if -DEPTH_WINDOW_NS <= now_ns < 0 and now_ns % SECOND_NS == 0:
            self._sample_depth()

    def _sample_depth(self) -> None:
        mid = self.venue.mid_ticks
        if not math.isnan(mid):
            lots = self.data.depth.within(Side.BUY, 0.01) + self.data.depth.within(Side.SELL, 0.01)
            self.depth_samples.append(0.5 * lots * self.venue.contract.notional_per_lot(mid))

    def check_invariants(self) -> None:
        """Raise AssertionError where a law of the market is broken."""
        self.venue.check_invariants()
        self.margin_calls.check_invariants()
