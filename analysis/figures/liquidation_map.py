"""Liquidation map: where forced orders wait, as a heat map of price by time, with the path through it."""

from typing import TYPE_CHECKING

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.frames.lookup import opening, reach_near
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.presentation import panels, theme
from marginquake.analysis.presentation.heat_map import draw_heat, fit, profile_axis, tag

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


FAR_SHARE = 0.05
"""With a smaller share of what waits near the path, the whole map is shown."""


def draw(market: MarketFrames, figure: "Figure") -> None:
    """Heat map with mark price and executed liquidations; at its right what waits at the start and at the end."""
    levels = market.map
    ((heat, side),) = panels.panels(figure, (1.0,), widths=(6.4, 1.0), right_inches=1.02)
    if levels is None or len(levels.time_s) == 0:
        panels.heading(figure, "Liquidation map", "This run recorded no map.", theme.NIGHT_MUTED)
        panels.nothing(heat, "no map recorded")
        side.set_axis_off()
        return
    run = market.run
    time_s = run["time_s"]
    low, high = panels.price_window(float(np.nanmin(run["mark"])), float(np.nanmax(run["mark"])), levels.price_edges)
    waiting = levels.long_notional + levels.short_notional
    shown = (levels.price_edges[1:] > low) & (levels.price_edges[:-1] < high)
    if waiting[:, shown].sum() < FAR_SHARE * waiting.sum():
        # All that waits lies far from the path: show how far.
        low, high = float(levels.price_edges[0]), float(levels.price_edges[-1])
        shown = np.ones(len(shown), np.bool_)
    draw_heat(
        figure, heat, levels, waiting, shown, panels.colour_map("fuel", theme.FUEL_ANCHORS),
        f"forced notional waiting, quote per price bin of {levels.bin_width:,.4g}",
    )  # fmt: skip
    heat.plot(time_s, run["mark"], color=theme.NIGHT, linewidth=3.2, alpha=0.75)
    heat.plot(time_s, run["mark"], color="white", linewidth=1.5, label="mark price")
    _executed(market, heat, (low, high), float(time_s[-1] - time_s[0]))
    fit(heat, low, high, float(time_s[0]), float(time_s[-1]))
    legend = heat.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=5)
    legend.set_zorder(10)

    profile_axis(side, heat)
    first = opening(levels)
    side.stairs(waiting[-1], levels.price_edges, orientation="horizontal", fill=True, color="#28ae80", linewidth=0,
                label="end")  # fmt: skip
    side.stairs(waiting[first], levels.price_edges, orientation="horizontal", color=theme.NIGHT_INK, linewidth=0.9,
                alpha=0.8, label="start")  # fmt: skip
    side.set_xlim(0, 1.05 * max(float(waiting[first][shown].max()), float(waiting[-1][shown].max()), 1.0))
    side.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, handlelength=1.0, columnspacing=0.8)
    tag(heat, side, float(run["mark"][-1]))

    start = float(run["mark"][0])
    near, far = (reach_near(levels, first, start, distance) for distance in (0.01, 0.05))
    panels.heading(
        figure,
        "Liquidation map",
        f"Longs to be sold within 1 % below the start price: {formats.short_number(near.longs)} against "
        f"{formats.short_number(near.bids)} of bids ({near.pressure_below:.2f}); within 5 %: "
        f"{formats.short_number(far.longs)} against {formats.short_number(far.bids)} ({far.pressure_below:.2f}).",
        theme.NIGHT_MUTED,
    )


def _executed(market: MarketFrames, axis: "Axes", window: tuple[float, float], span_s: float) -> None:
    forced = market.forced_fills
    forced = forced.select(forced.time_s >= 0)
    cells = {
        side: panels.gather(
            forced.time_s[forced.side == side], forced.price[forced.side == side], forced.notional[forced.side == side],
            span_s / 120, (window[1] - window[0]) / 45,
        )
        for side in (-1, 1)
    }  # fmt: skip
    largest = max((float(cell[2].max()) for cell in cells.values() if len(cell[2])), default=1.0)
    for side, colour, label in (
        (-1, theme.NIGHT_FORCED_SELL, "long liquidated"),
        (1, theme.NIGHT_FORCED_BUY, "short liquidated"),
    ):
        at_s, price, notional = (column[: panels.MOST_BUBBLES] for column in cells[side])
        if len(at_s):
            axis.scatter(
                at_s, price, panels.bubble_area(notional, largest, 320.0), color=colour, alpha=0.5, edgecolors="white",
                linewidths=0.7, zorder=5,
            )  # fmt: skip
            axis.scatter([], [], 45, color=colour, alpha=0.8, edgecolors="white", linewidths=0.7, label=label)
    if len(forced):
        axis.scatter([], [], 60, facecolors="none", edgecolors=theme.NIGHT_MUTED, linewidths=0.9,
                     label=f"area: notional, largest {formats.short_number(largest)}")  # fmt: skip
