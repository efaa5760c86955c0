"""What every phase diagram shares: its table, where the half lies, layout, colours."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.presentation import theme
from marginquake.analysis.studies.sweeps.axis_layout import Cells, cells
from marginquake.analysis.studies.sweeps.load import SweepData, pooled
from marginquake.sim.core.typing import Floats, Ints
from marginquake.sim.runs.sweep_plan import Axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap, Normalize
    from matplotlib.figure import Figure


HALF = 0.5


@final
@dataclass(frozen=True)
class PhaseTable:
    """Outcomes on a grid; every table is (rows of y, columns of x).

    `median`: of the metric over all runs of the cell (seeds, and further axes if there are any), NaN where there is
    none.  `runs` finished, `events` among them.
    """

    x: Cells
    y: Cells
    median: Floats
    runs: Ints
    events: Ints

    @property
    def share(self) -> Floats:
        """P(event), NaN in cells without a finished run."""
        return np.where(self.runs > 0, self.events / np.maximum(self.runs, 1), np.nan)


def phase_table(sweep: SweepData, x: Axis, y: Axis, metric: str) -> PhaseTable:
    """Pool the runs of a grid by two numeric axes."""
    across, up = sweep.levels(x), sweep.levels(y)
    found = [[pooled(sweep, metric, sweep.rows({x.name: left, y.name: high})) for left in across] for high in up]
    return PhaseTable(
        x=cells(x, [float(value) for value in across]),
        y=cells(y, [float(value) for value in up]),
        median=np.array([[cell.median for cell in row] for row in found]),
        runs=np.array([[cell.runs for cell in row] for row in found], np.int64),
        events=np.array([[cell.events for cell in row] for row in found], np.int64),
    )


def half_contour(x: Floats, y: Floats, share: Floats) -> list[Floats]:
    """Lines on which a share (rows of y, columns of x) is one half, linear between centres; each (n, 2).

    Empty where the line does not exist: fewer than two rows or columns, or the share on one side of a half throughout.
    Nothing is drawn through cells without a share.
    """
    known = share[np.isfinite(share)]
    if min(share.shape) < 2 or len(known) == 0 or not known.min() < HALF < known.max():
        return []
    from contourpy import LineType, contour_generator

    generator = contour_generator(x, y, np.ma.masked_invalid(share), line_type=LineType.Separate)
    return [np.asarray(line, np.float64) for line in generator.lines(HALF) if len(line) > 1]


MEDIAN_ANCHORS = ("#fcfbf2", "#dbe7c4", "#a5d0b5", "#5fb0ad", "#2f86a0", "#27578a", "#2b2a63")
"""Cream to navy: lightness falls all the way."""


SHARE_ANCHORS = ("#2166ac", "#67a9cf", "#cfe2ee", "#f7f7f5", "#fbd9b5", "#ef9c4c", "#b35806")
"""Blue (never) over white (half of the runs) to orange (always): differs for every common colour blindness."""


SHARE_ENDS = (0.0, 1.0)


LEFT, RIGHT, TOP, BOTTOM = 0.95, 0.75, 1.34, 0.72


BETWEEN_COLUMNS, BETWEEN_ROWS = 1.5, 1.05


BAR_GAP, BAR_WIDTH = 0.10, 0.13


def colours(anchors: Sequence[str]) -> "Colormap":
    """A colour map through `anchors`, on paper."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("sweep", list(anchors)).with_extremes(bad=theme.PAPER)


def boxes(figure: "Figure", stacked: bool) -> list[tuple["Axes", "Axes"]]:
    """Two panels with a colour bar each, side by side or one above the other."""
    width, height = figure.get_size_inches()
    bar = BAR_GAP + BAR_WIDTH
    if stacked:
        wide, tall = width - LEFT - RIGHT - bar, (height - TOP - BOTTOM - BETWEEN_ROWS) / 2
        corners = [(LEFT, BOTTOM + tall + BETWEEN_ROWS), (LEFT, BOTTOM)]
    else:
        wide, tall = (width - LEFT - RIGHT - 2 * bar - BETWEEN_COLUMNS) / 2, height - TOP - BOTTOM
        corners = [(LEFT, BOTTOM), (LEFT + wide + bar + BETWEEN_COLUMNS, BOTTOM)]
    return [
        (
            figure.add_axes((left / width, low / height, wide / width, tall / height)),
            figure.add_axes(((left + wide + BAR_GAP) / width, low / height, BAR_WIDTH / width, tall / height)),
        )
        for left, low in corners
    ]


def colour_bar(panel: "Axes", bar: "Axes", painted: Any) -> None:
    """Draw the colour bar of a mesh or scatter beside its panel."""
    figure = panel.figure
    drawn = figure.colorbar(painted, cax=bar)
    outline: Any = drawn.outline  # Any: matplotlib types it as what is drawn on
    outline.set_visible(False)
    bar.tick_params(length=0)
    bar.yaxis.set_major_formatter(lambda value, _: formats.short_number(value))
    bar.locator_params(axis="y", nbins=6)
    bar.grid(False)
    for edge in panel.spines.values():
        edge.set_visible(False)


def half_line(panel: "Axes", line: Floats) -> None:
    """Draw one piece of the line P = 0.5."""
    panel.plot(line[:, 0], line[:, 1], color="white", linewidth=4.0, zorder=4, alpha=0.85)
    panel.plot(line[:, 0], line[:, 1], color=theme.INK, linewidth=1.8, zorder=5)


def between(ends: tuple[float, float]) -> "Normalize":
    """From values between `ends` to colours."""
    from matplotlib.colors import Normalize

    return Normalize(*ends)


def value_range(values: Floats) -> tuple[float, float]:
    """Least and largest known value; never of no width."""
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    return (low, high) if high > low else (low - 0.5 * (abs(low) or 1.0), high + 0.5 * (abs(high) or 1.0))
