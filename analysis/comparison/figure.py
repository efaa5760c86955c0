"""Two pictures of a comparison: standardised paired differences of all metrics, and the largest fall seed by seed."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from analysis import style
from analysis.comparison.load import Comparison
from analysis.comparison.metrics import metric_named
from analysis.comparison.statistics import paired
from analysis.comparison.verdict import Finding, Meaning, Pair
from analysis.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FALL: Final = "largest_fall"
WIDEST_REACH: Final = 4.0
"""Standard deviations shown at most; what lies beyond is an arrow at the edge."""
COLOURS: Final = {
    Meaning.BETTER: style.BID,
    Meaning.WORSE: style.FORCED_SELL,
    Meaning.CHANGED: style.INK,
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
    grid = canvas.panels(
        figure, (1.0,) * rows, widths=(1.0,) * columns, gap_inches=0.45, column_gap_inches=0.25, left_inches=2.55
    )
    labels = list(dict.fromkeys(finding.metric.label for pair in pairs for finding in pair.findings))
    reach = _reach(pairs)
    axes = [axis for row in grid for axis in row]
    for axis in axes[len(pairs) :]:
        axis.set_axis_off()
    for place, (axis, pair) in enumerate(zip(axes, pairs, strict=False)):
        _forest_panel(axis, pair, labels, reach)
        axis.tick_params(labelleft=place % columns == 0, labelbottom=True)
    for axis in grid[-1]:
        if axis.axison:
            canvas.x_label(axis, "difference, standard deviations")
    _effects_legend(figure)
    canvas.heading(
        figure,
        "What each rule changes",
        f"Paired by seed, against {pairs[0].baseline}",
    )


def draw_falls(comparison: Comparison, figure: "Figure") -> None:
    """The largest fall of every seed under every alternative, joined by a line, with the means.

    Intervals are those of the paired differences, as text: intervals of the means would overlap and mislead.
    """
    metric = metric_named(FALL)
    falls = np.array([comparison.values[name][FALL] for name in comparison.alternatives]) * metric.unit.scale
    ((axis,),) = canvas.panels(figure, (1.0,))
    places = np.arange(len(falls), dtype=np.float64)
    axis.plot(places, falls, color=style.LAST, linewidth=0.8, alpha=0.7, marker="o", markersize=2.6)
    means = np.array([row.mean() for row in falls])
    axis.plot(places, means, "D-", color=style.INK, linewidth=2.0, markersize=8, markeredgecolor="white", zorder=5,
              label="mean over seeds")  # fmt: skip
    axis.set_xlim(-0.4, len(falls) - 0.6)
    axis.set_xticks(places, [_fall_label(comparison, name) for name in comparison.alternatives], fontsize=10)
    axis.grid(False, axis="x")
    canvas.panel_label(axis, f"{metric.label}, {metric.unit.level}; one line a seed")
    canvas.legend_above(axis)
    canvas.heading(
        figure,
        "The same seeds under each rule",
        f"Below each name: mean paired difference against {comparison.baseline} and its 95 % interval",
    )


def _fall_label(comparison: Comparison, name: str) -> str:
    found = paired(comparison.values[comparison.baseline][FALL], comparison.values[name][FALL])
    if name == comparison.baseline or found is None:
        return f"{name}\n"
    return f"{name}\n{metric_named(FALL).difference(found.mean, found.low, found.high)}"


def _forest_panel(axis: "Axes", pair: Pair, labels: Sequence[str], reach: float) -> None:
    axis.axvline(0, color=style.MUTED, linewidth=0.9)
    for finding in pair.findings:
        _forest_row(axis, finding, float(len(labels) - 1 - labels.index(finding.metric.label)), reach)
    axis.set_xlim(-reach * 1.08, reach * 1.08)
    axis.set_ylim(-0.6, len(labels) - 0.4)
    axis.set_yticks(np.arange(len(labels))[::-1], labels, fontsize=9.5, color=style.INK)
    axis.spines["left"].set_visible(False)
    axis.grid(True, axis="both")
    canvas.panel_label(axis, pair.alternative)


def _forest_row(axis: "Axes", finding: Finding, y: float, reach: float) -> None:
    colour = COLOURS[finding.effect]
    found = finding.paired
    if finding.effect is Meaning.IDENTICAL:
        axis.text(0.03 * reach, y, "identical", fontsize=8, color=style.MUTED, va="center")
        axis.scatter([0.0], [y], 14, color=colour, zorder=4)
        return
    if math.isnan(found.d_z):
        axis.text(0.03 * reach, y, "one seed", fontsize=8, color=style.MUTED, va="center")
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
            markerfacecolor=COLOURS[effect] if effect is not Meaning.UNDECIDED else style.PAPER,
        )
        for effect in LEGEND
    ]  # fmt: skip
    width, height = figure.get_size_inches()
    figure.legend(
        handles=handles, loc="upper right", ncols=len(LEGEND), bbox_to_anchor=(1 - 0.3 / width, 1 - 0.48 / height)
    )
