"""Who gained and who lost: profit by population, split into trading, forced losses, fees and spot hedges."""

from typing import TYPE_CHECKING

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.measures.profits import (
    PROFIT_PARTS,
    PopulationResult,
    population_label,
    results_by_population,
    shown_results,
)
from marginquake.analysis.presentation import panels, theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure


COLOURS = {"trading": theme.BID, "forced": theme.FORCED_SELL, "fees": "#9aa4b5", "spot": theme.FUNDAMENTAL}


def draw(market: MarketFrames, figure: "Figure") -> None:
    """Stacked bars a population, a mark at the sum; a small table at the right."""
    results = shown_results(market)
    ((axis, table),) = panels.panels(figure, (1.0,), widths=(4.6, 1.9), left_inches=1.9, column_gap_inches=0.2)
    table.set_axis_off()
    if not results:
        panels.heading(figure, "Profit and loss by population", "This run recorded no accounts.")
        panels.nothing(axis, "no accounts recorded")
        return
    places = np.arange(len(results), dtype=np.float64)[::-1]
    above, below = np.zeros(len(results)), np.zeros(len(results))
    for part, label in PROFIT_PARTS.items():
        values = np.array([getattr(result, part) for result in results], np.float64)
        if not values.any():
            continue
        left = np.where(values >= 0, above, below)
        axis.barh(places, values, 0.62, left=left, color=COLOURS[part], label=label, linewidth=0)
        above, below = above + np.maximum(values, 0), below + np.minimum(values, 0)
    totals = np.array([result.total for result in results])
    axis.scatter(totals, places, 46, marker="D", color=theme.INK, edgecolors="white", linewidths=1.0, zorder=5,
                 label="sum")  # fmt: skip
    axis.axvline(0, color=theme.MUTED, linewidth=0.9)
    axis.set_yticks(places, [population_label(result.population) for result in results], fontsize=10, color=theme.INK)
    axis.set_ylim(-0.6, len(results) - 0.4)
    axis.grid(False, axis="y")
    axis.spines["left"].set_visible(False)
    reach = float(above.max() - below.min()) or 1.0
    axis.set_xlim(float(below.min()) - 0.05 * reach, float(above.max()) + 0.05 * reach)
    axis.xaxis.set_major_formatter(lambda value, _: formats.short_number(value))
    panels.x_label(axis, "profit over the run, quote units")
    axis.legend(loc="lower right", bbox_to_anchor=(1.0, 1.005), ncols=5)

    table.set_ylim(axis.get_ylim())
    table.set_xlim(0, 1)
    top = len(results) - 0.4
    for x, head in ((0.30, "sum"), (0.64, "accounts"), (1.0, "liquidated")):
        table.text(x, top, head, ha="right", va="bottom", fontsize=9, color=theme.MUTED)
    for place, result in zip(places, results, strict=True):
        share = result.liquidated / result.accounts if result.accounts else 0.0
        colour = theme.FORCED_SELL if result.total < 0 else theme.INK
        table.text(0.30, place, _signed(result.total), ha="right", va="center", fontweight="bold", color=colour)
        table.text(0.64, place, f"{result.accounts:,}", ha="right", va="center")
        text = f"{result.liquidated:,} ({'<1' if share < 0.01 else round(share * 100)} %)" if result.liquidated else "0"
        table.text(1.0, place, text, ha="right", va="center", color=theme.INK if result.liquidated else theme.MUTED)
    forced = sum(result.forced for result in results)
    panels.heading(
        figure,
        "Profit and loss by population",
        f"Accounts that were liquidated: {_signed(forced)} before fees.  Fees paid by all: "
        f"{formats.short_number(-_fees(results))}.{_balance(results_by_population(market))}",
    )


def _fees(results: list[PopulationResult]) -> float:
    return sum(min(result.fees, 0.0) for result in results)


def _balance(results: list[PopulationResult]) -> str:
    inside = [result.total - result.spot for result in results]
    gross = sum(abs(amount) for amount in inside)
    return "  Apart from spot hedges the rows add up to zero." if abs(sum(inside)) <= 1e-6 * gross else ""


def _signed(amount: float) -> str:
    return ("+" if amount > 0 else "-" if amount < 0 else "") + formats.short_number(abs(amount))
