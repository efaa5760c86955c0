"""Sobol indices: which part of the variance of an outcome each axis explains, alone and with its interactions.

Needs the extra: pip install 'marginquake[sensitivity]'.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, final

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.facts.fact import MissingExtra
from marginquake.analysis.presentation import panels, theme
from marginquake.analysis.statistics.intervals import LEAST_VALUES
from marginquake.analysis.studies.sweeps.captions import clipped, runs_words, short
from marginquake.analysis.studies.sweeps.load import SweepData
from marginquake.sim.core.typing import Floats
from marginquake.sim.runs.directory import RunDirectoryError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DESIGN = "saltelli"
RESAMPLES = 1000
CONFIDENCE = 0.95
NAMED = 8
"""How many runs a message names before it says how many more there are."""


@final
@dataclass(frozen=True)
class SobolIndices:
    """Indices of each axis, in the order of the sweep; `_half` is half of the 95 % interval (bootstrap over blocks;
    NaN below five).

    `first`: share of variance that goes when the axis is fixed.  `total`: share that is left when all others are.
    Estimators: Saltelli et al. 2010, Computer Physics Communications 181, 259-270.
    """

    axes: tuple[str, ...]
    first: Floats
    first_half: Floats
    total: Floats
    total_half: Floats
    blocks: int


def why_not(sweep: SweepData) -> str | None:
    """Why there are no indices of this sweep; None where there are."""
    return None if sweep.design == DESIGN else f"Sobol indices need a design of type {DESIGN}"


def need_extra() -> None:
    """Raise `MissingExtra`, which says what to do, unless SALib is installed."""
    if find_spec("SALib") is None:
        raise MissingExtra("SALib not installed: pip install 'marginquake[sensitivity]'")


def height_inches(sweep: SweepData) -> float:
    """Height of the figure: two bars an axis."""
    return panels.TOP_INCHES + panels.BOTTOM_INCHES + 0.2 + 0.7 * max(len(sweep.axes), 2)


def sobol_indices(sweep: SweepData, metric: str) -> SobolIndices:
    """First-order and total indices of a metric's mean over seeds.

    The points are those of `SALib.sample.sobol.sample` with `calc_second_order=False`, in that order: N (D + 2).
    `RunDirectoryError` where a run is missing (all points are needed, over the same seeds) or nothing varies.
    """
    refused = why_not(sweep)
    if refused is not None:
        raise RunDirectoryError(f"{sweep.path}: {refused}, and this one is {sweep.design}")
    need_extra()
    from SALib.analyze import sobol

    _check_order(sweep)
    outcomes = _mean_over_seeds(sweep, metric)
    if np.ptp(outcomes) <= 1e-12 * max(float(np.abs(outcomes).max()), 1e-300):
        raise RunDirectoryError(f"{sweep.path}: {metric} is the same at all points: there is no variance to explain")
    names = [axis.name for axis in sweep.axes]
    problem = {"num_vars": len(names), "names": names, "bounds": [[axis.low, axis.high] for axis in sweep.axes]}
    found = sobol.analyze(
        problem, outcomes, calc_second_order=False, num_resamples=RESAMPLES, conf_level=CONFIDENCE, seed=1
    )
    first, first_half, total, total_half = (
        np.asarray(found[k], np.float64) for k in ("S1", "S1_conf", "ST", "ST_conf")
    )
    blocks = len(outcomes) // (len(names) + 2)
    if blocks < LEAST_VALUES:
        first_half, total_half = np.full_like(first, np.nan), np.full_like(total, np.nan)
    return SobolIndices(tuple(names), first, first_half, total, total_half, blocks)


def draw(sweep: SweepData, metric: str, figure: "Figure") -> None:
    """Two bars an axis with their intervals, largest total on top."""
    described, found = sweep.described(metric), sobol_indices(sweep, metric)
    order = np.argsort(-found.total)
    labels = [clipped(short(sweep.axes[number].label), 50) for number in order]
    left = float(np.clip(0.4 + 0.085 * max(map(len, labels)), 1.4, 4.6))
    ((panel, table),) = panels.panels(figure, (1.0,), widths=(3.4, 1.7), left_inches=left, column_gap_inches=0.2)
    table.set_axis_off()
    places = np.arange(len(order), dtype=np.float64)[::-1]
    bars = (
        ("total: with its interactions", found.total, found.total_half, theme.BID, -0.19),
        ("first order: alone", found.first, found.first_half, theme.ASK, 0.19),
    )
    for label, values, halves, colour, lift in bars:
        panel.barh(places + lift, values[order], 0.34, color=colour, linewidth=0, label=label)
        panel.errorbar(values[order], places + lift, xerr=halves[order], fmt="none", ecolor=theme.INK, elinewidth=1.4,
                       capsize=3)  # fmt: skip
    panel.axvline(0, color=theme.MUTED, linewidth=0.9)
    panel.set_yticks(places, labels, fontsize=10, color=theme.INK)
    panel.set_ylim(-0.6, len(order) - 0.4)
    panel.margins(x=0.05)
    panel.grid(False, axis="y")
    panel.spines["left"].set_visible(False)
    panels.x_label(panel, f"share of variance between points: {described.label}, mean over seeds")
    panel.legend(loc="lower left", bbox_to_anchor=(0.0, 1.005), ncols=2)
    table.set_ylim(panel.get_ylim())
    table.set_xlim(0, 1)
    for x, head in ((0.48, "first order"), (1.0, "total")):
        table.text(x, len(order) - 0.4, head, ha="right", va="bottom", fontsize=9, color=theme.MUTED)
    for place, number in zip(places, order, strict=True):
        for x, value, half in ((0.48, found.first, found.first_half), (1.0, found.total, found.total_half)):
            reach = f" ± {half[number]:.2f}" if np.isfinite(half[number]) else ""
            table.text(x, place, f"{value[number]:.2f}{reach}", ha="right", va="center")
    panels.heading(
        figure,
        clipped(f"What explains the {described.label}"),
        f"{runs_words(sweep)}.  Sobol indices, {_over(found.blocks)}.",
    )


def _over(blocks: int) -> str:
    if blocks < LEAST_VALUES:
        return f"without intervals: {formats.plural(blocks, 'block')}, and they need {LEAST_VALUES}"
    return f"with 95 % bootstrap intervals over {blocks} blocks"


def _check_order(sweep: SweepData) -> None:
    """Each block is A, A with one column of B at a time, B: any other order would give numbers without meaning."""
    count = len(sweep.axes)
    if len(sweep.numeric_axes) != count:
        raise RunDirectoryError(f"{sweep.path}: Sobol indices need axes of numbers")
    if len(sweep.points) % (count + 2) or len(sweep.points) == 0:
        raise RunDirectoryError(
            f"{sweep.path}: {len(sweep.points)} points are no multiple of {count + 2}, the number of axes and two more"
        )
    points = sorted(sweep.points, key=lambda point: point.point)
    values = np.array([[float(point.values[axis.name]) for axis in sweep.axes] for point in points])
    blocks = values.reshape(-1, count + 2, count)
    first, last = blocks[:, 0], blocks[:, -1]
    for number in range(count):
        mixed = first.copy()
        mixed[:, number] = last[:, number]
        wrong = np.flatnonzero((blocks[:, number + 1] != mixed).any(axis=1))
        if len(wrong):
            raise RunDirectoryError(
                f"{sweep.path}: point {points[wrong[0] * (count + 2) + number + 1].point} is not where the {DESIGN} "
                "design puts it; SALib.sample.sobol.sample with calc_second_order=False gives the order"
            )


def _mean_over_seeds(sweep: SweepData, metric: str) -> Floats:
    """The outcome of every point, in their order."""
    values = sweep.metric(metric)
    found = {
        (int(point), int(seed)): float(value)
        for point, seed, value in zip(sweep.table["point"], sweep.table["seed"], values, strict=True)
        if np.isfinite(value)
    }
    points = sorted(point.point for point in sweep.points)
    missing = [(point, seed) for point in points for seed in sweep.seeds if (point, seed) not in found]
    if missing:
        named = ", ".join(f"point {point} seed {seed}" for point, seed in missing[:NAMED])
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        raise RunDirectoryError(
            f"{sweep.path}: Sobol indices need {metric} of every run, and it is missing for {named}{more}; "
            "`marginquake sweep --resume` runs what is missing"
        )
    return np.array([np.mean([found[point, seed] for seed in sweep.seeds]) for point in points])
