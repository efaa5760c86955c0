"""The market model: one Mesa model, one `step`, its phases in plain sight."""

from collections.abc import Mapping
from typing import Any, final

import mesa

from marginquake.sim.core.measured import Measured
from marginquake.sim.market.streams import Streams
from marginquake.sim.model.run_recorder import RunRecorder
from marginquake.sim.model.setup import Seating, begin
from marginquake.sim.runs.directory import RunData
from marginquake.sim.runs.event_log import MemoryLog, OpenLog
from marginquake.sim.scenario.bounds.memory import check_memory
from marginquake.sim.scenario.scenario import Scenario


@final
class MarketModel(mesa.Model):
    """Participants, venues and the clock.  `now_ns` runs from -warmup to duration; positions are seeded at 0.

    `registry`: participant types by name (handed in, so that the simulator knows nobody's strategy).
    `open_log`: where each market's events and audit rows go; by default in memory.  Raises ScenarioError where this
    machine's memory is too small.
    """

    def __init__(
        self,
        scenario: Scenario,
        registry: Mapping[str, Any],
        seed: int | None = None,
        check_invariants: bool = False,
        open_log: OpenLog = MemoryLog,
    ) -> None:
        check_memory(scenario)
        self.seed_used = scenario.seed if seed is None else seed
        super().__init__(rng=self.seed_used)
        self.setup = scenario
        self.step_ns = scenario.step
        self.steps_total = scenario.steps
        self.step_index = -scenario.warmup_steps
        self.now_ns = self.step_index * self.step_ns
        self._check = check_invariants
        seating = Seating(self, scenario, registry, Streams(self.seed_used), open_log, check_invariants)
        self.sessions = [seating.open_session(market, self.now_ns) for market in scenario.markets]
        self.participants = seating.participants
        self.recorder = RunRecorder(self.sessions)
        if scenario.warmup == 0:
            self._begin()

    def step(self) -> None:
        """One step of the clock."""
        self.trade()
        self.advance_index()
        self.mark()
        self.monitor_margin()
        self.fund()
        self.record()

    def trade(self) -> None:
        """Everybody decides on one view; commands are processed by arrival until the end of the step."""
        for session in self.sessions:
            session.decide(self.now_ns)
        self.step_index += 1
        self.now_ns = self.step_index * self.step_ns
        for session in self.sessions:
            session.venue.trade(self.now_ns)
            session.margin_calls.on_events()

    def advance_index(self) -> None:
        """The outside moves to the end of the step: fundamental and index."""
        for session in self.sessions:
            session.venue.index.advance(self.now_ns, self.step_ns)

    def mark(self) -> None:
        """New mark prices: stops that watch them, margin calls."""
        for session in self.sessions:
            session.venue.update_mark(self.now_ns)

    def monitor_margin(self) -> None:
        """Venues scan on their own period: whom to release, whom to sell; the orders of this arrive like anyone's."""
        for session in self.sessions:
            session.margin_calls.scan(self.now_ns, session.engine)

    def fund(self) -> None:
        """Funding is sampled, and paid at the end of its interval."""
        for session in self.sessions:
            session.venue.funding.advance(self.now_ns)

    def record(self) -> None:
        """Series, maps and (if asked for) invariants."""
        if self.now_ns == 0:
            self._begin()
        for session in self.sessions:
            session.record(self.now_ns, self.setup.record)
            if self._check:
                session.check_invariants()

    def _begin(self) -> None:
        """t = 0: positions that accounts already hold."""
        for session in self.sessions:
            begin(session)

    @property
    def steps_done(self) -> int:
        """Steps taken so far, of `steps_total`."""
        return self.step_index + self.setup.warmup_steps

    def measured(self) -> dict[str, Measured]:
        """What each market says so far of its scenario, by name."""
        return self.recorder.measured([participant.name for participant in self.participants])

    def finish(self) -> RunData:
        """Everything the run leaves behind; events only if they were kept in memory."""
        for session in self.sessions:
            session.venue.check_bounds()
        if self.now_ns % self.setup.record.series_every:
            self.recorder.sample(self.now_ns)
        head: dict[str, int | float | str | bool] = {
            "scenario": self.setup.name,
            "name": self.setup.name,
            "market": self.sessions[0].venue.name,
            "seed": self.seed_used,
            "steps": self.steps_total,
        }
        return self.recorder.collect(head, [participant.name for participant in self.participants])
