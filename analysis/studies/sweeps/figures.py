"""The pictures of a sweep and of a tipping point: one entry each."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

import numpy as np

from marginquake.analysis.facts.fact import MissingExtra
from marginquake.analysis.presentation import panels, theme
from marginquake.analysis.presentation.png import render
from marginquake.analysis.statistics.estimate import Estimate
from marginquake.analysis.statistics.intervals import wilson
from marginquake.analysis.studies.sweeps import fan, phase, points, sensitivity, tornado
from marginquake.analysis.studies.sweeps.axis_layout import limits
from marginquake.analysis.studies.sweeps.captions import clipped
from marginquake.analysis.studies.sweeps.load import DEFAULT_METRIC, SweepData, load_sweep
from marginquake.sim.runs.directory import RunDirectoryError
from marginquake.sim.runs.sweep_plan import Axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@final
@dataclass(frozen=True)
class SweepPicture:
    """One entry: how to draw it, its height, why a sweep does not have it (None where it does), what to look for."""

    draw: "Callable[[SweepData, str, Figure], None]"
    height_inches: Callable[[SweepData], float]
    why_not: Callable[[SweepData], str | None]
    caption: str


SWEEP_FIGURES: dict[str, SweepPicture] = {
    "phase": SweepPicture(
        phase.draw,
        phase.height_inches,
        phase.why_not,
        "Left (or above): the typical run. Right (or below): how often the event happens. The black line is where it "
        "happens in half of the runs; where both colours change quickly across it, there is a tipping point.",
    ),
    "fan": SweepPicture(
        fan.draw,
        lambda sweep: fan.HEIGHT_INCHES,
        fan.why_not,
        "A fan that opens means that seeds disagree: near a tipping point some runs tip and others do not. Below, the "
        "share of runs that do, with its interval.",
    ),
    "points": SweepPicture(
        points.draw,
        points.height_inches,
        points.why_not,
        "One row a point of the design. The same seeds ran at every point, so that differences between rows are not "
        "luck of the draw.",
    ),
    "tornado": SweepPicture(
        tornado.draw,
        tornado.height_inches,
        tornado.why_not,
        "Longer bars matter more over the range of this sweep. A whisker that crosses zero means that the direction "
        "itself is not certain.",
    ),
    "sensitivity": SweepPicture(
        sensitivity.draw,
        sensitivity.height_inches,
        sensitivity.why_not,
        "First order: variance explained by the axis alone. Total: with all of its interactions. A gap between the two "
        "is interaction; a total near zero means that the axis may be fixed.",
    ),
}
"""All figures of a sweep, in the order of the report."""


def plot_sweep(sweep: str | Path | SweepData, figure: str | None = None, metric: str | None = None) -> list[Path]:
    """Draw the figures that apply (or one) as PNG files in `figures/` of a sweep directory; returns their paths.

    `metric`: a numeric column of the table, default the largest fall; files of another one carry its name.  Without
    `figure`, what cannot be drawn is left out (`reasons` says why); by name it is a `RunDirectoryError`, or
    `MissingExtra`.
    """
    data = sweep if isinstance(sweep, SweepData) else load_sweep(sweep)
    metric = DEFAULT_METRIC if metric is None else metric
    data.metric(metric)
    if figure is None:
        refused = reasons(data, metric)
        return [draw_figure(data, name, metric) for name in SWEEP_FIGURES if name not in refused]
    if figure not in SWEEP_FIGURES:
        raise RunDirectoryError(f"no figure {figure!r} of a sweep; there are: {', '.join(SWEEP_FIGURES)}")
    why = SWEEP_FIGURES[figure].why_not(data)
    if why is not None:
        raise RunDirectoryError(f"{data.path}: no figure {figure!r} of this sweep: {why}")
    return [draw_figure(data, figure, metric)]


def reasons(sweep: SweepData, metric: str) -> dict[str, str]:
    """Figures that this sweep does not have, and why."""
    found = {name: why for name, picture in SWEEP_FIGURES.items() if (why := picture.why_not(sweep)) is not None}
    if "sensitivity" not in found:
        try:
            sensitivity.sobol_indices(sweep, metric)
        except (RunDirectoryError, MissingExtra) as error:
            found["sensitivity"] = str(error)
    return found


def draw_figure(sweep: SweepData, name: str, metric: str) -> Path:
    """Draw one figure that applies."""
    picture = SWEEP_FIGURES[name]
    return render(
        lambda figure: picture.draw(sweep, metric, figure),
        figure_path(sweep, name, metric),
        picture.height_inches(sweep),
        False,
        f"{clipped(sweep.name, 36)}  model {sweep.model_version}",
    )


def figure_path(sweep: SweepData, name: str, metric: str) -> Path:
    """Where a figure of a sweep lies: `phase.png`, and `phase-bad_debt.png` for another metric than the default."""
    suffix = "" if metric == DEFAULT_METRIC else "-" + re.sub(r"[^A-Za-z0-9._-]", "_", metric)
    return sweep.path / "figures" / f"{name}{suffix}.png"


def draw_tipping(
    values: Sequence[float],
    point: Estimate,
    label: str,
    event: str,
    log_scale: bool,
    path: Path,
    reference: float,
    probes: Sequence[tuple[float, int, int, Estimate]] = (),
) -> Path:
    """P(cascade) against the parameter: share of thresholds (`values`) below it, with its interval and the median.

    `reference`: a predicted tipping point, drawn beside it; NaN = none.  `probes`: every value tried, as in
    `draw_probes`, shares as the thresholds have them.
    """
    from marginquake.analysis.presentation.png import render

    def draw(figure: "Figure") -> None:
        ordered = np.sort(np.asarray(values, np.float64))
        inside = ordered[np.isfinite(ordered)]
        shares = [wilson(int((ordered <= value).sum()), len(ordered)) for value in inside]
        panels.heading(figure, f"Tipping point: half of {len(ordered)} seeds", f"cascade: {event}")
        ((axis,),) = panels.panels(figure, (1.0,))
        axis.step(inside, [share.value for share in shares], where="post", color=theme.BID, label="share of seeds")
        low, high = [share.low for share in shares], [share.high for share in shares]
        axis.fill_between(inside, low, high, step="post", color=theme.BID, alpha=0.18, linewidth=0, label="95 %")
        if probes:
            _probes(axis, probes, "values tried, 95 % Wilson")
        axis.axhline(0.5, color=theme.MUTED, linewidth=0.8)
        axis.axvspan(point.low, point.high, color=theme.ASK, alpha=0.2, linewidth=0)
        axis.axvline(point.value, color=theme.ASK, label=f"tipping point {point.value:.4g}")
        if not math.isnan(reference):
            axis.axvline(reference, color=theme.FORCED_BUY, linestyle="--", label=f"R = 1 at {reference:.4g}")
        if log_scale:
            axis.set_xscale("log")
        shown = [value for value in (*inside, *point, reference) if math.isfinite(value)]
        margin = 0.04 * (max(shown) - min(shown))
        axis.set_xlim(min(shown) - (0.0 if log_scale else margin), max(shown) + margin)
        axis.set_ylim(-0.02, 1.02)
        panels.panel_label(axis, "share of seeds with a cascade")
        panels.x_label(axis, label)
        panels.legend_above(axis)

    return render(draw, path, 4.6, False, "")


def draw_probes(
    probes: Sequence[tuple[float, int, int, Estimate]],
    probability: float,
    point: Estimate,
    label: str,
    event: str,
    log_scale: bool,
    shown: Callable[[float], str],
    path: Path,
) -> Path:
    """Every value tried with its share of runs and interval: where the share crosses `probability`.

    `probes`: value, runs with the event, runs, share; `shown`: how a value is written.  `point` may have infinite ends.
    """

    def draw(figure: "Figure") -> None:
        values = np.array([value for value, _, _, _ in probes])
        high = np.array([share.high for _, _, _, share in probes])
        panels.heading(figure, f"Tipping point: {100.0 * probability:g} % of runs", f"event: {event}")
        ((axis,),) = panels.panels(figure, (1.0,))
        if log_scale:
            axis.set_xscale("log")
        ends = limits(Axis("", label, "log" if log_scale else "linear"), values, 0.06)
        axis.set_xlim(*ends)
        span = [end if math.isfinite(end) else side for end, side in zip((point.low, point.high), ends, strict=True)]
        axis.axvspan(span[0], span[1], color=theme.ASK, alpha=0.15, linewidth=0, label="its 95 % interval")
        if math.isfinite(point.value):
            axis.axvline(point.value, color=theme.ASK, label=f"tipping point {shown(point.value)}")
        axis.axhline(probability, color=theme.MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
        _probes(axis, probes, "runs tried, 95 % Clopper-Pearson")
        for value, events, runs, share in probes:
            axis.annotate(
                f"{events}/{runs}", (value, share.high), xytext=(0, 4), textcoords="offset points", ha="center",
                fontsize=8, color=theme.MUTED,
            )  # fmt: skip
        axis.set_ylim(-0.03, max(1.12 * float(high.max()), probability + 0.1))
        axis.xaxis.set_major_formatter(lambda value, _: shown(value))
        axis.yaxis.set_major_formatter(lambda value, _: f"{100.0 * value:g} %")
        panels.panel_label(axis, "share of runs with the event")
        panels.x_label(axis, label)
        panels.legend_above(axis)

    return render(draw, path, 4.6, False, "")


def _probes(axis: "Axes", probes: Sequence[tuple[float, int, int, Estimate]], label: str) -> None:
    values = [value for value, _, _, _ in probes]
    estimate, low, high = np.array([tuple(share) for _, _, _, share in probes]).T
    reach = (np.maximum(estimate - low, 0), np.maximum(high - estimate, 0))
    axis.errorbar(values, estimate, yerr=reach, fmt="o", markersize=5, color=theme.BID, ecolor=theme.BID,
                  elinewidth=1.4, capsize=3, label=label)  # fmt: skip
