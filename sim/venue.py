"""One market of a venue: arrivals, matching and settlement, mark price, margin calls, funding, waterfall.

The exchange underneath knows only integers; this module holds the rules that need a clock, an index or a history.
"""

import math
from decimal import Decimal
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from sim.accounts import INSURANCE_ROW, ROUNDING_ROW, SYSTEM_ROWS, AccountTable, Rows
from sim.arrivals import Arrivals
from sim.config import ContractConfig, MarketConfig
from sim.contract import ContractSpec
from sim.exchange import NO_EVENTS, Exchange, ExchangeRules
from sim.indices import FundamentalSeat, Index, build_fundamental
from sim.margin import BracketSchedule, backing_money
from sim.market import OrderIds
from sim.prices import FUNDING_RULES, MARK_RULES, MarkInputs
from sim.records import EVENT, EventKind, MarginMode, Side, Stage, join
from sim.spot import SpotDesk
from sim.streams import Streams
from sim.waterfall import Waterfall

PPM = 1_000_000
PPB = 1_000_000_000
_MARGIN_CALL, _WARNING = int(EventKind.MARGIN_CALL), int(EventKind.WARNING)


def contract_from(config: ContractConfig, name: str) -> ContractSpec:
    """The integer contract of a configured one."""
    tick = Decimal(str(config.tick_size))
    top = Decimal(str(config.initial_price)) * Decimal(str(config.max_price_multiple)) / tick
    return ContractSpec(
        name=name,
        tick_size=tick,
        lot_size=Decimal(str(config.lot_size)),
        multiplier=Decimal(str(config.multiplier)),
        money_unit=Decimal(str(config.money_unit)),
        max_price_ticks=int(top),
        max_position_lots=config.max_position_lots,
    )


def exchange_rules(config: MarketConfig, contract: ContractSpec, brackets: BracketSchedule) -> ExchangeRules:
    """A venue's configured rules as the exchange's integers."""
    venue = config.venue
    return ExchangeRules(
        money_per_tick_lot=contract.money_per_tick_lot,
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
        self.brackets = BracketSchedule.from_config(config.venue.brackets, self.contract)
        self.accounts = AccountTable(SYSTEM_ROWS + accounts, self.contract.money_per_tick_lot)
        self.accounts.rows["collateral"][INSURANCE_ROW] = self.contract.to_money(config.venue.insurance.initial)
        self.exchange = Exchange(exchange_rules(config, self.contract, self.brackets), self.accounts)
        self.initial_ticks = self.contract.to_ticks(config.contract.initial_price)
        seat = FundamentalSeat(
            self.contract, float(self.initial_ticks), step_ns, streams[f"{self.name}/fundamental"], folder
        )
        self.index = Index(build_fundamental(config.index, seat), config.index.feedback, config.depth_1pct)
        self.spot = SpotDesk(len(self.accounts.rows), self.index, self.contract)
        self.mark_rule = MARK_RULES[config.venue.mark.rule](config.venue.mark)
        self.funding_rule = FUNDING_RULES[config.venue.funding.rule](config.venue.funding)
        self.funding_rate = 0.0
        self.waterfall = Waterfall(
            self.accounts,
            self.brackets,
            money_per_quote=float(1 / self.contract.money_unit),
            rules=config.venue,
            draws=streams[f"{self.name}/adl"],
        )
        self.previous_mark_ticks = 0
        """The mark before the present one; 0 = none."""
        self.ids = OrderIds()
        self.arrivals = Arrivals(streams[f"{self.name}/arrivals"], self.accounts.tie_key)
        self.net_deposits = self.exchange.net_deposits()
        self.bad_debt = 0.0
        """Negative equity, at the mark, of accounts when the waterfall took them; quote units."""
        self._taken = 0
        self._crossings: list[NDArray[Any]] = []

    @property
    def mid_ticks(self) -> float:
        """Middle of the touch; nan while a side is empty."""
        bid, ask = self.exchange.best_bid_ticks, self.exchange.best_ask_ticks
        return 0.5 * (bid + ask) if bid and ask else math.nan

    def trade(self, until_ns: int) -> None:
        """Process every command that arrives by `until_ns`."""
        commands = self.arrivals.due(until_ns)
        if len(commands):
            self.exchange.run(commands)

    def update_mark(self, now_ns: int) -> None:
        """A new mark every `mark.period`: band, stops that watch it, margin calls."""
        if now_ns % self.config.venue.mark.period:
            return
        interval = self.config.venue.funding.interval
        inputs = MarkInputs(
            index_ticks=self.index.index_ticks,
            mid_ticks=self.mid_ticks,
            last_ticks=float(self.exchange.last_ticks) or math.nan,
            funding_rate=self.funding_rate,
            time_to_funding_fraction=1.0 - (now_ns % interval) / interval,
        )
        mark = round(self.mark_rule.update(inputs))
        self.set_mark(min(max(mark, 1), self.contract.max_price_ticks - 1), now_ns)

    def set_mark(self, mark_ticks: int, now_ns: int) -> None:
        """This mark is in force from now on; whom it warns or calls is kept for the desk."""
        self.previous_mark_ticks = self.exchange.mark_ticks
        events = self.exchange.move_mark(mark_ticks, now_ns)
        if len(events):
            crossings = events[(events["kind"] == _MARGIN_CALL) | (events["kind"] == _WARNING)]
            if len(crossings):
                self._crossings.append(crossings)

    def take_crossings(self) -> NDArray[Any]:
        """Warnings and margin calls since the last time, as events, oldest first."""
        crossings = self.waiting_crossings
        self._crossings = []
        return crossings

    @property
    def has_crossings(self) -> bool:
        """Whether anybody was warned or called since the desk last asked."""
        return bool(self._crossings)

    @property
    def waiting_crossings(self) -> NDArray[Any]:
        """Warnings and margin calls since the desk last asked."""
        return join(self._crossings, EVENT) if self._crossings else NO_EVENTS

    def fund(self, now_ns: int) -> None:
        """Sample the premium; at the end of an interval longs pay shorts (or the reverse)."""
        config = self.config.venue.funding
        if not config.enabled or now_ns < 0:
            return
        if now_ns % config.sample_period == 0:
            notional = config.impact_notional / self.contract.notional_per_lot(1.0)
            bid = self.exchange.impact_ticks(Side.SELL, notional) or math.nan
            ask = self.exchange.impact_ticks(Side.BUY, notional) or math.nan
            self.funding_rule.sample(bid, ask, self.index.index_ticks)
        if now_ns > 0 and now_ns % config.interval == 0:
            self.funding_rate = self.funding_rule.settle()
            self._pay_funding(now_ns)

    def _pay_funding(self, now_ns: int) -> None:
        """Each position pays rate * notional at the mark; the residue of rounding goes to the rounding row (eq. 12)."""
        rows = self.accounts.rows
        mark = self.exchange.mark_ticks
        ppb = round(self.funding_rate * PPB)
        held = np.flatnonzero(rows["position_lots"][: self.accounts.count])
        notional = rows["position_lots"][held] * (mark * self.contract.money_per_tick_lot)
        payment = notional // PPB * ppb + notional % PPB * ppb // PPB
        rows["collateral"][held] -= payment
        isolated = rows["mode"][held] == MarginMode.ISOLATED
        rows["isolated_margin"][held[isolated]] -= payment[isolated]
        rows["collateral"][ROUNDING_ROW] += int(payment.sum())
        self.exchange.relink(held)
        event = self.new_event(EventKind.FUNDING, now_ns)
        event["money"] = int(np.abs(payment).sum()) // 2
        event["quantity_lots"] = ppb
        self.add_events(event)

    def deposit(self, rows: Rows, money: NDArray[np.int64], now_ns: int) -> None:
        """Outside money comes in: it backs the position, also in isolated mode."""
        if len(rows) == 0:
            return
        table = self.accounts.rows
        np.add.at(table["collateral"], rows, money)
        isolated = (table["mode"][rows] == MarginMode.ISOLATED) & (table["position_lots"][rows] != 0)
        np.add.at(table["isolated_margin"], rows[isolated], money[isolated])
        self.net_deposits += int(money.sum())
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
        chosen = leverage[free].clip(1e-3, self.brackets.max_leverage)
        table["initial_margin_ppm"][rows[free]] = np.ceil(PPM / chosen).clip(1, 2**31 - 1).astype(np.int64)

    def new_event(self, kind: EventKind, now_ns: int) -> NDArray[Any]:
        """One blank event of this market."""
        event = np.zeros(1, EVENT)
        event["kind"] = kind
        event["time_ns"] = now_ns
        event["account"] = -1
        event["maker_account"] = -1
        event["mark_ticks"] = self.exchange.mark_ticks
        event["price_ticks"] = self.exchange.mark_ticks
        return event

    def add_events(self, events: NDArray[Any]) -> None:
        """Append facts of this step."""
        if len(events):
            self.exchange.append_events(events)

    def take_events(self) -> NDArray[Any]:
        """The facts since the last call, in order: a view, good until the drain after the next."""
        first = self._taken
        self._taken = self.exchange.events_held
        return self.exchange.events_since(first)

    def drain_events(self) -> NDArray[Any]:
        """All facts since the last drain, in order; they lie in a buffer that is written again after the next."""
        self._taken = 0
        return self.exchange.drain_events()

    def check_invariants(self) -> None:
        """Raise AssertionError where a law of the market is broken."""
        self.exchange.check_invariants()
        self._check_liquidation_prices()
        assert self.exchange.net_deposits() == self.net_deposits, "money is neither made nor lost"

    def _check_liquidation_prices(self) -> None:
        """Whoever is watched is called exactly where equity first meets maintenance, reckoned anew."""
        table = self.accounts.rows
        value = self.contract.money_per_tick_lot
        for sign in (1, -1):
            held = np.flatnonzero((table["liquidation_ticks"] > 0) & (np.sign(table["position_lots"]) == sign))
            rows, ticks = table[held], table["liquidation_ticks"][held].astype(np.int64)
            for offset, under in ((0, True), (sign, False)):
                at = ticks + offset
                equity = backing_money(rows) + rows["position_lots"] * (at * value) - rows["cost"]
                notional = np.abs(rows["position_lots"]) * at * value
                met = equity <= self.brackets.maintenance(notional)
                on_ladder = (at >= 1) & (at < self.contract.max_price_ticks)
                assert (met == under)[on_ladder].all(), "a liquidation price is where equity meets maintenance"
        free = (table["stage"] < Stage.CALLED) & (table["position_lots"] == 0)
        assert (table["liquidation_ticks"][free] == 0).all(), "a flat account has no liquidation price"
