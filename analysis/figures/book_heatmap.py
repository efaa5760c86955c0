"""Book heat map: resting orders by price over time, with the touch, and the larger trades on it."""

from typing import TYPE_CHECKING

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.presentation import panels, theme
from marginquake.analysis.presentation.heat_map import draw_heat, fit, profile_axis, tag

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NIGHT_BUY, NIGHT_SELL = "#56e39f", "#ff8a3d"
LARGEST_TRADES = 220


def draw(market: MarketFrames, figure: "Figure") -> None:
    """Heat map of bids and asks with last price and trades; volume by aggressor below; the final book at the right."""
    levels = market.map
    (heat, side), (volume, corner) = panels.panels(
        figure, (5.2, 1.0), widths=(6.4, 1.0), right_inches=1.02, gap_inches=0.34
    )
    corner.set_axis_off()
    if levels is None or len(levels.time_s) == 0:
        panels.heading(figure, "Order book", "This run recorded no depth map.", theme.NIGHT_MUTED)
        panels.nothing(heat, "no map recorded")
        side.set_axis_off()
        volume.set_axis_off()
        return
    run = market.run
    time_s = run["time_s"]
    first_s, last_s = float(time_s[0]), float(time_s[-1])
    known = run["last"][np.isfinite(run["last"])]
    low, high = panels.price_window(known, levels.price_edges, least_fraction=0.012)
    shown = (levels.price_edges[1:] > low) & (levels.price_edges[:-1] < high)
    draw_heat(
        figure, heat, levels, levels.bid_depth + levels.ask_depth, shown,
        panels.colour_map("depth", theme.DEPTH_ANCHORS),
        f"resting notional, quote per price bin of {levels.bin_width:,.4g}",
    )  # fmt: skip
    heat.plot(time_s, run["mid"], color=theme.NIGHT, linewidth=3.2, alpha=0.8)
    heat.fill_between(time_s, run["best_bid"], run["best_ask"], color="white", alpha=0.35, linewidth=0, label="spread")
    heat.plot(time_s, run["mid"], color="white", linewidth=1.3, label="mid")
    _trades(market, heat, (low, high), last_s - first_s)
    fit(heat, low, high, first_s, last_s)
    heat.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=5)

    profile_axis(side, heat)
    for depth, colour, label in ((levels.bid_depth, NIGHT_BUY, "bids"), (levels.ask_depth, NIGHT_SELL, "asks, end")):
        side.stairs(depth[-1], levels.price_edges, orientation="horizontal", fill=True, color=colour, linewidth=0,
                    alpha=0.85, label=label)  # fmt: skip
    most = max(float(levels.bid_depth[-1][shown].max()), float(levels.ask_depth[-1][shown].max()), 1.0)
    side.set_xlim(0, 1.05 * most)
    side.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, handlelength=0.9, columnspacing=0.6)
    if len(known):
        tag(heat, side, float(known[-1]))
    _volume(market, volume, first_s, last_s)
    panels.time_axis((heat, volume), first_s, last_s)
    traded = market.total("volume")
    panels.heading(
        figure,
        "Order book over time",
        f"{formats.short_number(traded)} traded.  Bids below the touch, asks above; the brighter, the more "
        f"rests there.",
        theme.NIGHT_MUTED,
    )


def _trades(market: MarketFrames, axis: "Axes", window: tuple[float, float], span_s: float) -> None:
    fills = market.fills
    fills = fills.select(fills.time_s >= 0)
    cells = {
        side: panels.gather(
            fills.time_s[fills.side == side], fills.price[fills.side == side], fills.notional[fills.side == side],
            span_s / 400, (window[1] - window[0]) / 160,
        )
        for side in (-1, 1)
    }  # fmt: skip
    totals = np.sort(np.concatenate([cells[-1][2], cells[1][2]]))[::-1]
    if len(totals) == 0:
        return
    least = float(totals[min(LARGEST_TRADES, len(totals)) - 1])
    for side, colour, label in ((1, NIGHT_BUY, "large buys"), (-1, NIGHT_SELL, "large sells")):
        at_s, price, notional = (column[cells[side][2] >= least] for column in cells[side])
        axis.scatter(
            at_s, price, panels.bubble_area(notional, float(totals[0]), 240.0), color=colour, alpha=0.5,
            edgecolors=theme.NIGHT, linewidths=0.6, zorder=5,
        )  # fmt: skip
        axis.scatter([], [], 40, color=colour, alpha=0.8, label=label)


def _volume(market: MarketFrames, axis: "Axes", first_s: float, last_s: float) -> None:
    fills = market.fills
    edges = panels.time_bins(first_s, last_s, 200)
    panels.signed_flow(axis, edges, fills.time_s, fills.notional, fills.side, NIGHT_BUY, NIGHT_SELL)
    if missing := market.not_recorded("fills"):
        panels.nothing(axis, f"trades: {missing}")
    axis.grid(False)
    panels.panel_label(axis, f"Market buys (up) and sells (down) per {formats.duration(edges[1] - edges[0])}, quote")
