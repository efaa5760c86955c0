"""Open interest by entry price: where the crowd came in."""

from typing import TYPE_CHECKING

import numpy as np

from analysis import style
from analysis.clusters import entry_map, entry_peaks, snapshot_times
from analysis.figures import canvas
from analysis.load import MarketFrames

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_SHARE = 0.98


def tells(market: MarketFrames) -> bool:
    """True where positions are known at some time."""
    return len(snapshot_times(market)) > 0 and entry_map(market).open_interest() > 0


def draw(market: MarketFrames, figure: "Figure") -> None:
    """Longs upwards, shorts downwards, at the start and (outlined) at the last snapshot."""
    ((axis,),) = canvas.panels(figure, (1.0,))
    if not tells(market):
        canvas.heading(figure, "Open interest by entry price", entry_map(market).missing or "Nobody holds anything.")
        canvas.nothing(axis, "no positions")
        return
    start, end = entry_map(market), entry_map(market, float(snapshot_times(market)[-1]))
    colours = {1: style.BID, -1: style.ASK}
    for side, name in ((1, "longs"), (-1, "shorts")):
        axis.stairs(
            side * start.of(side), start.prices, fill=True, color=colours[side], alpha=0.55, linewidth=0,
            label=f"{name}, {style.clock(start.time_s)}",
        )  # fmt: skip
        if end.time_s > start.time_s:
            axis.stairs(
                side * end.of(side), end.prices, color=style.INK, linewidth=1.0,
                linestyle="-" if side > 0 else (0, (3, 2)), label=f"{name}, {style.clock(end.time_s)}",
            )  # fmt: skip
    axis.axvline(start.mark, color=style.INK, linewidth=0.9)
    axis.axhline(0, color=style.MUTED, linewidth=0.7)
    axis.annotate(
        "mark at the start", (start.mark, 0.99), xycoords=("data", "axes fraction"), xytext=(4, 0),
        textcoords="offset points", va="top", fontsize=9, color=style.MUTED,
    )  # fmt: skip
    notional = start.long + start.short
    order = np.cumsum(notional) / notional.sum()
    low = start.prices[int(np.searchsorted(order, (1 - SHOWN_SHARE) / 2))]
    high = start.prices[int(np.searchsorted(order, (1 + SHOWN_SHARE) / 2)) + 1]
    room = 0.2 * max(high - low, 0.02 * start.mark)
    axis.set_xlim(low - room, high + room)
    axis.yaxis.set_major_formatter(lambda value, _: style.short_number(abs(value)))
    axis.xaxis.set_major_formatter(lambda value, _: style.price(value))
    canvas.x_label(axis, "entry price")
    canvas.panel_label(axis, "Quote notional a bin of 0.25 % of the mark: longs up, shorts down")
    canvas.legend_above(axis)
    peaks = entry_peaks(start, side=1)[:2]
    said = " and ".join(f"{style.percent(peak.share, 0)} near {style.price(peak.price)}" for peak in peaks)
    canvas.heading(
        figure,
        "Open interest by entry price",
        f"Open interest {style.short_number(start.open_interest())}; longs: {said or 'no peaks'}. "
        "Both sides have equal areas.",
    )
