"""First-passage mode: simulated margin-call frequencies on the closed form, and their errors."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.presentation import panels, theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from marginquake.sim.core.barriers import Cell

HEIGHT_INCHES = 5.4
COLOURS = theme.POPULATION_COLOURS


def draw(cells: "Sequence[Cell]", figure: "Figure") -> None:
    """Probability against leverage, a colour a horizon, left; error in standard errors, right."""
    ((left, right),) = panels.panels(figure, (1.0,), widths=(1.3, 1.0), column_gap_inches=0.9)
    panels.heading(
        figure,
        "Margin calls without feedback",
        "Lines: first passage in closed form, the barrier shifted for discrete looks.  Dots: simulated, with three "
        "standard errors.",
    )
    horizons = list(dict.fromkeys(cell.horizon_s for cell in cells))
    for number, horizon in enumerate(horizons):
        own = sorted((cell for cell in cells if cell.horizon_s == horizon), key=lambda cell: cell.leverage)
        colour = COLOURS[number % len(COLOURS)]
        _probabilities(left, own, colour)
        checked = [cell for cell in own if cell.is_checked]
        right.plot([c.leverage for c in checked], [c.error for c in checked], "o", color=colour, markersize=5)
    leverages = sorted({cell.leverage for cell in cells})
    for axis in (left, right):
        axis.set_xscale("log")
        axis.set_xlim(leverages[0] / 1.15, leverages[-1] * 1.15)
        axis.set_xticks(leverages, [f"{leverage:g}" for leverage in leverages])
        axis.minorticks_off()
        panels.x_label(axis, "leverage of a fresh isolated position")
    left.set_ylim(0, 1.02)
    panels.panel_label(left, "probability of a margin call within the horizon")
    left.legend(loc="upper left")
    right.axhspan(-3, 3, color=theme.GRID, linewidth=0)
    right.axhline(0, color=theme.MUTED, linewidth=0.8)
    right.set_ylim(-5, 5)
    panels.panel_label(right, "simulated less closed form, standard errors (grey: three)")


def _probabilities(axis: "Axes", own: "Sequence[Cell]", colour: str) -> None:
    leverages = np.array([cell.leverage for cell in own])
    axis.plot(leverages, [cell.closed_form for cell in own], color=colour, label=formats.duration(own[0].horizon_s))
    axis.errorbar(
        leverages, [cell.simulated for cell in own], yerr=[3 * cell.standard_error for cell in own], fmt="o",
        color=colour, markersize=4, elinewidth=1.0, capsize=2.5,
    )  # fmt: skip
