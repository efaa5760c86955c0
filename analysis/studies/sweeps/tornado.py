"""Tornado: how far each axis moves the median of a metric between its ends."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.measures.summary_metrics import SummaryMetric
from marginquake.analysis.presentation import panels, theme
from marginquake.analysis.statistics.estimate import Estimate
from marginquake.analysis.statistics.intervals import LEAST_VALUES, interval_over_seeds
from marginquake.analysis.studies.sweeps.axis_layout import shape
from marginquake.analysis.studies.sweeps.captions import clipped, runs_words, value_texts
from marginquake.analysis.studies.sweeps.load import SweepData, Value
from marginquake.sim.core.typing import Floats, Ints
from marginquake.sim.runs.sweep_plan import Axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RESAMPLES = 1000
LEAST_SCATTERED = 8
TABLE_INCHES, GAP_INCHES = 3.6, 0.2
LABEL_CHARACTERS = 40


@final
@dataclass(frozen=True)
class AxisSwing:
    """Change of the median between the ends of one axis, in the metric's own unit.

    `low` and `high`: the two ends as text.  `change`: median at `high` less median at `low`, with its interval over
    seeds; both medians are over the same seeds, and on a grid over the same values of the other axes.
    """

    axis: Axis
    low: str
    high: str
    at_low: float
    at_high: float
    change: Estimate


def why_not(sweep: SweepData) -> str | None:
    """Why there is no tornado of this sweep; None where there is one."""
    if sum(len(sweep.levels(axis)) > 1 for axis in sweep.axes) < 2:
        return "a tornado compares two or more axes"
    if shape(sweep) in ("line", "list"):
        return "a tornado needs axes that vary apart from each other: a grid, or points scattered over ranges"
    if shape(sweep) == "scattered" and len(set(sweep.table["point"].tolist())) < LEAST_SCATTERED:
        return f"a tornado of scattered points needs {LEAST_SCATTERED} of them finished"
    return None


def height_inches(sweep: SweepData) -> float:
    """Height of the figure: one bar an axis."""
    return panels.TOP_INCHES + panels.BOTTOM_INCHES + 0.2 + 0.66 * max(len(sweep.axes), 2)


def swings(sweep: SweepData, metric: str) -> list[AxisSwing]:
    """One swing for each axis that varies, largest first.

    On a grid from the lowest value to the highest, words in the order of the design, the others pooled.  Of scattered
    points from the quarter with the lowest values to the quarter with the highest; words again from first to last.
    """
    found = []
    for axis in sweep.axes:
        if len(sweep.levels(axis)) < 2:
            continue
        groups, names = _ends(sweep, axis)
        tables = [_by_seed(sweep, metric, points) for points in groups]
        if shape(sweep) == "grid":
            tables = _complete_pairs(*tables)
        at_low, at_high = (_median(table) for table in tables)
        found.append(AxisSwing(axis, names[0], names[1], at_low, at_high, _interval(tables[0], tables[1])))
    return sorted(found, key=lambda swing: -abs(swing.change.value) if np.isfinite(swing.change.value) else 1.0)


def draw(sweep: SweepData, metric: str, figure: "Figure") -> None:
    """Bars from no change, intervals on them, medians at both ends beside them."""
    described = sweep.described(metric)
    found = swings(sweep, metric)
    labels = [_label(swing) for swing in found]
    longest = max(len(line) for label in labels for line in label.split("\n"))
    left = 0.4 + 0.085 * max(longest, 12)
    inside = float(figure.get_figwidth()) - left - panels.RIGHT_INCHES - GAP_INCHES
    ((panel, table),) = panels.panels(
        figure, (1.0,), widths=(inside - TABLE_INCHES, TABLE_INCHES), left_inches=left, column_gap_inches=GAP_INCHES
    )
    table.set_axis_off()
    places = np.arange(len(found), dtype=np.float64)[::-1]
    changes = np.array([tuple(swing.change) for swing in found]) * described.unit.scale
    size = np.where(np.isfinite(changes[:, 0]), changes[:, 0], 0.0)
    panel.barh(places, size, 0.56, linewidth=0, color=[theme.ASK if change > 0 else theme.BID for change in size])
    known = np.isfinite(changes[:, 1])
    reach = np.abs(changes[known, 1:] - changes[known, :1]).T
    panel.errorbar(changes[known, 0], places[known], xerr=reach, fmt="none", ecolor=theme.INK, elinewidth=1.5,
                   capsize=4)  # fmt: skip
    panel.axvline(0, color=theme.MUTED, linewidth=0.9)
    panel.set_yticks(places, labels, fontsize=9.5, color=theme.INK)
    panel.set_ylim(-0.6, len(found) - 0.4)
    panel.grid(False, axis="y")
    panel.spines["left"].set_visible(False)
    panel.margins(x=0.06)
    if not changes[np.isfinite(changes)].any():
        panel.set_xlim(-1.0, 1.0)
    panel.locator_params(axis="x", nbins=6)
    panel.xaxis.set_major_formatter(lambda value, _: formats.short_number(value))
    unit = "percentage points" if described.unit.axis == "%" else described.unit.axis
    panels.x_label(panel, "change of the median" + (f", {unit}" if unit else ""))
    none = "" if known.any() else f" (none below {LEAST_VALUES} seeds)"
    panels.panel_label(panel, f"Whiskers: 95 % bootstrap over seeds{none}")
    _numbers(table, places, found, described)
    panels.heading(figure, clipped(f"What moves the {described.label}"), f"{runs_words(sweep)}.  {_how(sweep)}")


def _label(swing: AxisSwing) -> str:
    """Axis and ends, the second end on a line of its own where both are long."""
    low, high = clipped(swing.low, LABEL_CHARACTERS - 2), clipped(swing.high, LABEL_CHARACTERS)
    between = " → " if len(low) + len(high) + 3 <= LABEL_CHARACTERS else " →\n"
    return f"{clipped(swing.axis.label, LABEL_CHARACTERS)}\n{low}{between}{high}"


def _numbers(table: "Axes", places: Floats, found: list[AxisSwing], described: SummaryMetric) -> None:
    table.set_ylim(-0.6, len(found) - 0.4)
    table.set_xlim(0, 1)
    for x, head in ((0.40, "median"), (1.0, "change [95 %]")):
        table.text(x, len(found) - 0.4, head, ha="right", va="bottom", fontsize=9, color=theme.MUTED)
    for place, swing in zip(places, found, strict=True):
        change, low, high = (described.number(value) for value in swing.change)
        interval = "" if np.isnan(swing.change.low) else f" [{low}, {high}]"
        sign = "+" if swing.change.value > 0 else ""
        for x, text in (
            (0.40, f"{described.number(swing.at_low)} → {described.number(swing.at_high)}"),
            (1.0, f"{sign}{change}{interval}"),
        ):
            table.text(x, place, text, ha="right", va="center", fontsize=9.5)


def _how(sweep: SweepData) -> str:
    if shape(sweep) == "grid":
        return "Between the ends of each axis, the others pooled; same seeds at both ends."
    return "From the lowest quarter of each axis to the highest; same seeds at both ends."


def _ends(sweep: SweepData, axis: Axis) -> tuple[tuple[list[int], list[int]], tuple[str, str]]:
    """Points at either end of an axis, and what the ends are called."""
    levels = sweep.levels(axis)

    def at(values: list[Value]) -> list[int]:
        return [point.point for point in sweep.points if point.values[axis.name] in values]

    if shape(sweep) == "grid" or axis not in sweep.numeric_axes:
        first, last = value_texts([levels[0], levels[-1]])
        return (at(levels[:1]), at(levels[-1:])), (first, last)
    values = np.array([float(point.values[axis.name]) for point in sweep.points])
    low, high = np.quantile(values, (0.25, 0.75))
    below, above = value_texts([float(low), float(high)])
    return (
        ([p.point for p, value in zip(sweep.points, values, strict=True) if value <= low],
         [p.point for p, value in zip(sweep.points, values, strict=True) if value >= high]),
        (f"≤ {below}", f"≥ {above}"),
    )  # fmt: skip


def _by_seed(sweep: SweepData, metric: str, points: list[int]) -> Floats:
    """The metric of every seed (rows) at every one of these points (columns), in their order; NaN where none is."""
    table = np.full((len(sweep.seeds), len(points)), np.nan)
    row = {seed: number for number, seed in enumerate(sweep.seeds)}
    column = {point: number for number, point in enumerate(points)}
    values = sweep.metric(metric)
    for point, seed, value in zip(sweep.table["point"].tolist(), sweep.table["seed"].tolist(), values, strict=True):
        if point in column and seed in row:
            table[row[seed], column[point]] = value
    return table


def _complete_pairs(low: Floats, high: Floats) -> list[Floats]:
    """Only what finished at both ends counts: columns of the two tables are the same values of the other axes."""
    both = np.isfinite(low) & np.isfinite(high)
    return [np.where(both, low, np.nan), np.where(both, high, np.nan)]


def _median(table: Floats) -> float:
    known = table[np.isfinite(table)]
    return float(np.median(known)) if len(known) else float("nan")


def _interval(low: Floats, high: Floats) -> Estimate:
    """Difference of medians; seeds are drawn again, the same ones at both ends."""
    estimate = _median(high) - _median(low)
    alive = np.isfinite(low).any(axis=1) & np.isfinite(high).any(axis=1)
    low, high = low[alive], high[alive]

    def change(picks: Ints) -> Floats:
        return np.array([_median(high[pick]) - _median(low[pick]) for pick in picks])

    return Estimate(estimate, *interval_over_seeds(len(low), change, resamples=RESAMPLES))
