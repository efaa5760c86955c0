"""Parts that both heat maps share: the image on a logarithmic colour scale, its colour bar, the price profile."""

from typing import TYPE_CHECKING

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.frames.market import LiquidationMap
from marginquake.analysis.presentation import panels, theme
from marginquake.sim.core.typing import Bools, Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

MEDIAN_PLACE = 0.42
"""Where the median of what is shown lies on the colour scale (0..1): low, so that walls stand out from the rest."""


def draw_heat(
    figure: "Figure", axis: "Axes", levels: LiquidationMap, notional: Floats, shown: Bools,
    colours: "Colormap", label: str,
) -> None:  # fmt: skip
    """Notional per price bin over time; the scale ends at the 99.8th percentile of what is shown."""
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import LogLocator

    visible = notional[:, shown]
    positive = visible[visible > 0]
    top = float(np.quantile(positive, 0.998)) if len(positive) else 1.0
    masked = np.ma.masked_less_equal(notional, 0.0)
    middle = float(np.median(positive)) if len(positive) else 0.1
    decades = float(np.clip(np.log10(top / middle) / (1.0 - MEDIAN_PLACE), 1.2, 3.0))
    axis.grid(False)
    image = axis.pcolormesh(
        _edges(levels.time_s), levels.price_edges, masked.T, cmap=colours, norm=LogNorm(top / 10**decades, top),
        rasterized=True, shading="flat",
    )  # fmt: skip
    width = figure.get_size_inches()[0]
    box = axis.get_position()
    bar_axis = figure.add_axes((1 - 0.80 / width, box.y0, 0.13 / width, box.height))
    bar = figure.colorbar(image, cax=bar_axis, extend="neither")
    bar.outline.set_visible(False)
    bar_axis.grid(False)
    bar_axis.yaxis.set_major_formatter(lambda value, _: formats.short_number(value))
    bar_axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 2.5 else (1.0,), numticks=12))
    bar_axis.minorticks_off()
    bar_axis.set_ylabel(label, fontsize=9, va="center")
    bar_axis.yaxis.set_label_coords(1 - 0.17 / width, box.y0 + 0.5 * box.height, figure.transFigure)


def fit(axis: "Axes", low: float, high: float, first_s: float, last_s: float) -> None:
    """Limits and labels of a heat map."""
    axis.set_ylim(low, high)
    panels.price_axis(axis)
    panels.time_axis((axis,), first_s, last_s)
    for spine in axis.spines.values():
        spine.set_visible(False)


def profile_axis(axis: "Axes", beside: "Axes") -> None:
    """An axis for a price profile at the right of a heat map, without labels of its own."""
    axis.sharey(beside)
    axis.grid(False)
    axis.tick_params(labelleft=False, labelbottom=False, bottom=False)
    for spine in axis.spines.values():
        spine.set_visible(False)


def tag(axis: "Axes", profile: "Axes", price: float) -> None:
    """The last price, as a small label at the far side of the profile."""
    for each in (axis, profile):
        each.axhline(price, color="white", linewidth=0.6, linestyle=(0, (2, 3)), alpha=0.6)
    profile.annotate(
        f"{price:,.6g}" if price < 1000 else f"{price:,.0f}", (1.0, price), xycoords=("axes fraction", "data"),
        xytext=(0, 0), textcoords="offset points", ha="right", va="center", fontsize=9, color=theme.NIGHT,
        bbox={"boxstyle": "round,pad=0.25", "facecolor": "white", "linewidth": 0}, zorder=9,
    )  # fmt: skip


def _edges(time_s: Floats) -> Floats:
    """A map taken at t stands until the next one."""
    step = float(np.median(np.diff(time_s))) if len(time_s) > 1 else 1.0
    return np.append(time_s, time_s[-1] + step)
