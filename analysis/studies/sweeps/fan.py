"""Fan chart: how the spread of a metric over seeds, and P(event), change along one axis."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.measures.summary_metrics import SummaryMetric
from marginquake.analysis.presentation import panels, theme
from marginquake.analysis.statistics.intervals import wilson
from marginquake.analysis.studies.sweeps.axis_layout import label_levels, limits, shape
from marginquake.analysis.studies.sweeps.captions import clipped, event_words, runs_words, short, value_texts
from marginquake.analysis.studies.sweeps.load import PooledRuns, SweepData, Value, pooled
from marginquake.sim.core.typing import Floats
from marginquake.sim.runs.sweep_plan import Axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_FANS = 6
HEIGHT_INCHES = 6.6
TITLE_INCHES = 0.115
"""Width of a character above a fan."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def why_not(sweep: SweepData) -> str | None:
    """Why there is no fan chart of this sweep; None where there is one."""
    if not sweep.numeric_axes:
        return "a fan chart needs an axis of numbers"
    if shape(sweep) in ("scattered", "list"):
        return "a fan chart needs one axis, axes that move together, or a grid"
    if len(sweep.levels(sweep.numeric_axes[0])) < 2:
        return "a fan chart needs at least two values on its axis"
    return None


def second_axis(sweep: SweepData) -> Axis | None:
    """The axis that tells the fans apart: the next one of a grid."""
    others = [axis for axis in sweep.axes if axis != sweep.numeric_axes[0] and len(sweep.levels(axis)) > 1]
    return others[0] if others and shape(sweep) == "grid" else None


def quantiles(values: Floats) -> Floats:
    """The five quantiles of a fan; NaN without values."""
    return np.quantile(values, QUANTILES) if len(values) else np.full(len(QUANTILES), np.nan)


def spread_over(values: Sequence[Value], most: int = MOST_FANS) -> list[Value]:
    """At most `most` of the values, evenly spread, first and last included."""
    if len(values) <= most:
        return list(values)
    return [values[round(place)] for place in np.linspace(0, len(values) - 1, most)]


def draw(sweep: SweepData, metric: str, figure: "Figure") -> None:
    """Fans above, shares below, one column for each value of the second axis."""
    axis, second = sweep.numeric_axes[0], second_axis(sweep)
    described = sweep.described(metric)
    levels = [float(value) for value in sweep.levels(axis)]
    every = sweep.levels(second) if second else []
    fans: list[dict[str, Value]] = [{second.name: value} for value in spread_over(every)] if second else [{}]
    above, below = panels.panels(
        figure, (1.7, 1.0), widths=(1.0,) * len(fans), gap_inches=0.5, column_gap_inches=0.22, left_inches=1.0
    )
    ends = limits(axis, np.array(levels))
    names = value_texts([next(iter(fan.values())) for fan in fans]) if second else []
    for column, (fan, upper, lower) in enumerate(zip(fans, above, below, strict=True)):
        outcomes = [pooled(sweep, metric, sweep.rows({**fan, axis.name: level})) for level in levels]
        _fan(upper, np.array(levels), outcomes, described)
        _shares(lower, np.array(levels), outcomes)
        for panel in (upper, lower):
            label_levels(panel, axis, levels, ends)
            panel.tick_params(labelleft=column == 0)
        upper.tick_params(labelbottom=False)
        if second:
            fits = int(upper.get_position().width * figure.get_figwidth() / TITLE_INCHES)
            upper.set_title(clipped(names[column], fits), loc="center", fontsize=10.5, fontweight="bold", pad=5)
    _same_height(above)
    height = float(figure.get_size_inches()[1])
    above[0].set_ylabel(textwrap.fill(described.title, 36))
    panels.panel_label(below[0], f"P({event_words(sweep)}), with 95 % Wilson intervals")
    _legend(figure)
    figure.text(
        0.5 * (above[0].get_position().x0 + above[-1].get_position().x1), 0.17 / height,
        f"{axis.label} (log)" if axis.scale == "log" else axis.label,
        ha="center", va="center", fontsize=9.5, color=theme.MUTED,
    )  # fmt: skip
    panels.heading(figure, clipped(_title(axis, second)), f"{runs_words(sweep)}.{_notes(sweep, axis, second, every)}")


def _title(axis: Axis, second: Axis | None) -> str:
    return f"Along {short(axis.label)}" + (f", by {short(second.label)}" if second else "")


def _notes(sweep: SweepData, axis: Axis, second: Axis | None, every: Sequence[Value]) -> str:
    notes = f"  Columns: {second.label}." if second else ""
    if len(every) > MOST_FANS:
        notes = f"{notes[:-1]}, {MOST_FANS} of {len(every)} values."
    rest = [short(other.label) for other in sweep.axes if other not in (axis, second) and len(sweep.levels(other)) > 1]
    if not rest:
        return notes
    if shape(sweep) == "line":
        return f"{notes}  {', '.join(rest)} {'moves' if len(rest) == 1 else 'move'} along."
    return f"{notes}  Pooled over {', '.join(rest)}, as if runs were independent."


def _fan(panel: "Axes", levels: Floats, outcomes: Sequence[PooledRuns], described: SummaryMetric) -> None:
    bands = np.array([quantiles(one.values) for one in outcomes]) * described.unit.scale
    panel.fill_between(levels, bands[:, 0], bands[:, 4], color=theme.BID, alpha=0.16, linewidth=0)
    panel.fill_between(levels, bands[:, 1], bands[:, 3], color=theme.BID, alpha=0.34, linewidth=0)
    panel.plot(levels, bands[:, 2], color=theme.INK, linewidth=1.8, marker="o", markersize=4.5)
    panel.yaxis.set_major_formatter(lambda value, _: formats.short_number(value))


def _shares(panel: "Axes", levels: Floats, outcomes: Sequence[PooledRuns]) -> None:
    shares = np.array([tuple(wilson(one.events, one.runs)) for one in outcomes])
    known = np.isfinite(shares[:, 0])
    estimate, low, high = shares[known].T
    panel.axhline(0.5, color=theme.MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    panel.plot(levels[known], estimate, color=theme.ASK, linewidth=1.3)
    panel.errorbar(
        levels[known], estimate, yerr=(np.maximum(estimate - low, 0), np.maximum(high - estimate, 0)), fmt="o",
        markersize=5, color=theme.ASK, ecolor=theme.ASK, elinewidth=1.3, capsize=3,
    )  # fmt: skip
    panel.set_ylim(-0.04, 1.04)
    panel.set_yticks([0.0, 0.25, 0.5, 0.75, 1.0])


def _same_height(fans: Sequence["Axes"]) -> None:
    """One scale for all fans."""
    ends = [panel.get_ylim() for panel in fans]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    for panel in fans:
        panel.set_ylim(low, high)


def _legend(figure: "Figure") -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    height = float(figure.get_size_inches()[1])
    handles = [
        Line2D([], [], color=theme.INK, linewidth=1.8, marker="o", markersize=4.5, label="median over seeds"),
        Patch(color=theme.BID, alpha=0.48, linewidth=0, label="25-75 %"),
        Patch(color=theme.BID, alpha=0.16, linewidth=0, label="5-95 %"),
    ]
    figure.legend(handles=handles, loc="center right", ncols=3, bbox_to_anchor=(1 - 0.34 / 12, 1 - 0.76 / height))
