"""Twin runs: the same seed with and without forced orders (or something else), and what they added."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis import style
from analysis.figures import canvas
from analysis.load import MarketFrames, RunFrames
from analysis.twins.outcome import forced_notional, forced_side
from sim.moves import Direction, from_start

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNIMPORTANT = ("name", "question", "description", "seed", "record")
"""Fields of a resolved scenario that change nothing that happens; the seed is compared by itself."""


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
    (top,), (gap,), (flow,) = canvas.panels(figure, (4.0, 1.1, 1.1), gap_inches=0.34)
    forced_price = run["last"]
    calm_price = np.interp(time_s, twin["time_s"][np.isfinite(twin["last"])], twin["last"][np.isfinite(twin["last"])])
    top.plot(time_s, run["fundamental"], color=style.FUNDAMENTAL, linewidth=1.0, linestyle=(0, (4, 2)),
             label="fundamental")  # fmt: skip
    top.plot(time_s, calm_price, color=style.BID, linewidth=1.4, label=f"without {off}")
    top.plot(time_s, forced_price, color=style.FORCED_SELL, linewidth=1.4, label="with everything")
    top.fill_between(time_s, forced_price, calm_price, where=forced_price < calm_price, color=style.FORCED_SELL,
                     alpha=0.17, linewidth=0, interpolate=True, label="lower because of them")  # fmt: skip
    top.fill_between(time_s, forced_price, calm_price, where=forced_price >= calm_price, color=style.FORCED_BUY,
                     alpha=0.17, linewidth=0, interpolate=True, label="higher because of them")  # fmt: skip
    canvas.price_axis(top)
    canvas.panel_label(top, "Last price, quote units")
    canvas.legend_above(top)
    difference = (forced_price / calm_price - 1.0) * 1e4
    gap.plot(time_s, difference, color=style.INK, linewidth=1.0)
    gap.axhline(0, color=style.MUTED, linewidth=0.6)
    gap.locator_params(axis="y", nbins=4)
    canvas.panel_label(gap, "Difference, basis points")

    edges = canvas.time_bins(first_s, last_s, 160)
    forced = with_forced.forced_fills
    canvas.signed_flow(
        flow, edges, forced.time_s, forced.notional, forced.side, style.FORCED_BUY, style.FORCED_SELL
    )  # fmt: skip
    if missing := with_forced.not_recorded("liquidations"):
        canvas.nothing(flow, missing)
    canvas.panel_label(flow, f"Forced purchases (up) and sales (down) per {style.duration(edges[1] - edges[0])}, quote")
    canvas.time_axis((top, gap, flow), first_s, last_s)

    side = forced_side(*forced_notional(with_forced))
    moves = "  ".join(_moves(name, side, run[name], twin[name]) for name in ("last", "mark"))
    finding = finding or f"{side.capitalize()} from the start with and without {off}:  {moves}"
    canvas.heading(figure, f"What {off} added" if off.endswith("s") else f"What {off} did", finding)


def _moves(name: str, side: Direction, with_forced: canvas.Floats, without: canvas.Floats) -> str:
    """How far one price went in both and the ratio, the amplification (docs/model.md, eq. 181)."""
    deep, shallow = from_start(with_forced, side), from_start(without, side)
    ratio = f", amplification {deep / shallow:.2f}" if shallow > 0 else ""
    return f"{name} price {style.percent(deep)} and {style.percent(shallow)}{ratio}."


def not_twins(first: RunFrames, second: RunFrames) -> str | None:
    """Why the difference of two runs is not what forced orders did; None if it is.

    Twins have everything in common but `liquidation.enabled`, which is false in the second, and what is recorded.
    """
    if first.seed != second.seed:
        return f"their seeds are {first.seed} and {second.seed}"
    ours, theirs = dict(_leaves(first.scenario, ())), dict(_leaves(second.scenario, ()))
    for path in sorted(ours.keys() | theirs.keys(), key=str):
        if path[-2:] == ("liquidation", "enabled"):
            if theirs.get(path) is not False:
                return "liquidation.enabled is not false in the second"
        elif path[0] not in UNIMPORTANT and ours.get(path) != theirs.get(path):
            return f"{'.'.join(path)} is {ours.get(path)!r} in one and {theirs.get(path)!r} in the other"
    return None


def _leaves(node: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value of a resolved scenario with its path."""
    pairs: Iterable[tuple[Any, Any]] = ()
    if isinstance(node, Mapping):
        pairs = node.items()
    elif isinstance(node, list | tuple):
        pairs = enumerate(node)
    else:
        yield path, node
    for key, child in pairs:
        yield from _leaves(child, (*path, str(key)))
