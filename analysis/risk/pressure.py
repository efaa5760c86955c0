"""Margin-call pressure over time: what a fall or a rise of D would call, force, and find in the book (eq. 214).

From the maps of a run, so one row a `record.map_every`.  A rise is the mirror: shorts, and the offers above.
"""

from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np

from analysis.facts.fact import Unmeasurable
from analysis.load import Columns, Floats, MarketFrames, RunFrames

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
    depth (PI), NaN where nothing rests.  All NaN where the move leaves the maps.
    """

    time_s: Floats
    top_up: Floats
    forced: Floats
    depth: Floats

    @property
    def index(self) -> Floats:
        """Forced notional over what rests against it: infinite where nothing does, NaN where nothing is forced."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.forced / self.depth, np.float64)


def pressure(market: MarketFrames, move: float, direction: Direction, maintenance: float = 0.0) -> Pressure:
    """Pressure at every map.  `maintenance`: rate of the margin that moves with the notional, as a fraction.

    The shortfall of a position at a price beyond its trigger is its loss from there, less (a long) or plus (a short)
    the maintenance margin that the move changes.
    """
    maps = market.map
    if maps is None or len(maps.time_s) == 0:
        raise Unmeasurable("the run recorded no maps")
    mark = marks_at(market, maps.time_s)
    edges, centers = maps.price_edges, maps.price_centers
    reach = mark * (1.0 - move if direction == "fall" else 1.0 + move)
    inside = (reach >= edges[0]) & (reach <= edges[-1])
    if not inside.any():
        raise Unmeasurable(f"a move of {move:.3g} leaves the maps; run with a larger record.map_range")
    reach = np.where(inside, reach, np.nan)
    if direction == "fall":
        notional, depth, sign = maps.long_notional, maps.bid_depth, 1.0
        # Nothing bounds the sum above: a trigger that the mark has passed and nobody was called at yet counts too.
        part = share_between(edges, reach, np.full_like(reach, edges[-1]))
    else:
        notional, depth, sign = maps.short_notional, maps.ask_depth, -1.0
        part = share_between(edges, np.full_like(reach, edges[0]), reach)
    away = reach[:, None] / centers[None, :]
    if market.contract.inverse:  # coin: Q (1 + s m) (1/P - 1/L), notional Q / L
        lacking = sign * (1.0 / away - 1.0) * (1.0 + sign * maintenance)
    else:  # a long at P below its trigger L lacks (1 - m) (L - P) a unit, a short above it (1 + m) (P - L)
        lacking = sign * (1.0 - away) * (1.0 - sign * maintenance)
    return Pressure(
        time_s=maps.time_s,
        top_up=np.asarray((part * notional * np.maximum(lacking, 0.0)).sum(axis=1), np.float64),
        forced=np.asarray((part * notional).sum(axis=1), np.float64),
        depth=np.asarray((part * depth).sum(axis=1), np.float64),
    )


def share_between(edges: Floats, low: Floats, high: Floats) -> Floats:
    """(times, bins): which part of every price bin lies between two prices."""
    below, above = edges[None, :-1], edges[None, 1:]
    overlap = np.minimum(above, high[:, None]) - np.maximum(below, low[:, None])
    return np.asarray(np.clip(overlap / (above - below), 0.0, 1.0), np.float64)


def marks_at(market: MarketFrames, times_s: Floats) -> Floats:
    """The last mark known at each of the times; the first one before there was any."""
    time_s, mark = market.series["time_s"], market.series["mark"]
    known = np.flatnonzero(np.isfinite(mark))
    if len(known) == 0:
        raise Unmeasurable("the series has no mark price")
    place = np.searchsorted(time_s[known], times_s + 1e-9, side="right") - 1
    return np.asarray(mark[known[np.maximum(place, 0)]], np.float64)


def maintenance_rate(run: RunFrames, market: str) -> float:
    """Maintenance rate of the lowest bracket of a market of a run; 0 where the scenario lists no brackets."""
    scenario: Any = run.scenario
    own = (scenario.get("markets") or {}).get(market, scenario)
    brackets = (own.get("venue") or {}).get("brackets") or ()
    return min((float(each["maintenance"]) for each in brackets), default=0.0)


def columns(market: MarketFrames, maintenance: float = 0.0) -> Columns:
    """All of it as columns over time: `time_s, mark`, and a column a direction, D and measure; D not within reach of
    the maps is left out."""
    maps = market.map
    if maps is None:
        raise Unmeasurable("the run recorded no maps")
    table: Columns = {"time_s": maps.time_s, "mark": marks_at(market, maps.time_s)}
    for direction in DIRECTIONS:
        for move in MOVES:
            try:
                found = pressure(market, move, direction, maintenance)
            except Unmeasurable:
                continue
            name = f"{direction}_{label(move)}"
            for measure in ("top_up", "forced", "depth", "index"):
                table[f"{measure}_{name}"] = getattr(found, measure)
    return table


def label(move: float) -> str:
    """0.005 as 05pct, 0.02 as 2pct: as columns of the series are named."""
    return f"{move * 100:g}pct".replace("0.", "0")
