"""Twins over several seeds: the moves of every seed in every cell, and the estimates with their intervals."""

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from analysis import style
from analysis.facts.fact import targets
from analysis.figures import canvas
from analysis.twins.result import TwinResult
from analysis.twins.words import BAND, Describe, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT_INCHES: Final = 5.6


def draw(result: TwinResult, figure: "Figure", describe: Describe) -> None:
    """Left: one line a seed through the cells.  Right: amplification by each mechanism, with the ordinary band."""
    ((left, right),) = canvas.panels(figure, (1.0,), widths=(1.25, 1.0), column_gap_inches=2.5)
    _cells(left, result, describe)
    _effects(right, result, describe)
    what = describe(result.without)
    several = f"{len(result.seeds)} seeds" if len(result.seeds) > 1 else f"seed {result.seeds[0]}"
    moved = f"{result.direction.capitalize()} of the last price from its start"
    canvas.heading(
        figure,
        f"The same market without {what}",
        f"{moved}; {several}, same streams, nothing else changed",
    )


def _cells(axis: "Axes", result: TwinResult, describe: Describe) -> None:
    moves = 100 * np.array([cell.moves for cell in result.cells])
    places = np.arange(len(moves), dtype=np.float64)
    colour = style.FORCED_SELL if result.direction == "fall" else style.FORCED_BUY
    axis.plot(places, moves, color=style.LAST, linewidth=0.8, alpha=0.7, marker="o", markersize=3)
    axis.plot(places, moves.mean(axis=1), "D-", color=colour, linewidth=2.0, markersize=8, markeredgecolor="white",
              zorder=5, label="mean over seeds")  # fmt: skip
    names = ["everything\non"] + [f"without\n{describe(cell.without)}" for cell in result.cells[1:]]
    axis.set_xticks(places, [name.replace(" and ", "\nand ") for name in names], fontsize=9.5)
    axis.set_xlim(-0.35, len(moves) - 0.65)
    axis.set_ylim(0, 1.06 * max(float(moves.max()), 1e-6))
    axis.grid(False, axis="x")
    canvas.panel_label(axis, f"{result.direction.capitalize()} from the start, %; one line a seed")
    if len(result.seeds) > 1:
        canvas.legend_above(axis)


def _effects(axis: "Axes", result: TwinResult, describe: Describe) -> None:
    band = targets()[BAND]
    rows = len(result.effects)
    axis.axvspan(band.lo, band.hi, color=style.BID, alpha=0.10, linewidth=0, label=f"ordinary, {band.lo:g}-{band.hi:g}")
    axis.axvline(1.0, color=style.MUTED, linewidth=0.9)
    labels = []
    for place, effect in enumerate(result.effects):
        y = float(rows - 1 - place)
        found = effect.amplification
        name = describe(effect.of)
        labels.append(f"{name}\n({describe(effect.given)} off)" if effect.given else name)
        if not math.isfinite(found.value):
            axis.text(1.02, y, "no ratio", va="center", fontsize=9, color=style.MUTED)
            continue
        if found.has_interval:
            axis.plot([found.low, found.high], [y, y], color=style.INK, linewidth=2.0, solid_capstyle="butt")
        axis.scatter([found.value], [y], 52, color=style.INK, zorder=5)
        axis.annotate(written(found), (found.value, y), (0, 11), textcoords="offset points", ha="center", fontsize=9)
    seen = [end for effect in result.effects for end in (effect.amplification.low, effect.amplification.high,
                                                         effect.amplification.value) if math.isfinite(end)]  # fmt: skip
    axis.set_xlim(min([0.8, *(0.95 * end for end in seen)]), max([band.hi * 1.03, *(1.08 * end for end in seen)]))
    axis.set_ylim(-0.6, rows - 0.35)
    axis.set_yticks(np.arange(rows)[::-1], labels, fontsize=9.5, color=style.INK)
    axis.spines["left"].set_visible(False)
    canvas.panel_label(axis, "Amplification: with / without")
    canvas.legend_above(axis)
    canvas.x_label(axis, "times")
