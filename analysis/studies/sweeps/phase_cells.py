"""Phase diagram of a grid: one cell a pair of values, with its number and interval in it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from marginquake.analysis.measures.summary_metrics import SummaryMetric
from marginquake.analysis.presentation import panels, theme
from marginquake.analysis.statistics.intervals import wilson
from marginquake.analysis.studies.sweeps.axis_layout import label_cells
from marginquake.analysis.studies.sweeps.captions import event_words
from marginquake.analysis.studies.sweeps.load import SweepData
from marginquake.analysis.studies.sweeps.phase_frame import (
    MEDIAN_ANCHORS,
    SHARE_ANCHORS,
    SHARE_ENDS,
    PhaseTable,
    between,
    boxes,
    colour_bar,
    colours,
    half_contour,
    half_line,
    phase_table,
    value_range,
)
from marginquake.sim.core.typing import Floats
from marginquake.sim.runs.sweep_plan import Axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE_BY_SIDE = 7
"""Grids with more columns than this get their two panels one above the other."""
FONT_SIZES = (10.0, 9.0, 8.0, 7.0)
NO_INTERVAL = 2
"""Which of the texts of a cell has no interval."""


def draw_cells(sweep: SweepData, x: Axis, y: Axis, described: SummaryMetric, figure: "Figure") -> str:
    """Draw both panels; returns what the small print has to say of them."""
    table = phase_table(sweep, x, y, described.key)
    stacked = len(table.x.values) > SIDE_BY_SIDE
    (left, left_bar), (right, right_bar) = boxes(figure, stacked)
    for panel in (left, right):
        room = panel.get_position().size * figure.get_size_inches()
        label_cells(panel, x, table.x, "x", float(room[0]))
        label_cells(panel, y, table.y, "y", float(room[1]))
        panel.grid(False)
    medians = table.median * described.unit.scale
    texts: list[list[tuple[str, ...]]] = [
        [() if np.isnan(value) else (described.number(value),) for value in row] for row in table.median.tolist()
    ]
    ends = value_range(medians)
    _paint(left, left_bar, table, medians, ends, MEDIAN_ANCHORS)
    said = _write(left, table, texts, medians, ends, MEDIAN_ANCHORS)
    panels.panel_label(left, f"Median of {described.title}")
    _paint(right, right_bar, table, table.share, SHARE_ENDS, SHARE_ANCHORS)
    full = _write(right, table, _share_texts(table), table.share, SHARE_ENDS, SHARE_ANCHORS)
    lines = half_contour(table.x.positions, table.y.positions, table.share)
    for line in lines:
        half_line(right, line)
        half_line(left, line)
    panels.panel_label(right, f"P({event_words(sweep)})")
    parts = ["Numbers: table of the report."]
    if said == 0 and full >= 0:
        parts = ["Intervals: table of the report." if full == NO_INTERVAL else "In brackets: 95 % Wilson intervals."]
    parts += ["Line: P = 0.5, linear between cells."] if lines else []
    parts += ["Hatched: no finished run."] if (table.runs == 0).any() else []
    return "  ".join(parts)


def _share_texts(table: PhaseTable) -> list[list[tuple[str, ...]]]:
    """What a cell says of P(event): with its interval, or without where there is no room."""
    rows = []
    for events, runs in zip(table.events.tolist(), table.runs.tolist(), strict=True):
        row: list[tuple[str, ...]] = []
        for happened, of in zip(events, runs, strict=True):
            if of == 0:
                row.append(())
                continue
            share, low, high = wilson(happened, of)
            row.append((f"{share:.2f}\n[{low:.2f}, {high:.2f}]", f"{share:.2f}\n[{low:.2f},\n{high:.2f}]",
                        f"{share:.2f}"))  # fmt: skip
        rows.append(row)
    return rows


def _paint(
    panel: "Axes", bar: "Axes", table: PhaseTable, values: Floats, ends: tuple[float, float], anchors: Sequence[str]
) -> None:
    """Fill the cells, hatch those without a finished run, draw the colour bar."""
    from matplotlib.patches import Rectangle

    shown = np.ma.masked_invalid(values)
    mesh = panel.pcolormesh(
        table.x.edges,
        table.y.edges,
        shown,
        cmap=colours(anchors),
        norm=between(ends),
        edgecolors="white",
        linewidth=1.2,
    )
    for row, column in np.argwhere(table.runs == 0):
        corner = float(table.x.edges[column]), float(table.y.edges[row])
        size = float(table.x.edges[column + 1]) - corner[0], float(table.y.edges[row + 1]) - corner[1]
        panel.add_patch(Rectangle(corner, *size, facecolor=theme.GRID, edgecolor=theme.MUTED, hatch="///", linewidth=0))
    colour_bar(panel, bar, mesh)


def _write(
    panel: "Axes",
    table: PhaseTable,
    texts: list[list[tuple[str, ...]]],
    values: Floats,
    ends: tuple[float, float],
    anchors: Sequence[str],
) -> int:
    """Write into every cell the fullest of its texts that fits in all cells; which one, or -1 where none does."""
    from matplotlib.patheffects import withStroke

    wide, tall = _smallest_cell(panel, table)
    cells = [cell for row in texts for cell in row if cell]
    fit = next(
        (
            (choice, size)
            for choice in range(max(map(len, cells), default=0))
            for size in FONT_SIZES
            if all(_fits(cell[choice], size, wide, tall) for cell in cells)
        ),
        None,
    )
    if fit is None:
        return -1
    norm, chart = between(ends), colours(anchors)
    x, y = (0.5 * (edges[1:] + edges[:-1]) for edges in (table.x.edges, table.y.edges))
    for row, column in np.ndindex(*values.shape):
        cell = texts[row][column]
        if cell:
            below = chart(norm(float(values[row, column])))
            # The halo keeps a number readable where the half line runs through it.
            panel.text(
                float(x[column]), float(y[row]), cell[fit[0]], ha="center", va="center", fontsize=fit[1],
                linespacing=1.2, zorder=6, color="white" if _is_dark(below) else theme.INK,
                path_effects=[withStroke(linewidth=3.0, foreground=below)],
            )  # fmt: skip
    return fit[0]


def _smallest_cell(panel: "Axes", table: PhaseTable) -> tuple[float, float]:
    """Width and height of the smallest cell, points."""
    room = panel.get_position().size * panel.figure.get_size_inches() * 72.0  # type: ignore[union-attr]
    wide = np.diff(table.x.edges).min() / (table.x.edges[-1] - table.x.edges[0]) * room[0]
    tall = np.diff(table.y.edges).min() / (table.y.edges[-1] - table.y.edges[0]) * room[1]
    return float(wide), float(tall)


def _fits(text: str, size: float, wide: float, tall: float) -> bool:
    """True if a text of this font size leaves some air in a cell; a character is 0.6 of the size wide on average."""
    lines = text.split("\n")
    return max(map(len, lines)) * 0.60 * size <= 0.96 * wide and len(lines) * 1.25 * size <= 0.92 * tall


def _is_dark(colour: tuple[float, float, float, float]) -> bool:
    red, green, blue, _ = colour
    return 0.299 * red + 0.587 * green + 0.114 * blue < 0.52
