"""The last liquidations that ended, as the audit log tells them: for whoever looks on while a run goes on."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.contract import ContractSpec
from marginquake.sim.core.records import AUDIT, EVENT, Stage
from marginquake.sim.runs.event_log import EventLog, OpenLog
from marginquake.sim.runs.model_pickle import build_same

KEPT = 64
"""Liquidations that are remembered."""


@final
@dataclass(frozen=True, slots=True)
class ClosedLiquidation:
    """One liquidation that has ended; amounts in quote units.

    `side`: +1 where a long was sold.  `price`: mean of its fills, or the mark where the fund or ADL took all.  `loss`:
    what the account lost since the forced sale began; `fund_paid`, `winners_paid` (ADL) and `unpaid` are what others
    bore.  `taken_over`: the book did not take all of it.
    """

    time_s: float
    account: int
    side: int
    notional: float
    price: float
    loss: float
    fund_paid: float
    winners_paid: float
    unpaid: float
    taken_over: bool
    id: str = ""
    """What a user's file calls the account; empty where none does."""


@final
class ClosedLiquidations:
    """Remembers the ends of the last `KEPT` liquidations in the audit rows that pass by."""

    def __init__(self) -> None:
        self._sides: dict[int, int] = {}
        self._ended: deque[NDArray[Any]] = deque(maxlen=KEPT)
        self._ended_sides: deque[int] = deque(maxlen=KEPT)

    def note(self, rows: NDArray[Any]) -> None:
        """Audit rows, in order."""
        begins = rows["to_stage"] == Stage.LIQUIDATING
        if begins.any():
            sides = np.sign(rows["position_lots"][begins]).tolist()
            self._sides.update(zip(rows["account"][begins].tolist(), sides, strict=True))
        for row in rows[(rows["from_stage"] >= Stage.LIQUIDATING) & (rows["to_stage"] < Stage.LIQUIDATING)]:
            self._ended.append(row.copy())
            self._ended_sides.append(self._sides.pop(int(row["account"]), 0))

    def last(self, contract: ContractSpec, stated: Mapping[int, tuple[str, int]]) -> tuple[ClosedLiquidation, ...]:
        """Oldest first; `stated`: id and line of accounts from a file, by row."""
        ended = zip(self._ended, self._ended_sides, strict=True)
        return tuple(_closed(row, side, contract, stated.get(int(row["account"]), ("", 0))[0]) for row, side in ended)


@final
class ListeningLog:
    """A log that shows `ear` what is appended to it."""

    def __init__(self, inner: EventLog, ear: Callable[[NDArray[Any]], None]) -> None:
        self._inner = inner
        self._ear = ear

    def append(self, events: NDArray[Any]) -> None:
        """Hear these rows, then keep them."""
        self._ear(events)
        self._inner.append(events)

    def settle(self) -> None:
        """As the log inside."""
        self._inner.settle()

    def move(self, folder: Path) -> None:
        """As the log inside."""
        self._inner.move(folder)

    def finish(self) -> NDArray[Any] | None:
        """As the log inside."""
        return self._inner.finish()

    def __reduce__(self) -> tuple[Callable[[EventLog], EventLog], tuple[EventLog]]:
        """Stored is the log inside: whoever goes on with the run listens for himself."""
        return build_same, (self._inner,)


def listening(open_log: OpenLog, ears: dict[str, ClosedLiquidations]) -> OpenLog:
    """`open_log`, but the audit of every market is heard: by `ears`, which are filled in by market."""

    def open_heard(market: str, records: np.dtype[Any] = EVENT) -> EventLog:
        inner = open_log(market, records=records)
        if records != AUDIT:
            return inner
        ears[market] = ClosedLiquidations()
        return ListeningLog(inner, ears[market].note)

    return open_heard


def _closed(row: NDArray[Any], side: int, contract: ContractSpec, own_id: str) -> ClosedLiquidation:
    filled = int(row["filled_lots"])
    beyond = int(row["taken_over_lots"]) + int(row["deleveraged_lots"])
    ticks = int(row["filled_tick_lots"]) / filled if filled else float(row["mark_ticks"])
    return ClosedLiquidation(
        time_s=int(row["time_ns"]) / 1e9,
        account=int(row["account"]),
        side=side,
        notional=(filled + beyond) * contract.notional_per_lot(ticks),
        price=contract.to_price(ticks),
        loss=contract.to_amount(int(row["margin_paid"])),
        fund_paid=contract.to_amount(int(row["fund_paid"])),
        winners_paid=contract.to_amount(int(row["winners_paid"])),
        unpaid=contract.to_amount(int(row["unpaid"])),
        taken_over=beyond > 0,
        id=own_id,
    )
