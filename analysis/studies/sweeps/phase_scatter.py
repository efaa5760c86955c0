"""Phase diagram of scattered points: dots coloured by value, P(event) smoothed between them."""

from typing import TYPE_CHECKING

import numpy as np

from marginquake.analysis.measures.summary_metrics import SummaryMetric
from marginquake.analysis.presentation import panels, theme
from marginquake.analysis.statistics.regression import fit_surface
from marginquake.analysis.studies.sweeps.axis_layout import limits, number_axis, scaled, unscaled
from marginquake.analysis.studies.sweeps.captions import event_words
from marginquake.analysis.studies.sweeps.load import SweepData, by_point
from marginquake.analysis.studies.sweeps.phase_frame import (
    HALF,
    MEDIAN_ANCHORS,
    SHARE_ANCHORS,
    SHARE_ENDS,
    between,
    boxes,
    colour_bar,
    colours,
    half_contour,
    half_line,
    value_range,
)
from marginquake.sim.runs.sweep_plan import Axis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SURFACE = 160
"""Cells a side of the smoothed surface."""


def draw_scattered(sweep: SweepData, x: Axis, y: Axis, described: SummaryMetric, figure: "Figure") -> str:
    """Points coloured by value; behind P(event) a logistic surface fitted to all runs."""
    outcomes = list(by_point(sweep, described.key).values())
    places = {axis.name: np.array([float(point.values[axis.name]) for point in sweep.points]) for axis in (x, y)}
    runs = np.array([one.runs for one in outcomes], np.float64)
    events = np.array([one.events for one in outcomes], np.float64)
    median = np.array([one.median for one in outcomes]) * described.unit.scale
    done = runs > 0
    (left, left_bar), (right, right_bar) = boxes(figure, stacked=False)
    across, up = limits(x, places[x.name]), limits(y, places[y.name])
    size = float(np.clip(2600 / len(sweep.points), 14, 90))
    share = np.where(done, events / np.maximum(runs, 1), np.nan)
    surface = fit_surface(scaled(x, places[x.name])[done], scaled(y, places[y.name])[done], events[done], runs[done])
    grid_x, grid_y = (
        np.linspace(float(ends[0]), float(ends[1]), SURFACE)
        for ends in (scaled(x, np.array(across)), scaled(y, np.array(up)))
    )
    chance = surface.at(*np.meshgrid(grid_x, grid_y))
    lines = half_contour(grid_x, grid_y, chance)
    right.pcolormesh(
        unscaled(x, grid_x), unscaled(y, grid_y), chance, cmap=colours(SHARE_ANCHORS), norm=between(SHARE_ENDS),
        alpha=0.7, shading="nearest", linewidth=0,
    )  # fmt: skip
    for panel, bar, values, ends, anchors in (
        (left, left_bar, median, value_range(median), MEDIAN_ANCHORS),
        (right, right_bar, share, SHARE_ENDS, SHARE_ANCHORS),
    ):
        panel.grid(False)
        number_axis(panel, x, "x", *across)
        number_axis(panel, y, "y", *up)
        known = np.isfinite(values)
        drawn = panel.scatter(
            places[x.name][known], places[y.name][known], size, values[known], cmap=colours(anchors),
            norm=between(ends), edgecolors=theme.INK, linewidths=0.6, zorder=6,
        )  # fmt: skip
        panel.scatter(
            places[x.name][~done], places[y.name][~done], size, marker="x", color=theme.MUTED, linewidths=1.0, zorder=6
        )
        colour_bar(panel, bar, drawn)
        for line in lines:
            shown = np.column_stack([unscaled(x, line[:, 0]), unscaled(y, line[:, 1])])
            half_line(panel, shown)
    panels.panel_label(left, f"Median of {described.title}")
    panels.panel_label(right, f"P({event_words(sweep)})")
    parts = [
        "Dots: points of the design.  Shading: logistic regression of the event on both axes, squares and product."
    ]
    parts += [f"Line: P = {HALF:g} of it."] if lines else []
    parts += ["Crosses: no finished run."] if not done.all() else []
    return "  ".join(parts)
