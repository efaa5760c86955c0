"""Liquidity: what it costs to cross the spread, and how much rests near the price."""

from typing import TYPE_CHECKING

import numpy as np

from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.measures.spread_and_depth import spread_and_depth
from marginquake.analysis.presentation import panels, theme
from marginquake.analysis.statistics.market_quality import spread_bps
from marginquake.sim.core.typing import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BANDS = (("01pct", "0.1 %", 1.0), ("1pct", "1 %", 0.62), ("5pct", "5 %", 0.34))
"""Column suffix, label and opacity of each distance from mid."""
WIDE_AXIS = 120.0
"""Highest over lowest label above which only powers of ten are labelled."""


def draw(market: MarketFrames, figure: "Figure") -> None:
    """Spread above; bids and asks within 0.1, 1 and 5 % of mid below, on one logarithmic scale."""
    run = market.run
    time_s = run["time_s"]
    (spread,), (bids,), (asks,) = panels.panels(figure, (1.2, 1.5, 1.5), gap_inches=0.42)
    _spread(spread, time_s, spread_bps(run["best_bid"], run["best_ask"]))

    lowest, highest = np.inf, 0.0
    for axis, side, colour, label in ((bids, "bid", theme.BID, "Bids"), (asks, "ask", theme.ASK, "Asks")):
        for suffix, distance, alpha in reversed(BANDS):
            depth = run[f"{side}_depth_{suffix}"]
            positive = depth[np.isfinite(depth) & (depth > 0)]
            if len(positive):
                lowest, highest = min(lowest, float(np.quantile(positive, 0.002))), max(highest, float(positive.max()))
            axis.fill_between(time_s, np.maximum(depth, 1.0), 1.0, color=colour, alpha=0.16, linewidth=0)
            axis.plot(time_s, depth, color=colour, alpha=alpha, linewidth=1.2, label=f"within {distance}")
        panels.panel_label(axis, f"{label} resting near mid, quote notional, logarithmic")
        panels.legend_above(axis)
    for axis in (bids, asks):
        axis.set_yscale("log")
        if highest > 0:
            axis.set_ylim(max(lowest, highest * 1e-4) / 1.6, highest * 1.6)
            _log_ticks(axis)
        panels.money_axis(axis)
    panels.time_axis((spread, bids, asks), float(time_s[0]), float(time_s[-1]))

    panels.heading(figure, "Spread and depth", spread_and_depth(market))


def _spread(axis: "Axes", time_s: Floats, bps: Floats) -> None:
    """Median of every time bin as a line, least to largest as a band."""
    valid = np.isfinite(bps)
    panels.panel_label(axis, "Spread, basis points of mid (line: median; band: least to largest)")
    if not valid.any():
        panels.nothing(axis, "the book never had two sides")
        return
    edges = panels.time_bins(float(time_s[0]), float(time_s[-1]), 150)
    place = np.digitize(time_s[valid], edges)
    cuts = np.flatnonzero(np.diff(place)) + 1
    groups = np.split(bps[valid], cuts)
    at_s = np.array([group[0] for group in np.split(time_s[valid], cuts)])
    least, middle, most = (np.array([part(group) for group in groups]) for part in (np.min, np.median, np.max))
    axis.fill_between(at_s, least, most, step="post", color=theme.INK, alpha=0.18, linewidth=0)
    axis.plot(at_s, middle, color=theme.INK, linewidth=1.2, drawstyle="steps-post")
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    _log_ticks(axis)


def _log_ticks(axis: "Axes") -> None:
    """Labels at powers of ten, and at 2 and 5 between them where the axis spans little; no small ticks."""
    from matplotlib.ticker import LogLocator, NullLocator

    low, high = axis.get_ylim()
    multiples = (1.0,) if high / low > WIDE_AXIS else (1.0, 2.0, 5.0)
    axis.yaxis.set_major_locator(LogLocator(subs=multiples, numticks=12))
    axis.yaxis.set_minor_locator(NullLocator())
