"""Draws the figures of a sweep into its directory: those that its design allows, or one by name."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from analysis.facts.fact import MissingExtra
from analysis.plots import render
from analysis.sweeps import fan, phase, points, sensitivity, tornado
from analysis.sweeps.load import DEFAULT_METRIC, SweepData, load_sweep
from analysis.sweeps.words import clipped
from sim.run_directory import RunDirectoryError

if TYPE_CHECKING:
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
