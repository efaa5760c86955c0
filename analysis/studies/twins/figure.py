"""Pictures of twins: one run over its twin, and all seeds."""

import math
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Final

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.facts.fact import targets
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.frames.run_frames import RunFrames, load_run
from marginquake.analysis.presentation import panels, theme
from marginquake.analysis.presentation.png import label, render
from marginquake.analysis.studies.twins.outcome import forced_notional, forced_side
from marginquake.analysis.studies.twins.result import TwinResult
from marginquake.analysis.studies.twins.sentences import BAND, Describe, written
from marginquake.sim.core.price_moves import Direction, from_start
from marginquake.sim.core.typing import Floats
from marginquake.sim.runs.directory import RunDirectoryError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from marginquake.analysis.studies.twins import TwinResult
    from marginquake.analysis.studies.twins.sentences import Describe


def draw_twin(
    with_forced: MarketFrames, without: MarketFrames, figure: "Figure", off: str = "forced orders", finding: str = ""
) -> None:
    """Both price paths with the difference shaded; the gap in basis points; forced volume below.

    `off`: what the twin lacks, a plural.  `finding`: the line below the title; default how far both went from the
    start, and the ratio.
    """
    run, twin = with_forced.run, without.run
    time_s = run["time_s"]
    first_s, last_s = float(time_s[0]), float(min(time_s[-1], twin["time_s"][-1]))
    (top,), (gap,), (flow,) = panels.panels(figure, (4.0, 1.1, 1.1), gap_inches=0.34)
    forced_price = run["last"]
    traded = np.isfinite(twin["last"])
    calm_price = np.full(len(time_s), np.nan)
    if traded.any():
        calm_price = np.interp(time_s, twin["time_s"][traded], twin["last"][traded])
    else:
        panels.nothing(top, f"nothing was traded without {off}")
    top.plot(time_s, run["fundamental"], color=theme.FUNDAMENTAL, linewidth=1.0, linestyle=(0, (4, 2)),
             label="fundamental")  # fmt: skip
    top.plot(time_s, calm_price, color=theme.BID, linewidth=1.4, label=f"without {off}")
    top.plot(time_s, forced_price, color=theme.FORCED_SELL, linewidth=1.4, label="with everything")
    top.fill_between(time_s, forced_price, calm_price, where=forced_price < calm_price, color=theme.FORCED_SELL,
                     alpha=0.17, linewidth=0, interpolate=True, label="lower because of them")  # fmt: skip
    top.fill_between(time_s, forced_price, calm_price, where=forced_price >= calm_price, color=theme.FORCED_BUY,
                     alpha=0.17, linewidth=0, interpolate=True, label="higher because of them")  # fmt: skip
    panels.price_axis(top)
    panels.panel_label(top, "Last price, quote units")
    panels.legend_above(top)
    difference = (forced_price / calm_price - 1.0) * 1e4
    gap.plot(time_s, difference, color=theme.INK, linewidth=1.0)
    gap.axhline(0, color=theme.MUTED, linewidth=0.6)
    gap.locator_params(axis="y", nbins=4)
    panels.panel_label(gap, "Difference, basis points")

    edges = panels.time_bins(first_s, last_s, 160)
    forced = with_forced.forced_fills
    panels.signed_flow(
        flow, edges, forced.time_s, forced.notional, forced.side, theme.FORCED_BUY, theme.FORCED_SELL
    )  # fmt: skip
    if missing := with_forced.not_recorded("liquidations"):
        panels.nothing(flow, missing)
    panels.panel_label(
        flow, f"Forced purchases (up) and sales (down) per {formats.duration(edges[1] - edges[0])}, quote"
    )
    panels.time_axis((top, gap, flow), first_s, last_s)

    side = forced_side(*forced_notional(with_forced))
    moves = "  ".join(_moves(name, side, run[name], twin[name]) for name in ("last", "mark"))
    finding = finding or f"{side.capitalize()} from the start with and without {off}:  {moves}"
    panels.heading(figure, f"What {off} added" if off.endswith("s") else f"What {off} did", finding)


def _moves(name: str, side: Direction, with_forced: Floats, without: Floats) -> str:
    """How far one price went in both and the ratio, the amplification (docs/model.md, eq. 181)."""
    deep, shallow = from_start(with_forced, side), from_start(without, side)
    ratio = f", amplification {deep / shallow:.2f}" if shallow > 0 else ""
    return f"{name} price {formats.percent(deep)} and {formats.percent(shallow)}{ratio}."


HEIGHT_INCHES: Final = 5.6


def draw(result: TwinResult, figure: "Figure", describe: Describe) -> None:
    """Left: one line a seed through the cells.  Right: amplification by each mechanism, with the ordinary band."""
    ((left, right),) = panels.panels(figure, (1.0,), widths=(1.25, 1.0), column_gap_inches=2.5)
    _cells(left, result, describe)
    _effects(right, result, describe)
    what = describe(result.without)
    several = f"{len(result.seeds)} seeds" if len(result.seeds) > 1 else f"seed {result.seeds[0]}"
    moved = f"{result.direction.capitalize()} of the last price from its start"
    panels.heading(
        figure,
        f"The same market without {what}",
        f"{moved}; {several}, same streams, nothing else changed",
    )


def _cells(axis: "Axes", result: TwinResult, describe: Describe) -> None:
    moves = 100 * np.array([cell.moves for cell in result.cells])
    places = np.arange(len(moves), dtype=np.float64)
    colour = theme.FORCED_SELL if result.direction == "fall" else theme.FORCED_BUY
    axis.plot(places, moves, color=theme.LAST, linewidth=0.8, alpha=0.7, marker="o", markersize=3)
    axis.plot(places, moves.mean(axis=1), "D-", color=colour, linewidth=2.0, markersize=8, markeredgecolor="white",
              zorder=5, label="mean over seeds")  # fmt: skip
    names = ["everything\non"] + [f"without\n{describe(cell.without)}" for cell in result.cells[1:]]
    axis.set_xticks(places, [name.replace(" and ", "\nand ") for name in names], fontsize=9.5)
    axis.set_xlim(-0.35, len(moves) - 0.65)
    axis.set_ylim(0, 1.06 * max(float(moves.max()), 1e-6))
    axis.grid(False, axis="x")
    panels.panel_label(axis, f"{result.direction.capitalize()} from the start, %; one line a seed")
    if len(result.seeds) > 1:
        panels.legend_above(axis)


def _effects(axis: "Axes", result: TwinResult, describe: Describe) -> None:
    band = targets()[BAND]
    rows = len(result.effects)
    axis.axvspan(band.lo, band.hi, color=theme.BID, alpha=0.10, linewidth=0, label=f"ordinary, {band.lo:g}-{band.hi:g}")
    axis.axvline(1.0, color=theme.MUTED, linewidth=0.9)
    labels = []
    for place, effect in enumerate(result.effects):
        y = float(rows - 1 - place)
        found = effect.amplification
        name = describe(effect.of)
        labels.append(f"{name}\n({describe(effect.given)} off)" if effect.given else name)
        if not math.isfinite(found.value):
            axis.text(1.02, y, "no ratio", va="center", fontsize=9, color=theme.MUTED)
            continue
        if found.has_interval:
            axis.plot([found.low, found.high], [y, y], color=theme.INK, linewidth=2.0, solid_capstyle="butt")
        axis.scatter([found.value], [y], 52, color=theme.INK, zorder=5)
        axis.annotate(written(found), (found.value, y), (0, 11), textcoords="offset points", ha="center", fontsize=9)
    seen = [end for effect in result.effects for end in (effect.amplification.low, effect.amplification.high,
                                                         effect.amplification.value) if math.isfinite(end)]  # fmt: skip
    axis.set_xlim(min([0.8, *(0.95 * end for end in seen)]), max([band.hi * 1.03, *(1.08 * end for end in seen)]))
    axis.set_ylim(-0.6, rows - 0.35)
    axis.set_yticks(np.arange(rows)[::-1], labels, fontsize=9.5, color=theme.INK)
    axis.spines["left"].set_visible(False)
    panels.panel_label(axis, "Amplification: with / without")
    panels.legend_above(axis)
    panels.x_label(axis, "times")


def plot_twin(run_with: str | Path | RunFrames, run_without: str | Path | RunFrames, path: str | Path) -> Path:
    """Overlay a run and its twin without forced orders (same seed): what the forced orders added."""
    first = run_with if isinstance(run_with, RunFrames) else load_run(run_with)
    second = run_without if isinstance(run_without, RunFrames) else load_run(run_without)
    from marginquake.analysis.frames.pairing import not_twins
    from marginquake.analysis.studies.twins.figure import draw_twin

    why = not_twins(first, second)
    if why is not None:
        raise RunDirectoryError(
            f"{first.path} and {second.path} are no twins: {why}; `marginquake counterfactual "
            f"{quote(str(first.path))} --without liquidation` makes one and draws them (without anything else, too)"
        )
    return render(
        lambda figure: draw_twin(first.first, second.first, figure), Path(path), 6.6, False, label(first, first.first)
    )


def plot_counterfactual(result: "TwinResult", run: RunFrames, twin: RunFrames, describe: "Describe") -> list[Path]:
    """Draw what `marginquake counterfactual` found of a market into its run: the first seed over its twin, and all
    seeds."""
    from marginquake.analysis.studies.twins import figure as all_seeds
    from marginquake.analysis.studies.twins.figure import draw_twin
    from marginquake.analysis.studies.twins.sentences import sentences

    market, other = run.markets[result.market], twin.markets[result.market]
    folder, source = run.path / "figures", label(run, market)
    key = result.key if market is run.first else f"{result.key}-{result.market}"
    off, finding = describe(result.without), sentences(result, describe)[0]
    drawn = [
        render(
            lambda figure: draw_twin(market, other, figure, off, finding),
            folder / f"twin-{key}.png", 6.6, False, source,
        )
    ]  # fmt: skip
    if len(result.seeds) > 1 or len(result.cells) > 2:
        path = folder / f"twins-{key}.png"
        drawn.append(
            render(
                lambda figure: all_seeds.draw(result, figure, describe), path, all_seeds.HEIGHT_INCHES, False, run.name
            )
        )
    return drawn
