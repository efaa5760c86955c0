"""The market model: one Mesa model, one `step`, its phases in plain sight."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import mesa
import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.accounts import Rows
from marginquake.sim.core.records import AUDIT, EVENT, Cause, MarginMode, Side
from marginquake.sim.kernels.state import touching
from marginquake.sim.market.context import ParticipantContext
from marginquake.sim.market.orders import OrderEntry
from marginquake.sim.market.streams import Streams
from marginquake.sim.market.view import MarketView
from marginquake.sim.recording.recorder import MarketRecorder
from marginquake.sim.runs.directory import RunData
from marginquake.sim.runs.event_log import EventLog, MemoryLog, NoLog, OpenLog, log_folder
from marginquake.sim.scenario.distributions import sample
from marginquake.sim.scenario.scenario import Population, Scenario
from marginquake.sim.venue.liquidation_desk import VenueDesk
from marginquake.sim.venue.seeding import Seed, measure_fuel, seed_market
from marginquake.sim.venue.venue import Venue

DEPTH_WINDOW_NS = 30_000_000_000
"""D1 is the mean depth within 1 % over this last part of the warm-up."""
MARGIN_MODES = {"cross": MarginMode.CROSS, "isolated": MarginMode.ISOLATED}


@final
@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: for the progress bar."""

    events: int
    open_interest: float
    margin_calls: int


@final
class BookDepth:
    """Answers participants' questions on visible depth."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def within(self, side: int, fraction: float) -> int:
        """Lots resting on `side` within `fraction` of the mid; 0 while a side is empty."""
        mid = self._venue.mid_ticks
        if math.isnan(mid):
            return 0
        exchange = self._venue.exchange
        if side == Side.BUY:
            return exchange.depth_within(side, math.ceil(mid * (1 - fraction)), math.floor(mid))
        return exchange.depth_within(side, math.ceil(mid), math.floor(mid * (1 + fraction)))


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
        recorder: MarketRecorder,
        participants: list[SeatedParticipant],
        engine: SeatedParticipant,
        desk: VenueDesk,
    ) -> None:
        self.venue = venue
        self.recorder = recorder
        self.participants = participants
        self.engine = engine
        self.liquidation_desk = desk
        self.views: list[MarketView] = []
        self.depth = BookDepth(venue)
        self.depth_samples: list[float] = []
        self.history = 1 + max((d.delay_steps for d in participants), default=0)
        self.last_events: NDArray[Any] = np.empty(0, EVENT)
        """What happened in the last step."""
        self._places = np.empty(0, np.int64)

    def check_invariants(self) -> None:
        """Raise AssertionError where a law of the market is broken."""
        self.venue.check_invariants()
        self.liquidation_desk.check_invariants()

    def on_events(self, events: NDArray[Any]) -> None:
        """The events of the step that has just ended."""
        self.last_events = events
        if len(events) > len(self._places):
            self._places = np.empty(2 * len(events), np.int64)

    def touching(self, first: int, last: int) -> NDArray[Any]:
        """Events of the last step with one of these rows on either side."""
        count = touching(self.last_events, first, last, self._places)
        return self.last_events.take(self._places[:count])


@final
class RunRecorder:
    """All markets' recorders as one."""

    def __init__(self, sessions: list[MarketSession]) -> None:
        self._sessions = sessions

    def settle(self) -> None:
        """Bring the logs to a state that survives the process."""
        for session in self._sessions:
            session.recorder.log.settle()
            session.liquidation_desk.audit.log.settle()

    def move_logs(self, folder: Path) -> None:
        """Logs go on in this folder of a run as of the last `settle`."""
        for session in self._sessions:
            session.recorder.log.move(log_folder(folder, EVENT))
            session.liquidation_desk.audit.log.move(log_folder(folder, AUDIT))

    def progress(self) -> Progress:
        """Totals so far."""
        recorders = [session.recorder for session in self._sessions]
        return Progress(
            events=sum(r.events_seen for r in recorders),
            open_interest=sum(r.open_interest for r in recorders),
            margin_calls=sum(r.calls_seen for r in recorders),
        )


@final
class MarketModel(mesa.Model):
    """Participants, venues and the clock.  `now_ns` runs from -warmup to duration; positions are seeded at 0.

    `registry`: participant types by name (handed in, so that the simulator knows nobody's strategy).
    `open_log`: where each market's events and audit rows go; in memory, unless said otherwise.
    """

    def __init__(
        self,
        scenario: Scenario,
        registry: Mapping[str, Any],
        seed: int | None = None,
        check_invariants: bool = False,
        open_log: OpenLog = MemoryLog,
    ) -> None:
        self.seed_used = scenario.seed if seed is None else seed
        super().__init__(rng=self.seed_used)
        self.setup = scenario
        self.step_ns = scenario.step
        self.steps_total = scenario.steps
        self.step_index = -scenario.warmup_steps
        self.now_ns = self.step_index * self.step_ns
        self._check = check_invariants
        self._streams = Streams(self.seed_used)
        self._registry = registry
        self.sessions = [self._open_session(i, open_log) for i in range(len(scenario.markets))]
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
            session.venue.arrivals.outbox.now_ns = self.now_ns
            self._look(session)
            for desk in session.participants:
                self._decide(session, desk)
        self.step_index += 1
        self.now_ns = self.step_index * self.step_ns
        for session in self.sessions:
            session.venue.trade(self.now_ns)
            session.liquidation_desk.on_events()

    def advance_index(self) -> None:
        """The outside moves to the end of the step: fundamental and index."""
        for session in self.sessions:
            session.venue.index.advance(self.now_ns, self.step_ns)

    def mark(self) -> None:
        """New mark prices: stops that watch them, margin calls."""
        for session in self.sessions:
            session.venue.update_mark(self.now_ns)

    def monitor_margin(self) -> None:
        """The liquidation engine scans on its own period; its orders arrive like anyone's."""
        for session in self.sessions:
            rules = session.venue.config.liquidation
            if self.now_ns < 0 or self.now_ns % rules.monitor_period:
                continue
            if not session.venue.faults.at(self.now_ns).engine_scans:
                continue
            if not session.liquidation_desk.idle:
                self._scan(session)
            if self._check and session.venue.marked_ns == self.now_ns:
                session.liquidation_desk.check_scan(session.liquidation_desk.capacity if rules.enabled else 0)

    def _scan(self, session: MarketSession) -> None:
        """One look of the engine at the accounts of one market."""
        rules, desk, engine = session.venue.config.liquidation, session.liquidation_desk, session.engine
        desk.begin_scan(self.now_ns)
        if not rules.enabled:
            desk.release_recovered()
            return
        desk.deleverage_fund()
        engine.participant.decide(self._view(session), engine.orders)
        latency_ns = rules.latency + session.venue.faults.at(self.now_ns).latency_ns
        for entry in (engine.orders, desk.fund_orders):
            if not entry.has_no_commands:
                commands = entry.drain(self.now_ns, latency_ns)
                desk.note_orders(commands)
                session.venue.arrivals.add(commands)

    def fund(self) -> None:
        """Funding is sampled, and paid at the end of its interval."""
        for session in self.sessions:
            session.venue.fund(self.now_ns)

    def record(self) -> None:
        """Series, maps and (if asked for) invariants."""
        record = self.setup.record
        if self.now_ns == 0:
            self._begin()
        for session in self.sessions:
            session.on_events(session.venue.take_events())
            session.recorder.observe(self.now_ns)
            if self.now_ns % record.series_every == 0:
                session.recorder.sample(self.now_ns)
            if self.now_ns % record.map_every == 0 and self.now_ns >= 0:
                session.recorder.snapshot(self.now_ns)
            if -DEPTH_WINDOW_NS <= self.now_ns < 0 and self.now_ns % 1_000_000_000 == 0:
                self._sample_depth(session)
            if self._check:
                session.check_invariants()

    @property
    def steps_done(self) -> int:
        """Steps taken so far, of `steps_total`."""
        return self.step_index + self.setup.warmup_steps

    def finish(self) -> RunData:
        """Everything the run leaves behind; events only if they were kept in memory."""
        digest = hashlib.blake2b(digest_size=16)
        summary: dict[str, int | float | str | bool] = {
            "scenario": self.setup.name,
            "name": self.setup.name,
            "market": self.sessions[0].venue.name,
            "seed": self.seed_used,
            "steps": self.steps_total,
        }
        series: dict[str, Any] = {"market": []}
        accounts: dict[str, Any] = {}
        populations: dict[str, Any] = {}
        positions: dict[str, Any] = {}
        maps: dict[str, Any] = {"markets": np.array([session.venue.name for session in self.sessions])}
        names = {number: agent.name for number, agent in enumerate(self._seated)}
        for i, session in enumerate(self.sessions):
            if self.now_ns % self.setup.record.series_every:
                session.recorder.sample(self.now_ns)
            digest.update(session.recorder.digest())
            prefix = "" if i == 0 else f"{session.venue.name}."
            summary |= {prefix + key: value for key, value in session.recorder.summary().items()}
            columns = session.recorder.series()
            series["market"] += [session.venue.name] * len(columns["time_s"])
            for key, values in columns.items():
                series[key] = np.concatenate([series[key], values]) if key in series else values
            _append(accounts, session.recorder.accounts(names))
            _append(populations, session.recorder.populations(names))
            _append(positions, session.recorder.positions(names))
            maps |= {f"{session.venue.name}/{key}": values for key, values in session.recorder.maps().items()}
        summary["event_digest"] = digest.hexdigest()
        logs = {session.venue.name: session.recorder.log.finish() for session in self.sessions}
        events = {market: rows for market, rows in logs.items() if rows is not None}
        trails = {session.venue.name: session.liquidation_desk.audit.log.finish() for session in self.sessions}
        audit = {market: rows for market, rows in trails.items() if rows is not None}
        return RunData(events, series, accounts, maps, summary, populations, audit, positions)

    def _open_session(self, number: int, open_log: OpenLog) -> MarketSession:
        """Build one market and seat its populations."""
        scenario = self.setup
        config = scenario.markets[number]
        members = [p for p in scenario.populations.values() if p.market == config.name]
        capacity = sum(int(p.config.accounts) for p in members)
        folder = scenario.path.parent
        venue = Venue(config, self._streams, scenario.step, capacity, folder)
        venue.index.advance(self.now_ns, scenario.step)
        participants = [self._seat(venue, member) for member in members]
        venue.net_deposits = venue.exchange.net_deposits()
        keeps_audit = scenario.record.events != "none"
        engine, desk = self._seat_engine(venue, (open_log if keeps_audit else NoLog)(config.name, records=AUDIT))
        return MarketSession(
            venue, MarketRecorder(venue, scenario.record, open_log(config.name)), participants, engine, desk
        )

    @property
    def _seated(self) -> list[Any]:
        if not hasattr(self, "_participants"):
            self._participants: list[Any] = []
        return self._participants

    def _seat(self, venue: Venue, population: Population) -> SeatedParticipant:
        config: Any = population.config
        owner = len(self._seated)
        stream = self._streams[f"{venue.name}/{population.name}"]
        rows = venue.accounts.claim(owner, config.accounts, int(stream.key >> np.uint64(1)))
        self._open_accounts(venue, rows, config, stream)
        context = self._context_for(venue, population.name, rows, stream)
        participant = population.participant_class(self, config, context)
        self._seated.append(participant)
        base = type(participant).__mro__
        return SeatedParticipant(
            participant=participant,
            orders=OrderEntry(venue.accounts, rows, venue.spot, venue.ids, outbox=venue.arrivals.outbox),
            every_steps=max(1, config.decision_interval // self.step_ns),
            delay_steps=config.data_latency // self.step_ns,
            first_row=int(rows[0]),
            last_row=int(rows[-1]),
            listens=_overrides(base, "on_events"),
            starts_seeded=_overrides(base, "seed_positions"),
        )

    def _context_for(self, venue: Venue, name: str, rows: Rows, stream: Any) -> ParticipantContext:
        return ParticipantContext(
            name=name,
            rows=rows,
            table=venue.accounts,
            contract=venue.contract,
            stream=stream,
            step_ns=self.step_ns,
            depth_1pct=venue.config.depth_1pct,
            initial_price_ticks=venue.initial_ticks,
            max_leverage=venue.brackets.max_leverage,
            brackets=venue.bracket_table,
        )

    def _open_accounts(self, venue: Venue, rows: Rows, config: Any, stream: Any) -> None:
        """Deposits, leverage and latency of a population, drawn from its traits."""
        table = venue.accounts.rows
        count = len(rows)
        deposits = sample(config.deposit, stream.child("deposit"), count)
        table["collateral"][rows] = np.rint(deposits / venue.contract.money_amount).astype(np.int64)
        leverage = sample(config.leverage, stream.child("leverage"), count)
        venue.set_leverage(rows, leverage)
        venue.capped_accounts += int((leverage > venue.brackets.max_leverage).sum())
        table["mode"][rows] = MARGIN_MODES[config.margin_mode]
        venue.accounts.latency_ns[rows] = np.rint(sample(config.latency, stream.child("latency"), count)).astype(
            np.int64
        )

    def _seat_engine(self, venue: Venue, audit: EventLog) -> tuple[SeatedParticipant, VenueDesk]:
        """The liquidation engine: a participant without accounts that may order for all of them."""
        desk = VenueDesk(venue, audit)
        engine_type = self._registry["liquidation_engine"]
        config = engine_type.config_type(rules=venue.config.liquidation)
        everyone = np.array([0, len(venue.accounts.rows) - 1])
        context = self._context_for(venue, "liquidation_engine", everyone[:0], self._streams[f"{venue.name}/engine"])
        engine = engine_type(self, config, context, desk=desk)
        orders = OrderEntry(venue.accounts, everyone, venue.spot, venue.ids, Cause.LIQUIDATION)
        return SeatedParticipant(engine, orders, 1, 0, 0, 0, listens=False, starts_seeded=False), desk

    def _view(self, session: MarketSession) -> MarketView:
        venue = session.venue
        bid, ask, bid_lots, ask_lots, last, mark = venue.exchange.quote()
        return MarketView(
            self.step_index,
            self.now_ns,
            self.step_ns,
            bid,
            ask,
            bid_lots,
            ask_lots,
            0.5 * (bid + ask) if bid and ask else math.nan,
            last,
            mark,
            venue.index.index_ticks,
            venue.index.fundamental_ticks,
            venue.funding_rate,
            venue.contract,
            session.depth,
            venue.margins.multiplier,
        )

    def _look(self, session: MarketSession) -> None:
        session.views.append(self._view(session))
        if len(session.views) > session.history:
            del session.views[0]

    def _decide(self, session: MarketSession, desk: SeatedParticipant) -> None:
        """One participant hears what happened to it and decides on what it sees."""
        if desk.starts_seeded and self.now_ns < 0:
            return
        now = session.views[-1]
        seen = now
        if desk.delay_steps:
            seen = session.views[max(0, len(session.views) - 1 - desk.delay_steps)]
            seen = _at_time(seen, now)
        if desk.listens and len(session.last_events):
            mine = session.touching(desk.first_row, desk.last_row)
            if len(mine):
                desk.participant.on_events(mine, seen, desk.orders)
        if self.step_index % desk.every_steps == 0 and not session.venue.paused:
            desk.participant.decide(seen, desk.orders)
        if not desk.orders.moves_money:
            return
        for rows, money in desk.orders.drain_deposits():
            session.venue.deposit(rows, money, self.now_ns)
        for rows, money in desk.orders.drain_margins():
            session.venue.add_margin(rows, money)
        for rows, leverage in desk.orders.drain_leverages():
            session.venue.set_leverage(rows, leverage)

    def _sample_depth(self, session: MarketSession) -> None:
        mid = session.venue.mid_ticks
        if not math.isnan(mid):
            lots = session.depth.within(Side.BUY, 0.01) + session.depth.within(Side.SELL, 0.01)
            session.depth_samples.append(0.5 * lots * session.venue.contract.notional_per_lot(mid))

    def _begin(self) -> None:
        """t = 0: measure D1, seed positions, start the record."""
        for session in self.sessions:
            venue = session.venue
            if venue.exchange.mark_ticks == 0:
                venue.exchange.move_mark(venue.initial_ticks, 0)
            depth = float(np.mean(session.depth_samples)) if session.depth_samples else 0.0
            depth = depth or venue.config.depth_1pct
            session.recorder.depth_1pct = depth
            view = self._view(session)
            seeds: list[Seed] = []
            for desk in session.participants:
                positions = desk.participant.seed_positions(view, depth)
                if positions is not None:
                    seeds.append(Seed(desk.participant.rows, positions))
            session.recorder.position_scale = seed_market(venue, seeds, depth)
            session.recorder.fuel = measure_fuel(venue)
            session.recorder.start()


def _append(table: dict[str, Any], more: dict[str, Any]) -> None:
    """Add another market's rows below a table of columns."""
    for key, values in more.items():
        if key not in table:
            table[key] = values
        elif isinstance(values, list):
            table[key] = table[key] + values
        else:
            table[key] = np.concatenate([table[key], values])


def _overrides(classes: tuple[type, ...], method: str) -> bool:
    """True if the most derived definition of `method` is not that of the abstract participant."""
    owner = next(cls for cls in classes if method in vars(cls))
    return owner.__name__ != "Participant"


def _at_time(seen: MarketView, now: MarketView) -> MarketView:
    """An old picture with today's clock: the viewer knows what time it is."""
    return seen._replace(step=now.step, now_ns=now.now_ns)
