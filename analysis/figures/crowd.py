"""Who holds what, and how levered: the cycle of leverage rebuilt in calm and destroyed in falls."""

from typing import TYPE_CHECKING

import numpy as np

from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.presentation import panels, theme
from marginquake.analysis.statistics.market_quality import returns_of
from marginquake.sim.core.typing import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEAST_SHARE = 0.02
"""Populations that never hold this share of open interest are not drawn."""

LEAST_HOURS = 6.0


def applies(market: MarketFrames) -> bool:
    """True for runs long enough for leverage to build."""
    time_s = market.run["time_s"]
    return len(time_s) > 1 and float(time_s[-1] - time_s[0]) >= LEAST_HOURS * 3600


def draw(market: MarketFrames, figure: "Figure") -> None:
    """Price; longs of each population; their notional over their equity; volatility with margin calls."""
    (top,), (held,), (levered,), (storm,) = panels.panels(figure, (1.5, 1.6, 1.6, 1.2), gap_inches=0.40)
    run = market.run
    time_s = run["time_s"]
    first_s, last_s = float(time_s[0]), float(time_s[-1])
    tables = {name: table for name, table in market.populations.items() if len(table["time_s"])}
    if not tables:
        panels.nothing(top, "this run did not record its populations")
        return
    top.plot(time_s, run["fundamental"], color=theme.FUNDAMENTAL, linewidth=0.9, linestyle=(0, (4, 2)),
             label="fundamental")  # fmt: skip
    top.plot(time_s, run["last"], color=theme.LAST, linewidth=0.9, label="last")
    panels.price_axis(top)
    panels.panel_label(top, "Price, quote units")
    most = max(float(np.max(table["long_notional"])) for table in tables.values())
    shown = [name for name, table in tables.items() if float(np.max(table["long_notional"])) > LEAST_SHARE * most]
    colours = theme.population_colours(list(tables))
    for name in shown:
        table = tables[name]
        live = table["time_s"] > 0
        held.plot(table["time_s"][live], table["long_notional"][live], color=colours[name], linewidth=1.3, label=name)
        equity = table["equity"][live]
        gross = table["long_notional"][live] + table["short_notional"][live]
        ratio = np.where(equity > 0, gross / np.where(equity > 0, equity, 1.0), np.nan)
        levered.plot(table["time_s"][live], ratio, color=colours[name], linewidth=1.3)
    panels.money_axis(held)
    panels.panel_label(held, "Longs of each population, quote notional")
    panels.legend_above(held)
    levered.set_ylim(bottom=0)
    panels.panel_label(levered, "Positions over equity of all its accounts, open or flat")
    _storms(market, storm, time_s)
    panels.time_axis((top, held, levered, storm), first_s, last_s)
    panels.heading(
        figure,
        "Who holds what, and how levered",
        "Leverage builds while nothing happens; a fall takes it away. Margin calls below, with volatility.",
    )


def _storms(market: MarketFrames, axis: "Axes", time_s: Floats) -> None:
    """Margin calls per bin as bars, and hourly realised volatility (per year) as a line on its own scale."""
    edges = panels.time_bins(float(time_s[0]), float(time_s[-1]), 120)
    calls, _ = np.histogram(time_s, bins=edges, weights=market.run["margin_calls"])
    axis.bar(edges[:-1], calls, width=np.diff(edges), align="edge", color=theme.FORCED_SELL, linewidth=0)
    axis.locator_params(axis="y", nbins=4)
    twin = axis.twinx()
    price = market.run["last"]
    minutes = np.arange(time_s[0], time_s[-1], 60.0)
    known = np.isfinite(price)
    if known.sum() > 2 and len(minutes) > 62:
        returns = returns_of(np.interp(minutes, time_s[known], price[known]))
        hourly = np.sqrt(np.convolve(returns**2, np.ones(60) / 60, mode="valid") * 525_600)
        twin.plot(minutes[60:], hourly[: len(minutes) - 60], color=theme.INK, linewidth=0.9)
        twin.set_ylim(bottom=0)
        twin.grid(False)
    panels.panel_label(axis, "Margin calls (bars, left); volatility of the past hour, per year (line, right)")
