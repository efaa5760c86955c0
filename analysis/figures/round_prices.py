"""Round prices: where stops fire, and what prices do when they get there (Osler 2003, 2005)."""

from typing import TYPE_CHECKING

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.levels.round_prices import visits
from marginquake.analysis.presentation import panels, theme
from marginquake.sim.core.records import Cause
from marginquake.sim.core.typing import Floats
from marginquake.sim.runs.directory import RunDirectoryError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SPACING_FRACTION = 0.005
"""Round prices are multiples of about this share of the starting price: of 1, 2 or 5 times a power of ten."""
OTHER_OFFSETS = (0.23, 0.37, 0.63, 0.77)
"""Grids shifted by these shares of the spacing: no round price is on them."""

CLUSTERED = 3.0
"""Stop volume near round prices, over what an even spread would put there, from which on the figure says something."""


def applies(market: MarketFrames) -> bool:
    """True for runs whose stops crowd at round prices."""
    price = market.run["last"]
    known = price[np.isfinite(price)]
    fills = market.fills
    stops = fills.select((fills.cause == int(Cause.STOP)) & (fills.time_s > 0))
    if len(known) == 0 or len(stops) < 30:
        return False
    place = (stops.price / _spacing(known) + 0.05) % 1.0
    return float(stops.notional[place < 0.1].sum()) >= CLUSTERED * 0.1 * float(stops.notional.sum())


def _spacing(price: Floats) -> float:
    """The 1, 2 or 5 times a power of ten nearest to `SPACING_FRACTION` of the first price."""
    ideal = float(price[0]) * SPACING_FRACTION
    power = 10.0 ** np.floor(np.log10(ideal))
    return float(min((power * step for step in (1, 2, 5, 10)), key=lambda level: abs(np.log(level / ideal))))


def draw(market: MarketFrames, figure: "Figure") -> None:
    """Price with its round levels and stop volume; stop volume by distance from them; run-on after crossings."""
    if missing := market.not_recorded("fills"):
        raise RunDirectoryError(f"round_prices: fills of stops were {missing}")
    run = market.run
    time_s, price = run["time_s"], run["last"]
    if not np.isfinite(price).any():
        raise RunDirectoryError("round_prices: nobody traded in this run, so no price came near a round one")
    spacing = _spacing(price[np.isfinite(price)])
    (top,), (digits,), (speed,) = panels.panels(figure, (2.6, 1.5, 1.3), gap_inches=0.66)
    top.plot(time_s, price, color=theme.LAST, linewidth=0.8)
    low, high = np.nanmin(price), np.nanmax(price)
    for level in np.arange(np.floor(low / spacing), np.ceil(high / spacing) + 1) * spacing:
        top.axhline(level, color=theme.MUTED, linewidth=0.7, linestyle=(0, (4, 3)))
    fills = market.fills
    stops = fills.select((fills.cause == int(Cause.STOP)) & (fills.time_s > 0))
    for side, colour in ((-1, theme.FORCED_SELL), (1, theme.FORCED_BUY)):
        chosen = stops.side == side
        cell = float(time_s[-1] - time_s[0]) / 160, (high - low) / 50
        t, p, n = panels.gather(stops.time_s[chosen], stops.price[chosen], stops.notional[chosen], *cell)
        if len(n):
            top.scatter(t, p, s=panels.bubble_area(n, float(n.max()), 160.0), color=colour, alpha=0.45, linewidth=0)
    panels.price_axis(top)
    panels.panel_label(top, f"Last price; dashed: multiples of {spacing:,.0f}; bubbles: stops that fired")
    panels.time_axis((top,), float(time_s[0]), float(time_s[-1]))

    place = (stops.price / spacing) % 1.0
    bins = np.linspace(0, 1, 51)
    volume, _ = np.histogram(place, bins=bins, weights=stops.notional)
    digits, speed = _own_x(figure, digits), _own_x(figure, speed)
    digits.bar(bins[:-1], volume, width=0.02, align="edge", color=theme.FORCED_SELL, linewidth=0)
    digits.set_xlim(0, 1)
    panels.money_axis(digits)
    panels.panel_label(digits, f"Stop volume by where it executed between two multiples of {spacing:,.0f} (0 and 1)")

    round_ones = visits(time_s, price, spacing, 0.0)
    others = [visits(time_s, price, spacing, share * spacing) for share in OTHER_OFFSETS]
    other = np.concatenate([v.run_on_bps for v in others])
    edges = np.linspace(-60, 60, 41)
    for values, colour, label in (
        (other, theme.MUTED, "other prices"),
        (round_ones.run_on_bps, theme.FORCED_SELL, "round prices"),
    ):
        if len(values):
            weights = np.full(len(values), 1.0 / len(values))
            speed.hist(np.clip(values, -59, 59), bins=edges.tolist(), weights=weights, histtype="step", color=colour,
                       linewidth=1.4, label=f"{label}: {len(values)} crossings, mean {values.mean():+.1f}")  # fmt: skip
    panels.legend_above(speed)
    panels.panel_label(speed, "Move in the minute after a crossing, in its direction, basis points")
    turned = round_ones.turned / max(round_ones.approaches, 1)
    turned_other = sum(v.turned for v in others) / max(sum(v.approaches for v in others), 1)
    panels.heading(
        figure,
        "Round prices",
        f"Approaches that turned back: {turned:.0%} of {round_ones.approaches} at round prices, {turned_other:.0%} "
        f"elsewhere.  Stops traded {formats.short_number(float(stops.notional.sum()))}.",
    )


def _own_x(figure: "Figure", axis: "Axes") -> "Axes":
    """Panels of one column share x: this one in its place has an x of its own."""
    box = axis.get_position().bounds
    axis.remove()
    return figure.add_axes(box)
