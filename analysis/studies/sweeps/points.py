"""One row a point: for policies and other lists, which lie along no axis."""

from typing import TYPE_CHECKING

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.presentation import panels, theme
from marginquake.analysis.statistics.intervals import wilson
from marginquake.analysis.studies.sweeps.axis_layout import shape
from marginquake.analysis.studies.sweeps.captions import clipped, event_words, runs_words, short, value_texts
from marginquake.analysis.studies.sweeps.fan import quantiles
from marginquake.analysis.studies.sweeps.load import SweepData, by_point

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_POINTS = 40


def why_not(sweep: SweepData) -> str | None:
    """Why points are not drawn as rows; None where they are."""
    if shape(sweep) != "list" and len(sweep.numeric_axes) > 0:
        return "rows of points are for lists and for axes of words"
    if len(sweep.points) > MOST_POINTS:
        return f"rows of points are for at most {MOST_POINTS} of them"
    return None


def height_inches(sweep: SweepData) -> float:
    """Height of the figure: one row a point."""
    return panels.TOP_INCHES + panels.BOTTOM_INCHES + 0.25 + max(0.36 * len(sweep.points), 1.2)


def point_names(sweep: SweepData) -> dict[int, str]:
    """Every point by the values that tell it from others."""
    telling = [axis for axis in sweep.axes if len(sweep.levels(axis)) > 1] or list(sweep.axes)
    texts = {axis.name: dict(zip(sweep.levels(axis), value_texts(sweep.levels(axis)), strict=True)) for axis in telling}
    single = len(telling) == 1

    def name(values: dict[str, str]) -> str:
        words = {axis.name: short(axis.label) for axis in telling}
        return next(iter(values.values())) if single else ", ".join(f"{words[k]} {v}" for k, v in values.items())

    return {
        point.point: clipped(name({axis.name: texts[axis.name][point.values[axis.name]] for axis in telling}), 56)
        for point in sweep.points
    }


def draw(sweep: SweepData, metric: str, figure: "Figure") -> None:
    """Median, middle half and middle nine tenths of the metric; the share of the event at the right."""
    described, names = sweep.described(metric), point_names(sweep)
    outcomes = by_point(sweep, metric)
    left = float(np.clip(0.4 + 0.075 * max(map(len, names.values())), 1.0, 4.5))
    ((values, shares),) = panels.panels(figure, (1.0,), widths=(1.7, 1.0), left_inches=left, column_gap_inches=0.35)
    places = np.arange(len(sweep.points), dtype=np.float64)[::-1]
    for place, found in zip(places, outcomes.values(), strict=True):
        if not found.runs:
            values.text(0.01, place, "no finished run", va="center", fontsize=9, color=theme.MUTED,
                        transform=values.get_yaxis_transform())  # fmt: skip
            continue
        low, lower, middle, upper, high = quantiles(found.values) * described.unit.scale
        values.plot([low, high], [place, place], color=theme.BID, alpha=0.35, linewidth=3, solid_capstyle="butt")
        values.plot([lower, upper], [place, place], color=theme.BID, alpha=0.75, linewidth=8, solid_capstyle="butt")
        values.scatter([middle], [place], 42, color=theme.INK, edgecolors="white", linewidths=1.0, zorder=5)
        share, least, most = wilson(found.events, found.runs)
        shares.plot([least, most], [place, place], color=theme.ASK, linewidth=2.0)
        shares.scatter([share], [place], 42, color=theme.ASK, edgecolors="white", linewidths=1.0, zorder=5)
    values.set_yticks(places, list(names.values()), fontsize=9.5, color=theme.INK)
    shares.set_yticks(places, [])
    for panel in (values, shares):
        panel.set_ylim(-0.7, len(sweep.points) - 0.3)
        panel.grid(False, axis="y")
        panel.spines["left"].set_visible(False)
    values.margins(x=0.05)
    values.xaxis.set_major_formatter(lambda value, _: formats.short_number(value))
    shares.set_xlim(-0.03, 1.03)
    shares.axvline(0.5, color=theme.MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    panels.x_label(values, described.title)
    panels.x_label(shares, "share of runs, 95 % Wilson interval")
    panels.panel_label(values, "Median (dot), 25-75 % (thick), 5-95 % (thin) over seeds")
    panels.panel_label(shares, f"P({event_words(sweep)})")
    panels.heading(
        figure, clipped("Points by " + ", ".join(short(axis.label) for axis in sweep.axes)), f"{runs_words(sweep)}."
    )
