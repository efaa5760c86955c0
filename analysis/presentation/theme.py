"""Colours, fonts and themes of every picture."""

from collections.abc import Sequence
from typing import Any

WIDTH_INCHES = 12.0
DPI = 125
INK, MUTED, GRID, PAPER = "#1b2330", "#667085", "#e6e9ef", "#ffffff"
NIGHT, NIGHT_INK, NIGHT_MUTED, NIGHT_GRID = "#0b0e17", "#e8ecf4", "#8d97ab", "#232a3b"
BID, ASK = "#2274c9", "#e07b1a"
"""Bids and buys; asks and sells (blue and orange differ for every common colour blindness)."""
FORCED_SELL, FORCED_BUY = "#d4253f", "#0a8f8c"
"""Longs forced to sell; shorts forced to buy."""
LIQUIDATIONS, FUND, STOPS, TAKEN_OVER, DELEVERAGED = "#d4253f", "#0072b2", "#e69f00", "#56b4e9", "#4b2fd6"
"""Ways in which positions are closed without their owners' choice."""
NIGHT_FORCED_SELL, NIGHT_FORCED_BUY = "#ff4d6d", "#f4f6ff"
MARK, LAST, INDEX, FUNDAMENTAL = "#1b2330", "#9aa4b5", "#2274c9", "#8a5cc2"
POPULATION_COLOURS = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#7a5cc2", "#8c8c3c", "#555f70",
)  # fmt: skip
"""Okabe and Ito's palette, extended; one a population, in the order of the scenario."""
_COMMON: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 10.0,
    "text.parse_math": False,  # a `$` in a name is a dollar
    "axes.titlesize": 10.5,
    "axes.titley": 1.0,  # a fixed place: finding a free one measures every tick label twice
    "axes.labelsize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.xmargin": 0.0,
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.3,
    "lines.solid_joinstyle": "round",
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
    "xtick.major.size": 3.0,
    "ytick.major.size": 0.0,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "legend.handlelength": 1.6,
    "legend.columnspacing": 1.4,
    "legend.borderaxespad": 0.2,
    "xtick.minor.size": 0.0,
    "ytick.minor.size": 0.0,
    "path.simplify": True,
    "path.simplify_threshold": 0.4,
    "agg.path.chunksize": 20_000,
}


def _theme(paper: str, ink: str, muted: str, grid: str) -> dict[str, Any]:
    return {
        **_COMMON,
        "figure.facecolor": paper,
        "savefig.facecolor": paper,
        "axes.facecolor": paper,
        "axes.edgecolor": muted,
        "axes.labelcolor": muted,
        "axes.titlecolor": ink,
        "text.color": ink,
        "grid.color": grid,
        "xtick.color": muted,
        "ytick.color": muted,
        "legend.labelcolor": ink,
    }


LIGHT = _theme(PAPER, INK, MUTED, GRID)
DARK = _theme(NIGHT, NIGHT_INK, NIGHT_MUTED, NIGHT_GRID)
# Two maps whose lightness rises from the night background: viridis (van der Walt and Smith) for what is waiting to be
# forced, navy to cream for resting orders.  A test holds that lightness never falls.
FUEL_ANCHORS = (
    "#170f2c", "#2d1450", "#472c7a", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725",
)  # fmt: skip
DEPTH_ANCHORS = (
    "#0a111f", "#0a1b34", "#0b2748", "#0d3b69", "#15578f", "#2a7bb5", "#55a5cf", "#98cddd", "#dcebd9", "#fff3b0",
)  # fmt: skip


def population_colours(names: Sequence[str]) -> dict[str, str]:
    """A fixed colour a population, by its place in `names`."""
    return {name: POPULATION_COLOURS[k % len(POPULATION_COLOURS)] for k, name in enumerate(names)}
