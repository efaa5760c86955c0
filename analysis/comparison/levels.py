"""What each alternative of a comparison comes to by itself: means over seeds with intervals, as a table and a picture.

Verdicts rest on paired differences; levels say how large the things are.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

import numpy as np

from analysis import style
from analysis.comparison.load import Comparison, Floats
from analysis.comparison.metrics import Metric, metric_named
from analysis.comparison.statistics import bootstrap_interval, paired
from analysis.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN: Final = ("largest_fall", "forced_volume", "bad_debt", "adl_notional", "socialised_loss")
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
    metric = metric_named(key)
    found = []
    for name in comparison.alternatives:
        values = comparison.values[name][key]
        seen = values[np.isfinite(values)]
        mean = float(seen.mean()) if len(seen) else math.nan
        low, high = bootstrap_interval(seen)
        difference = ""
        if name != comparison.baseline:
            pair = paired(comparison.values[comparison.baseline][key], values)
            difference = "" if pair is None else metric.difference(pair.mean, pair.low, pair.high)
        found.append(Level(name, mean, low, high, values, difference))
    return found


def levels_markdown(comparison: Comparison, keys: Sequence[str] = SHOWN) -> str:
    """A row an alternative: mean with its interval, and below it the paired difference from the baseline."""
    metrics = [metric_named(key) for key in keys]
    lines = [f"| | {' | '.join(metric.label for metric in metrics)} |", f"|---|{'---|' * len(metrics)}"]
    columns = [levels(comparison, key) for key in keys]
    for name, row in zip(comparison.alternatives, zip(*columns, strict=True), strict=True):
        cells = [_cell(metric, level) for metric, level in zip(metrics, row, strict=True)]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(metric: Metric, level: Level) -> str:
    text = metric.level(level.mean)
    if not math.isnan(level.low):
        text += f" [{metric.level(level.low)}, {metric.level(level.high)}]"
    return f"{text}<br>{level.difference}" if level.difference else text


def levels_height_inches(comparison: Comparison) -> float:
    """Height that gives every alternative a line."""
    return 2.2 + 0.42 * len(comparison.alternatives)


def draw_levels(comparison: Comparison, figure: "Figure", keys: Sequence[str] = SHOWN) -> None:
    """One panel a metric, one line an alternative: a faint dot a seed, the mean with its interval."""
    (axes,) = canvas.panels(
        figure, (1.0,), widths=(1.0,) * len(keys), column_gap_inches=0.3, left_inches=_label_inches(comparison)
    )
    places = np.arange(len(comparison.alternatives), dtype=np.float64)[::-1]
    for number, (axis, key) in enumerate(zip(axes, keys, strict=True)):
        metric = metric_named(key)
        for place, level in zip(places, levels(comparison, key), strict=True):
            _line(axis, metric, place, level)
        axis.set_ylim(-0.6, len(places) - 0.4)
        axis.set_yticks(places, comparison.alternatives, fontsize=10, color=style.INK)
        axis.tick_params(labelleft=number == 0)
        axis.spines["left"].set_visible(False)
        low, high = axis.dataLim.intervalx
        if not np.isfinite(low):
            canvas.nothing(axis, "not recorded")
            low = high = 0.0
        span = max(high, 0.0) - min(low, 0.0) or 1.0
        axis.set_xlim(min(low, 0.0) - 0.05 * span, max(high, 0.0) + 0.07 * span)
        axis.locator_params(axis="x", nbins=4)
        if metric.unit.money:
            axis.xaxis.set_major_formatter(lambda value, _: style.short_number(value))
        canvas.panel_label(axis, f"{metric.label}, {metric.unit.level}" if metric.unit.level else metric.label)
    canvas.heading(
        figure, "What each alternative comes to", "Means over seeds with 95 % intervals; a faint dot is a seed"
    )


def _line(axis: "Axes", metric: Metric, place: float, level: Level) -> None:
    scale = metric.unit.scale
    seen = level.values[np.isfinite(level.values)] * scale
    axis.plot(seen, np.full(len(seen), place), "o", color=style.LAST, alpha=0.45, markersize=3.5)
    if not math.isnan(level.low):
        axis.plot([level.low * scale, level.high * scale], [place, place], color=style.BID, linewidth=3.0, alpha=0.8)
    axis.plot([level.mean * scale], [place], "D", color=style.INK, markersize=6.5, markeredgecolor="white", zorder=5)


def _label_inches(comparison: Comparison) -> float:
    return 0.5 + 0.09 * max(len(name) for name in comparison.alternatives)
