"""Leverage: open interest, the funding rate that longs pay, and the fund behind bankrupt positions."""

from typing import TYPE_CHECKING

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.presentation import panels, theme
from marginquake.sim.core.typing import Floats

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
    (interest,), (funding,), (fund,) = panels.panels(figure, (1.6, 1.2, 1.2), gap_inches=0.42)
    held = run["open_interest"]
    interest.plot(time_s, held, color=theme.BID, linewidth=1.5)
    _tight(interest, held)
    interest.fill_between(time_s, held, interest.get_ylim()[0], color=theme.BID, alpha=0.14, linewidth=0)
    panels.money_axis(interest)
    panels.panel_label(interest, "Open interest, quote notional of one side (axis does not start at 0)")

    rate = run["funding_rate"] * 1e4
    funding.plot(time_s, rate, color=theme.INK, linewidth=1.1)
    funding.fill_between(time_s, rate, 0, where=rate > 0, color=theme.BID, alpha=0.2, linewidth=0, interpolate=True)
    funding.fill_between(time_s, rate, 0, where=rate < 0, color=theme.ASK, alpha=0.25, linewidth=0, interpolate=True)
    funding.axhline(0, color=theme.MUTED, linewidth=0.7)
    funding.locator_params(axis="y", nbins=5)
    panels.panel_label(funding, "Funding rate, basis points per interval (above 0: longs pay shorts)")

    equity = run["insurance_fund"]
    fund.plot(time_s, equity, color=theme.FORCED_BUY, linewidth=1.5)
    start = float(equity[0])
    fund.fill_between(time_s, equity, start, where=equity < start, color=theme.FORCED_SELL, alpha=0.18, linewidth=0)
    fund.fill_between(time_s, equity, start, where=equity >= start, color=theme.FORCED_BUY, alpha=0.18, linewidth=0)
    fund.axhline(start, color=theme.MUTED, linewidth=0.9, linestyle=(0, (4, 2)))
    _tight(fund, equity)
    panels.money_axis(fund)
    panels.panel_label(fund, "Insurance fund, quote equity (dashed: at the start)")
    panels.time_axis((interest, funding, fund), float(time_s[0]), float(time_s[-1]))
    start_text, end_text = (formats.short_number(float(held[k])) for k in (0, -1))
    change = float(held[-1] / held[0] - 1.0) if held[0] > 0 else 0.0
    panels.heading(
        figure,
        "Leverage and the safety net",
        f"Open interest {start_text} at the start, {end_text} at the end ({change * 100:+.1f} %).  "
        f"Insurance fund {_signed(float(equity[-1] - start))}.",
    )


def _tight(axis: "Axes", values: Floats) -> None:
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return
    low, high = float(known.min()), float(known.max())
    room = max(0.12 * (high - low), 1e-3 * abs(high), 1e-9)
    axis.set_ylim(low - room, high + room)
    axis.locator_params(axis="y", nbins=5)


def _signed(amount: float) -> str:
    return "unchanged" if amount == 0 else ("+" if amount > 0 else "-") + formats.short_number(abs(amount))
