"""The shape of a design as a picture sees it, and numbers of an axis laid out along a side of a figure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.studies.sweeps.captions import value_texts
from marginquake.analysis.studies.sweeps.load import SweepData
from marginquake.sim.core.typing import Floats
from marginquake.sim.runs.sweep_plan import Axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCATTERED = ("latin_hypercube", "sobol", "saltelli")
UNEVEN = 0.4
"""Cells are drawn equally wide where the narrowest would be less than this part of the mean width."""

Shape = Literal["line", "grid", "scattered", "list"]


def shape(sweep: SweepData) -> Shape:
    """`line`: one axis, or several that move together; `grid`: every combination of the axes' values; `scattered`:
    points drawn from ranges; `list`: anything else.
    """
    if len(sweep.axes) == 1 or sweep.design == "zip":
        return "line"
    if sweep.design in SCATTERED:
        return "scattered"
    combinations = {tuple(point.values[axis.name] for axis in sweep.axes) for point in sweep.points}
    full = np.prod([len(sweep.levels(axis)) for axis in sweep.axes]) == len(combinations)
    return "grid" if full and len(combinations) > 1 else "list"


@final
@dataclass(frozen=True)
class Cells:
    """Values of one axis as rows or columns of cells.

    `values` (n) rising; `positions` (n) of their centres and `edges` (n + 1) between them, in the coordinate of the
    plot: the value, its decadic logarithm where the scale is log, or its rank where cells are equally wide.
    """

    values: Floats
    positions: Floats
    edges: Floats
    to_scale: bool


def cells(axis: Axis, values: Sequence[float]) -> Cells:
    """Lay out the distinct values of an axis."""
    known = np.array(values, np.float64)
    positions = scaled(axis, known)
    steps = np.diff(positions)
    to_scale = len(steps) == 0 or bool(steps.min() >= UNEVEN * steps.mean())
    if not to_scale:
        positions = np.arange(len(known), dtype=np.float64)
        steps = np.ones(len(known) - 1)
    first, last = (steps[0], steps[-1]) if len(steps) else (1.0, 1.0)
    middles = 0.5 * (positions[1:] + positions[:-1])
    edges = np.concatenate([[positions[0] - 0.5 * first], middles, [positions[-1] + 0.5 * last]])
    return Cells(known, positions, edges, to_scale)


def scaled(axis: Axis, values: Floats) -> Floats:
    """Values in the coordinate in which the axis is even."""
    return np.asarray(np.log10(values) if axis.scale == "log" else values, np.float64)


def unscaled(axis: Axis, places: Floats) -> Floats:
    """The values at places in that coordinate."""
    return np.asarray(10.0**places if axis.scale == "log" else places, np.float64)


def label_cells(panel: "Axes", axis: Axis, across: Cells, side: Literal["x", "y"], room_inches: float) -> None:
    """Name every value at its cell, leaving values out where the names would touch."""
    texts = value_texts(across.values.tolist())
    needed = 0.22 if side == "y" else _width_inches(texts)
    shown = _apart(across.positions, needed * float(across.edges[-1] - across.edges[0]) / room_inches)
    places, names = across.positions[shown], [texts[number] for number in shown]
    label = axis.label if across.to_scale else f"{axis.label} (not to scale)"
    label += " (log)" if axis.scale == "log" and across.to_scale else ""
    if side == "x":
        panel.set_xticks(places, names)
        panel.set_xlim(across.edges[0], across.edges[-1])
        panel.set_xlabel(label)
    else:
        panel.set_yticks(places, names)
        panel.set_ylim(across.edges[0], across.edges[-1])
        panel.set_ylabel(label)


def label_levels(panel: "Axes", axis: Axis, levels: Sequence[float], ends: tuple[float, float]) -> None:
    """A continuous x from end to end, with names at the values of the design, as many as do not touch."""
    from matplotlib.ticker import NullLocator

    texts = value_texts(levels)
    panel.set_xscale(axis.scale)
    panel.xaxis.set_minor_locator(NullLocator())
    first, last = scaled(axis, np.array(ends))
    room = float(panel.get_position().width * panel.figure.get_figwidth())  # type: ignore[union-attr]
    shown = _apart(scaled(axis, np.array(levels)), _width_inches(texts) * float(last - first) / room)
    panel.set_xticks([levels[number] for number in shown], [texts[number] for number in shown])
    panel.set_xlim(*ends)


def _width_inches(texts: Sequence[str]) -> float:
    """Room that the longest of some tick labels needs, with air."""
    return 0.14 + 0.088 * max(map(len, texts))


def _apart(positions: Floats, least: float) -> list[int]:
    """Numbers of as many rising positions as lie at least so far apart, from the first."""
    shown: list[int] = []
    for number, position in enumerate(positions):
        if not shown or position - positions[shown[-1]] >= least:
            shown.append(number)
    return shown


def number_axis(panel: "Axes", axis: Axis, side: Literal["x", "y"], low: float, high: float) -> None:
    """A continuous axis from `low` to `high`, logarithmic where the sweep's is, with short numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    ruler = panel.xaxis if side == "x" else panel.yaxis
    log = axis.scale == "log"
    (panel.set_xscale if side == "x" else panel.set_yscale)("log" if log else "linear")
    (panel.set_xlim if side == "x" else panel.set_ylim)(low, high)
    decades = np.log10(high / low) if log else 0.0
    if log:
        steps = (1.0,) if decades > 4 else (1.0, 3.0) if decades > 1.5 else (1.0, 2.0, 5.0)
        few = decades < 0.6
        ruler.set_major_locator(MaxNLocator(5) if few else LogLocator(subs=steps, numticks=12))
    else:
        ruler.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    ruler.set_minor_locator(NullLocator())
    ruler.set_major_formatter(FuncFormatter(lambda value, _: formats.short_number(value, 4)))
    (panel.set_xlabel if side == "x" else panel.set_ylabel)(f"{axis.label} (log)" if log else axis.label)


def limits(axis: Axis, values: Floats, room: float = 0.04) -> tuple[float, float]:
    """Ends of an axis around values, with some room; in the axis' own unit."""
    places = scaled(axis, values)
    low, high = float(places.min()), float(places.max())
    spare = room * (high - low) or 0.5 * (1.0 if axis.scale == "log" else abs(high) or 1.0)
    first, last = unscaled(axis, np.array([low - spare, high + spare]))
    return float(first), float(last)
