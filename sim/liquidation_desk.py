"""The venue's side of liquidation: the list of called accounts, their stages, and the waterfall behind them.

Implements `sim.market.LiquidationDesk`; the engine that decides is a participant.
"""

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from sim.accounts import INSURANCE_ROW, Rows
from sim.margin import backing_equity, bankruptcy_ticks, maintenance_money
from sim.market import OrderEntry
from sim.records import EVENT, Cause, EventKind, Stage
from sim.venue import Venue


@final
class VenueDesk:
    """Stages of called accounts, in the order of their calls."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._table = venue.accounts.rows
        self._positions = self._table["position_lots"]
        self._called: dict[int, None] = {}
        self._liquidating: dict[int, int] = {}
        self._now_ns = 0
        fund = np.array([INSURANCE_ROW])
        self._fund_orders = OrderEntry(venue.accounts, fund, venue.spot, venue.ids, Cause.TAKEOVER)
        view = venue.accounts.rows.view()
        view.flags.writeable = False
        self._view = view

    @property
    def idle(self) -> bool:
        """True while a scan would find nothing to do."""
        quiet = not (self._venue.waiting_calls or self._called or self._liquidating)
        return quiet and self.fund_position_lots == 0

    def begin_scan(self, now_ns: int) -> None:
        """Take note of the time and of new margin calls."""
        self._now_ns = now_ns
        self._called.update(dict.fromkeys(self._venue.take_calls()))
        self._venue.waterfall.set_mark(self._venue.exchange.mark_ticks)

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
            recovered = (self.margin_excess(rows) > 0) | (self._table["position_lots"][rows] == 0)
            self.release(rows[recovered])

    def check_invariants(self) -> None:
        """Raise AssertionError where the stages of accounts and the desk's lists disagree."""
        stage = self._table["stage"]
        known = set(self._called) | set(self._venue.waiting_calls)
        assert set(np.flatnonzero(stage == Stage.CALLED).tolist()) == known, "a called account is on the desk's list"
        assert set(np.flatnonzero(stage >= Stage.LIQUIDATING).tolist()) == set(self._liquidating), (
            "an account in liquidation is on the desk's list"
        )

    def note_orders(self, commands: NDArray[Any]) -> None:
        """Remember when each account's last forced order arrives: until then it is under way."""
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
        return self._positions.item(INSURANCE_ROW)

    @property
    def fund_orders(self) -> OrderEntry:
        """Order entry on the insurance row, cause TAKEOVER."""
        return self._fund_orders

    def called(self) -> Rows:
        """Rows in stage CALLED, oldest call first."""
        return np.array(list(self._called), np.int64)

    def in_liquidation(self) -> Rows:
        """Rows in stage LIQUIDATING whose last forced order has arrived, oldest first."""
        return np.array([row for row, arrival in self._liquidating.items() if arrival <= self._now_ns], np.int64)

    def margin_excess(self, rows: Rows) -> NDArray[np.int64]:
        """Equity minus maintenance margin at the mark, money."""
        venue = self._venue
        chosen = self._table.take(rows)
        value = venue.contract.money_per_tick_lot
        equity = backing_equity(chosen, self.mark_ticks, value)
        return equity - maintenance_money(chosen, self.mark_ticks, value, venue.brackets)

    def bankruptcy_ticks(self, rows: Rows) -> NDArray[np.int64]:
        """Last tick at which each account's equity is not negative."""
        return bankruptcy_ticks(self._table.take(rows), self._venue.contract.money_per_tick_lot)

    def start(self, rows: Rows) -> None:
        """Liquidation begins: the accounts may no longer trade."""
        for row in rows.tolist():
            del self._called[row]
            self._liquidating[row] = self._now_ns
        self._table["stage"][rows] = Stage.LIQUIDATING
        self._say(EventKind.LIQUIDATION_STARTED, rows)

    def release(self, rows: Rows) -> None:
        """Closed or compliant again: free to trade, and watched."""
        for row in rows.tolist():
            self._called.pop(row, None)
            self._liquidating.pop(row, None)
        started = self._table["stage"][rows] != Stage.CALLED
        self._table["stage"][rows] = Stage.OK
        self._venue.exchange.relink(rows)
        self._say(EventKind.LIQUIDATION_ENDED, rows[started])

    def take_over(self, rows: Rows) -> None:
        """The waterfall: the fund takes each position at its bankruptcy price, or ADL closes it."""
        equity = backing_equity(self._table.take(rows), self.mark_ticks, self._venue.contract.money_per_tick_lot)
        self._venue.bad_debt -= self._venue.contract.to_amount(int(np.minimum(equity, 0).sum()))
        self._table["stage"][rows] = Stage.TAKEN_OVER
        outcome = self._venue.waterfall.take_over(rows, self._now_ns)
        self._venue.add_events(outcome.events)
        self._venue.exchange.relink(outcome.rows)
        self.release(rows)

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
        events["money"] = backing_equity(chosen, self.mark_ticks, self._venue.contract.money_per_tick_lot)
        events["cause"] = Cause.LIQUIDATION
        self._venue.add_events(events)
