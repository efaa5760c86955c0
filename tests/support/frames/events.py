"""Frames of events written by hand: fills, calls, takeovers and ADL, and nothing else."""

from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marginquake.analysis.frames.market import DRAWN_KINDS, EVENT_COLUMNS, FaultSpan, MarketFrames
from marginquake.sim.core.contract import ContractSpec
from marginquake.sim.core.records import EVENT, Cause, EventKind, Side

UNIT = ContractSpec("main", Decimal(1), Decimal(1), Decimal(1), Decimal(1), 200_000, 10**9)
"""One tick, one lot and one unit of money are all 1 in quote currency."""


def frames(
    events: NDArray[Any], mark_period_s: float, fundamental: float | list[float] = 100.0, contract: ContractSpec = UNIT,
    spread: list[float] | None = None, faults: tuple[FaultSpan, ...] = (),
) -> MarketFrames:  # fmt: skip
    """Frames of events alone.  `fundamental`: constant, or second by second from 0; `spread` as sampled, beside it."""
    values = [fundamental, fundamental] if isinstance(fundamental, float) else fundamental
    time_s = np.arange(len(values), dtype=np.float64)
    if isinstance(fundamental, float):
        time_s[-1] = 1e6
    series = {
        "time_s": time_s,
        "fundamental": np.array(values, np.float64),
        "spread_ticks": np.full(len(values), np.nan) if spread is None else np.array(spread, np.float64),
    }
    drawn = events[np.isin(events["kind"], DRAWN_KINDS)]
    return MarketFrames(
        name="main",
        contract=contract,
        series=series,
        accounts={},
        map=None,
        read_events=lambda: {name: drawn[name].copy() for name in EVENT_COLUMNS},
        start_ns=0,
        mark_period_s=mark_period_s,
        faults=faults,
    )


def fill(
    time_s: float, price: int, side: Side, cause: Cause = Cause.VOLUNTARY, account: int = 90, maker: int = 91,
    lots: int = 1, mark: int = 100, order: int = 0,
) -> tuple[Any, ...]:  # fmt: skip
    """An aggressor's fill; `mark` as it was then, `order` the number of its order."""
    return (*_event(time_s, EventKind.FILL, account, side, price, lots, mark, cause, maker), ("order_id", order))


def call(time_s: float, account: int, mark: int, side: int = 1, lots: int = 1) -> tuple[Any, ...]:
    """A margin call of a long (side +1) at a mark."""
    return _event(time_s, EventKind.MARGIN_CALL, account, side, mark, lots, mark)


def cured(time_s: float, account: int, mark: int = 100) -> tuple[Any, ...]:
    """A called account is free again, unsold."""
    return _event(time_s, EventKind.CALL_CURED, account, 1, mark, 1, mark)


def takeover(time_s: float, account: int, lots: int, side: int = 1, mark: int = 100) -> tuple[Any, ...]:
    """The fund takes over a long (side +1)."""
    return _event(time_s, EventKind.TAKEOVER, account, side, mark, lots, mark, maker=0)


def adl(time_s: float, winner: int, loser: int, lots: int, side: int = 1, mark: int = 100) -> tuple[Any, ...]:
    """The position of a winner is closed against a loser's."""
    return _event(time_s, EventKind.ADL, winner, side, mark, lots, mark, Cause.ADL, loser)


def record(*facts: tuple[Any, ...]) -> NDArray[Any]:
    """EVENT rows of facts in order."""
    events = np.zeros(len(facts), EVENT)
    for row, fact in zip(events, facts, strict=True):
        for name, value in fact:
            row[name] = value
    return events


def _event(
    time_s: float, kind: EventKind, account: int, side: int, price: int, lots: int, mark: int,
    cause: Cause = Cause.VOLUNTARY, maker: int = -1,
) -> tuple[Any, ...]:  # fmt: skip
    return (
        ("time_ns", round(time_s * 1e9)), ("kind", kind), ("account", account), ("side", side),
        ("price_ticks", price), ("quantity_lots", lots), ("mark_ticks", mark), ("cause", cause),
        ("maker_account", maker),
    )  # fmt: skip
