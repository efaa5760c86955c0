"""Price: index, mark and last, with margin calls and forced fills where they happened; all that was closed by force."""

from typing import TYPE_CHECKING

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.measures.closings import IN_THE_BOOK, OUTSIDE_THE_BOOK, Kind
from marginquake.analysis.measures.scorecard import what_happened
from marginquake.analysis.presentation import panels, theme
from marginquake.sim.core.typing import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


COLOURS = dict(
    zip(
        (*IN_THE_BOOK, *OUTSIDE_THE_BOOK),
        (theme.LIQUIDATIONS, theme.FUND, theme.STOPS, theme.TAKEN_OVER, theme.DELEVERAGED),
        strict=True,
    )
)


def draw(market: MarketFrames, figure: "Figure") -> None:
    """Prices above; below, per time bin: what was forced through the book, what was closed outside it, margin calls."""
    run = market.run
    time_s = run["time_s"]
    first_s, last_s = float(time_s[0]), float(time_s[-1])
    rows = panels.panels(figure, (4.3, 1.2, 1.2, 1.0), gap_inches=0.36)
    top, book, outside, calls = (axes[0] for axes in rows)
    for name, colour, width, dashes, label in (
        ("fundamental", theme.FUNDAMENTAL, 1.0, (0, (4, 2)), "fundamental"),
        ("last", theme.LAST, 0.9, "-", "last"),
        ("index", theme.INDEX, 1.3, "-", "index"),
        ("mark", theme.MARK, 1.5, "-", "mark"),
    ):
        top.plot(time_s, run[name], color=colour, linewidth=width, linestyle=dashes, label=label)
    _mark_events(market, top, last_s - first_s)
    every = (top, book, outside, calls)
    panels.shade_faults(every, (*market.faults, *market.pauses), first_s, last_s)
    panels.price_axis(top)
    panels.panel_label(top, "Price, quote units")
    panels.legend_above(top)

    edges = panels.time_bins(first_s, last_s, 160)
    each = formats.duration(edges[1] - edges[0])
    _flow(market, book, edges, IN_THE_BOOK, "no forced fills and no stops")
    panels.panel_label(book, f"In the book: purchases up, sales down, quote per {each}")
    _flow(market, outside, edges, OUTSIDE_THE_BOOK, "no takeovers and no ADL")
    panels.panel_label(outside, f"Outside it, at the mark: shorts up, longs down, quote per {each}")
    _calls(market, calls, edges)
    panels.time_axis(every, first_s, last_s)
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


def _flow(market: MarketFrames, axis: "Axes", edges: Floats, kinds: tuple[Kind, ...], nothing: str) -> None:
    """One series a kind; the amounts of their legend are those of the scorecard."""
    flows = []
    for kind in kinds:
        closing = kind.of(market)
        flows.append(panels.Flow(kind.label, COLOURS[kind], closing.time_s, closing.notional, closing.side))
    panels.stacked_flow(axis, edges, flows)
    if not any(flow.notional.any() for flow in flows):
        axis.set_ylim(-1, 1)
        axis.set_yticks([])
        panels.nothing(axis, _or(nothing, market))


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
