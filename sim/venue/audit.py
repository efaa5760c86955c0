"""The audit log of a market: one row for every change of an account's stage, with all that decided it and who paid.

Written by `MarginCalls`, a batch a scan.  What each column means is in docs/events.md; it is no part of the digest.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.accounts import AccountTable, Rows
from marginquake.sim.core.margin import (
    BracketSchedule,
    backing_equity,
    backing_money,
    bankruptcy_ticks,
    maintenance_money,
    position_notional,
)
from marginquake.sim.core.records import AUDIT, AuditCause, Cause, EventKind, Stage
from marginquake.sim.core.typing import Ints
from marginquake.sim.runs.event_log import EventLog, NoLog

UNKNOWN_NS = -1

CASE = np.dtype(
    [
        ("moved", "?"),
        ("since_ns", "i8"),
        ("called_ns", "i8"),
        ("trigger_ticks", "i4"),
        ("position_lots", "i8"),
        ("backing", "i8"),
        ("wealth", "i8"),
    ],
    align=True,
)
"""What is remembered of an account since its last change of stage.  `called_ns`: of its last call, `UNKNOWN_NS` once
that is over.  `position_lots`, `backing`: at the call, or the warning.  `wealth`: collateral plus unrealised profit
when the forced sale began."""


@final
@dataclass(frozen=True, slots=True)
class Moment:
    """Prices of one moment (ticks; 0 = none yet; `index` as the venue has it) and the margin table in force."""

    mark: int
    last: int
    index: float
    fundamental: float
    brackets: BracketSchedule


class Crossings(NamedTuple):
    """Whom one mark warned or called: the events, the accounts as they were, that moment."""

    events: NDArray[Any]
    accounts: NDArray[Any]
    moment: Moment


@final
class AuditTrail:
    """Writes the rows of one market to its log.

    `on_events` takes the events of a step while forced sales are under way; what they did to each account stands in
    the row that ends its liquidation.  What is held grows with the forced fills of accounts in liquidation, not with
    time.
    With a log that keeps nothing, nothing is calculated either.
    """

    def __init__(self, accounts: AccountTable, log: EventLog) -> None:
        self._table = accounts.rows
        self._lot_value = accounts.lot_value
        self.log = log
        self.kept = not isinstance(log, NoLog)
        self._cases = np.zeros(len(accounts.rows) if self.kept else 0, CASE)
        self._received: list[NDArray[Any]] = []

    def cross(self, crossings: Crossings, warns: bool) -> None:
        """Warnings and margin calls of one mark."""
        if not self.kept:
            return
        events = crossings.events
        warnings = events["kind"] == EventKind.WARNING
        before = Stage.WARNED if warns else Stage.OK
        for chosen, was, now in ((warnings, Stage.OK, Stage.WARNED), (~warnings, before, Stage.CALLED)):
            if not chosen.any():
                continue
            rows = events["account"][chosen].astype(np.int64)
            accounts = crossings.accounts[chosen]
            self._cases["trigger_ticks"][rows] = events["price_ticks"][chosen]
            time_ns = int(events["time_ns"][0])
            audit = self._rows(rows, accounts, time_ns, crossings.moment, was, now)
            audit["wait_ns"] = 0 if now == Stage.CALLED else UNKNOWN_NS
            audit["cause"] = AuditCause.MARK
            self._cases["called_ns"][rows] = time_ns if now == Stage.CALLED else UNKNOWN_NS
            self._remember(rows, accounts)
            self.log.append(audit)

    def start(self, rows: Rows, time_ns: int, moment: Moment) -> None:
        """Forced sales begin."""
        if not self.kept:
            return
        accounts = self._table.take(rows)
        audit = self._rows(rows, accounts, time_ns, moment, Stage.CALLED, Stage.LIQUIDATING)
        audit["cause"] = AuditCause.DUE
        self._cases["wealth"][rows] = self._wealth(accounts, moment.mark)
        self.log.append(audit)

    def on_events(self, events: NDArray[Any]) -> None:
        """Keep what concerns forced sales: fills of liquidation orders and what the fund paid."""
        kind = events["kind"]
        chosen = (kind == EventKind.FILL) & (events["cause"] == Cause.LIQUIDATION)
        chosen |= kind == EventKind.INSURANCE
        if chosen.any():
            self._received.append(events[chosen])

    def take_over(self, rows: Rows, time_ns: int, moment: Moment) -> None:
        """The engine gives these up: the waterfall is next."""
        if not self.kept:
            return
        accounts = self._table.take(rows)
        audit = self._rows(rows, accounts, time_ns, moment, Stage.LIQUIDATING, Stage.TAKEN_OVER)
        audit["cause"] = AuditCause.GIVEN_UP
        self.log.append(audit)

    def settle_takeover(self, events: NDArray[Any]) -> None:
        """What the waterfall did with them; it is kept like what trading does."""
        if not self.kept:
            return
        kinds = (EventKind.TAKEOVER, EventKind.ADL, EventKind.INSURANCE)
        self._received.append(events[np.isin(events["kind"], [int(kind) for kind in kinds])])

    def release(self, rows: Rows, was: NDArray[np.uint8], now: NDArray[np.uint8], time_ns: int, moment: Moment) -> None:
        """Lifted warnings, cured calls and the ends of liquidations; `now`: the stage each has from now on."""
        if not self.kept or len(rows) == 0:
            return
        accounts = self._table.take(rows)
        audit = self._rows(rows, accounts, time_ns, moment, was, now)
        sold = was >= Stage.LIQUIDATING
        audit["cause"] = self._cause_of_release(rows, accounts, was)
        if sold.any():
            ended = audit[sold]
            wealth = self._wealth(accounts[sold], moment.mark)
            ended["margin_paid"] = self._cases["wealth"][rows[sold]] - wealth
            flat = accounts["position_lots"][sold] == 0
            ended["unpaid"] = np.where(flat, np.maximum(0, -accounts["collateral"][sold]), 0)
            self._add_received(ended, rows[sold])
            taken = ended["from_stage"] == Stage.TAKEN_OVER
            deleveraged = taken & (ended["deleveraged_lots"] > 0)
            ended["cause"][taken] = AuditCause.TAKEN_OVER
            ended["cause"][deleveraged] = AuditCause.DELEVERAGED
            audit[sold] = ended
        self._cases["called_ns"][rows] = UNKNOWN_NS
        self._remember(rows, accounts)
        self.log.append(audit)

    def _cause_of_release(self, rows: Rows, accounts: NDArray[Any], was: NDArray[np.uint8]) -> Ints:
        """By what the account holds now against then: nothing, less, the same with more behind it, or the same."""
        case = self._cases[rows]
        flat = accounts["position_lots"] == 0
        less = np.abs(accounts["position_lots"]) < np.abs(case["position_lots"])
        richer = backing_money(accounts) > case["backing"]
        own = np.select(
            [flat, less, richer],
            [AuditCause.FLAT, AuditCause.REDUCED, AuditCause.TOPPED_UP],
            AuditCause.RECOVERED,
        )
        forced = np.where(flat, AuditCause.CLOSED, AuditCause.COMPLIANT)
        causes: Ints = np.where(was >= Stage.LIQUIDATING, forced, own).astype(np.int64)
        return causes

    def _remember(self, rows: Rows, accounts: NDArray[Any]) -> None:
        self._cases["position_lots"][rows] = accounts["position_lots"]
        self._cases["backing"][rows] = backing_money(accounts)

    def _wealth(self, accounts: NDArray[Any], mark: int) -> Ints:
        """Collateral plus unrealised profit: all that the account has, whatever backs the position."""
        backed = backing_equity(accounts, mark, self._lot_value) - backing_money(accounts)
        wealth: Ints = accounts["collateral"] + backed
        return wealth

    def _rows(
        self, rows: Rows, accounts: NDArray[Any], time_ns: int, moment: Moment, was: Any, now: Any
    ) -> NDArray[Any]:
        """Audit rows but for cause and payments; `accounts` are the account rows as they are at that moment."""
        mark = moment.mark
        audit = np.zeros(len(rows), AUDIT)
        case = self._cases[rows]
        audit["time_ns"] = time_ns
        audit["dwell_ns"] = np.where(case["moved"], time_ns - case["since_ns"], UNKNOWN_NS)
        audit["wait_ns"] = np.where(case["called_ns"] != UNKNOWN_NS, time_ns - case["called_ns"], UNKNOWN_NS)
        audit["account"] = rows
        audit["from_stage"] = was
        audit["to_stage"] = now
        audit["mark_ticks"] = mark
        audit["last_ticks"] = moment.last
        audit["index_ticks"] = moment.index
        audit["fundamental_ticks"] = moment.fundamental
        audit["position_lots"] = accounts["position_lots"]
        audit["equity"] = backing_equity(accounts, mark, self._lot_value)
        notional = position_notional(accounts, mark, self._lot_value)
        audit["notional"] = notional
        audit["margin_fraction"] = audit["equity"] / np.maximum(notional, 1)
        audit["maintenance"] = maintenance_money(accounts, mark, self._lot_value, moment.brackets)
        audit["tier"] = moment.brackets.bracket_of(notional)
        audit["trigger_ticks"] = case["trigger_ticks"]
        audit["bankruptcy_ticks"] = bankruptcy_ticks(accounts, self._lot_value)
        self._cases["since_ns"][rows] = time_ns
        self._cases["moved"][rows] = True
        return audit

    def _add_received(self, audit: NDArray[Any], rows: Rows) -> None:
        """Add up the kept events of these accounts, whose cases are closed by this."""
        if not self._received:
            return
        received = np.concatenate(self._received)
        # In auto-deleveraging the bankrupt is the maker; everything else names it as the account.
        concerned = np.where(received["kind"] == EventKind.ADL, received["maker_account"], received["account"]).astype(
            np.int64
        )
        order = np.argsort(rows)
        found = np.searchsorted(rows, concerned, sorter=order).clip(max=len(rows) - 1)
        place = order[found]
        own = rows[place] == concerned
        events, place = received[own], place[own]
        kind, lots = events["kind"], events["quantity_lots"]
        fill, adl = kind == EventKind.FILL, kind == EventKind.ADL
        takeover, insured = kind == EventKind.TAKEOVER, kind == EventKind.INSURANCE
        signed, price = events["side"] * lots, events["price_ticks"].astype(np.int64)
        given_up = self._lot_value.value(signed, price) - self._lot_value.value(
            signed, events["mark_ticks"].astype(np.int64)
        )
        for column, chosen, amount in (
            ("filled_lots", fill, lots),
            ("filled_tick_lots", fill, lots * events["price_ticks"]),
            ("fee", fill, events["money"]),
            ("taken_over_lots", takeover, lots),
            ("deleveraged_lots", adl, lots),
            ("winners_profit", adl, events["money"]),
            ("winners_paid", adl, given_up),
            ("fund_paid", insured, events["money"]),
            ("fund_paid", takeover, np.maximum(0, -events["money"])),
        ):
            np.add.at(audit[column], place[chosen], amount[chosen])
        others = received[~own & (self._table["stage"][concerned] >= Stage.LIQUIDATING)]
        self._received = [others] if len(others) else []
