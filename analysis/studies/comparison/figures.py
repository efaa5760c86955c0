"""Pictures and tables of comparisons: effects of each alternative, and means over seeds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.measures.summary_metrics import SummaryMetric
from marginquake.analysis.presentation import panels, theme
from marginquake.analysis.statistics.intervals import bootstrap_interval
from marginquake.analysis.studies.comparison.load import Comparison
from marginquake.analysis.studies.comparison.verdict import Finding, Meaning, Pair, compare
from marginquake.sim.core.typing import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


FALL: Final = "max_drawdown_fraction"
WIDEST_REACH: Final = 4.0
"""Standard deviations shown at most; what lies beyond is an arrow at the edge."""
COLOURS: Final = {
    Meaning.BETTER: theme.BID,
    Meaning.WORSE: theme.FORCED_SELL,
    Meaning.CHANGED: theme.INK,
    Meaning.UNDECIDED: "#9aa4b5",
    Meaning.IDENTICAL: "#9aa4b5",
}
LEGEND: Final = {
    Meaning.BETTER: "better",
    Meaning.WORSE: "worse",
    Meaning.CHANGED: "changed",
    Meaning.UNDECIDED: "no detectable difference",
}
PANELS_IN_A_ROW: Final = 4
ROW_INCHES: Final = 0.27


def forest_height_inches(pairs: Sequence[Pair]) -> float:
    """Height that gives every metric a line."""
    rows = math.ceil(len(pairs) / PANELS_IN_A_ROW)
    return 1.75 + rows * (ROW_INCHES * max(len(pair.findings) for pair in pairs) + 0.45)


def draw_forest(pairs: Sequence[Pair], figure: "Figure") -> None:
    """Paired differences over their standard deviation (d_z) with 95 % intervals, one panel an alternative."""
    columns = min(len(pairs), PANELS_IN_A_ROW)
    rows = math.ceil(len(pairs) / columns)
    grid = panels.panels(
        figure, (1.0,) * rows, widths=(1.0,) * columns, gap_inches=0.45, column_gap_inches=0.25, left_inches=2.55
    )
    labels = list(dict.fromkeys(finding.metric.short for pair in pairs for finding in pair.findings))
    reach = _reach(pairs)
    axes = [axis for row in grid for axis in row]
    for axis in axes[len(pairs) :]:
        axis.set_axis_off()
    for place, (axis, pair) in enumerate(zip(axes, pairs, strict=False)):
        _forest_panel(axis, pair, labels, reach)
        axis.tick_params(labelleft=place % columns == 0, labelbottom=True)
    for axis in grid[-1]:
        if axis.axison:
            panels.x_label(axis, "difference, standard deviations")
    _effects_legend(figure)
    panels.heading(
        figure,
        "What each rule changes",
        f"Paired by seed, against {pairs[0].baseline}",
    )


def draw_falls(comparison: Comparison, figure: "Figure") -> None:
    """The largest fall of every seed under every alternative, joined by a line, with the means.

    Intervals are those of the paired differences, as text: intervals of the means would overlap and mislead.
    """
    metric = comparison.described(FALL)
    falls = np.array([comparison.values[name][FALL] for name in comparison.alternatives]) * metric.unit.scale
    ((axis,),) = panels.panels(figure, (1.0,))
    places = np.arange(len(falls), dtype=np.float64)
    axis.plot(places, falls, color=theme.LAST, linewidth=0.8, alpha=0.7, marker="o", markersize=2.6)
    means = np.array([row.mean() for row in falls])
    axis.plot(places, means, "D-", color=theme.INK, linewidth=2.0, markersize=8, markeredgecolor="white", zorder=5,
              label="mean over seeds")  # fmt: skip
    axis.set_xlim(-0.4, len(falls) - 0.6)
    axis.set_xticks(places, [f"{name}\n{text}" for name, text in _differences(comparison, FALL).items()], fontsize=10)
    axis.grid(False, axis="x")
    panels.panel_label(axis, f"{metric.short}, {metric.unit.level}; one line a seed")
    panels.legend_above(axis)
    panels.heading(
        figure,
        "The same seeds under each rule",
        f"Below each name: mean paired difference against {comparison.baseline} and its 95 % interval",
    )


def _differences(comparison: Comparison, key: str) -> dict[str, str]:
    """The paired difference from the baseline of every alternative, as its verdict has it; '' for the baseline."""
    found = {
        pair.alternative: finding.difference
        for pair in compare(comparison)
        for finding in pair.findings
        if finding.metric.key == key
    }
    return {name: found.get(name, "") for name in comparison.alternatives}


def _forest_panel(axis: "Axes", pair: Pair, labels: Sequence[str], reach: float) -> None:
    axis.axvline(0, color=theme.MUTED, linewidth=0.9)
    for finding in pair.findings:
        _forest_row(axis, finding, float(len(labels) - 1 - labels.index(finding.metric.short)), reach)
    axis.set_xlim(-reach * 1.08, reach * 1.08)
    axis.set_ylim(-0.6, len(labels) - 0.4)
    axis.set_yticks(np.arange(len(labels))[::-1], labels, fontsize=9.5, color=theme.INK)
    axis.spines["left"].set_visible(False)
    axis.grid(True, axis="both")
    panels.panel_label(axis, pair.alternative)


def _forest_row(axis: "Axes", finding: Finding, y: float, reach: float) -> None:
    colour = COLOURS[finding.effect]
    found = finding.paired
    if finding.effect is Meaning.IDENTICAL:
        axis.text(0.03 * reach, y, "identical", fontsize=8, color=theme.MUTED, va="center")
        axis.scatter([0.0], [y], 14, color=colour, zorder=4)
        return
    if math.isnan(found.d_z):
        axis.text(0.03 * reach, y, "one seed", fontsize=8, color=theme.MUTED, va="center")
        return
    face = colour if finding.effect is not Meaning.UNDECIDED else axis.get_facecolor()
    if abs(found.d_z) > reach:
        edge = math.copysign(reach, found.d_z)
        axis.scatter([edge], [y], 52, marker=">" if edge > 0 else "<", color=colour, facecolors=face, zorder=5)
        text = "every seed alike" if math.isinf(found.d_z) else f"{found.d_z:+.1f}"
        axis.text(edge * 0.94, y, text, ha="right" if edge > 0 else "left", va="center", fontsize=8, color=colour)
        return
    if not math.isnan(found.low):
        deviation = found.mean / found.d_z if found.d_z else math.inf
        span = np.clip(np.array([found.low, found.high]) / deviation, -reach, reach)
        axis.plot(span, [y, y], color=colour, linewidth=1.6, solid_capstyle="butt", zorder=3)
    axis.scatter([found.d_z], [y], 40, color=colour, facecolors=face, linewidths=1.4, zorder=5)


def _reach(pairs: Sequence[Pair]) -> float:
    """Half width of the panels: what is there, between 0.5 and `WIDEST_REACH`."""
    sizes = [abs(finding.paired.d_z) for pair in pairs for finding in pair.findings]
    seen = [size for size in sizes if math.isfinite(size)]
    return min(max(1.4 * max(seen, default=0.0), 0.5), WIDEST_REACH)


def _effects_legend(figure: "Figure") -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [], [], marker="o", linestyle="", color=COLOURS[effect], label=LEGEND[effect],
            markerfacecolor=COLOURS[effect] if effect is not Meaning.UNDECIDED else theme.PAPER,
        )
        for effect in LEGEND
    ]  # fmt: skip
    width, height = figure.get_size_inches()
    figure.legend(
        handles=handles, loc="upper right", ncols=len(LEGEND), bbox_to_anchor=(1 - 0.3 / width, 1 - 0.48 / height)
    )


SHOWN: Final = ("max_drawdown_fraction", "forced_notional", "bad_debt", "adl_notional", "socialised_loss")
"""Drawdown, forced volume, and who paid: bad debt, auto-deleveraging, a haircut of winners."""


@final
@dataclass(frozen=True)
class Level:
    """One metric under one alternative, in the metric's own unit: mean and 95 % interval over seeds, each seed's value.

    `difference`: paired, from the baseline, in words; empty for the baseline itself.
    """

    alternative: str
    mean: float
    low: float
    high: float
    values: Floats
    difference: str


def levels(comparison: Comparison, key: str) -> list[Level]:
    """The metric of this key under every alternative, in their order; NaN where no seed can answer."""
    found = []
    differences = _differences(comparison, key)
    for name in comparison.alternatives:
        values = comparison.values[name][key]
        seen = values[np.isfinite(values)]
        mean = float(seen.mean()) if len(seen) else math.nan
        low, high = bootstrap_interval(seen)
        found.append(Level(name, mean, low, high, values, differences[name]))
    return found


def levels_markdown(comparison: Comparison, keys: Sequence[str] = SHOWN) -> str:
    """A row an alternative: mean with its interval, and below it the paired difference from the baseline."""
    metrics = [comparison.described(key) for key in keys]
    lines = [f"| | {' | '.join(metric.short for metric in metrics)} |", f"|---|{'---|' * len(metrics)}"]
    columns = [levels(comparison, key) for key in keys]
    for name, row in zip(comparison.alternatives, zip(*columns, strict=True), strict=True):
        cells = [_cell(metric, level) for metric, level in zip(metrics, row, strict=True)]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(metric: SummaryMetric, level: Level) -> str:
    text = metric.level(level.mean)
    if not math.isnan(level.low):
        text += f" [{metric.level(level.low)}, {metric.level(level.high)}]"
    return f"{text}<br>{level.difference}" if level.difference else text


def levels_height_inches(comparison: Comparison) -> float:
    """Height that gives every alternative a line."""
    return 2.2 + 0.42 * len(comparison.alternatives)


def draw_levels(comparison: Comparison, figure: "Figure", keys: Sequence[str] = SHOWN) -> None:
    """One panel a metric, one line an alternative: a faint dot a seed, the mean with its interval."""
    (axes,) = panels.panels(
        figure, (1.0,), widths=(1.0,) * len(keys), column_gap_inches=0.3, left_inches=_label_inches(comparison)
    )
    places = np.arange(len(comparison.alternatives), dtype=np.float64)[::-1]
    for number, (axis, key) in enumerate(zip(axes, keys, strict=True)):
        metric = comparison.described(key)
        for place, level in zip(places, levels(comparison, key), strict=True):
            _line(axis, metric, place, level)
        axis.set_ylim(-0.6, len(places) - 0.4)
        axis.set_yticks(places, comparison.alternatives, fontsize=10, color=theme.INK)
        axis.tick_params(labelleft=number == 0)
        axis.spines["left"].set_visible(False)
        low, high = axis.dataLim.intervalx
        if not np.isfinite(low):
            panels.nothing(axis, "not recorded")
            low = high = 0.0
        span = max(high, 0.0) - min(low, 0.0) or 1.0
        axis.set_xlim(min(low, 0.0) - 0.05 * span, max(high, 0.0) + 0.07 * span)
        axis.locator_params(axis="x", nbins=4)
        if metric.unit.money:
            axis.xaxis.set_major_formatter(lambda value, _: formats.short_number(value))
        panels.panel_label(axis, f"{metric.short}, {metric.unit.level}" if metric.unit.level else metric.short)
    panels.heading(
        figure, "What each alternative comes to", "Means over seeds with 95 % intervals; a faint dot is a seed"
    )


def _line(axis: "Axes", metric: SummaryMetric, place: float, level: Level) -> None:
    scale = metric.unit.scale
    seen = level.values[np.isfinite(level.values)] * scale
    axis.plot(seen, np.full(len(seen), place), "o", color=theme.LAST, alpha=0.45, markersize=3.5)
    if not math.isnan(level.low):
        axis.plot([level.low * scale, level.high * scale], [place, place], color=theme.BID, linewidth=3.0, alpha=0.8)
    axis.plot([level.mean * scale], [place], "D", color=theme.INK, markersize=6.5, markeredgecolor="white", zorder=5)


def _label_inches(comparison: Comparison) -> float:
    return 0.5 + 0.09 * max(len(name) for name in comparison.alternatives)
