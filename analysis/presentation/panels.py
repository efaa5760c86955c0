"""What all figures share: panels with fixed margins, time axes, headings, bubbles.

Margins are set in inches by hand: matplotlib's layout engines cost a third of a second a figure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from marginquake.analysis import formats
from marginquake.analysis.frames.market import FaultSpan, Fills
from marginquake.analysis.presentation import theme
from marginquake.sim.core.typing import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure


LEFT_INCHES, RIGHT_INCHES, TOP_INCHES, BOTTOM_INCHES = 0.82, 0.34, 1.10, 0.58
MOST_BUBBLES = 180
"""Only the largest cells of forced fills are drawn, so that the price stays visible behind them."""
TIME_STEPS_S = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 14_400, 21_600, 43_200, 86_400, 172_800,
    604_800,
)  # fmt: skip


def panels(
    figure: "Figure", heights: Sequence[float], *, widths: Sequence[float] = (1.0,), gap_inches: float = 0.28,
    column_gap_inches: float = 0.1, right_inches: float = RIGHT_INCHES, left_inches: float = LEFT_INCHES,
) -> list[list["Axes"]]:  # fmt: skip
    """Rows of axes with relative `heights` (and columns of relative `widths`) below the heading.

    Axes of a row share y only if the caller says so; axes of a column share x.
    """
    width, height = figure.get_size_inches()
    inner_width = width - left_inches - right_inches - column_gap_inches * (len(widths) - 1)
    inner_height = height - TOP_INCHES - BOTTOM_INCHES - gap_inches * (len(heights) - 1)
    rows: list[list[Axes]] = []
    top = height - TOP_INCHES
    for row, share in enumerate(heights):
        tall = inner_height * share / sum(heights)
        left = left_inches
        axes: list[Axes] = []
        for column, part in enumerate(widths):
            wide = inner_width * part / sum(widths)
            box = (left / width, (top - tall) / height, wide / width, tall / height)
            axes.append(figure.add_axes(box, sharex=rows[0][column] if row else None))
            left += wide + column_gap_inches
        rows.append(axes)
        top -= tall + gap_inches
    return rows


def heading(figure: "Figure", title: str, subtitle: str, colour: str = theme.MUTED) -> None:
    """Title and one plain line below it, at the top left."""
    width, height = figure.get_size_inches()
    left = 0.22 / width
    figure.text(left, 1 - 0.34 / height, title, fontsize=15, fontweight="bold", va="center")
    figure.text(left, 1 - 0.64 / height, subtitle, fontsize=10, color=colour, va="center")


def time_axis(axes: Sequence["Axes"], first_s: float, last_s: float) -> None:
    """Round times on the lowest of stacked axes; the others keep the grid and lose the labels."""
    span = max(last_s - first_s, 1.0)
    step = next((step for step in TIME_STEPS_S if span / step <= 10), TIME_STEPS_S[-1])
    ticks = np.arange(np.ceil(first_s / step) * step, last_s + 1e-9, step)
    for axis in axes:
        axis.set_xlim(first_s, max(last_s, first_s + 1.0))
        axis.set_xticks(ticks)
        axis.tick_params(labelbottom=False)
        axis.set_xlabel("")
    axes[-1].set_xticks(ticks, [formats.clock(float(tick)) for tick in ticks])
    axes[-1].tick_params(labelbottom=True)
    unit = "h:min:s" if last_s >= 3600 else "min:s"
    x_label(axes[-1], f"simulated time ({unit})")


def x_label(axis: "Axes", text: str) -> None:
    """Label of x at a fixed distance below the axis: finding a free place measures every tick label."""
    height = axis.get_position().height * axis.figure.bbox.height / theme.DPI
    axis.set_xlabel(text, va="center")
    axis.xaxis.set_label_coords(0.5, -0.40 / height)


def money_axis(axis: "Axes") -> None:
    """Label y in k, M, B, with as many digits as tell neighbouring labels apart."""

    def text(value: float, _: object) -> str:
        low, high = axis.get_ylim()
        largest, span = max(abs(low), abs(high)), abs(high - low)
        digits = 3 if span <= 0 or largest <= 0 else max(3, int(np.ceil(np.log10(largest / span))) + 2)
        return formats.short_number(value, min(digits, 9))

    axis.yaxis.set_major_formatter(text)


def price_axis(axis: "Axes") -> None:
    """Label y with whole prices, thousands separated, decimals only where a price needs them."""

    def text(value: float, _: object) -> str:
        low, high = axis.get_ylim()
        span = abs(high - low)
        decimals = 0 if span >= 8 else int(np.ceil(-np.log10(span / 8))) if span > 0 else 2
        return f"{value:,.{max(decimals, 0)}f}"

    axis.yaxis.set_major_formatter(text)


def shade_faults(axes: "Sequence[Axes]", faults: Sequence[FaultSpan], first_s: float, last_s: float) -> None:
    """Grey wherever a fault of the venue lasts; the first axes name them in their legend."""
    named: set[str] = set()
    for fault in faults:
        start, end = max(fault.start_s, first_s), min(fault.end_s, last_s)
        if start >= end:
            continue
        for place, axis in enumerate(axes):
            label = fault.type.replace("_", " ") if place == 0 and fault.type not in named else None
            named.add(fault.type)
            axis.axvspan(start, end, color=theme.MUTED, alpha=0.16, linewidth=0, zorder=0.5, label=label)


def legend_above(axis: "Axes", columns: int = 8) -> None:
    """Legend in one line just above the axes, at the right; none where nothing is named."""
    if axis.get_legend_handles_labels()[0]:
        axis.legend(loc="lower right", bbox_to_anchor=(1.0, 1.005), ncols=columns, markerscale=1.0)


def panel_label(axis: "Axes", text: str) -> None:
    """What a panel shows and in which unit, above its left corner."""
    axis.set_title(text, loc="left", pad=5, fontsize=9.5)


def time_bins(first_s: float, last_s: float, count: int) -> Floats:
    """Edges of about `count` equal bins of a round number of seconds."""
    span = max(last_s - first_s, 1.0)
    width = next((step for step in TIME_STEPS_S if span / step <= count), span / count)
    bins = max(int(np.ceil((last_s - first_s) / width)), 1)
    return first_s + width * np.arange(bins + 1, dtype=np.float64)


def signed_flow(
    axis: "Axes", edges: Floats, time_s: Floats, notional: Floats, side: NDArray[np.int64], buy: str, sell: str
) -> None:
    """Notional per time bin: buys upwards, sells downwards.  One outline a side: a bar each would cost milliseconds."""
    for direction, colour in ((1, buy), (-1, sell)):
        chosen = side == direction
        volume = np.histogram(time_s[chosen], edges, weights=notional[chosen])[0]
        axis.stairs(direction * volume, edges, fill=True, color=colour, linewidth=0)
    axis.axhline(0, color=theme.MUTED, linewidth=0.6)
    axis.yaxis.set_major_formatter(lambda value, _: formats.short_number(abs(value)))
    axis.locator_params(axis="y", nbins=4)


@final
@dataclass(frozen=True)
class Flow:
    """Amounts at moments for `stacked_flow`: notional, `side` +1 for purchases; 0 or -1 counts as sales."""

    label: str
    colour: str
    time_s: Floats
    notional: Floats
    side: NDArray[np.int64]


def stacked_flow(axis: "Axes", edges: Floats, flows: Sequence[Flow]) -> None:
    """Notional per time bin, one colour a flow, upon each other: purchases upwards, sales downwards.

    The legend, above the right corner, has the sum of each; flows of nothing are left out.
    """
    for direction in (1, -1):
        below = np.zeros(len(edges) - 1)
        for flow in flows:
            chosen = flow.side > 0 if direction > 0 else flow.side <= 0
            volume = direction * np.histogram(flow.time_s[chosen], edges, weights=flow.notional[chosen])[0]
            axis.stairs(below + volume, edges, baseline=below, fill=True, color=flow.colour, linewidth=0)
            below = below + volume
    for flow in flows:
        if total := float(flow.notional.sum()):
            axis.plot([], [], color=flow.colour, linewidth=5, label=f"{flow.label} {formats.short_number(total)}")
    axis.axhline(0, color=theme.MUTED, linewidth=0.6)
    axis.yaxis.set_major_formatter(lambda value, _: formats.short_number(abs(value)))
    axis.locator_params(axis="y", nbins=4)
    if axis.get_legend_handles_labels()[1]:
        axis.legend(loc="lower right", bbox_to_anchor=(1.0, 0.985), ncols=len(flows), handlelength=0.9)


def bubble_area(notional: Floats, largest: float, points: float = 420.0) -> Floats:
    """Marker areas (points squared): area in proportion to notional, the largest `points`, none invisible."""
    return np.asarray(np.maximum(points * notional / max(largest, 1e-12), 5.0), np.float64)


def gather(
    time_s: Floats, price: Floats, notional: Floats, time_width: float, price_width: float
) -> tuple[Floats, Floats, Floats]:
    """Join points that would lie on each other: one point a cell, at the notional-weighted centre, biggest first."""
    if len(time_s) == 0:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    column = np.floor(time_s / max(time_width, 1e-9)).astype(np.int64)
    row = np.floor(price / max(price_width, 1e-9)).astype(np.int64)
    _, cell = np.unique(np.stack([column, row]), axis=1, return_inverse=True)
    cell = cell.ravel()
    total = np.asarray(np.bincount(cell, notional), np.float64)
    weight = np.maximum(total, 1e-12)
    where = np.bincount(cell, notional * time_s) / weight, np.bincount(cell, notional * price) / weight
    order = np.argsort(-total)
    return where[0][order], where[1][order], total[order]


def gather_by_side(fills: Fills, time_width: float, price_width: float) -> dict[int, tuple[Floats, Floats, Floats]]:
    """Fills since the end of the warm-up joined by `gather`: sold (-1) and bought (1)."""
    live = fills.select(fills.time_s >= 0)
    sides = {side: live.select(live.side == side) for side in (-1, 1)}
    return {side: gather(own.time_s, own.price, own.notional, time_width, price_width) for side, own in sides.items()}


def colour_map(name: str, anchors: Sequence[str]) -> "Colormap":
    """A colour map through `anchors`; cells without a value take the colour of the night background."""
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list(name, list(anchors))
    return colours.with_extremes(bad=theme.NIGHT, under=anchors[0])


def price_window(
    path: Floats, edges: Floats, room_fraction: float = 0.45, least_fraction: float = 0.02
) -> tuple[float, float]:
    """Prices to show around a path, inside the map: `room_fraction` of its height on either side, and at least
    `least_fraction` of the price.  The whole map where the path does not touch it.
    """
    known = path[np.isfinite(path)]
    first, last = float(edges[0]), float(edges[-1])
    if not len(known):
        return first, last
    low, high = float(known.min()), float(known.max())
    room = max(room_fraction * (high - low), least_fraction * 0.5 * (high + low))
    low, high = max(low - room, first), min(high + room, last)
    return (low, high) if low < high else (first, last)


def nothing(axis: "Axes", text: str) -> None:
    """Say plainly that there is nothing to draw."""
    axis.text(
        0.5, 0.5, text, transform=axis.transAxes, ha="center", va="center", color=theme.MUTED, fontsize=10, zorder=5,
        bbox={"facecolor": axis.get_facecolor(), "linewidth": 0, "pad": 4},
    )  # fmt: skip
