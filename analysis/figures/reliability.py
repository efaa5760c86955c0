"""Reliability of margin-call probabilities, and what the calls beyond them were due to."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.presentation import panels, theme
from marginquake.analysis.risk.assessment import Assessment, Group
from marginquake.analysis.statistics.estimate import Estimate
from marginquake.analysis.statistics.reliability import Bin

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT_INCHES = 5.6
COLOURS = theme.POPULATION_COLOURS
PARTS = (
    ("price", "price", theme.FUNDAMENTAL),
    ("feedback", "feedback", theme.FORCED_SELL),
    ("conduct", "conduct", theme.LAST),
)
"""Field of `Excess`, its name in the legend, its colour."""


def draw(cases: Sequence[tuple[str, Assessment]], figure: "Figure", source: str | None = None) -> None:
    """A reliability diagram a case, with the volatility of `source` (default the first); the excess at the right."""
    widths = (*[1.0] * len(cases), 1.15)
    (axes,) = panels.panels(figure, (1.0,), widths=widths, column_gap_inches=0.62)
    chosen = [(name, _of(case, source)) for name, case in cases]
    shown = chosen[0][1][0].source
    panels.heading(
        figure,
        "Were the margin calls as likely as the closed form said?",
        f"Volatility: {shown}.  Dots: accounts by forecast, area by their number, bars 95 % over seeds.  "
        "Hollow: reached in the twin.",
    )
    for axis, (name, groups) in zip(axes, chosen, strict=False):
        _diagram(axis, groups)
        seeds = groups[0].excess.seeds
        panels.panel_label(axis, f"{name}: share called, {formats.plural(seeds, 'seed')}")
    axes[0].legend(loc="lower right", title="within")
    _excess(axes[-1], chosen)


def _of(case: Assessment, source: str | None) -> list[Group]:
    chosen = source or case.groups[0].source
    return [group for group in case.groups if group.source == chosen]


def _diagram(axis: "Axes", groups: Sequence[Group]) -> None:
    axis.plot((0, 1), (0, 1), color=theme.MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    most = max(b.accounts for group in groups for b in group.bins)
    for number, group in enumerate(groups):
        colour = COLOURS[number % len(COLOURS)]
        x, y = (np.array([pick(b) for b in group.bins]) for pick in (_forecast, _observed))
        area = np.array([12.0 + 150.0 * b.accounts / most for b in group.bins])
        for b in group.bins:
            if not math.isnan(b.observed.low):
                axis.plot((b.forecast,) * 2, (b.observed.low, b.observed.high), color=colour, linewidth=1.1, alpha=0.65)
        axis.plot(x, y, color=colour, linewidth=0.9, alpha=0.7)
        axis.scatter(x, y, s=area, color=colour, alpha=0.85, linewidths=0, label=formats.duration(group.horizon_s),
                     zorder=3)  # fmt: skip
        x, y = (np.array([pick(b) for b in group.twin_bins]) for pick in (_forecast, _observed))
        axis.scatter(x, y, s=26.0, facecolors="none", edgecolors=colour, linewidths=1.1, zorder=4)
    axis.set_xlim(-0.03, 1.03)
    axis.set_ylim(-0.03, 1.03)
    panels.x_label(axis, "forecast probability of a margin call")


def _forecast(bin_: Bin) -> float:
    return bin_.forecast


def _observed(bin_: Bin) -> float:
    return bin_.observed.value


def _excess(axis: "Axes", chosen: Sequence[tuple[str, Sequence[Group]]]) -> None:
    """Bars of the parts of the excess, one cluster a case and horizon."""
    labels: list[str] = []
    place = 0.0
    for name, groups in chosen:
        for group in groups:
            parts = [(field, text, colour, getattr(group.excess, field)) for field, text, colour in PARTS]
            if math.isnan(group.excess.price.value):
                moved = ("moved", "price and feedback", theme.FUNDAMENTAL, group.excess.moved)
                parts = [moved, *[part for part in parts if part[0] == "conduct"]]
            for number, (_, text, colour, value) in enumerate(parts):
                _bar(
                    axis, place + 0.24 * (number - 0.5 * (len(parts) - 1)), value, colour, text if not labels else None
                )
            total = group.excess.excess.value
            axis.plot((place - 0.42, place + 0.42), (total, total), color=theme.INK, linewidth=1.6,
                      label="excess" if not labels else None)  # fmt: skip
            labels.append(
                f"{formats.duration(group.horizon_s)}\n{name}" if len(chosen) > 1 else formats.duration(group.horizon_s)
            )
            place += 1.0
    axis.axhline(0, color=theme.MUTED, linewidth=0.8)
    axis.set_xlim(-0.6, place - 0.4)
    axis.set_xticks(range(len(labels)), labels, fontsize=8)
    axis.yaxis.set_major_formatter(
        lambda value, _: f"{value:.0%}" if abs(value) >= 0.01 or value == 0 else f"{value:.1%}"
    )
    axis.legend(loc="upper left", fontsize=8.5)
    low, high = axis.get_ylim()
    axis.set_ylim(low, high + 0.28 * (high - low))
    panels.panel_label(axis, "excess over the forecast, share of accounts")


def _bar(axis: "Axes", place: float, value: Estimate, colour: str, label: str | None) -> None:
    axis.bar(place, value.value, 0.22, color=colour, label=label)
    if not math.isnan(value.low):
        axis.plot((place, place), (value.low, value.high), color=theme.INK, linewidth=1.0)
