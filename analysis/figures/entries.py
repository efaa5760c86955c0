"""Open interest by entry price: where the crowd came in."""

from typing import TYPE_CHECKING

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.levels import entry_map, entry_peaks, snapshot_times
from marginquake.analysis.presentation import panels, theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_SHARE = 0.98


def applies(market: MarketFrames) -> bool:
    """True where positions are known at some time."""
    return len(snapshot_times(market)) > 0 and entry_map(market).open_interest() > 0


def draw(market: MarketFrames, figure: "Figure") -> None:
    """Longs upwards, shorts downwards, at the start and (outlined) at the last snapshot."""
    ((axis,),) = panels.panels(figure, (1.0,))
    if not applies(market):
        panels.heading(figure, "Open interest by entry price", entry_map(market).missing or "Nobody holds anything.")
        panels.nothing(axis, "no positions")
        return
    start, end = entry_map(market), entry_map(market, float(snapshot_times(market)[-1]))
    colours = {1: theme.BID, -1: theme.ASK}
    for side, name in ((1, "longs"), (-1, "shorts")):
        axis.stairs(
            side * start.of(side), start.prices, fill=True, color=colours[side], alpha=0.55, linewidth=0,
            label=f"{name}, {formats.clock(start.time_s)}",
        )  # fmt: skip
        if end.time_s > start.time_s:
            axis.stairs(
                side * end.of(side), end.prices, color=theme.INK, linewidth=1.0,
                linestyle="-" if side > 0 else (0, (3, 2)), label=f"{name}, {formats.clock(end.time_s)}",
            )  # fmt: skip
    axis.axvline(start.mark, color=theme.INK, linewidth=0.9)
    axis.axhline(0, color=theme.MUTED, linewidth=0.7)
    axis.annotate(
        "mark at the start", (start.mark, 0.99), xycoords=("data", "axes fraction"), xytext=(4, 0),
        textcoords="offset points", va="top", fontsize=9, color=theme.MUTED,
    )  # fmt: skip
    notional = start.long + start.short
    order = np.cumsum(notional) / notional.sum()
    low = start.prices[int(np.searchsorted(order, (1 - SHOWN_SHARE) / 2))]
    high = start.prices[int(np.searchsorted(order, (1 + SHOWN_SHARE) / 2)) + 1]
    room = 0.2 * max(high - low, 0.02 * start.mark)
    axis.set_xlim(low - room, high + room)
    axis.yaxis.set_major_formatter(lambda value, _: formats.short_number(abs(value)))
    axis.xaxis.set_major_formatter(lambda value, _: formats.price(value))
    panels.x_label(axis, "entry price")
    panels.panel_label(axis, "Quote notional a bin of 0.25 % of the mark: longs up, shorts down")
    panels.legend_above(axis)
    peaks = entry_peaks(start, side=1)[:2]
    said = " and ".join(f"{formats.percent(peak.share, 0)} near {formats.price(peak.price)}" for peak in peaks)
    panels.heading(
        figure,
        "Open interest by entry price",
        f"Open interest {formats.short_number(start.open_interest())}; longs: {said or 'no peaks'}. "
        "Both sides have equal areas.",
    )
