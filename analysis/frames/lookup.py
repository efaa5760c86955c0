"""What stands at a time: rows of a series, and which map."""

from pathlib import Path

import numpy as np

from marginquake.analysis.frames.market import LiquidationMap, MarketFrames
from marginquake.sim.core.reach import Reach, notional_reached
from marginquake.sim.core.typing import Floats, Ints
from marginquake.sim.runs import directory

SLACK_S = 1e-9
"""A row counts as of a time up to so much after it: sums of floating-point steps miss by less."""


def last_at(rows_s: Floats, times_s: Floats) -> Ints:
    """Index of the last row at or before each time; -1 before the first."""
    return np.asarray(np.searchsorted(rows_s, times_s + SLACK_S, side="right") - 1, np.int64)


def known_at(rows_s: Floats, values: Floats, times_s: Floats) -> Floats:
    """The last value that is not NaN at or before each time; NaN before the first."""
    known = np.flatnonzero(np.isfinite(values))
    if len(known) == 0:
        return np.full(len(times_s), np.nan)
    place = last_at(rows_s[known], times_s)
    return np.where(place >= 0, values[known[np.maximum(place, 0)]], np.nan)


def marks_at(market: MarketFrames, times_s: Floats) -> Floats:
    """The last mark known at each of the times; NaN before there was any."""
    return known_at(market.series["time_s"], market.series["mark"], times_s)


def mark_at(market: MarketFrames, at_s: float) -> float:
    """`marks_at` one time."""
    return float(marks_at(market, np.array([at_s]))[0])


def opening(levels: LiquidationMap) -> int:
    """The first map with anything to force: one taken at t = 0 may precede the positions that are booked then."""
    waiting = (levels.long_notional + levels.short_notional).sum(axis=1)
    return int(np.argmax(waiting > 0))


def last_map(levels: LiquidationMap, at_s: float) -> int:
    """The last map at or before a time, or the first there is."""
    return max(int(np.searchsorted(levels.time_s, at_s, side="right")) - 1, 0)


def reach_near(levels: LiquidationMap, row: int, price: float, distance: float) -> Reach:
    """Within `distance` of a price, on one of the maps."""
    low, high, edges = price * (1.0 - distance), price * (1.0 + distance), levels.price_edges
    return Reach(
        distance=distance,
        longs=float(notional_reached(edges, levels.long_notional[row], low, 1)),
        bids=float(notional_reached(edges, levels.bid_depth[row], low, 1)),
        shorts=float(notional_reached(edges, levels.short_notional[row], high, -1)),
        asks=float(notional_reached(edges, levels.ask_depth[row], high, -1)),
    )


def starting_fuel(run: Path) -> tuple[Floats, Floats, float]:
    """Log-distance of each long's liquidation price below the mark, its notional there, and D1 (quote units)."""
    import pyarrow.parquet as pq

    columns = ("position_start", "liquidation_price_start")
    table = pq.read_table(directory.checked(run / "accounts.parquet"), columns=list(columns))
    lots, liquidation = (table.column(name).to_numpy(zero_copy_only=False) for name in columns)
    series = pq.read_table(directory.checked(run / "series.parquet"), columns=["time_s", "mark"])
    start = int(np.argmin(np.abs(series.column("time_s").to_numpy())))
    mark = float(series.column("mark").to_numpy()[start])
    summary = directory.read_summary(run)
    longs = (lots > 0) & np.isfinite(liquidation)
    depth, open_interest = summary["depth_1pct"], summary["open_interest_start"]
    assert isinstance(depth, int | float)
    assert isinstance(open_interest, int | float)
    notional = np.abs(lots) * (float(open_interest) / max(1.0, float(lots[lots > 0].sum())))
    distance = np.log(mark / np.where(longs, liquidation, np.nan))
    return distance[longs], notional[longs], float(depth)
