"""Before the clock runs: markets open, populations and the liquidation engine take their seats; at t = 0 all begin."""

from collections.abc import Mapping
from typing import Any, final

import mesa
import numpy as np

from marginquake.sim.core.accounts import Rows
from marginquake.sim.core.integers.casts import money, wait_ns
from marginquake.sim.core.integers.limits import TooLarge
from marginquake.sim.core.opening_book import OpeningBook
from marginquake.sim.core.problems import Place, Problem, ScenarioError
from marginquake.sim.core.records import AUDIT, COMMAND, Cause, MarginMode
from marginquake.sim.market.context import ParticipantContext
from marginquake.sim.market.orders import OrderEntry
from marginquake.sim.market.streams import Streams
from marginquake.sim.model.market_session import MarketSession, SeatedParticipant
from marginquake.sim.recording.recorder import MarketRecorder
from marginquake.sim.runs.event_log import EventLog, NoLog, OpenLog
from marginquake.sim.scenario.config import MarketConfig
from marginquake.sim.scenario.distributions import sample
from marginquake.sim.scenario.scenario import Population, Scenario
from marginquake.sim.venue.ledger_bounds import check_all_money
from marginquake.sim.venue.liquidation_desk import LiquidationDesk
from marginquake.sim.venue.margin_calls import MarginCalls, SeatedEngine
from marginquake.sim.venue.market_data import MarketData
from marginquake.sim.venue.seeding import Seed, leave_out, measure_fuel, seed_market
from marginquake.sim.venue.venue import Venue

MARGIN_MODES = {"cross": MarginMode.CROSS, "isolated": MarginMode.ISOLATED}


@final
class Seating:
    """Opens the markets of a scenario and seats everybody, in the order of the file.

    Needed until everybody sits: it keeps what a model must not (the registry, open files).
    """

    def __init__(
        self,
        model: mesa.Model,
        scenario: Scenario,
        registry: Mapping[str, Any],
        streams: Streams,
        open_log: OpenLog,
        check_invariants: bool,
    ) -> None:
        self._model = model
        self._scenario = scenario
        self._registry = registry
        self._streams = streams
        self._open_log = open_log
        self._check = check_invariants
        self.participants: list[Any] = []
        """All participants but the engines; the place of each is the number of the owner of its accounts."""

    def open_session(self, config: MarketConfig, now_ns: int) -> MarketSession:
        """Build one market and seat its populations."""
        scenario = self._scenario
        members = [p for p in scenario.populations.values() if p.market == config.name]
        capacity = sum(member.count for member in members)
        venue = Venue(config, self._streams, scenario.step, capacity, scenario.path.parent)
        if scenario.record.events == "all":
            venue.keep_conditional(self._open_log(config.name, records=COMMAND))
        venue.index.advance(now_ns, scenario.step)
        participants = [self._seat(venue, member) for member in members]
        venue.net_deposits = venue.exchange.net_deposits()
        data = MarketData(venue, max((seated.delay_steps for seated in participants), default=0))
        margin_calls = MarginCalls(venue, data, self._open_audit(config.name), self._check)
        engine = self._seat_engine(venue, margin_calls)
        recorder = MarketRecorder(venue, scenario.record, self._open_log(config.name))
        return MarketSession(venue, data, participants, margin_calls, engine, recorder)

    def _open_audit(self, market: str) -> EventLog:
        keeps = self._scenario.record.events != "none"
        return (self._open_log if keeps else NoLog)(market, records=AUDIT)

    def _seat(self, venue: Venue, population: Population) -> SeatedParticipant:
        config: Any = population.config
        stream = self._streams[f"{venue.name}/{population.name}"]
        rows = venue.accounts.claim(len(self.participants), population.count, int(stream.key >> np.uint64(1)))
        try:
            book = _open_accounts(venue, rows, config, stream, population.book)
            check_all_money(venue.exchange.net_deposits())
        except TooLarge as error:
            raise ScenarioError([self._at_deposit(population, str(error))]) from None
        context = _context_for(venue, population.name, rows, stream, book)
        participant = population.participant_class(self._model, config, context)
        self.participants.append(participant)
        return SeatedParticipant(
            participant=participant,
            orders=OrderEntry(venue.accounts, rows, venue.spot, venue.ids, outbox=venue.arrivals.outbox),
            every_steps=max(1, config.decision_interval // venue.step_ns),
            delay_steps=config.data_latency // venue.step_ns,
            first_row=int(rows[0]),
            last_row=int(rows[-1]),
            listens=_overrides(participant, "on_events"),
            starts_seeded=_overrides(participant, "seed_positions"),
        )

    def _at_deposit(self, population: Population, message: str) -> Problem:
        """What drawn deposits come to, at the line of the population's deposit."""
        scenario = self._scenario
        path = ("populations", population.name, "deposit")
        if scenario.places is None:
            return Problem(Place(str(scenario.path), 0, scenario.path.parent), ".".join(path), message)
        found = scenario.places.find(population.market, path)
        return Problem(found.place, found.field, message, found.value)

    def _seat_engine(self, venue: Venue, margin_calls: MarginCalls) -> SeatedEngine:
        """The liquidation engine: a participant without accounts that may order for all of them."""
        desk = LiquidationDesk(venue, margin_calls)
        engine_type = self._registry["liquidation_engine"]
        config = engine_type.config_type(rules=venue.config.liquidation)
        everyone = np.array([0, len(venue.accounts.rows) - 1])
        context = _context_for(venue, "liquidation_engine", everyone[:0], self._streams[f"{venue.name}/engine"])
        engine = engine_type(self._model, config, context, desk=desk)
        orders = OrderEntry(venue.accounts, everyone, venue.spot, venue.ids, Cause.LIQUIDATION)
        return SeatedEngine(engine, orders, desk.fund_orders)


def _open_accounts(venue: Venue, rows: Rows, config: Any, stream: Any, book: OpeningBook | None) -> OpeningBook | None:
    """Deposits, leverage and latency of a population, drawn from its traits where its book does not say them.

    Returns the book with what it lacked.
    """
    table, contract = venue.accounts.rows, venue.contract
    count = len(rows)
    deposits = sample(config.deposit, stream.child("deposit"), count)
    leverage = sample(config.leverage, stream.child("leverage"), count)
    if book is None:
        table["collateral"][rows] = money(deposits / contract.money_amount, "the largest deposit drawn")
    else:
        book = book.completed(leverage, deposits, venue.brackets, contract.money_amount)
        table["collateral"][rows] = book.money(contract)
        venue.accounts.stated.update(zip(rows.tolist(), zip(book.ids, book.lines.tolist(), strict=True), strict=True))
        leverage = book.leverage
    venue.set_leverage(rows, leverage)
    venue.capped_accounts += int((leverage > venue.brackets.max_leverage).sum())
    table["mode"][rows] = MARGIN_MODES[config.margin_mode]
    latency = sample(config.latency, stream.child("latency"), count)
    venue.accounts.latency_ns[rows] = wait_ns(np.rint(latency))
    return book


def _context_for(
    venue: Venue, name: str, rows: Rows, stream: Any, book: OpeningBook | None = None
) -> ParticipantContext:
    return ParticipantContext(
        name=name,
        rows=rows,
        table=venue.accounts,
        contract=venue.contract,
        stream=stream,
        step_ns=venue.step_ns,
        depth_1pct=venue.config.depth_1pct,
        initial_price_ticks=venue.initial_ticks,
        max_leverage=venue.brackets.max_leverage,
        brackets=venue.bracket_table,
        book=book,
    )


def _overrides(participant: Any, method: str) -> bool:
    """True if the most derived definition of `method` is not that of the abstract participant."""
    owner = next(cls for cls in type(participant).__mro__ if method in vars(cls))
    return owner.__name__ != "Participant"


def begin(session: MarketSession) -> None:
    """t = 0: measure D1, seed positions, start the record."""
    venue = session.venue
    if venue.exchange.mark_ticks == 0:
        venue.exchange.move_mark(venue.initial_ticks, 0)
    depth = float(np.mean(session.depth_samples)) if session.depth_samples else 0.0
    session.recorder.depth_measured = depth
    depth = depth or venue.config.depth_1pct
    session.recorder.depth_1pct = depth
    view = session.data.view(0)
    seeds: list[Seed] = []
    for seated in session.participants:
        positions = seated.participant.seed_positions(view, depth)
        if positions is not None:
            seeds.append(Seed(seated.participant.rows, positions))
    session.recorder.left_out = leave_out(venue, seeds)
    session.recorder.position_scale = seed_market(venue, seeds, depth)
    session.recorder.fuel = measure_fuel(venue)
    session.recorder.start()
