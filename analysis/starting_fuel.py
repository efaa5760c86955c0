"""What a run starts with below its price: who would be forced where, and the depth that stands."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from analysis.load import Floats
from sim import run_directory


def starting_fuel(run: Path) -> tuple[Floats, Floats, float]:
    """Log-distance of each long's liquidation price below the mark, its notional there, and D1 (quote units)."""
    columns = ("position_start", "liquidation_price_start")
    table = pq.read_table(run / "accounts.parquet", columns=list(columns))
    lots, liquidation = (table.column(name).to_numpy(zero_copy_only=False) for name in columns)
    series = pq.read_table(run / "series.parquet", columns=["time_s", "mark"])
    start = int(np.argmin(np.abs(series.column("time_s").to_numpy())))
    mark = float(series.column("mark").to_numpy()[start])
    summary = run_directory.read_summary(run)
    longs = (lots > 0) & np.isfinite(liquidation)
    depth, open_interest = summary["depth_1pct"], summary["open_interest_start"]
    assert isinstance(depth, int | float)
    assert isinstance(open_interest, int | float)
    notional = np.abs(lots) * (float(open_interest) / max(1.0, float(lots[lots > 0].sum())))
    distance = np.log(mark / np.where(longs, liquidation, np.nan))
    return distance[longs], notional[longs], float(depth)
