"""Returns: their path, their distribution against the normal, and their memory."""

from typing import TYPE_CHECKING

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.presentation import panels, theme
from marginquake.analysis.statistics.estimate import all_alike
from marginquake.analysis.statistics.market_quality import (
    autocorrelation,
    excess_kurtosis,
    log_returns,
    realised_volatility,
)
from marginquake.sim.core.typing import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FASTEST_S, SLOW_S = 1.0, 60.0
LEAST_RETURNS = 20


def draw(market: MarketFrames, figure: "Figure") -> None:
    """Returns over time above; distribution and autocorrelation below."""
    run = market.run
    time_s, price = run["time_s"], run["mid"]
    # Never finer than the series: between its rows the price would stand still.
    fast_s = max(FASTEST_S, float(np.median(np.diff(time_s)))) if len(time_s) > 1 else FASTEST_S
    short = formats.duration(fast_s)
    fast, slow = log_returns(time_s, price, fast_s), log_returns(time_s, price, SLOW_S)
    ((path,),) = panels.panels(figure, (1.0,))
    box = path.get_position()
    path.set_position((box.x0, box.y0 + 0.62 * box.height, box.width, 0.38 * box.height))
    lower = box.y0, 0.47 * box.height
    spread = figure.add_axes((box.x0, lower[0], 0.465 * box.width, lower[1]))
    memory = figure.add_axes((box.x0 + 0.545 * box.width, lower[0], 0.455 * box.width, lower[1]))

    grid_s = float(time_s[0]) + fast_s * np.arange(1, len(fast) + 1)
    path.plot(grid_s, fast * 1e4, color=theme.BID, linewidth=0.6)
    path.axhline(0, color=theme.MUTED, linewidth=0.6)
    panels.panel_label(path, f"Returns of mid over {short}, basis points")
    panels.time_axis((path,), float(time_s[0]), float(time_s[-1]))
    path.set_xlabel("")
    _distribution(spread, fast, slow, short)
    _memory(memory, fast, fast_s)
    one, sixty = realised_volatility(time_s, price, fast_s), realised_volatility(time_s, price, SLOW_S)
    panels.heading(
        figure,
        "Returns",
        f"Volatility per year {formats.percent(one, 0)} by returns over {short}, {formats.percent(sixty, 0)} by "
        f"1 min.  "
        f"Excess kurtosis {excess_kurtosis(fast):.1f} at {short}, {excess_kurtosis(slow):.1f} at 1 min (normal: 0).",
    )


def _distribution(axis: "Axes", fast: Floats, slow: Floats, short: str) -> None:
    x = np.linspace(-8, 8, 400)
    axis.plot(x, np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi), color=theme.MUTED, linewidth=1.1, linestyle=(0, (4, 2)),
              label="normal")  # fmt: skip
    floor = 1e-3
    for returns, colour, marker, label in (
        (fast, theme.BID, "o", short),
        (slow, theme.ASK, "s", "1 min"),
    ):
        deviation = float(returns.std()) if len(returns) else 0.0
        if len(returns) < LEAST_RETURNS or all_alike(returns):
            continue
        scaled = np.clip(returns / deviation, -8, 8)
        counts, edges = np.histogram(scaled, 41 if len(returns) > 500 else 17, (-8.2, 8.2))
        density = counts / (counts.sum() * np.diff(edges))
        centers = 0.5 * (edges[1:] + edges[:-1])
        filled = counts > 0
        axis.plot(centers[filled], density[filled], marker, color=colour, markersize=4.5, alpha=0.85, label=label)
        floor = min(floor, float(density[filled].min()) / 2)
    axis.set_yscale("log")
    axis.set_ylim(floor, 3)
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.minorticks_off()
    axis.set_xlim(-8.4, 8.4)
    panels.x_label(axis, "return in standard deviations (beyond 8: in the last bin)")
    panels.panel_label(axis, "Density, logarithmic")
    axis.legend(loc="upper right")


def _memory(axis: "Axes", returns: Floats, every_s: float) -> None:
    lags = min(300, len(returns) // 4)
    if lags < 2:
        panels.nothing(axis, "too few returns")
        return
    # Single lags at first, then means over bands of lags of equal width on the logarithmic axis.
    bands = np.unique(np.round(np.geomspace(1, lags + 1, 40)).astype(np.int64))
    x = every_s * np.sqrt(bands[:-1] * (bands[1:] - 1.0))
    band = 1.96 / np.sqrt(len(returns))
    axis.axhspan(-band, band, color=theme.GRID, linewidth=0)
    axis.axhline(0, color=theme.MUTED, linewidth=0.6)
    for values, colour, label in ((np.abs(returns), theme.ASK, "size, |r|"), (returns, theme.BID, "return, r")):
        memory = autocorrelation(values, lags)
        means = np.add.reduceat(memory, bands[:-1] - 1) / np.diff(bands)
        axis.plot(x, means, color=colour, linewidth=1.4, marker="o", markersize=3, label=label)
    axis.set_xscale("log")
    axis.set_xlim(every_s, every_s * lags)
    axis.minorticks_off()
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    panels.x_label(axis, "lag, s (means over bands of lags)")
    panels.panel_label(
        axis, f"Autocorrelation of returns over {formats.duration(every_s)} (grey: 95 % band, no memory)"
    )
    axis.legend(loc="upper right")
