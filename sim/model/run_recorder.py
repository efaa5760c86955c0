"""All markets' records as one: progress, logs on disk, and what a run leaves behind."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from marginquake.sim.core.measured import Measured
from marginquake.sim.core.records import AUDIT, COMMAND, EVENT
from marginquake.sim.model.market_session import MarketSession
from marginquake.sim.runs.directory import RunData
from marginquake.sim.runs.event_log import log_folder


@final
@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: for the progress bar."""

    events: int
    open_interest: float
    margin_calls: int


@final
class RunRecorder:
    """All markets' recorders as one."""

    def __init__(self, sessions: list[MarketSession]) -> None:
        self._sessions = sessions

    def settle(self) -> None:
        """Bring the logs to a state that survives the process."""
        for session in self._sessions:
            session.recorder.log.settle()
            session.margin_calls.audit.log.settle()
            session.venue.conditional_orders.settle()

    def move_logs(self, folder: Path) -> None:
        """Logs go on in this folder of a run as of the last `settle`."""
        for session in self._sessions:
            session.recorder.log.move(log_folder(folder, EVENT))
            session.margin_calls.audit.log.move(log_folder(folder, AUDIT))
            session.venue.conditional_orders.move(log_folder(folder, COMMAND))

    def progress(self) -> Progress:
        """Totals so far."""
        recorders = [session.recorder for session in self._sessions]
        return Progress(
            events=sum(r.events_seen for r in recorders),
            open_interest=sum(r.open_interest for r in recorders),
            margin_calls=sum(r.calls_seen for r in recorders),
        )

    def sample(self, now_ns: int) -> None:
        """One more row of every market's series, for a run that ends between two of them."""
        for session in self._sessions:
            session.recorder.sample(now_ns)

    def collect(self, head: dict[str, int | float | str | bool], participants: Sequence[str]) -> RunData:
        """Everything the run leaves behind; events only if they were kept in memory.

        `head`: what the summary begins with.  `participants`: names, by the number of the owner of their accounts.
        """
        digest = hashlib.blake2b(digest_size=16)
        summary = dict(head)
        series: dict[str, Any] = {"market": []}
        accounts: dict[str, Any] = {}
        populations: dict[str, Any] = {}
        positions: dict[str, Any] = {}
        maps: dict[str, Any] = {"markets": np.array([session.venue.name for session in self._sessions])}
        names = dict(enumerate(participants))
        any_book = any(session.recorder.has_book for session in self._sessions)
        for i, session in enumerate(self._sessions):
            market, recorder = session.venue.name, session.recorder
            digest.update(recorder.digest())
            prefix = "" if i == 0 else f"{market}."
            summary |= {prefix + key: value for key, value in recorder.summary().items()}
            columns = recorder.series()
            _append(series, {"market": [market] * len(columns["time_s"])} | columns)
            _append(accounts, recorder.accounts(names) | (recorder.names() if any_book else {}))
            _append(populations, recorder.populations(names))
            _append(positions, recorder.positions(names))
            maps |= {f"{market}/{key}": values for key, values in recorder.maps().items()}
        summary["event_digest"] = digest.hexdigest()
        logs = {session.venue.name: session.recorder.log.finish() for session in self._sessions}
        events = {market: rows for market, rows in logs.items() if rows is not None}
        trails = {session.venue.name: session.margin_calls.audit.log.finish() for session in self._sessions}
        audit = {market: rows for market, rows in trails.items() if rows is not None}
        for session in self._sessions:
            session.venue.conditional_orders.finish()
        measured = self.measured(participants)
        return RunData(events, series, accounts, maps, summary, populations, audit, positions, measured)

    def measured(self, participants: Sequence[str]) -> dict[str, Measured]:
        """What each market says so far of the scenario, by its name; `participants` as in `collect`."""
        names = dict(enumerate(participants))
        return {session.venue.name: session.recorder.measured(names) for session in self._sessions}


def _append(table: dict[str, Any], more: dict[str, Any]) -> None:
    """Add another market's rows below a table of columns."""
    for key, values in more.items():
        if key not in table:
            table[key] = values
        elif isinstance(values, list):
            table[key] = table[key] + values
        else:
            table[key] = np.concatenate([table[key], values])
