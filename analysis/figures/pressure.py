"""Margin-call pressure over time: forced notional waiting within a move, over what rests in the book on the way."""

from typing import TYPE_CHECKING

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.presentation import panels, theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from marginquake.analysis.risk.pressure import Direction

COLOURS = ("#d4253f", "#e07b1a", "#0072b2", "#7a5cc2")
"""One a move, the smallest first."""
LEAST, MOST = 1e-3, 1e3
"""Ends of the axis: an index below is nothing; one above, or infinite since nothing rests, is drawn at its end."""


def draw(market: MarketFrames, figure: "Figure") -> None:
    """The mark above; the pressure index of falls and of rises below it, a line a move, 1 marked."""
    (top,), (fall,), (rise,) = panels.panels(figure, (1.6, 2.0, 1.3), gap_inches=0.34)
    panels.heading(
        figure,
        "Margin-call pressure",
        "Notional forced by a move of the mark, over the orders on the way.  Above 1 the book cannot take it all.",
    )
    series = market.run
    time_s = series["time_s"]
    top.plot(time_s, series["mark"], color=theme.MARK, linewidth=1.2)
    panels.price_axis(top)
    panels.panel_label(top, "Mark price, quote units")
    _lines(fall, market, "fall")
    panels.panel_label(fall, "Pressure index PI(D) of a fall by D: longs below, bids")
    panels.legend_above(fall)
    _lines(rise, market, "rise")
    panels.panel_label(rise, "Of a rise by D: shorts above, offers")
    panels.time_axis((top, fall, rise), float(time_s[0]), float(time_s[-1]))


def applies(market: MarketFrames) -> bool:
    """True for runs with maps in which somebody was called."""
    return market.map is not None and bool(market.series.get("margin_calls", np.zeros(1)).sum() > 0)


def _lines(axis: "Axes", market: MarketFrames, direction: "Direction") -> None:
    from marginquake.analysis.risk.pressure import MOVES, pressure
    from marginquake.analysis.statistics.estimate import Unmeasurable

    drawn = False
    for move, colour in zip(MOVES, COLOURS, strict=True):
        try:
            found = pressure(market, move, direction)
        except Unmeasurable:
            continue
        index = np.where(found.index > LEAST, np.minimum(found.index, MOST), np.nan)
        axis.plot(found.time_s, index, color=colour, linewidth=1.2, label=f"D = {formats.percent(move, 1)}")
        drawn = drawn or bool(np.isfinite(index).any())
    if not drawn:
        panels.nothing(axis, "no forced notional within 5 %")
        return
    axis.set_yscale("log")
    low, high = axis.get_ylim()
    axis.set_ylim(max(low, LEAST), max(high, 2.0))
    axis.axhline(1.0, color=theme.MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
