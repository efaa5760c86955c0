"""Price: index, mark and last, with margin calls and forced fills where they happened."""

from typing import TYPE_CHECKING

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.measures.scorecard import what_happened
from marginquake.analysis.presentation import panels, theme
from marginquake.sim.core.typing import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(market: MarketFrames, figure: "Figure") -> None:
    """Prices above; forced notional and margin calls per time bin below."""
    run = market.run
    time_s = run["time_s"]
    first_s, last_s = float(time_s[0]), float(time_s[-1])
    (top,), (flow,), (calls,) = panels.panels(figure, (4.6, 1.25, 1.0), gap_inches=0.34)
    for name, colour, width, dashes, label in (
        ("fundamental", theme.FUNDAMENTAL, 1.0, (0, (4, 2)), "fundamental"),
        ("last", theme.LAST, 0.9, "-", "last"),
        ("index", theme.INDEX, 1.3, "-", "index"),
        ("mark", theme.MARK, 1.5, "-", "mark"),
    ):
        top.plot(time_s, run[name], color=colour, linewidth=width, linestyle=dashes, label=label)
    _mark_events(market, top, last_s - first_s)
    panels.shade_faults((top, flow, calls), (*market.faults, *market.pauses), first_s, last_s)
    panels.price_axis(top)
    panels.panel_label(top, "Price, quote units")
    panels.legend_above(top)

    edges = panels.time_bins(first_s, last_s, 160)
    _flow(market, flow, edges)
    _calls(market, calls, edges)
    panels.time_axis((top, flow, calls), first_s, last_s)
    panels.heading(figure, "Price and forced orders", what_happened(market))


def _mark_events(market: MarketFrames, axis: "Axes", span_s: float) -> None:
    low, high = axis.get_ylim()
    forced = market.forced_fills
    forced = forced.select(forced.time_s >= 0)
    cell = span_s / 160, (high - low) / 50
    pieces = panels.gather_by_side(forced, *cell)
    largest = max((float(piece[2].max()) for piece in pieces.values() if len(piece[2])), default=1.0)
    for side, colour, label in (
        (-1, theme.FORCED_SELL, "forced sale"),
        (1, theme.FORCED_BUY, "forced purchase"),
    ):
        time_s, price, notional = (column[: panels.MOST_BUBBLES] for column in pieces[side])
        if len(time_s):
            axis.scatter(
                time_s, price, panels.bubble_area(notional, largest, 200.0), color=colour, alpha=0.5, linewidths=0.5,
                edgecolors="white", zorder=4,
            )  # fmt: skip
            axis.scatter([], [], 40, color=colour, alpha=0.7, label=label)
    calls = market.margin_calls
    for side, marker, colour, offset, label in (
        (1, "v", theme.FORCED_SELL, 0.022, "long called"),
        (-1, "^", theme.FORCED_BUY, -0.022, "short called"),
    ):
        chosen = (calls.side == side) & (calls.time_s >= 0)
        if chosen.any():
            at_s, mark, _ = panels.gather(calls.time_s[chosen], calls.mark[chosen], np.ones(chosen.sum()), *cell)
            axis.scatter(
                at_s, mark + offset * (high - low), 20, marker=marker, color=colour, alpha=0.8, linewidths=0, zorder=5,
                label=label,
            )  # fmt: skip
    if len(forced):
        # what was forced through the book between two samples of the series belongs into the picture
        low, high = min(low, float(forced.price.min())), max(high, float(forced.price.max()))
    axis.set_ylim(low - 0.03 * (high - low), high + 0.04 * (high - low))


def _flow(market: MarketFrames, axis: "Axes", edges: Floats) -> None:
    forced = market.forced_fills
    panels.signed_flow(
        axis, edges, forced.time_s, forced.notional, forced.side, theme.FORCED_BUY, theme.FORCED_SELL
    )  # fmt: skip
    if not len(forced):
        axis.set_ylim(-1, 1)
        axis.set_yticks([])
        panels.nothing(axis, _or("no forced fills", market))
    panels.panel_label(
        axis, f"Forced purchases (up) and sales (down) per {formats.duration(edges[1] - edges[0])}, quote"
    )


def _calls(market: MarketFrames, axis: "Axes", edges: Floats) -> None:
    calls = market.margin_calls
    longs = np.histogram(calls.time_s[calls.side > 0], edges)[0]
    shorts = np.histogram(calls.time_s[calls.side < 0], edges)[0]
    axis.stairs(longs, edges, fill=True, color=theme.FORCED_SELL, linewidth=0)
    axis.stairs(longs + shorts, edges, baseline=longs, fill=True, color=theme.FORCED_BUY, linewidth=0)
    axis.locator_params(axis="y", nbins=4, integer=True)
    if not longs.any() and not shorts.any():
        axis.set_ylim(0, 1)
        axis.set_yticks([])
        panels.nothing(axis, _or("no margin calls", market))
    panels.panel_label(axis, f"Margin calls per {formats.duration(edges[1] - edges[0])}")


def _or(nothing: str, market: MarketFrames) -> str:
    """Nothing happened, or nothing was kept."""
    return market.not_recorded("liquidations") or nothing
