"""A grid of two axes as tables, and the line on which the event happens in half of the runs."""

from typing import TYPE_CHECKING

import numpy as np

from marginquake.analysis.presentation import panels, theme
from marginquake.analysis.studies.sweeps.axis_layout import shape
from marginquake.analysis.studies.sweeps.captions import clipped, runs_words, short
from marginquake.analysis.studies.sweeps.load import SweepData
from marginquake.analysis.studies.sweeps.phase_cells import SIDE_BY_SIDE, draw_cells
from marginquake.analysis.studies.sweeps.phase_frame import BETWEEN_ROWS, BOTTOM, TOP
from marginquake.analysis.studies.sweeps.phase_scatter import draw_scattered

if TYPE_CHECKING:
    from matplotlib.figure import Figure


LEAST_SCATTERED = 8
SCATTERED_INCHES = 6.3
ROW_INCHES, LEAST_PANEL_INCHES, MOST_PANEL_INCHES = 0.62, 3.0, 7.5


def why_not(sweep: SweepData) -> str | None:
    """Why there is no phase diagram of this sweep; None where there is one."""
    axes = sweep.numeric_axes
    if len(axes) < 2:
        return "a phase diagram needs two axes of numbers"
    if shape(sweep) in ("line", "list"):
        return "a phase diagram needs a grid, or points scattered over ranges"
    if min(len(sweep.levels(axis)) for axis in axes[:2]) < 2:
        return "a phase diagram needs at least two values on either axis"
    if shape(sweep) == "scattered" and len(np.unique(sweep.table["point"])) < LEAST_SCATTERED:
        return f"a phase diagram of scattered points needs {LEAST_SCATTERED} of them finished"
    return None


def height_inches(sweep: SweepData) -> float:
    """Height of the figure: cells stay tall enough for three lines of text."""
    if shape(sweep) == "scattered":
        return SCATTERED_INCHES
    x, y = sweep.numeric_axes[:2]
    rows, columns = len(sweep.levels(y)), len(sweep.levels(x))
    panel = min(max(ROW_INCHES * rows, LEAST_PANEL_INCHES), MOST_PANEL_INCHES)
    return TOP + BOTTOM + (panel if columns <= SIDE_BY_SIDE else 2 * panel + BETWEEN_ROWS)


def draw(sweep: SweepData, metric: str, figure: "Figure") -> None:
    """Two panels over the first two numeric axes; further axes are pooled."""
    x, y = sweep.numeric_axes[:2]
    described = sweep.described(metric)
    if shape(sweep) == "scattered":
        how = draw_scattered(sweep, x, y, described, figure)
    else:
        how = draw_cells(sweep, x, y, described, figure)
    pooled = [axis.label for axis in sweep.axes if axis not in (x, y)]
    also = f"  Pooled over {', '.join(map(short, pooled))}, as if runs were independent." if pooled else ""
    panels.heading(
        figure, clipped(f"Phase diagram: {short(x.label)} and {short(y.label)}"), f"{runs_words(sweep)}.{also}"
    )
    width, height = figure.get_size_inches()
    figure.text(0.22 / width, 1 - 0.88 / height, how, fontsize=10, color=theme.MUTED, va="center")
