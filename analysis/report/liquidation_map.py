"""Liquidation map: where forced orders wait, by price and time, and where they fired."""

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.frames.lookup import opening, reach_near
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.frames.run_frames import RunFrames
from marginquake.analysis.presentation import theme
from marginquake.analysis.presentation.panels import gather
from marginquake.analysis.report.heat_chart import heat_chart, price_window
from marginquake.analysis.report.section import Chart, Content
from marginquake.analysis.report.time_chart import bubbles

FAR_SHARE = 0.05
"""With a smaller share of what waits near the path, the whole map is shown."""
MOST_MARKS = 250


def wanted(run: RunFrames, market: MarketFrames) -> bool:
    """Runs of before there were maps, or without, have no such section."""
    return market.map is not None and len(market.map.time_s) > 0


def content(run: RunFrames, market: MarketFrames) -> Content:
    """The true map over time with the mark on it, and its profile at any moment."""
    levels = market.map
    assert levels is not None, "asked only where the run has a map"
    series = market.run
    waiting = levels.long_notional + levels.short_notional
    if not waiting.any():
        return Content(lead="At no time did anything wait to be forced within the prices of the map.")
    window = price_window(series["mark"], levels.price_edges, 0.45)
    shown = (levels.price_edges[1:] > window[0]) & (levels.price_edges[:-1] < window[1])
    if waiting[:, shown].sum() < FAR_SHARE * waiting.sum():
        window = float(levels.price_edges[0]), float(levels.price_edges[-1])
    start = float(series["mark"][np.isfinite(series["mark"])][0])
    near, far = (reach_near(levels, opening(levels), start, distance) for distance in (0.01, 0.05))
    if far.longs >= far.shorts:
        who, book = "Longs to be sold within 1 % below", "bids"
        sides = [(each.longs, each.bids, each.pressure_below) for each in (near, far)]
    else:
        who, book = "Shorts to be bought within 1 % above", "asks"
        sides = [(each.shorts, each.asks, each.pressure_above) for each in (near, far)]
    (forced, rests, pressure), (forced_far, rests_far, pressure_far) = sides
    lead = (
        f"{who} the start price: {formats.short_number(forced)} against {formats.short_number(rests)} of {book} "
        f"({pressure:.2f}); within 5 %: {formats.short_number(forced_far)} against {formats.short_number(rests_far)} "
        f"({pressure_far:.2f})."
    )
    data = heat_chart(
        market, levels, waiting, series["mark"], "waiting to be forced", theme.FUEL_ANCHORS, window,
        pathLabel="mark", marks=_fired(market, window),
        profile={"below": "longs to be sold", "above": "shorts to be bought", "colours": ["heat-sell", "heat-buy"],
                 "at": "start"},
    )  # fmt: skip
    caption = (
        "Every streak is a group of positions that will be closed by force when the mark (white) gets there: the "
        "brighter, the more notional. Circles: forced fills. Beside it what waits at the moment pointed at."
    )
    return Content(lead=lead, charts=[Chart("heat", "Forced notional waiting, by price over time", data, caption)])


def _fired(market: MarketFrames, window: tuple[float, float]) -> list[dict[str, object]]:
    forced = market.forced_fills
    span_s = float(market.run["time_s"][-1])
    found = []
    for side, label, colour in ((-1, "long liquidated", "heat-sell"), (1, "short liquidated", "heat-buy")):
        chosen = (forced.side == side) & (forced.time_s >= 0)
        time_s, price, amount = gather(
            forced.time_s[chosen], forced.price[chosen], forced.notional[chosen],
            max(span_s, 1.0) / 160, (window[1] - window[0]) / 60,
        )  # fmt: skip
        if len(time_s):
            kept = time_s[:MOST_MARKS], price[:MOST_MARKS], amount[:MOST_MARKS]
            found.append(bubbles(label, colour, "circle", kept, "quote"))
    return found
