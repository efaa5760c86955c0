"""Liquidation map: where forced orders wait, as a heat map of price by time, with the path through it."""

from typing import TYPE_CHECKING

from marginquake.analysis import formats
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.measures.waiting import waiting_map
from marginquake.analysis.presentation import panels, theme
from marginquake.analysis.presentation.heat_map import draw_heat, fit, profile_axis, tag

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(market: MarketFrames, figure: "Figure") -> None:
    """Heat map with mark price and executed liquidations; at its right what waits at the start and at the end."""
    found = waiting_map(market)
    ((heat, side),) = panels.panels(figure, (1.0,), widths=(6.4, 1.0), right_inches=1.02)
    if found is None:
        panels.heading(figure, "Liquidation map", "This run recorded no map.", theme.NIGHT_MUTED)
        panels.nothing(heat, "no map recorded")
        side.set_axis_off()
        return
    run, levels, waiting, shown = market.run, found.levels, found.notional, found.shown
    (low, high), time_s = found.window, run["time_s"]
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
    first = found.opening
    side.stairs(waiting[-1], levels.price_edges, orientation="horizontal", fill=True, color="#28ae80", linewidth=0,
                label="end")  # fmt: skip
    side.stairs(waiting[first], levels.price_edges, orientation="horizontal", color=theme.NIGHT_INK, linewidth=0.9,
                alpha=0.8, label="start")  # fmt: skip
    side.set_xlim(0, 1.05 * max(float(waiting[first][shown].max()), float(waiting[-1][shown].max()), 1.0))
    side.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, handlelength=1.0, columnspacing=0.8)
    tag(heat, side, float(run["mark"][-1]))

    panels.heading(figure, "Liquidation map", found.sentence, theme.NIGHT_MUTED)


def _executed(market: MarketFrames, axis: "Axes", window: tuple[float, float], span_s: float) -> None:
    cells = panels.gather_by_side(market.forced_fills, span_s / 120, (window[1] - window[0]) / 45)
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
    if any(len(cell[2]) for cell in cells.values()):
        axis.scatter([], [], 60, facecolors="none", edgecolors=theme.NIGHT_MUTED, linewidths=0.9,
                     label=f"area: notional, largest {formats.short_number(largest)}")  # fmt: skip
