"""Panels of a time chart as data: lines over a common thinned time, flows that are summed again at every zoom, marks.

A panel's `format` names how JavaScript writes its numbers: price, money, percent, bps, count, ratio.  Colours are names
of `analysis.report.palette`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from marginquake.analysis.causes import causal_tree
from marginquake.analysis.causes.episodes import episodes_of
from marginquake.analysis.frames.market import Columns, MarketFrames
from marginquake.analysis.presentation.page import pack
from marginquake.analysis.report.thinning import at_most, rows_to_keep
from marginquake.sim.core.typing import Floats

Panel = dict[str, Any]

MOST_FLOW_ROWS = 6000
WINDOWS = 6


@final
@dataclass(frozen=True)
class Line:
    """One line: a column of the run, or of its own; `style` is line, step or area."""

    label: str
    colour: str
    values: Floats
    width: float = 1.4
    dash: tuple[int, int] | None = None
    style: str = "line"


@final
@dataclass(frozen=True)
class Flow:
    """Amounts at moments, shown as bars of sums: upwards, or downwards with `direction` -1."""

    label: str
    colour: str
    time_s: Floats
    amount: Floats
    direction: int = 1


def lines(
    title: str, unit: str, form: str, time_s: Floats, each: Sequence[Line],
    windows: Sequence[tuple[float, float]] = (), **more: Any,
) -> Panel:  # fmt: skip
    """A panel of lines, thinned together."""
    rows = rows_to_keep(time_s, [line.values for line in each], windows)
    series = [
        {
            "label": line.label,
            "colour": line.colour,
            "width": line.width,
            "dash": list(line.dash) if line.dash else None,
            "style": line.style,
            "values": pack(line.values[rows]),
        }
        for line in each
    ]
    return {"title": title, "unit": unit, "format": form, "x": pack(time_s[rows]), "series": series, **more}


def flows(title: str, unit: str, form: str, each: Sequence[Flow], nothing: str, **more: Any) -> Panel:
    """A panel of bars; `nothing` is what it says where there are none."""
    shown = []
    for flow in each:
        time_s, amount = _summed(flow.time_s, flow.amount)
        if len(time_s):
            shown.append(
                {"label": flow.label, "colour": flow.colour, "direction": flow.direction, "x": pack(time_s),
                 "amount": pack(amount)}
            )  # fmt: skip
    return {"title": title, "unit": unit, "format": form, "flows": shown, "nothing": nothing, **more}


def bubbles(label: str, colour: str, marker: str, points: tuple[Floats, Floats, Floats], unit: str) -> dict[str, Any]:
    """Marks at (time, price) with an amount each; `marker` is circle, up or down."""
    time_s, price, amount = points
    return {"label": label, "colour": colour, "marker": marker, "unit": unit, "x": pack(time_s), "y": pack(price),
            "amount": pack(amount)}  # fmt: skip


def time_chart(market: MarketFrames, panels: Sequence[Panel], **more: Any) -> dict[str, Any]:
    """Data of the chart kind `panels`: panels over one time axis, with faults and pauses shaded."""
    first_s, last_s = extent(market.run)
    shades = [
        {"from": span.start_s, "to": span.end_s, "label": span.type.replace("_", " "),
         "colour": "pause" if span.type == "paused" else "fault"}
        for span in (*market.faults, *market.pauses)
    ]  # fmt: skip
    return {"from": first_s, "to": last_s, "panels": list(panels), "shades": shades, **more}


def extent(run: Columns) -> tuple[float, float]:
    """First and last time of the run; never the same."""
    first_s, last_s = float(run["time_s"][0]), float(run["time_s"][-1])
    return first_s, max(last_s, first_s + 1.0)


def cascade_spans(market: MarketFrames) -> list[tuple[float, float]]:
    """From when to when the cascades were, largest first; of episodes of forced flow, where there is no causal tree."""
    tree = causal_tree(market)
    if tree.missing:
        found = [(episode.start_s, episode.end_s) for episode in episodes_of(market)]
    else:
        found = [(each.start_s, each.end_s) for each in tree.several]
    return [(max(start_s, 0.0), end_s) for start_s, end_s in found if end_s >= 0]


def busy_windows(market: MarketFrames) -> list[tuple[float, float]]:
    """Stretches of time that a reader will zoom into: the largest cascades, with what surrounds them."""
    return [around(start_s, end_s) for start_s, end_s in cascade_spans(market)[:WINDOWS]]


def around(start_s: float, end_s: float) -> tuple[float, float]:
    """A stretch of time with room at both ends."""
    room = max(0.25 * (end_s - start_s), 15.0)
    return max(start_s - room, 0.0), end_s + room


def column(table: Mapping[str, Any], name: str, like: Floats) -> Floats:
    """A column, or NaN where a run does not have it."""
    return np.asarray(table[name], np.float64) if name in table else np.full(len(like), np.nan)


def _summed(time_s: Floats, amount: Floats) -> tuple[Floats, Floats]:
    """Amounts of the same moment added up; moments become coarser until there are few enough."""
    live = (time_s >= 0) & (amount != 0)
    time_s, amount = time_s[live], amount[live]
    grain_s = 0.1
    while True:
        cell, place = np.unique(np.round(time_s / grain_s), return_inverse=True)
        if len(cell) <= at_most(MOST_FLOW_ROWS):
            return cell * grain_s, np.bincount(place, amount, len(cell)).astype(np.float64)
        grain_s *= 2
