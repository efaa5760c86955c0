"""Margin calls of one market: who is warned, called, cured, in liquidation, released; once a monitor period, a scan.

`MarginCalls.scan` is the whole of it, in its order.  What the engine may ask and do on the way is
`sim.venue.liquidation_desk`.
"""

from dataclasses import dataclass
from typing import Any, Protocol, final

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.accounts import INSURANCE_ROW, SYSTEM_ROWS, Rows
from marginquake.sim.core.margin import PPM, backing_equity, bankruptcy_ticks, maintenance_money, muldiv
from marginquake.sim.core.records import EVENT, Cause, EventKind, Stage
from marginquake.sim.market.orders import OrderEntry
from marginquake.sim.market.view import MarketView
from marginquake.sim.runs.event_log import EventLog
from marginquake.sim.venue.audit import AuditTrail
from marginquake.sim.venue.market_data import MarketData
from marginquake.sim.venue.venue import Venue
from marginquake.sim.venue.waterfall import NO_ROWS, Bankruptcies

NEVER = np.iinfo(np.int64).max // 2
"""A time so far off that no grace added to it is over."""
FORCED_STAGES = (EventKind.LIQUIDATION_STARTED, EventKind.LIQUIDATION_ENDED)


class Engine(Protocol):
    """The participant that decides on forced sales."""

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        """Look at the accounts in liquidation and at the calls, and send orders."""
        ...


@final
@dataclass(frozen=True, slots=True)
class SeatedEngine:
    """The liquidation engine at its place.  `orders`: for every account; `fund_orders`: for the insurance fund."""

    engine: Engine
    orders: OrderEntry
    fund_orders: OrderEntry


@final
class MarginCalls:
    """Stages of warned, called and liquidated accounts, each list in the order in which they came (eq. 7b).

    Only these lists are looked at, never all accounts.  `check`: assert after each scan that it overlooked nobody.
    """

    def __init__(self, venue: Venue, data: MarketData, log: EventLog, check: bool = False) -> None:
        self._venue = venue
        self._data = data
        self.audit = AuditTrail(venue.accounts, log)
        self._check = check
        self._table = venue.accounts.rows
        self._positions = self._table["position_lots"]
        self._liquidation = venue.config.liquidation
        self._rules = venue.config.venue.call
        self._call_ppm = venue.exchange.rules.call_ppm
        self._lift_ppm = round(PPM / ((self._rules.warning or 1.0) * (1.0 - self._rules.hysteresis)))
        self._warned: dict[int, None] = {}
        self._called: dict[int, int] = {}
        """When each was called."""
        self._under_since_ns = np.full(len(self._table) if self._rules.grace else 0, NEVER)
        self._liquidating: dict[int, int] = {}
        """When each one's last forced order arrives."""
        self.now_ns = 0
        """Time of the present scan, or of the last one."""
        self._handled = 0
        """Accounts that the engine has decided on in this scan."""
        self._closed_out: list[Rows] = []
        """Whom the waterfall has changed in this scan: what it left is judged by the next mark."""
        self._released: list[Rows] = []
        """Whom this scan has released, compliant but perhaps past a trigger before that: so is this."""

    # -- the scan ------------------------------------------------------------------------------------------------------

    def scan(self, now_ns: int, engine: SeatedEngine) -> None:
        """One look at the market's accounts, if the monitor period has passed and the engine is not out of order."""
        if now_ns < 0 or now_ns % self._liquidation.monitor_period:
            return
        faults = self._venue.faults.at(now_ns)
        if not faults.engine_scans:
            return
        self._closed_out.clear()
        self._released.clear()
        if not self.idle:
            self._begin_scan(now_ns)
            self._enter_crossings()
            self._lift_warnings()
            self._watch_grace()
            if self._liquidation.enabled:
                self._deleverage_fund()
                engine.engine.decide(self._data.view(now_ns), engine.orders)
                latency_ns = self._liquidation.latency + faults.latency_ns
                self._send(engine.orders, latency_ns)
                self._send(engine.fund_orders, latency_ns)
            else:
                self.review_calls()
        if self._check and self._venue.marked_ns == now_ns:
            self.check_scan(self.capacity if self._liquidation.enabled else 0)

    @property
    def idle(self) -> bool:
        """True while a scan would find nothing to do."""
        nobody = not (self._venue.has_crossings or self._warned or self._called or self._liquidating)
        return nobody and self._positions.item(INSURANCE_ROW) == 0

    def _begin_scan(self, now_ns: int) -> None:
        self.now_ns = now_ns
        self._handled = 0
        venue = self._venue
        venue.waterfall.set_mark(venue.exchange.mark_ticks, now_ns, venue.previous_mark_ticks)

    def _enter_crossings(self) -> None:
        """New warnings and calls, in the order in which the mark reached them."""
        for each in self._venue.take_crossings():
            self.audit.cross(each, warns=self._rules.warning is not None)
            self._enter(each.events)

    def _enter(self, crossings: NDArray[Any]) -> None:
        """Put the accounts that one mark warned or called on their lists."""
        accounts, times = crossings["account"].tolist(), crossings["time_ns"].tolist()
        if self._rules.warning is None:
            self._called.update(zip(accounts, times, strict=True))
        else:
            for row, time_ns, kind in zip(accounts, times, crossings["kind"].tolist(), strict=True):
                if kind == EventKind.WARNING:
                    self._warned[row] = None
                else:
                    self._warned.pop(row, None)
                    self._called[row] = time_ns
        if self._rules.grace:
            called = crossings[crossings["kind"] == EventKind.MARGIN_CALL]
            self._under_since_ns[called["account"]] = called["time_ns"] if self._call_ppm == PPM else NEVER

    def _lift_warnings(self) -> None:
        """Warned accounts that have recovered are ordinary accounts again."""
        if not self._warned:
            return
        rows = np.array(list(self._warned), np.int64)
        rows = rows[self._beyond_warning(rows)]
        if len(rows) == 0:
            return
        for row in rows.tolist():
            del self._warned[row]
        before = self._table["stage"][rows]
        self._table["stage"][rows] = Stage.OK
        self.audit.release(rows, before, self._table["stage"][rows], self.now_ns, self._venue.moment)
        self._venue.exchange.relink(rows)
        self._emit_events(EventKind.WARNING_LIFTED, rows)

    def _beyond_warning(self, rows: Rows) -> NDArray[np.bool_]:
        """True where nobody would be warned any more: flat, or margin ratio `hysteresis` below the warning's."""
        lifted = self.equity(rows) > muldiv(self.maintenance(rows), self._lift_ppm)
        beyond: NDArray[np.bool_] = lifted | (self._table["position_lots"][rows] == 0)
        return beyond

    def _watch_grace(self) -> None:
        """Since when each called account has had no more equity than maintenance, at every scan."""
        if not (self._rules.grace and self._called):
            return
        rows = self.called()
        under = self.margin_excess(rows) <= 0
        self._under_since_ns[rows[~under]] = NEVER
        fresh = rows[under & (self._under_since_ns[rows] == NEVER)]
        self._under_since_ns[fresh] = self.now_ns

    def _deleverage_fund(self) -> None:
        """A fund below zero gives up what it holds, at its own bankruptcy price."""
        if self._positions.item(INSURANCE_ROW) != 0:
            outcome = self._venue.waterfall.deleverage_fund(self.now_ns)
            self.settle_waterfall(outcome)

    def settle_waterfall(self, outcome: Bankruptcies) -> None:
        """Events of the waterfall, and the accounts that it has changed: their triggers wait for the next mark."""
        self._venue.add_events(outcome.events)
        self._venue.exchange.relink(outcome.rows)
        if self._check:
            self._closed_out.append(outcome.rows)

    def _send(self, orders: OrderEntry, latency_ns: int) -> None:
        """Orders go to the book like anyone's; until its last one arrives, an account's forced sale is under way."""
        if orders.has_no_commands:
            return
        commands = orders.drain(self.now_ns, latency_ns)
        for row, arrival in zip(commands["account"].tolist(), commands["arrival_ns"].tolist(), strict=True):
            if row in self._liquidating:
                self._liquidating[row] = max(self._liquidating[row], arrival)
        self._venue.arrivals.add(commands)

    # -- what the engine's decision does to calls, through its desk ----------------------------------------------------

    @property
    def capacity(self) -> int:
        """Accounts that the engine may handle in this scan."""
        most, throttled = self._liquidation.capacity, self._venue.faults.at(self.now_ns).capacity
        return most if throttled is None else min(most, throttled)

    def in_liquidation(self) -> Rows:
        """Rows in stage LIQUIDATING whose last forced order has been processed, oldest first."""
        processed_ns = min(self.now_ns, self._venue.traded_until_ns)
        return np.array([row for row, arrival in self._liquidating.items() if arrival <= processed_ns], np.int64)

    def review_calls(self) -> Rows:
        """Release the called accounts that are cured; returns those whose forced sale may begin, the worst first."""
        rows = self.called()
        if len(rows) == 0:
            return rows
        excess = self.margin_excess(rows)
        cured = self._cured(rows, excess)
        if cured.any():
            self.release(rows[cured])
        rows, excess = rows[~cured], excess[~cured]
        due = self._may_start(rows, excess)
        rows, excess = rows[due], excess[due]
        return rows[np.argsort(excess, kind="stable")]

    def called(self) -> Rows:
        """Rows in stage CALLED, oldest call first."""
        return np.array(list(self._called), np.int64)

    def _cured(self, rows: Rows, excess: NDArray[np.int64]) -> NDArray[np.bool_]:
        """True for called accounts that are out of danger: flat, or with more equity than the call's level asks."""
        if self._call_ppm != PPM:
            excess = self.equity(rows) - muldiv(self.maintenance(rows), self._call_ppm)
        cured: NDArray[np.bool_] = (excess > 0) | (self._table["position_lots"][rows] == 0)
        return cured

    def _may_start(self, rows: Rows, excess: NDArray[np.int64]) -> NDArray[np.bool_]:
        """True for called accounts whose forced sale may begin: equity <= maintenance for `grace`, `window` over."""
        due = excess <= 0
        if self._rules.window:
            called_ns = np.array([self._called[row] for row in rows.tolist()], np.int64)
            due &= called_ns + self._rules.window <= self.now_ns
        if self._rules.grace:
            due &= self._under_since_ns[rows] + self._rules.grace <= self.now_ns
        return due

    def take_in_hand(self, rows: Rows) -> None:
        """The engine decides on these accounts in this scan."""
        self._handled += len(rows)

    def start(self, rows: Rows) -> None:
        """Liquidation begins: the accounts may no longer trade."""
        self.audit.start(rows, self.now_ns, self._venue.moment)
        for row in rows.tolist():
            del self._called[row]
            self._liquidating[row] = self.now_ns
        self._table["stage"][rows] = Stage.LIQUIDATING
        self._emit_events(EventKind.LIQUIDATION_STARTED, rows)

    def give_up(self, rows: Rows) -> None:
        """Accounts in liquidation go to the waterfall; `release` is next."""
        self.audit.take_over(rows, self.now_ns, self._venue.moment)
        self._table["stage"][rows] = Stage.TAKEN_OVER

    def release(self, rows: Rows) -> None:
        """Closed or compliant again: free to trade, and watched; warned where the margin ratio still is that high."""
        for row in rows.tolist():
            self._called.pop(row, None)
            self._liquidating.pop(row, None)
        if self._check:
            self._released.append(rows)
        before = self._table["stage"][rows]
        started = before != Stage.CALLED
        self._table["stage"][rows] = Stage.OK
        if self._rules.warning is not None:
            warned = rows[~self._beyond_warning(rows)]
            self._table["stage"][warned] = Stage.WARNED
            self._warned.update(dict.fromkeys(warned.tolist()))
        self.audit.release(rows, before, self._table["stage"][rows], self.now_ns, self._venue.moment)
        self._venue.exchange.relink(rows)
        self._emit_events(EventKind.LIQUIDATION_ENDED, rows[started])
        if self._rules.is_a_process:
            self._emit_events(EventKind.CALL_CURED, rows[~started])

    # -- margin at the mark --------------------------------------------------------------------------------------------

    def equity(self, rows: Rows) -> NDArray[np.int64]:
        """Backing plus unrealised profit at the mark, money."""
        return backing_equity(self._table.take(rows), self._mark_ticks, self._venue.contract.lot_value)

    def maintenance(self, rows: Rows) -> NDArray[np.int64]:
        """Maintenance margin at the mark, money."""
        lot_value = self._venue.contract.lot_value
        return maintenance_money(self._table.take(rows), self._mark_ticks, lot_value, self._venue.brackets)

    def margin_excess(self, rows: Rows) -> NDArray[np.int64]:
        """Equity minus maintenance margin at the mark, money."""
        venue, mark = self._venue, self._mark_ticks
        chosen = self._table.take(rows)
        lot_value = venue.contract.lot_value
        return backing_equity(chosen, mark, lot_value) - maintenance_money(chosen, mark, lot_value, venue.brackets)

    @property
    def _mark_ticks(self) -> int:
        return self._venue.exchange.mark_ticks

    # -- records and checks --------------------------------------------------------------------------------------------

    def on_events(self) -> None:
        """What trading of this step did; of interest while forced sales are under way."""
        if self._liquidating and self.audit.kept:
            self.audit.on_events(self._venue.events_of_step)

    def _emit_events(self, kind: EventKind, rows: Rows) -> None:
        """One event for each of these accounts, as it is now."""
        if len(rows) == 0:
            return
        chosen = self._table.take(rows)
        lot_value = self._venue.contract.lot_value
        events = np.zeros(len(rows), EVENT)
        events["time_ns"] = self.now_ns
        events["kind"] = kind
        events["account"] = rows
        events["maker_account"] = -1
        events["quantity_lots"] = np.abs(chosen["position_lots"])
        events["side"] = np.sign(chosen["position_lots"])
        events["price_ticks"] = bankruptcy_ticks(chosen, lot_value)
        events["mark_ticks"] = self._mark_ticks
        events["money"] = backing_equity(chosen, self._mark_ticks, lot_value)
        events["cause"] = Cause.LIQUIDATION if kind in FORCED_STAGES else Cause.VOLUNTARY
        self._venue.add_events(events)

    def check_invariants(self) -> None:
        """Raise AssertionError where the stages of accounts and the lists disagree."""
        stage = self._table["stage"]
        waiting = self._venue.waiting_crossings
        new_calls = set(waiting["account"][waiting["kind"] == EventKind.MARGIN_CALL].tolist())
        new_warnings = set(waiting["account"][waiting["kind"] == EventKind.WARNING].tolist())
        assert set(np.flatnonzero(stage == Stage.CALLED).tolist()) == set(self._called) | new_calls, (
            "a called account is on the list of calls"
        )
        assert set(np.flatnonzero(stage == Stage.WARNED).tolist()) == (set(self._warned) | new_warnings) - new_calls, (
            "a warned account is on the list of warnings"
        )
        assert set(np.flatnonzero(stage >= Stage.LIQUIDATING).tolist()) == set(self._liquidating), (
            "an account in liquidation is on the list of liquidations"
        )

    def check_scan(self, capacity: int) -> None:
        """Raise AssertionError where the scan, of which this is the end, has overlooked somebody.

        Nobody is at or past a trigger but who is queued: in liquidation, in window or grace, or waiting for capacity;
        and but for whom this scan has left so, whom the next mark calls: by ADL, by a socialised loss, or
        released above maintenance where calls come earlier.
        """
        table = self._table
        held = np.flatnonzero(table["position_lots"][: self._venue.accounts.count])
        held = held[(held >= SYSTEM_ROWS) & ~np.isin(held, np.concatenate([NO_ROWS, *self._closed_out]))]
        released = np.isin(held, np.concatenate([NO_ROWS, *self._released]))
        equity, required, stage = self.equity(held), self.maintenance(held), table["stage"][held]
        for level, ppm in ((Stage.OK, self._venue.exchange.rules.warning_ppm), (Stage.WARNED, self._call_ppm)):
            past = (stage == level) & (equity <= muldiv(required, ppm)) & ~(released & (equity > required))
            assert not past.any(), "nobody is past a trigger that the mark has reached"
        called = self.called()
        excess = self.margin_excess(called)
        assert not self._cured(called, excess).any(), "whoever is cured is no longer called"
        if self._may_start(called, excess).any():
            assert self._handled >= capacity, "a due call waits only while the engine is at its capacity"
