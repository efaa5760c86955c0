"""The frames of a run that never ran: a price path, a book and fills given by hand, for tests of the scoreboard."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marginquake.analysis.frames.run_frames import RunFrames, frames_of
from marginquake.sim.core.records import EVENT, Cause, EventKind
from marginquake.sim.runs.directory import RunData

Floats = NDArray[np.float64]
LOT, TICK, MONEY_UNIT = 0.001, 1.0, 1e-6
NOTIONAL_PER_LOT_TICK = LOT * TICK


@dataclass(frozen=True)
class ScenarioOf:
    """What `frames_of` needs of a scenario: populations by name and type."""

    types: dict[str, str]
    source_text: str = "# synthetic\n"

    def resolved_yaml(self) -> str:
        contract = f"{{tick_size: {TICK}, lot_size: {LOT}, multiplier: 1.0, money_unit: 1e-06}}"
        populations = "".join(f"  {name}: {{type: {kind}}}\n" for name, kind in self.types.items())
        return f"name: synthetic\ncontract: {contract}\npopulations:\n{populations or '  {}'}"


def fills(
    time_s: Any, price: Any, lots: Any, side: Any, account: Any, order_id: Any, cause: Any = Cause.VOLUNTARY
) -> NDArray[Any]:
    """FILL events; scalars are repeated."""
    count = len(np.atleast_1d(time_s))
    events = np.zeros(count, EVENT)
    events["kind"] = EventKind.FILL
    events["time_ns"] = np.rint(np.asarray(time_s) * 1e9)
    events["price_ticks"] = np.rint(np.asarray(price) / TICK)
    events["quantity_lots"], events["side"], events["account"] = lots, side, account
    events["order_id"], events["cause"], events["maker_account"] = order_id, int(cause), 3
    return events


def market(
    time_s: Floats,
    mid: Floats,
    *,
    events: NDArray[Any] | None = None,
    accounts: tuple[str, ...] = (),
    types: dict[str, str] | None = None,
    net_lots: dict[str, Floats] | None = None,
    **columns: Any,
) -> RunFrames:
    """Frames of one market; whatever `columns` does not give is plain: index = mid, a spread of one tick, D ~ reach.

    `accounts`: population of each row from 3 on.  `net_lots`: of populations, sampled like the series.
    """
    count = len(time_s)
    plain: dict[str, Any] = {
        "index": mid, "last": mid, "mark": mid, "fundamental": mid, "best_bid": mid - 0.5, "best_ask": mid + 0.5,
        "spread_ticks": 1.0, "volume": 1e5, "forced_volume": 0.0, "open_interest": 1e8,
    }  # fmt: skip
    for label, reach in (("01pct", 0.001), ("1pct", 0.01), ("5pct", 0.05)):
        plain[f"bid_depth_{label}"] = plain[f"ask_depth_{label}"] = 1e9 * reach
    series = {name: np.broadcast_to(value, count).astype(float) for name, value in (plain | columns).items()}
    names = ["insurance", "fees", "rounding", *accounts]
    held = net_lots or {}
    populations = {
        "market": ["main"] * (count * len(held)),
        "time_s": np.repeat(time_s, len(held)),
        "population": list(held) * count,
        "net_lots": np.array(list(held.values())).T.ravel(),
    }
    data = RunData(
        events={"main": np.zeros(0, EVENT) if events is None else events},
        series={"market": ["main"] * count, "time_s": time_s, "mid": mid, **series},
        accounts={"market": ["main"] * len(names), "row": np.arange(len(names)), "population": names},
        maps={},
        summary={"name": "synthetic", "seed": 1},
        populations=populations if held else {},
    )
    return frames_of(data, ScenarioOf(types or {}))
