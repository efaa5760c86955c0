"""The liquidation map at the start: truth by leverage, what an outsider would draw, and the ladder against the book."""

from typing import TYPE_CHECKING

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.levels import LevelMap, find_clusters, ladder, map_error, outsider_map, true_map
from marginquake.analysis.presentation import panels, theme
from marginquake.sim.core.typing import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BAND_COLOURS = ("#cfd6e1", "#9ecae1", "#4292c6", "#7a5cc2", "#e07b1a", "#d4253f")
"""From hardly levered to most levered."""
SHOWN_SHARE = 0.98
"""The x axis reaches as far as this share of what waits."""
LEAST_REACH, MOST_REACH = 0.02, 0.20


def applies(market: MarketFrames) -> bool:
    """True where positions of the start are known and some of them can be called within reach."""
    truth = true_map(market)
    return truth.mass(1) + truth.mass(-1) > 0


def draw(market: MarketFrames, figure: "Figure") -> None:
    """Truth by leverage band; the outsider's two estimates; forced notional against the book, cumulative."""
    (top,), (middle,), (bottom,) = panels.panels(figure, (1.6, 1.3, 1.3), gap_inches=0.46)
    truth = true_map(market)
    if not applies(market):
        panels.heading(figure, "Where forced sales wait, and who could know", truth.missing or "Nobody can be called.")
        for axis in (top, middle, bottom):
            panels.nothing(axis, "nothing waits")
        return
    reach = _reach(truth)
    _stacked(top, truth, truth.mass(1) + truth.mass(-1), in_quote=True)
    for cluster in find_clusters(truth):
        top.axvspan(
            *sorted((cluster.price_near, cluster.price_far)), color=theme.MUTED, alpha=0.13, linewidth=0, zorder=0
        )
    panels.money_axis(top)
    panels.panel_label(top, "Truth: quote notional a bin of 0.25 %, by leverage chosen; grey: clusters")
    entries, prints = outsider_map(market, knows="entries"), outsider_map(market)
    _stacked(middle, entries, entries.mass(1) + entries.mass(-1), in_quote=False)
    _outline(middle, prints)
    middle.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")
    panels.panel_label(
        middle,
        f"Outsider, share a bin. Bars: entry prices, assumed leverage ({_error(truth, entries)}); "
        f"line: trades alone ({_error(truth, prints)})",
    )
    _ladder(bottom, market, reach)
    for axis in (top, middle, bottom):
        axis.axvline(truth.mark, color=theme.INK, linewidth=0.8)
        axis.set_xlim(truth.mark * np.exp(-reach), truth.mark * (2 - np.exp(-reach)))
        axis.set_ylim(bottom=0)
        axis.tick_params(labelbottom=axis is bottom)
    bottom.xaxis.set_major_formatter(lambda value, _: _tick(value, truth.mark))
    top.legend(loc="upper right", ncols=2)
    panels.heading(
        figure,
        "Where forced sales wait, and who could know",
        f"Positions at {formats.clock(truth.time_s)}, mark {formats.price(truth.mark)}: longs to its left, "
        f"shorts right.",
    )


def _tick(price: float, mark: float) -> str:
    """A price, and below it how far from the mark it is."""
    away = round(100 * (price / mark - 1), 1)
    return f"{formats.price(price)}\n{away:+.1f}%" if away else formats.price(price)


def _reach(truth: LevelMap) -> float:
    """Log-distance that holds nearly all of what waits, on either side."""
    total = truth.cumulative(1) + truth.cumulative(-1)
    far = float(truth.edges[1:][np.searchsorted(total, SHOWN_SHARE * total[-1])])
    return float(np.clip(1.15 * far, LEAST_REACH, MOST_REACH))


def _both(levels: LevelMap, longs: Floats, shorts: Floats) -> tuple[Floats, Floats]:
    """Edges in ascending price, and the values between them: longs below the mark, shorts above."""
    edges = np.concatenate([levels.prices(1)[::-1], levels.prices(-1)[1:]])
    return edges, np.concatenate([longs[::-1], shorts])


def _stacked(axis: "Axes", levels: LevelMap, total: float, in_quote: bool) -> None:
    scale = 1.0 if in_quote else 1.0 / max(total, 1e-12)
    base = np.zeros(2 * (len(levels.edges) - 1))
    for place, band in enumerate(levels.bands):
        edges, values = _both(levels, levels.long[place], levels.short[place])
        above = base + scale * values
        if values.any():
            axis.stairs(
                above, edges, baseline=base, fill=True, color=BAND_COLOURS[place], linewidth=0, label=band.label
            )
        base = above


def _outline(axis: "Axes", levels: LevelMap) -> None:
    total = levels.mass(1) + levels.mass(-1)
    if total > 0:
        edges, values = _both(levels, levels.of(1), levels.of(-1))
        axis.stairs(values / total, edges, color=theme.INK, linewidth=1.1)


def _error(truth: LevelMap, estimate: LevelMap) -> str:
    found = map_error(truth, estimate)
    if not np.isfinite(found.correlation):
        return "nothing"
    return f"correlation {found.correlation:.2f}, mass x{found.mass_ratio:.2g}"


def _ladder(axis: "Axes", market: MarketFrames, reach: float) -> None:
    """Cumulative from the mark outwards."""
    moves = tuple((1 - np.exp(-np.linspace(0, reach, 161)[1:])).tolist())
    rungs = ladder(market, moves=moves)
    for side, colour, name in ((1, theme.FORCED_SELL, "forced sales"), (-1, theme.FORCED_BUY, "forced purchases")):
        own = rungs.of(side)
        prices = [rungs.mark, *(rung.price for rung in own)]
        axis.plot(prices, [0.0, *(rung.forced for rung in own)], color=colour, linewidth=1.8, label=name)
        resting = [0.0, *(rung.resting for rung in own)]
        book, shade = ("bids", theme.BID) if side > 0 else ("asks", theme.ASK)
        axis.plot(prices, resting, color=shade, linewidth=1.2, linestyle=(0, (4, 2)), label=f"resting {book}")
    axis.set_ylim(0, 1.2 * axis.get_ylim()[1])  # room for the legend
    panels.money_axis(axis)
    panels.panel_label(axis, "Ladder: forced notional from the mark to a price, and what the book holds up to there")
    axis.legend(loc="upper center", ncols=4)
