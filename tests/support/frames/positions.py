"""The frames of a market that never ran, with positions given by hand: tick 0.01, lot 1, mark 100."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marginquake.analysis.frames.market import EVENT_COLUMNS, Columns, MarketFrames, PublishedBracket
from marginquake.sim.core.contract import ContractSpec
from marginquake.sim.core.records import EVENT

TICK = 0.01
BRACKETS = (PublishedBracket(1e6, 125.0, 0.004),)


def held_market(
    lots: Sequence[int],
    entry: Any,
    liquidation: Any,
    *,
    mark: float = 100.0,
    leverage: Any = np.nan,
    equity: Any = 1.0,
    stage: Any = 0,
    times: tuple[float, ...] = (0.0,),
    later: dict[float, dict[str, Any]] | None = None,
    events: NDArray[Any] | None = None,
    series: dict[str, Any] | None = None,
    account: Sequence[int] | None = None,
) -> MarketFrames:
    """Positions of accounts 3, 4, ... at `times`; `later` changes columns at one of them.

    `series`: `time_s` with whatever columns a test needs; `mark` and a volume of 0 are filled in.
    """
    count = len(lots)
    rows = np.arange(3, 3 + count) if account is None else np.asarray(account)
    tables = []
    for time_s in times:
        columns: dict[str, Any] = {
            "time_s": time_s, "account": rows, "population": "crowd", "stage": stage, "mark": mark,
            "position_lots": np.asarray(lots), "entry_price": entry, "liquidation_price": liquidation,
            "equity": equity, "maintenance": 0.0,
        } | (later or {}).get(time_s, {})  # fmt: skip
        table = {name: np.broadcast_to(np.asarray(column), (count,)) for name, column in columns.items()}
        tables.append(table | {"notional": np.abs(table["position_lots"]) * table["mark"]})
    positions: Columns = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    kept = np.zeros(0, EVENT) if events is None else events
    path = {"time_s": np.array([0.0, 1.0])} if series is None else series
    length = len(path["time_s"])
    declared = np.full(int(rows.max()) + 1, np.nan)
    declared[rows] = leverage
    return MarketFrames(
        name="held",
        contract=ContractSpec.from_fields(
            "held",
            {"tick_size": TICK, "lot_size": 1, "money_unit": 1e-6, "initial_price": 100},
            max_price_ticks=1,
            max_position_lots=1,
        ),
        series={"mark": np.full(length, mark), "last": np.full(length, mark), "volume": np.zeros(length)} | path,
        accounts={"leverage": declared},
        map=None,
        read_events=lambda: {name: np.ascontiguousarray(kept[name]) for name in EVENT_COLUMNS},
        start_ns=0,
        brackets=BRACKETS,
        read_positions=lambda: positions,
    )
