"""The venue's side of liquidation: lists of warned and called accounts, their stages, the waterfall behind them.

Implements `sim.rules.liquidation.LiquidationDesk`; the engine that decides is a participant.
"""

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.accounts import INSURANCE_ROW, SYSTEM_ROWS, Rows
from marginquake.sim.core.margin import (
    PPM,
    backing_equity,
    bankruptcy_ticks,
    maintenance_money,
    muldiv,
    position_notional,
)
from marginquake.sim.core.records import EVENT, Cause, EventKind, Stage
from marginquake.sim.market.orders import OrderEntry
from marginquake.sim.runs.event_log import EventLog
from marginquake.sim.venue.audit import AuditTrail
from marginquake.sim.venue.venue import Venue

NEVER = np.iinfo(np.int64).max // 2
"""A time so far off that no grace added to it is over."""
FORCED_STAGES = (EventKind.LIQUIDATION_STARTED, EventKind.LIQUIDATION_ENDED)


@final
class VenueDesk:
    """Stages of warned, called and liquidated accounts, each list in the order in which they came (eq. 7b).

    Only these lists are looked at, never all accounts.
    """

    def __init__(self, venue: Venue, audit: EventLog) -> None:
        self._venue = venue
        self.audit = AuditTrail(venue.accounts, audit)
        self._table = venue.accounts.rows
        self._positions = self._table["position_lots"]
        self._rules = venue.config.venue.call
        self._call_ppm = venue.exchange.rules.call_ppm
        self._lift_ppm = round(PPM / ((self._rules.warning or 1.0) * (1.0 - self._rules.hysteresis)))
        self._warned: dict[int, None] = {}
        self._called: dict[int, int] = {}
        """When each was called."""
        self._under_since_ns = np.full(len(self._table) if self._rules.grace else 0, NEVER)
        self._liquidating: dict[int, int] = {}
        """When each one's last forced order arrives."""
        self._now_ns = 0
        self._handled = 0
        """Accounts that forced orders were sent for in this scan."""
        fund = np.array([INSURANCE_ROW])
        self._fund_orders = OrderEntry(venue.accounts, fund, venue.spot, venue.ids, Cause.TAKEOVER)
        view = venue.accounts.rows.view()
        view.flags.writeable = False
        self._view = view

    @property
    def idle(self) -> bool:
        """True while a scan would find nothing to do."""
        quiet = not (self._venue.has_crossings or self._warned or self._called or self._liquidating)
        return quiet and self.fund_position_lots == 0

    def on_events(self) -> None:
        """What trading of this step did; of interest while forced sales are under way."""
        if self._liquidating and self.audit.kept:
            self.audit.on_events(self._venue.events_of_step)

    def begin_scan(self, now_ns: int) -> None:
        """Take note of the time, of new warnings and margin calls, and of who need be warned no longer."""
        self._now_ns = now_ns
        self._handled = 0
        self._take_crossings()
        self._venue.waterfall.set_mark(self._venue.exchange.mark_ticks, now_ns, self._venue.previous_mark_ticks)
        if self._warned:
            self._lift_warnings()
        if self._rules.grace and self._called:
            self._watch_grace()

    def deleverage_fund(self) -> None:
        """A fund below zero gives up what it holds, at its own bankruptcy price."""
        if self._table["position_lots"][INSURANCE_ROW] != 0:
            outcome = self._venue.waterfall.deleverage_fund(self._now_ns)
            self._venue.add_events(outcome.events)
            self._venue.exchange.relink(outcome.rows)

    def release_recovered(self) -> None:
        """Without an engine: called accounts that are compliant again, or flat, are ordinary accounts again."""
        rows = self.called()
        if len(rows):
            self.release(rows[self.cured(rows, self.margin_excess(rows))])

    def check_invariants(self) -> None:
        """Raise AssertionError where the stages of accounts and the desk's lists disagree."""
        stage = self._table["stage"]
        waiting = self._venue.waiting_crossings
        new_calls = set(waiting["account"][waiting["kind"] == EventKind.MARGIN_CALL].tolist())
        new_warnings = set(waiting["account"][waiting["kind"] == EventKind.WARNING].tolist())
        assert set(np.flatnonzero(stage == Stage.CALLED).tolist()) == set(self._called) | new_calls, (
            "a called account is on the desk's list"
        )
        assert set(np.flatnonzero(stage == Stage.WARNED).tolist()) == (set(self._warned) | new_warnings) - new_calls, (
            "a warned account is on the desk's list"
        )
        assert set(np.flatnonzero(stage >= Stage.LIQUIDATING).tolist()) == set(self._liquidating), (
            "an account in liquidation is on the desk's list"
        )

    def check_scan(self, capacity: int) -> None:
        """Raise AssertionError where the engine's scan, of which this is the end, has overlooked somebody.

        Nobody is at or past a trigger but who is queued: in liquidation, in window or grace, or waiting for capacity.
        """
        table = self._table
        held = np.flatnonzero(table["position_lots"][: self._venue.accounts.count])
        held = held[held >= SYSTEM_ROWS]
        equity, required, stage = self._equity(held), self._maintenance(held), table["stage"][held]
        for level, ppm in ((Stage.OK, self._venue.exchange.rules.warning_ppm), (Stage.WARNED, self._call_ppm)):
            past = (stage == level) & (equity <= muldiv(required, ppm))
            assert not past.any(), "nobody is past a trigger that the mark has reached"
        called = self.called()
        excess = self.margin_excess(called)
        assert not self.cured(called, excess).any(), "whoever is cured is no longer called"
        if self.may_start(called, excess).any():
            assert self._handled >= capacity, "a due call waits only while the engine is at its capacity"

    def note_orders(self, commands: NDArray[Any]) -> None:
        """Remember when each account's last forced order arrives: until then it is under way."""
        self._handled += len(np.unique(commands["account"][commands["cause"] == Cause.LIQUIDATION]))
        for row, arrival in zip(commands["account"].tolist(), commands["arrival_ns"].tolist(), strict=True):
            if row in self._liquidating:
                self._liquidating[row] = max(self._liquidating[row], arrival)

    @property
    def rows_view(self) -> NDArray[Any]:
        """Read-only ACCOUNT rows of the whole market."""
        return self._view

    @property
    def mark_ticks(self) -> int:
        """Current mark."""
        return self._venue.exchange.mark_ticks

    @property
    def fund_position_lots(self) -> int:
        """Signed position that the insurance fund holds from takeovers."""
        return int(self._positions.item(INSURANCE_ROW))

    @property
    def fund_orders(self) -> OrderEntry:
        """Order entry on the insurance row, cause TAKEOVER."""
        return self._fund_orders

    @property
    def capacity(self) -> int:
        """Accounts that the engine may handle in this scan."""
        most, throttled = self._venue.config.liquidation.capacity, self._venue.faults.at(self._now_ns).capacity
        return most if throttled is None else min(most, throttled)

    def called(self) -> Rows:
        """Rows in stage CALLED, oldest call first."""
        return np.array(list(self._called), np.int64)

    def cured(self, rows: Rows, excess: NDArray[np.int64]) -> NDArray[np.bool_]:
        """True for called accounts that are out of danger: flat, or with more equity than the call's level asks."""
        if self._call_ppm != PPM:
            excess = self._equity(rows) - muldiv(self._maintenance(rows), self._call_ppm)
        out: NDArray[np.bool_] = (excess > 0) | (self._table["position_lots"][rows] == 0)
        return out

    def may_start(self, rows: Rows, excess: NDArray[np.int64]) -> NDArray[np.bool_]:
        """True for called accounts whose forced sale may begin: equity <= maintenance for `grace`, `window` over."""
        due = excess <= 0
        if self._rules.window:
            called_ns = np.array([self._called[row] for row in rows.tolist()], np.int64)
            due &= called_ns + self._rules.window <= self._now_ns
        if self._rules.grace:
            due &= self._under_since_ns[rows] + self._rules.grace <= self._now_ns
        return due

    def in_liquidation(self) -> Rows:
        """Rows in stage LIQUIDATING whose last forced order has been processed, oldest first."""
        processed_ns = min(self._now_ns, self._venue.traded_until_ns)
        return np.array([row for row, arrival in self._liquidating.items() if arrival <= processed_ns], np.int64)

    def margin_excess(self, rows: Rows) -> NDArray[np.int64]:
        """Equity minus maintenance margin at the mark, money."""
        venue = self._venue
        chosen = self._table.take(rows)
        lot_value = venue.contract.lot_value
        equity = backing_equity(chosen, self.mark_ticks, lot_value)
        return equity - maintenance_money(chosen, self.mark_ticks, lot_value, venue.brackets)

    def _equity(self, rows: Rows) -> NDArray[np.int64]:
        return backing_equity(self._table.take(rows), self.mark_ticks, self._venue.contract.lot_value)

    def _maintenance(self, rows: Rows) -> NDArray[np.int64]:
        lot_value = self._venue.contract.lot_value
        return maintenance_money(self._table.take(rows), self.mark_ticks, lot_value, self._venue.brackets)

    def equity(self, rows: Rows) -> NDArray[np.int64]:
        """Backing plus unrealised profit at the mark, money."""
        return self._equity(rows)

    def equity_at(self, rows: Rows, price_ticks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Equity at a price for each account, money."""
        return backing_equity(self._table.take(rows), price_ticks, self._venue.contract.lot_value)

    def maintenance(self, rows: Rows) -> NDArray[np.int64]:
        """Maintenance margin at the mark, money."""
        return self._maintenance(rows)

    def notional(self, rows: Rows) -> NDArray[np.int64]:
        """Worth of the position at the mark, money."""
        return position_notional(self._table.take(rows), self.mark_ticks, self._venue.contract.lot_value)

    def lower_tier_lots(self, rows: Rows) -> NDArray[np.int64]:
        """Lots that fit the bracket below each account's own, at the mark; 0 in the lowest bracket."""
        brackets, notional = self._venue.brackets, self.notional(rows)
        tier = brackets.bracket_of(notional)
        cap = np.array((0, *brackets.cap), object)[tier]
        lots = np.abs(self._table["position_lots"][rows]).astype(object)
        fitting: NDArray[np.int64] = (lots * cap // np.maximum(notional, 1)).astype(np.int64)
        return fitting

    def within_band(self, side: NDArray[np.int64], price_ticks: NDArray[np.int64]) -> NDArray[np.int64]:
        """These limit prices, no further from the mark than the venue's price band lets orders of that side trade."""
        low, high = self._venue.exchange.band_ticks
        return np.where(side > 0, np.minimum(price_ticks, high), np.maximum(price_ticks, low))

    @property
    def loss_allowance(self) -> int | None:
        """What the fund may still lose in this scan, money; None where there is no limit."""
        limited = self._venue.config.venue.insurance.max_loss_per_scan is not None
        return self._venue.waterfall.allowance if limited else None

    def reserve_loss(self, money: int) -> None:
        """Orders sent in this scan may cost the fund so much."""
        self._venue.waterfall.reserve(money)

    def bankruptcy_ticks(self, rows: Rows) -> NDArray[np.int64]:
        """Last tick at which each account's equity is not negative."""
        return bankruptcy_ticks(self._table.take(rows), self._venue.contract.lot_value)

    def start(self, rows: Rows) -> None:
        """Liquidation begins: the accounts may no longer trade."""
        self.audit.start(rows, self._now_ns, self._venue.moment)
        for row in rows.tolist():
            del self._called[row]
            self._liquidating[row] = self._now_ns
        self._table["stage"][rows] = Stage.LIQUIDATING
        self._say(EventKind.LIQUIDATION_STARTED, rows)

    def release(self, rows: Rows) -> None:
        """Closed or compliant again: free to trade, and watched; warned where the margin ratio still is that high."""
        for row in rows.tolist():
            self._called.pop(row, None)
            self._liquidating.pop(row, None)
        before = self._table["stage"][rows]
        started = before != Stage.CALLED
        self._table["stage"][rows] = Stage.OK
        if self._rules.warning is not None:
            warned = rows[~self._beyond_warning(rows)]
            self._table["stage"][warned] = Stage.WARNED
            self._warned.update(dict.fromkeys(warned.tolist()))
        self.audit.release(rows, before, self._table["stage"][rows], self._now_ns, self._venue.moment)
        self._venue.exchange.relink(rows)
        self._say(EventKind.LIQUIDATION_ENDED, rows[started])
        if self._rules.is_a_process:
            self._say(EventKind.CALL_CURED, rows[~started])

    def _take_crossings(self) -> None:
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

    def _watch_grace(self) -> None:
        """Since when each called account has had no more equity than maintenance, at every scan."""
        rows = self.called()
        under = self.margin_excess(rows) <= 0
        self._under_since_ns[rows[~under]] = NEVER
        fresh = rows[under & (self._under_since_ns[rows] == NEVER)]
        self._under_since_ns[fresh] = self._now_ns

    def _beyond_warning(self, rows: Rows) -> NDArray[np.bool_]:
        """True where nobody would be warned any more: flat, or margin ratio `hysteresis` below the warning's."""
        lifted = self._equity(rows) > muldiv(self._maintenance(rows), self._lift_ppm)
        beyond: NDArray[np.bool_] = lifted | (self._table["position_lots"][rows] == 0)
        return beyond

    def _lift_warnings(self) -> None:
        """Warned accounts that have recovered are ordinary accounts again."""
        rows = np.array(list(self._warned), np.int64)
        rows = rows[self._beyond_warning(rows)]
        if len(rows) == 0:
            return
        for row in rows.tolist():
            del self._warned[row]
        before = self._table["stage"][rows]
        self._table["stage"][rows] = Stage.OK
        self.audit.release(rows, before, self._table["stage"][rows], self._now_ns, self._venue.moment)
        self._venue.exchange.relink(rows)
        self._say(EventKind.WARNING_LIFTED, rows)

    def take_over(self, rows: Rows) -> Rows:
        """The waterfall: the fund takes each position at its bankruptcy price, or ADL closes it.

        Returns whom the fund took.
        """
        equity = backing_equity(self._table.take(rows), self.mark_ticks, self._venue.contract.lot_value)
        self.audit.take_over(rows, self._now_ns, self._venue.moment)
        self._table["stage"][rows] = Stage.TAKEN_OVER
        outcome = self._venue.waterfall.take_over(rows, self._now_ns)
        self.audit.settle_takeover(outcome.events)
        self._venue.add_events(outcome.events)
        self._venue.exchange.relink(outcome.rows)
        unseen = np.maximum(0, -equity - self._debt_left(rows, outcome.events))
        self._venue.bad_debt += self._venue.contract.to_amount(int(unseen.sum()))
        self.release(rows)
        return outcome.absorbed

    def _debt_left(self, rows: Rows, events: NDArray[Any]) -> NDArray[np.int64]:
        """What the waterfall left these accounts owing: counted where the fund pays it, or at the end of the run."""
        insured = events[events["kind"] == EventKind.INSURANCE]
        paid = np.zeros(len(rows), np.int64)
        if len(insured):
            order = np.argsort(rows)
            place = order[np.searchsorted(rows, insured["account"], sorter=order).clip(max=len(rows) - 1)]
            own = rows[place] == insured["account"]
            np.add.at(paid, place[own], insured["money"][own])
        accounts = self._table.take(rows)
        owed = np.where(accounts["position_lots"] == 0, np.maximum(0, -accounts["collateral"]), 0)
        left: NDArray[np.int64] = paid + owed
        return left

    def _say(self, kind: EventKind, rows: Rows) -> None:
        if len(rows) == 0:
            return
        chosen = self._table.take(rows)
        events = np.zeros(len(rows), EVENT)
        events["time_ns"] = self._now_ns
        events["kind"] = kind
        events["account"] = rows
        events["maker_account"] = -1
        events["quantity_lots"] = np.abs(chosen["position_lots"])
        events["side"] = np.sign(chosen["position_lots"])
        events["price_ticks"] = self.bankruptcy_ticks(rows)
        events["mark_ticks"] = self.mark_ticks
        events["money"] = backing_equity(chosen, self.mark_ticks, self._venue.contract.lot_value)
        events["cause"] = Cause.LIQUIDATION if kind in FORCED_STAGES else Cause.VOLUNTARY
        self._venue.add_events(events)
