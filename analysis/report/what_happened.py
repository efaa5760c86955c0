"""What happened: prices, what was forced through the book, and who was called, over time."""

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.causes import causal_tree
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.frames.run_frames import RunFrames
from marginquake.analysis.measures.closings import IN_THE_BOOK, OUTSIDE_THE_BOOK, Kind
from marginquake.analysis.measures.scorecard import what_happened
from marginquake.analysis.presentation.panels import gather, gather_by_side
from marginquake.analysis.report.section import Chart, Content
from marginquake.analysis.report.time_chart import (
    Flow,
    Line,
    Panel,
    bubbles,
    busy_windows,
    cascade_spans,
    flows,
    lines,
    time_chart,
)
from marginquake.sim.core.typing import Floats

NUMBERED = 5
"""Cascades whose number stands in the chart."""
MOST_MARKS = 400


def content(run: RunFrames, market: MarketFrames) -> Content:
    """The chart that a reader looks at first."""
    data = time_chart(market, [_prices(market), *_closed(market), _calls(market)], numbered=_numbered(market))
    caption = (
        "Where the price leaves the fundamental while forced sales crowd, the market falls by its own weight. "
        "Circles: forced fills, area by notional. Triangles: margin calls. Panels below: liquidation orders, the "
        "insurance fund and stops in the book; takeovers and auto-deleveraging (ADL) outside it; longs point down."
    )
    if data["numbered"]:
        numbered = "episodes of forced flow" if causal_tree(market).missing else "cascades"
        caption += f" Shaded and numbered: the largest {numbered}."
    return Content(
        lead=what_happened(market) + _closed_besides(market),
        charts=[Chart("panels", "Prices, forced orders and margin calls over time", data, caption)],
        missing=market.not_recorded("liquidations") and f"Forced fills: {market.not_recorded('liquidations')}",
    )


def _closed_besides(market: MarketFrames) -> str:
    """What stops closed, and what was closed outside the book, in a sentence; nothing where there is nothing."""
    (*_, stops), (taken, deleveraged) = IN_THE_BOOK, OUTSIDE_THE_BOOK
    amounts = {
        "traded by stops": stops.of(market).total,
        "taken over by the insurance fund": taken.of(market).total,
        "closed by auto-deleveraging (ADL)": deleveraged.of(market).total,
    }
    told = [f"{formats.short_number(amount)} {what}" for what, amount in amounts.items() if amount]
    return f" Besides: {', '.join(told)}." if told else ""


def _prices(market: MarketFrames) -> Panel:
    run = market.run
    shown = [
        Line("mark", "mark", run["mark"], 1.8),
        Line("last", "last", run["last"], 1.2),
        Line("index", "index", run["index"], 1.4),
        Line("fundamental", "fundamental", run["fundamental"], 1.3, (6, 4)),
    ]
    return lines(
        "Price", "quote units", "price", run["time_s"], shown, busy_windows(market), height=340, marks=_marks(market)
    )


def _marks(market: MarketFrames) -> list[dict[str, object]]:
    span_s = float(market.run["time_s"][-1])
    known = np.concatenate([market.run["last"], market.run["mark"]])
    known = known[np.isfinite(known)]
    height = float(known.max() - known.min()) if len(known) else 1.0
    cell = max(span_s, 1.0) / 300, max(height, 1e-9) / 80
    found = []
    forced, calls = gather_by_side(market.forced_fills, *cell), market.margin_calls
    for side, label, colour in ((-1, "forced sale", "forced-sell"), (1, "forced purchase", "forced-buy")):
        points = _most(forced[side])
        if len(points[0]):
            found.append(bubbles(label, colour, "circle", points, "quote"))
    for side, label, colour, marker in (
        (1, "longs called", "forced-sell", "down"),
        (-1, "shorts called", "forced-buy", "up"),
    ):
        chosen = (calls.side == side) & (calls.time_s >= 0)
        points = _most(gather(calls.time_s[chosen], calls.mark[chosen], np.ones(int(chosen.sum())), *cell))
        if len(points[0]):
            found.append(bubbles(label, colour, marker, points, "calls"))
    return found


def _most(points: tuple[Floats, Floats, Floats]) -> tuple[Floats, Floats, Floats]:
    return points[0][:MOST_MARKS], points[1][:MOST_MARKS], points[2][:MOST_MARKS]


def _closed(market: MarketFrames) -> list[Panel]:
    """What was forced through the book, and what was closed outside it where anything was."""
    book = flows(
        "In the book by force", "quote", "money", _flows(market, IN_THE_BOOK), "nothing was forced", height=130
    )
    outside = _flows(market, OUTSIDE_THE_BOOK)
    if not outside:
        return [book]
    return [book, flows("Outside the book, at the mark", "quote", "money", outside, "nothing", height=110)]


def _flows(market: MarketFrames, kinds: tuple[Kind, ...]) -> list[Flow]:
    """One flow a kind and side, closed longs downwards; those of nothing are left out."""
    found = []
    for kind in kinds:
        closing = kind.of(market)
        for side in (-1, 1):
            time_s, notional = closing.of_side(side)
            if notional.any():
                word = kind.label if side < 0 else f"{kind.label}, of shorts"
                found.append(Flow(word, kind.colour, time_s, notional, side))
    return found


def _calls(market: MarketFrames) -> Panel:
    calls, run = market.margin_calls, market.run
    if len(calls.time_s):
        each = [
            Flow(label, colour, calls.time_s[calls.side == side], np.ones(int((calls.side == side).sum())))
            for side, label, colour in ((1, "longs", "forced-sell"), (-1, "shorts", "forced-buy"))
        ]
    else:
        each = [Flow("calls", "forced-sell", run["time_s"], np.asarray(run["margin_calls"], np.float64))]
    return flows("Margin calls", "accounts", "count", each, "nobody was called", height=110)


def _numbered(market: MarketFrames) -> list[dict[str, object]]:
    spans = cascade_spans(market)[:NUMBERED]
    return [{"from": start_s, "to": end_s, "label": str(rank + 1)} for rank, (start_s, end_s) in enumerate(spans)]
