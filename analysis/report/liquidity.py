"""Liquidity: what it costs to cross the spread, how much rests near the price, and the book over time."""

import numpy as np

from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.frames.run_frames import RunFrames
from marginquake.analysis.measures.spread_and_depth import spread_and_depth
from marginquake.analysis.presentation import theme
from marginquake.analysis.presentation.panels import price_window
from marginquake.analysis.report.heat_chart import heat_chart
from marginquake.analysis.report.section import Chart, Content
from marginquake.analysis.report.time_chart import Line, Panel, busy_windows, lines, time_chart
from marginquake.analysis.statistics.market_quality import spread_bps
from marginquake.sim.core.typing import Floats

BANDS = (("01pct", "0.1 %", 1.2), ("1pct", "1 %", 1.8))
"""Column suffix, label and line width of each distance from mid."""
STRETCHES = 150


def content(run: RunFrames, market: MarketFrames) -> Content:
    """Spread and depth over time, and a heat map of resting orders where the run has one."""
    series = market.run
    charts = [
        Chart(
            "panels",
            "Spread and depth over time",
            time_chart(market, [_spread(market), *(_depth(market, side) for side in ("bid", "ask"))]),
            "Makers withdraw when the price moves fast, which is when forced orders need them.",
        )
    ]
    levels = market.map
    missing = "" if levels is not None and len(levels.time_s) else "The run recorded no map of the book."
    if levels is not None and len(levels.time_s):
        window = price_window(series["mid"], levels.price_edges, 0.12, 0.006)
        data = heat_chart(
            market, levels, levels.bid_depth + levels.ask_depth, series["mid"], "resting", theme.DEPTH_ANCHORS, window,
            pathLabel="mid", profile={"below": "bids", "above": "asks", "colours": ["bid", "ask"], "at": "end"},
        )  # fmt: skip
        charts.append(
            Chart(
                "heat",
                "Resting orders by price over time",
                data,
                "Resting orders, quote notional, bids below and asks above the mid price: the brighter, the more rests "
                "there. Dark water around the line means that there was little to trade against.",
            )
        )
    return Content(lead=spread_and_depth(market), charts=charts, missing=missing)


def _spread(market: MarketFrames) -> Panel:
    run = market.run
    values = spread_bps(run["best_bid"], run["best_ask"])
    each = [Line("spread", "last", values, 0.8), Line("its median", "mark", _median_by_stretch(values), 1.8)]
    return lines(
        "Spread", "basis points of mid, logarithmic", "bps", run["time_s"], each, busy_windows(market), height=130,
        scale="log",
    )  # fmt: skip


def _median_by_stretch(values: Floats) -> Floats:
    """The median of each of a hundred and fifty equal stretches, for every sample in it; NaN without two sides."""
    width = -(-len(values) // STRETCHES)
    padded = np.full(width * -(-len(values) // width), np.nan)
    padded[: len(values)] = values
    table = padded.reshape(-1, width)
    found = np.full(len(table), np.nan)
    known = np.isfinite(table).any(axis=1)
    found[known] = np.nanmedian(table[known], axis=1)
    return np.repeat(found, width)[: len(values)]


def _depth(market: MarketFrames, side: str) -> Panel:
    run = market.run
    each = [
        Line(f"within {distance}", side, np.asarray(run[f"{side}_depth_{suffix}"], np.float64), width,
             (5, 3) if suffix == "01pct" else None, "area")
        for suffix, distance, width in BANDS
    ]  # fmt: skip
    return lines(
        "Bids near mid" if side == "bid" else "Asks near mid", "quote notional", "money", run["time_s"], each,
        busy_windows(market), height=130, scale="zero",
    )  # fmt: skip
