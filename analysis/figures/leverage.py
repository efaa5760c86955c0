"""Leverage: open interest, the funding rate that longs pay, and the fund behind bankrupt positions."""

from typing import TYPE_CHECKING

import numpy as np

from analysis import style
from analysis.figures import canvas
from analysis.load import MarketFrames

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(market: MarketFrames, figure: "Figure") -> None:
    """Three stacked panels on one time axis."""
    run = market.run
    if len(run["time_s"]) > 1 and run["time_s"][0] == 0:
        # The row at t = 0 belongs to the warm-up: positions that accounts start with are booked after it.
        run = {name: column[1:] for name, column in run.items()}
    time_s = run["time_s"]
    (interest,), (funding,), (fund,) = canvas.panels(figure, (1.6, 1.2, 1.2), gap_inches=0.42)
    held = run["open_interest"]
    interest.plot(time_s, held, color=style.BID, linewidth=1.5)
    _tight(interest, held)
    interest.fill_between(time_s, held, interest.get_ylim()[0], color=style.BID, alpha=0.14, linewidth=0)
    canvas.money_axis(interest)
    canvas.panel_label(interest, "Open interest, quote notional of one side (axis does not start at 0)")

    rate = run["funding_rate"] * 1e4
    funding.plot(time_s, rate, color=style.INK, linewidth=1.1)
    funding.fill_between(time_s, rate, 0, where=rate > 0, color=style.BID, alpha=0.2, linewidth=0, interpolate=True)
    funding.fill_between(time_s, rate, 0, where=rate < 0, color=style.ASK, alpha=0.25, linewidth=0, interpolate=True)
    funding.axhline(0, color=style.MUTED, linewidth=0.7)
    funding.locator_params(axis="y", nbins=5)
    canvas.panel_label(funding, "Funding rate, basis points per interval (above 0: longs pay shorts)")

    equity = run["insurance_fund"]
    fund.plot(time_s, equity, color=style.FORCED_BUY, linewidth=1.5)
    start = float(equity[0])
    fund.fill_between(time_s, equity, start, where=equity < start, color=style.FORCED_SELL, alpha=0.18, linewidth=0)
    fund.fill_between(time_s, equity, start, where=equity >= start, color=style.FORCED_BUY, alpha=0.18, linewidth=0)
    fund.axhline(start, color=style.MUTED, linewidth=0.9, linestyle=(0, (4, 2)))
    _tight(fund, equity)
    canvas.money_axis(fund)
    canvas.panel_label(fund, "Insurance fund, quote equity (dashed: at the start)")
    canvas.time_axis((interest, funding, fund), float(time_s[0]), float(time_s[-1]))
    start_text, end_text = (style.short_number(float(held[k])) for k in (0, -1))
    change = float(held[-1] / held[0] - 1.0) if held[0] > 0 else 0.0
    canvas.heading(
        figure,
        "Leverage and the safety net",
        f"Open interest {start_text} at the start, {end_text} at the end ({change * 100:+.1f} %).  "
        f"Insurance fund {_signed(float(equity[-1] - start))}.",
    )


def _tight(axis: "Axes", values: canvas.Floats) -> None:
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return
    low, high = float(known.min()), float(known.max())
    room = max(0.12 * (high - low), 1e-3 * abs(high), 1e-9)
    axis.set_ylim(low - room, high + room)
    axis.locator_params(axis="y", nbins=5)


def _signed(amount: float) -> str:
    return "unchanged" if amount == 0 else ("+" if amount > 0 else "-") + style.short_number(abs(amount))
