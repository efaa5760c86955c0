"""One market of a venue: arrivals, matching and settlement, mark price, margin calls, funding, waterfall.

The exchange underneath knows only integers; this module holds the rules that need a clock, an index or a history.
"""

import math
from decimal import Decimal
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.assets.fundamentals import FundamentalContext
from marginquake.sim.assets.index import Index, build_fundamental
from marginquake.sim.assets.oracle import Oracle
from marginquake.sim.assets.spot import SpotHoldings
from marginquake.sim.core.accounts import INSURANCE_ROW, SYSTEM_ROWS, AccountTable, Rows
from marginquake.sim.core.contract import ContractConfig, ContractSpec, InverseContractConfig
from marginquake.sim.core.integers.casts import exact_sum
from marginquake.sim.core.integers.limits import TooLarge
from marginquake.sim.core.margin import BracketSchedule, backing_money, leverage_capped
from marginquake.sim.core.records import COMMAND, EVENT, EventKind, MarginMode, OrderKind, Stage, join
from marginquake.sim.market.orders import OrderIds
from marginquake.sim.market.streams import Streams
from marginquake.sim.rules.faults import FaultSchedule
from marginquake.sim.rules.funding import MarginTerms
from marginquake.sim.rules.mark import MARK_RULES, MarkInputs
from marginquake.sim.runs.event_log import EventLog, NoLog
from marginquake.sim.scenario.config import MarketConfig
from marginquake.sim.venue.arrivals import Arrivals
from marginquake.sim.venue.audit import Crossings, Moment
from marginquake.sim.venue.circuit_breaker import CircuitBreaker
from marginquake.sim.venue.exchange import NO_EVENTS, Exchange, ExchangeRules
from marginquake.sim.venue.funding import Funding
from marginquake.sim.venue.ledger_bounds import WAY_OUT, beyond_bounds, check_all_money
from marginquake.sim.venue.margin_schedule import MarginSchedule
from marginquake.sim.venue.waterfall import Waterfall

PPM = 1_000_000
_MARGIN_CALL, _WARNING = int(EventKind.MARGIN_CALL), int(EventKind.WARNING)


def contract_from(config: ContractConfig | InverseContractConfig, name: str) -> ContractSpec:
    """The integer contract of a configured one."""
    tick = Decimal(str(config.tick_size))
    top = Decimal(str(config.initial_price)) * Decimal(str(config.max_price_multiple)) / tick
    return ContractSpec.from_fields(name, config.model_dump(), int(top), config.max_position_lots)


def exchange_rules(config: MarketConfig, contract: ContractSpec, brackets: BracketSchedule) -> ExchangeRules:
    """A venue's configured rules as the exchange's integers."""
    venue = config.venue
    return ExchangeRules(
        lot_value=contract.lot_value,
        ladder_size=contract.max_price_ticks,
        maker_fee_ppm=round(venue.fees.maker * PPM),
        taker_fee_ppm=round(venue.fees.taker * PPM),
        liquidation_fee_ppm=round(venue.fees.liquidation * PPM),
        bracket_cap=brackets.cap,
        bracket_rate_ppm=brackets.rate_ppm,
        bracket_deduction=brackets.deduction,
        bracket_initial_ppm=brackets.initial_ppm,
        max_position_lots=contract.max_position_lots,
        self_trade_cancels_taker=venue.self_trade_prevention == "cancel_taker",
        price_band_ppm=round((venue.price_band or 0.0) * PPM),
        warning_ppm=round(PPM / (venue.call.warning or venue.call.level)),
        call_ppm=round(PPM / venue.call.level),
    )


@final
class Venue:
    """Everything of one market that is not a participant.

    Facts collect in the exchange, in order: `take_events` are those of a step, `drain_events` all since the last drain.
    """

    def __init__(self, config: MarketConfig, streams: Streams, step_ns: int, accounts: int, folder: Path) -> None:
        self.config = config
        self.name = config.name
        self.step_ns = step_ns
        self.contract = contract_from(config.contract, config.name)
        self.bracket_table = leverage_capped(config.venue.brackets, config.venue.max_leverage)
        """The venue's brackets as published."""
        self.brackets = BracketSchedule.from_config(self.bracket_table, self.contract)
        """The brackets in force; changed by `set_brackets` only."""
        self.margins = MarginSchedule(config.venue, self.brackets)
        self.faults = FaultSchedule(config.faults)
        self.accounts = AccountTable(SYSTEM_ROWS + accounts, self.contract.lot_value)
        self.accounts.rows["collateral"][INSURANCE_ROW] = self.contract.to_money(config.venue.insurance.initial)
        self.exchange = Exchange(exchange_rules(config, self.contract, self.brackets), self.accounts)
        self.initial_ticks = self.contract.to_ticks(config.contract.initial_price)
        context = FundamentalContext(
            self.contract, float(self.initial_ticks), step_ns, streams[f"{self.name}/fundamental"], folder
        )
        self.index = Index(build_fundamental(config.index, context), config.index.feedback, config.depth_1pct)
        self.spot = SpotHoldings(len(self.accounts.rows), self.index, self.contract)
        self.oracle = Oracle(config.venue.oracle)
        self.mark_rule = MARK_RULES.make(config.venue.mark)
        terms = MarginTerms(self.brackets.initial_ppm[0] / PPM, self.brackets.rate_ppm[0] / PPM)
        self.funding = Funding(config.venue.funding, terms, self.contract, self.exchange, self.oracle)
        breaker = config.venue.circuit_breaker
        self.breaker = None if breaker is None else CircuitBreaker(breaker)
        self.traded_until_ns = -(2**63)
        """What arrived by then has been processed; in a pause it stands still."""
        self.keep_conditional(NoLog(self.name, COMMAND))
        self.waterfall = Waterfall(
            self.accounts,
            self.brackets,
            money_per_quote=float(1 / self.contract.amount_unit),
            rules=config.venue,
            draws=streams[f"{self.name}/adl"],
        )
        self.previous_mark_ticks = 0
        """The mark before the present one; 0 = none."""
        self.marked_ns = -(2**63)
        """When the present mark came into force."""
        self.ids = OrderIds()
        self.arrivals = Arrivals(streams[f"{self.name}/arrivals"], self.accounts.tie_key)
        self.net_deposits = self.exchange.net_deposits()
        self.bad_debt = 0.0
        """Negative equity, at the mark, of accounts when the waterfall took them; quote units."""
        self._taken = 0
        self.capped_accounts = 0
        """Accounts that were to start with more leverage than the venue allows, and got its most."""
        self._crossings: list[Crossings] = []

    @property
    def mid_ticks(self) -> float:
        """Middle of the touch; nan while a side is empty."""
        bid, ask = self.exchange.best_bid_ticks, self.exchange.best_ask_ticks
        return 0.5 * (bid + ask) if bid and ask else math.nan

    @property
    def paused(self) -> bool:
        """Whether the circuit breaker has paused matching."""
        return self.breaker is not None and self.breaker.paused

    def trade(self, until_ns: int) -> None:
        """Process every command that arrives by `until_ns`, unless a pause holds them back."""
        breaker = self.breaker
        resumed = None
        if breaker is not None:
            if breaker.advance(until_ns):
                return
            resumed = breaker.resume()
        commands = self.arrivals.due(until_ns)
        if resumed is not None:
            self._note_crossings(self.exchange.move_mark(self.exchange.mark_ticks, resumed))
            commands["arrival_ns"] = np.maximum(commands["arrival_ns"], resumed)
        if len(commands):
            if self.keeps_conditional:
                kind = commands["kind"]
                waits = (kind == OrderKind.STOP) | (kind == OrderKind.TAKE_PROFIT)
                if waits.any():
                    self.conditional_orders.append(commands[waits])
            self.exchange.run(commands)
        self.traded_until_ns = until_ns
        if breaker is not None and until_ns >= 0:
            breaker.watch(until_ns, self.exchange.last_ticks)

    def keep_conditional(self, log: EventLog) -> None:
        """Keep the stops and take-profits that arrive: events do not say whether an accepted order rests or waits."""
        self.conditional_orders = log
        self.keeps_conditional = not isinstance(log, NoLog)

    def update_mark(self, now_ns: int) -> None:
        """A new mark every `mark.period`: margins, band, stops that watch it, margin calls."""
        faults = self.faults.at(now_ns)
        self.oracle.frozen = not faults.oracle_moves
        self.oracle.observe(now_ns, self.index.index_ticks)
        if now_ns % self.config.venue.mark.period or not faults.mark_moves:
            return
        exchange = self.exchange
        inputs = MarkInputs(
            index_ticks=self.oracle.index_ticks,
            mid_ticks=self.mid_ticks,
            last_ticks=float(exchange.last_ticks) or math.nan,
            funding_rate=self.funding.rate,
            time_to_funding_fraction=self.funding.time_left_fraction(now_ns),
            bid_ticks=float(exchange.best_bid_ticks) or math.nan,
            ask_ticks=float(exchange.best_ask_ticks) or math.nan,
            now_ns=now_ns,
        )
        mark = round(self.mark_rule.update(inputs))
        mark = min(max(mark, 1), self.contract.max_price_ticks - 1)
        if self.margins.dynamic and now_ns >= 0:
            self._update_margins(now_ns, mark)
        if faults.maintenance_factor != self.margins.fault_factor:
            self.margins.fault_factor = faults.maintenance_factor
            self.set_brackets(self.margins.in_force())
        self.set_mark(mark, now_ns)

    def set_mark(self, mark_ticks: int, now_ns: int) -> None:
        """This mark is in force from now on; whom it warns or calls waits for the next scan.  In a pause no
        stop fires."""
        self.previous_mark_ticks = self.exchange.mark_ticks
        self.marked_ns = now_ns
        self._note_crossings(self.exchange.move_mark(mark_ticks, now_ns, fires=not self.paused))

    def _note_crossings(self, events: NDArray[Any]) -> None:
        """Warnings and margin calls among what a mark set off wait for the next scan."""
        if len(events):
            crossings = events[(events["kind"] == _MARGIN_CALL) | (events["kind"] == _WARNING)]
            if len(crossings):
                accounts = self.accounts.rows.take(crossings["account"])
                self._crossings.append(Crossings(crossings, accounts, self.moment))

    @property
    def moment(self) -> Moment:
        """What margin is judged by now, and what is known beside it."""
        exchange = self.exchange
        return Moment(
            exchange.mark_ticks,
            exchange.last_ticks,
            self.oracle.index_ticks,
            self.index.fundamental_ticks,
            self.brackets,
        )

    def take_crossings(self) -> list[Crossings]:
        """Warnings and margin calls since the last time, mark by mark, oldest first."""
        crossings, self._crossings = self._crossings, []
        return crossings

    def set_brackets(self, brackets: BracketSchedule) -> None:
        """Other margins from now on, for everybody: liquidation prices of all who hold a position are calculated
        again."""
        before, self.brackets = self.brackets, brackets
        self.waterfall.brackets = brackets
        self.exchange.set_brackets(brackets.rate_ppm, brackets.deduction, brackets.initial_ppm)
        if (brackets.rate_ppm, brackets.deduction) != (before.rate_ppm, before.deduction):
            held = self.accounts.rows["position_lots"][: self.accounts.count]
            self.exchange.relink(np.flatnonzero(held))

    def _update_margins(self, now_ns: int, mark_ticks: int) -> None:
        """Margins move with the market (eq. 146-148)."""
        margins = self.margins
        margins.observe(now_ns, mark_ticks)
        if margins.due(now_ns):
            positions = self.accounts.rows["position_lots"]
            long_lots = int(np.maximum(positions, 0).sum())
            per_lot = self.contract.notional_per_lot(self.oracle.index_ticks)
            brackets = margins.update(now_ns, long_lots * per_lot)
            if brackets != self.brackets:
                self.set_brackets(brackets)

    @property
    def has_crossings(self) -> bool:
        """Whether anybody was warned or called since the last scan."""
        return bool(self._crossings)

    @property
    def waiting_crossings(self) -> NDArray[Any]:
        """Warnings and margin calls since the last scan."""
        return join([each.events for each in self._crossings], EVENT) if self._crossings else NO_EVENTS

    def deposit(self, rows: Rows, money: NDArray[np.int64], now_ns: int) -> None:
        """Outside money comes in: it backs the position, also in isolated mode."""
        if len(rows) == 0:
            return
        table = self.accounts.rows
        brought = exact_sum(money)
        check_all_money(self.net_deposits + brought)
        np.add.at(table["collateral"], rows, money)
        isolated = (table["mode"][rows] == MarginMode.ISOLATED) & (table["position_lots"][rows] != 0)
        np.add.at(table["isolated_margin"], rows[isolated], money[isolated])
        self.net_deposits += brought
        self.exchange.relink(rows)
        events = np.zeros(len(rows), EVENT)
        events["time_ns"] = now_ns
        events["kind"] = EventKind.DEPOSIT
        events["account"] = rows
        events["maker_account"] = -1
        events["money"] = money
        events["mark_ticks"] = self.exchange.mark_ticks
        self.add_events(events)

    def add_margin(self, rows: Rows, money: NDArray[np.int64]) -> None:
        """Free collateral goes behind isolated positions, no more than there is; nobody's money changes."""
        table = self.accounts.rows
        isolated = (table["mode"][rows] == MarginMode.ISOLATED) & (table["stage"][rows] < Stage.LIQUIDATING)
        held = isolated & (table["position_lots"][rows] != 0)
        rows, money = rows[held], money[held]
        free = np.maximum(0, table["collateral"][rows] - table["isolated_margin"][rows])
        table["isolated_margin"][rows] += np.minimum(money, free)
        self.exchange.relink(rows)

    def set_leverage(self, rows: Rows, leverage: NDArray[np.float64]) -> None:
        """Leverage of the next position, cut at the venue's maximum; who has a position or orders keeps the old one."""
        table = self.accounts.rows
        free = (table["position_lots"][rows] == 0) & (table["first_order"][rows] == 0)
        chosen = leverage[free].clip(self.contract.least_leverage, self.brackets.max_leverage)
        table["initial_margin_ppm"][rows[free]] = np.ceil(PPM / chosen).clip(1, 2**31 - 1).astype(np.int64)

    def add_events(self, events: NDArray[Any]) -> None:
        """Append facts of this step."""
        if len(events):
            self.exchange.append_events(events)

    @property
    def events_of_step(self) -> NDArray[Any]:
        """The facts of this step so far, in order: a view, good until the next drain but one."""
        return self.exchange.events_since(self._taken)

    def take_events(self) -> NDArray[Any]:
        """The facts since the last call, in order: a view, good until the drain after the next."""
        first = self._taken
        self._taken = self.exchange.events_held
        return self.exchange.events_since(first)

    def drain_events(self) -> NDArray[Any]:
        """All facts since the last drain, in order; they lie in a buffer that is written again after the next."""
        self._taken = 0
        return self.exchange.drain_events()

    def check_bounds(self) -> None:
        """Raise TooLarge where an amount has left its bounds, or has wrapped."""
        broken = beyond_bounds(self.accounts, self.exchange.mark_ticks, self.net_deposits)
        if broken is not None:
            raise TooLarge(f"{self.name}: {broken}; nothing from here on would be right; {WAY_OUT}")

    def check_invariants(self) -> None:
        """Raise AssertionError where a law of the market is broken."""
        self.exchange.check_invariants()
        broken = beyond_bounds(self.accounts, self.exchange.mark_ticks, self.net_deposits)
        assert broken is None, broken
        self._check_liquidation_prices()

    def _check_liquidation_prices(self) -> None:
        """Whoever is watched is called exactly where equity first meets maintenance, calculated again."""
        table = self.accounts.rows
        lot_value = self.contract.lot_value
        for sign in (1, -1):
            held = np.flatnonzero((table["liquidation_ticks"] > 0) & (np.sign(table["position_lots"]) == sign))
            rows, ticks = table[held], table["liquidation_ticks"][held].astype(np.int64)
            for offset, under in ((0, True), (sign, False)):
                at = ticks + offset
                equity = backing_money(rows) + lot_value.value(rows["position_lots"], at) - rows["cost"]
                notional = lot_value.notional(rows["position_lots"], at)
                met = equity <= self.brackets.maintenance(notional)
                on_ladder = (at >= 1) & (at < self.contract.max_price_ticks)
                assert (met == under)[on_ladder].all(), "a liquidation price is where equity meets maintenance"
        free = (table["stage"] < Stage.CALLED) & (table["position_lots"] == 0)
        assert (table["liquidation_ticks"][free] == 0).all(), "a flat account has no liquidation price"
