"""One row a liquidation, put together from the audit log of a run, and the calls and stage changes around it."""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from marginquake.analysis.frames.market import Columns, MarketFrames
from marginquake.analysis.statistics.estimate import Unmeasurable
from marginquake.sim.core.records import AuditCause, Stage
from marginquake.sim.core.typing import Bools, Floats, Ints

NS = 1e-9
COARSEST_S = 30.0
"""Samples of the series further apart than this say too little about a minute."""


@final
@dataclass(frozen=True)
class Cases:
    """Forced sales in the order of their beginning; what is measured at the end is nan while one is under way.

    `start`, `end`: rows of the audit log (`end` is -1 while one is under way).  `side` is +1 where a long was sold.
    """

    audit: Columns
    start: Ints
    end: Ints

    @property
    def ended(self) -> Bools:
        """True where the account has been let go."""
        return np.asarray(self.end >= 0, np.bool_)

    @property
    def side(self) -> Ints:
        """+1: a long was sold."""
        return np.sign(self.at_start("position_lots"))

    def at_start(self, column: str) -> Ints:
        """A column of the rows that begin forced sales."""
        return np.asarray(self.audit[column][self.start])

    def at_end(self, column: str) -> Floats:
        """A column of the rows that end them; nan where there is none yet."""
        values = self.audit[column][self.end].astype(np.float64)
        return np.where(self.ended, values, np.nan)


@final
class Liquidations:
    """What the measures of one market are made of.  What a run does not hold raises `Unmeasurable`, with the reason."""

    def __init__(self, market: MarketFrames) -> None:
        self.market = market
        self.contract = market.contract

    @cached_property
    def audit(self) -> Columns:
        """The audit log from the end of the warm-up on."""
        audit = self.market.audit
        if not audit:
            raise Unmeasurable(self.market.not_recorded("liquidations") or "the run has no audit log")
        live = audit["time_ns"] >= 0
        return {name: column[live] for name, column in audit.items()}

    @cached_property
    def cases(self) -> Cases:
        """All forced sales."""
        audit = self.audit
        order = np.argsort(audit["account"], kind="stable")
        account, to_stage = audit["account"][order], audit["to_stage"][order]
        begins = np.flatnonzero(to_stage == Stage.LIQUIDATING)
        if len(begins) == 0:
            raise Unmeasurable("nobody was liquidated in this run")
        end = np.full(len(begins), -1)
        # It ends with the account's next row or, after a takeover, with the one after that.
        for later in (2, 1):
            place = np.minimum(begins + later, len(order) - 1)
            ends = (place == begins + later) & (account[place] == account[begins]) & (to_stage[place] <= Stage.CALLED)
            end[ends] = order[place[ends]]
        start = order[begins]
        by_time = np.argsort(start)
        return Cases(audit, start[by_time], end[by_time])

    @cached_property
    def ended(self) -> Cases:
        """Forced sales that are over."""
        cases = self.cases
        if not cases.ended.any():
            raise Unmeasurable("every liquidation was still under way when the run ended")
        return Cases(cases.audit, cases.start[cases.ended], cases.end[cases.ended])

    @cached_property
    def calls(self) -> Ints:
        """Rows of the audit log that are margin calls."""
        rows = np.flatnonzero(self.audit["to_stage"] == Stage.CALLED)
        if len(rows) == 0:
            raise Unmeasurable("nobody was called in this run")
        return rows

    @cached_property
    def given_up(self) -> Ints:
        """Rows of the audit log where the engine hands an account to the waterfall."""
        return np.flatnonzero(self.audit["cause"] == AuditCause.GIVEN_UP)

    @cached_property
    def time_s(self) -> Floats:
        """Times of the series, close enough to each other for what happens within a minute."""
        time_s = self.market.run["time_s"]
        if len(time_s) < 3 or time_s[-1] < 0:
            raise Unmeasurable("the run ends before its first three samples")
        every_s = float(np.median(np.diff(time_s)))
        if every_s > COARSEST_S:
            raise Unmeasurable(f"record.series_every is {every_s:g} s; at most {COARSEST_S:g} s would do")
        return time_s

    def money(self, amounts: Floats | Ints) -> Floats:
        """Money as amounts."""
        return np.asarray(amounts, np.float64) * self.contract.to_amount(1)

    def price(self, ticks: Floats | Ints) -> Floats:
        """Ticks as prices."""
        return np.asarray(ticks, np.float64) * self.contract.to_price(1.0)
