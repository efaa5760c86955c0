"""Liquidation map: where forced orders wait, by price and time, and where they fired."""

from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.frames.run_frames import RunFrames
from marginquake.analysis.measures.waiting import waiting_map
from marginquake.analysis.presentation import theme
from marginquake.analysis.presentation.panels import gather_by_side
from marginquake.analysis.report.heat_chart import heat_chart
from marginquake.analysis.report.section import Chart, Content
from marginquake.analysis.report.time_chart import bubbles

MOST_MARKS = 250


def applies(run: RunFrames, market: MarketFrames) -> bool:
    """Runs of before there were maps, or without, have no such section."""
    return market.map is not None and len(market.map.time_s) > 0


def content(run: RunFrames, market: MarketFrames) -> Content:
    """The true map over time with the mark on it, and its profile at any moment."""
    found = waiting_map(market)
    assert found is not None, "asked only where the run has a map"
    if not found.notional.any():
        return Content(lead=found.sentence)
    data = heat_chart(
        market, found.levels, found.notional, market.run["mark"], "waiting to be forced", theme.FUEL_ANCHORS,
        found.window,
        pathLabel="mark", marks=_fired(market, found.window),
        profile={"below": "longs to be sold", "above": "shorts to be bought", "colours": ["heat-sell", "heat-buy"],
                 "at": "start"},
    )  # fmt: skip
    caption = (
        "Every streak is a group of positions that will be closed by force when the mark (white) gets there: the "
        "brighter, the more notional. Circles: forced fills. Beside it what waits at the moment pointed at."
    )
    return Content(
        lead=found.sentence, charts=[Chart("heat", "Forced notional waiting, by price over time", data, caption)]
    )


def _fired(market: MarketFrames, window: tuple[float, float]) -> list[dict[str, object]]:
    span_s = float(market.run["time_s"][-1])
    cells = gather_by_side(market.forced_fills, max(span_s, 1.0) / 160, (window[1] - window[0]) / 60)
    found = []
    for side, label, colour in ((-1, "long liquidated", "heat-sell"), (1, "short liquidated", "heat-buy")):
        time_s, price, amount = cells[side]
        if len(time_s):
            kept = time_s[:MOST_MARKS], price[:MOST_MARKS], amount[:MOST_MARKS]
            found.append(bubbles(label, colour, "circle", kept, "quote"))
    return found
