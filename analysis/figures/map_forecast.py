"""Forecast against realised: the map before the largest cascade, what the mark reached, and how that ended."""

from typing import TYPE_CHECKING

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.frames.market import Fills, MarketFrames
from marginquake.analysis.levels import ClusterOutcome, MapForecast, map_forecasts, positions_at
from marginquake.analysis.levels.came_true import WAYS
from marginquake.analysis.presentation import panels, theme
from marginquake.sim.core.records import Cause
from marginquake.sim.core.typing import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FATES = {
    "sold": ("sold by liquidation orders", "#d4253f"),
    "taken_over": ("taken over by the fund", "#e07b1a"),
    "deleveraged": ("deleveraged", "#7a5cc2"),
    "stopped": ("closed by a stop", "#2274c9"),
    "closed": ("closed by itself", "#56b4e9"),
    "margin_added": ("margin added", "#009e73"),
    "waiting": ("called, still waiting", "#9aa4b5"),
    "other": ("other", "#d9dee7"),
}
PRICE_BINS = 60


def applies(market: MarketFrames) -> bool:
    """True where a cascade has a snapshot of positions before it."""
    return not why_nothing(market)


def why_nothing(market: MarketFrames) -> str:
    """Why there is nothing to draw; empty where there is."""
    if missing := market.not_recorded("liquidations"):
        return f"forced orders: {missing}"
    if not market.positions:
        return "the run recorded no positions"
    if len(market.forced_fills) == 0:
        return "nobody was closed by force in this run: there is no cascade"
    if not map_forecasts(market, most=1):
        return "no positions were recorded before the cascade; run with a shorter record.positions_every"
    return ""


def draw(market: MarketFrames, figure: "Figure") -> None:
    """The mark through the clusters; forced notional by price, forecast and filled; fates of the clusters reached."""
    ((path, levels, fates),) = panels.panels(figure, (1.0,), widths=(2.2, 1.7, 2.2), column_gap_inches=0.22)
    if why := why_nothing(market):
        panels.heading(figure, "Forecast against realised", f"Nothing to compare: {why}.")
        for axis in (path, levels, fates):
            axis.set_axis_off()
        return
    (seen,) = map_forecasts(market, most=1)
    low, high = _window(seen)
    side = 1 if seen.mark - seen.mark_low >= seen.mark_high - seen.mark else -1
    _path(path, market, seen)
    _levels(levels, market, seen, side, np.linspace(low, high, PRICE_BINS + 1))
    _fates(fates, [each for each in seen.outcomes if each.due > 0 and each.side == side])
    path.set_ylim(low, high)
    panels.price_axis(path)
    levels.set_ylim(low, high)
    levels.tick_params(labelleft=False)
    panels.heading(
        figure,
        "Forecast against realised: the largest cascade",
        f"Map of {formats.clock(seen.snapshot_s)}, before {formats.clock(seen.start_s)} - {formats.clock(seen.end_s)}: "
        f"the mark reached {formats.short_number(seen.total('due'))}, "
        f"{formats.short_number(seen.total('forced'))} of it ended by force.",
    )


def _window(seen: MapForecast) -> tuple[float, float]:
    room = 0.25 * max(seen.mark_high - seen.mark_low, 0.01 * seen.mark)
    return seen.mark_low - room, seen.mark_high + room


def _path(axis: "Axes", market: MarketFrames, seen: MapForecast) -> None:
    series = market.series
    inside = (series["time_s"] >= seen.snapshot_s) & (series["time_s"] <= seen.end_s)
    largest = max((each.mass for each in seen.outcomes if each.cluster is not None), default=1.0)
    for each in seen.outcomes:
        if each.cluster is not None:
            axis.axhspan(
                *sorted((each.cluster.price_near, each.cluster.price_far)),
                color=theme.FORCED_SELL if each.side > 0 else theme.FORCED_BUY,
                alpha=0.06 + 0.34 * each.mass / largest,
                linewidth=0,
            )
    axis.plot(series["time_s"][inside], series["mark"][inside], color=theme.MARK, linewidth=1.4)
    axis.axvline(seen.start_s, color=theme.MUTED, linewidth=0.8, linestyle=(0, (3, 3)))
    panels.time_axis((axis,), seen.snapshot_s, seen.end_s)
    panels.panel_label(axis, "Mark; shaded: clusters of the map, darker = larger")


def _levels(axis: "Axes", market: MarketFrames, seen: MapForecast, side: int, edges: Floats) -> None:
    held = positions_at(market, seen.snapshot_s)
    own = held.waiting & (held.side == side)
    forecast = np.histogram(held.liquidation_price[own], edges, weights=held.forced[own])[0]
    forced = market.forced_fills
    fills: Fills = forced.select(
        (forced.time_s > seen.snapshot_s) & (forced.time_s <= seen.end_s) & (forced.side == -side)
    )
    engine = fills.select(fills.cause == Cause.LIQUIDATION)
    fund = fills.select(fills.cause == Cause.TAKEOVER)
    sold = np.histogram(engine.price, edges, weights=engine.notional)[0]
    unwound = np.histogram(fund.price, edges, weights=fund.notional)[0]
    for values, base, colour, name in (
        (sold, np.zeros_like(sold), FATES["sold"][1], "liquidation orders"),
        (sold + unwound, sold, FATES["taken_over"][1], "the fund, unwinding"),
    ):
        axis.stairs(
            values, edges, baseline=base, orientation="horizontal", fill=True, color=colour, linewidth=0, label=name
        )
    axis.stairs(forecast, edges, orientation="horizontal", color=theme.INK, linewidth=1.1, label="waiting, by level")
    axis.set_xlim(left=0)
    axis.xaxis.set_major_formatter(lambda value, _: formats.short_number(value))
    axis.locator_params(axis="x", nbins=4)
    panels.panel_label(axis, "Forecast and filled, by price")
    axis.legend(loc="lower right", fontsize=8)


def _fates(axis: "Axes", outcomes: list[ClusterOutcome]) -> None:
    """A bar a cluster, its length what was due, in the order of the price path."""
    ordered = sorted(outcomes, key=lambda each: (each.cluster is None, each.cluster.near if each.cluster else 0.0))
    for row, each in enumerate(ordered):
        left = 0.0
        for name, (_, colour) in FATES.items():
            width = getattr(each, name)
            axis.barh(row, width, left=left, height=0.62, color=colour, linewidth=0)
            left += width
        place = (
            "between clusters"
            if each.cluster is None
            else f"{formats.price(each.cluster.price)} ({formats.percent(each.cluster.distance, 1)})"
        )
        axis.text(0, row - 0.40, f"{place}: {formats.percent(each.hit_share, 0)} reached", fontsize=8.5, va="bottom")
    axis.set_ylim(len(ordered) - 0.4, -0.85)
    axis.set_yticks([])
    axis.grid(axis="y", visible=False)
    axis.xaxis.set_major_formatter(lambda value, _: formats.short_number(value))
    axis.locator_params(axis="x", nbins=4)
    used = [name for name in FATES if any(getattr(each, name) > 0.002 * each.due for each in ordered)]
    assert set(WAYS) < set(FATES), "every way to end has a colour"
    for name in used:
        axis.barh(0, 0, color=FATES[name][1], label=FATES[name][0])
    axis.legend(loc="lower right", fontsize=8)
    panels.panel_label(axis, "How what was reached ended, notional at the levels")
