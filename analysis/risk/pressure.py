"""Margin-call pressure over time: what a fall or a rise of D would call, force, and find in the book (eq. 214).

From the maps of a run, so one row a `record.map_every`.  A rise is the mirror: shorts, and the offers above.
"""

from dataclasses import dataclass
from typing import Literal, final

import numpy as np

from marginquake.analysis.frames.lookup import marks_at
from marginquake.analysis.frames.market import Columns, MarketFrames
from marginquake.analysis.statistics.estimate import Unmeasurable
from marginquake.sim.core.reach import notional_reached, pressure_index
from marginquake.sim.core.typing import Floats

MOVES = (0.005, 0.01, 0.02, 0.05)
"""D: fractions of the mark."""
Direction = Literal["fall", "rise"]
DIRECTIONS: tuple[Direction, ...] = ("fall", "rise")


@final
@dataclass(frozen=True)
class Pressure:
    """Of one direction and one D, a value a map; quote units.

    `top_up`: what the accounts called on the way would have to add to stand at their maintenance margin there (MCP).
    `forced`: notional whose trigger lies on the way (FSN).  `depth`: resting orders on the way.  `index`: forced /
    depth (PI), infinite where something is forced and nothing rests, NaN only where neither.  All NaN where the move
    leaves the maps.
    """

    time_s: Floats
    top_up: Floats
    forced: Floats
    depth: Floats

    @property
    def index(self) -> Floats:
        """PI, forced notional over what rests against it."""
        return pressure_index(self.forced, self.depth)


def pressure(market: MarketFrames, move: float, direction: Direction) -> Pressure:
    """Pressure at every map.

    The shortfall of a position at a price beyond its trigger is its loss from there, less (a long) or plus (a short)
    the maintenance margin that the move changes, at the rate of the lowest bracket (0 where none is known).
    """
    maps = market.map
    if maps is None or len(maps.time_s) == 0:
        raise Unmeasurable("the run recorded no maps")
    edges, mark = maps.price_edges, _marks(market)
    if direction == "fall":
        notional, depth, side = maps.long_notional, maps.bid_depth, 1
    else:
        notional, depth, side = maps.short_notional, maps.ask_depth, -1
    end = mark * (1.0 - side * move)
    inside = (end >= edges[0]) & (end <= edges[-1])
    if not inside.any():
        raise Unmeasurable(f"a move of {move:.3g} leaves the maps; run with a larger record.map_range")
    end = np.where(inside, end, np.nan)
    away = end[:, None] / maps.price_centers[None, :]
    maintenance = market.brackets[0].maintenance if market.brackets else 0.0
    if market.contract.inverse:  # coin: Q (1 + s m) (1/P - 1/L), notional Q / L
        lacking = side * (1.0 / away - 1.0) * (1.0 + side * maintenance)
    else:  # a long at P below its trigger L lacks (1 - m) (L - P) a unit, a short above it (1 + m) (P - L)
        lacking = side * (1.0 - away) * (1.0 - side * maintenance)
    return Pressure(
        time_s=maps.time_s,
        top_up=notional_reached(edges, notional * np.maximum(lacking, 0.0), end, side),
        forced=notional_reached(edges, notional, end, side),
        depth=notional_reached(edges, depth, end, side),
    )


def _marks(market: MarketFrames) -> Floats:
    """The mark of every map; of maps before there was any, the first."""
    assert market.map is not None
    marks = marks_at(market, market.map.time_s)
    known = market.series["mark"][np.isfinite(market.series["mark"])]
    if len(known) == 0:
        raise Unmeasurable("the series has no mark price")
    return np.where(np.isnan(marks), known[0], marks)


def columns(market: MarketFrames) -> Columns:
    """All of it as columns over time: `time_s, mark`, and a column a direction, D and measure; D not within reach of
    the maps is left out."""
    maps = market.map
    if maps is None:
        raise Unmeasurable("the run recorded no maps")
    table: Columns = {"time_s": maps.time_s, "mark": _marks(market)}
    for direction in DIRECTIONS:
        for move in MOVES:
            try:
                found = pressure(market, move, direction)
            except Unmeasurable:
                continue
            name = f"{direction}_{label(move)}"
            for measure in ("top_up", "forced", "depth", "index"):
                table[f"{measure}_{name}"] = getattr(found, measure)
    return table


def label(move: float) -> str:
    """0.005 as 05pct, 0.02 as 2pct: as columns of the series are named."""
    return f"{move * 100:g}pct".replace("0.", "0")
