"""What moved the mark: the outside price, and the trades that the mark came to see.

Equation numbers are those of docs/model.md.  Prices in quote units, times in seconds from the end of the warm-up.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import final

import numpy as np

from marginquake.analysis.frames.market import Columns, MarketFrames
from marginquake.sim.core.records import Cause, EventKind
from marginquake.sim.core.typing import Floats, Ints

WINDOW_S = 60.0
"""Causes are looked for so far back, or to the account's own last change."""

STALE_MARK = "stale_mark"
"""The fault in which no mark is made (sim/rules/faults.py)."""


class Part(IntEnum):
    """The parts of a move of the mark (eq. 172)."""

    INDEX = 0
    VOLUNTARY = 1
    STOP = 2
    FORCED = 3
    SMOOTHING = 4


_PART_OF_CAUSE = np.full(256, int(Part.VOLUNTARY))
_PART_OF_CAUSE[Cause.STOP] = Part.STOP
_PART_OF_CAUSE[[Cause.LIQUIDATION, Cause.TAKEOVER]] = Part.FORCED


@final
@dataclass(frozen=True)
class TradedPath:
    """What traded, one entry a fill in order.

    `place`: its row in the events; `excess`: the print, less half a spread on the aggressor's side, less the outside
    price (eq. 170), and `shift` its change since the fill before; `part`: VOLUNTARY, STOP or FORCED, as the aggressor
    was; `interval`: the number of the mark that saw it first; `start_excess`: that of the first mark.
    """

    place: Ints
    excess: Floats
    shift: Floats
    part: Ints
    interval: Ints
    start_excess: float


@final
@dataclass(frozen=True)
class Windows:
    """Where the causes of each call begin and end: rows of the events (`start` -1: the beginning), and times."""

    start: Ints
    end: Ints
    from_s: Floats
    to_s: Floats


def outside_price(market: MarketFrames, time_s: Floats) -> Floats:
    """The fundamental, linear between rows of the series: what no order in this market decides."""
    series = market.series
    return np.interp(time_s, series["time_s"], series["fundamental"])


def traded_path(market: MarketFrames) -> TradedPath:
    """Every fill's excess over the outside price (eq. 170)."""
    events = market.events
    place = np.flatnonzero(events["kind"] == EventKind.FILL)
    tick = market.contract.to_price(1.0)
    time_s = events["time_s"][place]
    price = events["price_ticks"][place] * tick - events["side"][place] * _half_spread(market, time_s)
    first_mark = float(known_marks(events["mark_ticks"])[0]) * tick if len(place) else 0.0
    begins_s = time_s[:1] if len(time_s) else np.zeros(1)
    start_excess = first_mark - float(outside_price(market, begins_s)[0])
    excess = price - outside_price(market, time_s)
    return TradedPath(
        place=place,
        excess=excess,
        shift=np.diff(excess, prepend=start_excess),
        part=_PART_OF_CAUSE[events["cause"][place].astype(np.int64)],
        interval=next_mark(market, events["time_ns"][place] - market.start_ns),
        start_excess=start_excess,
    )


def next_mark(market: MarketFrames, since_start_ns: Ints) -> Ints:
    """Number of the first mark at or after each time: one every `mark.period`, none while the mark is stale."""
    period_ns = round(market.mark_period_s * 1e9)
    number: Ints = -(-since_start_ns // period_ns)
    stale = (span for span in market.faults if span.type == STALE_MARK)
    for span in sorted(stale, key=lambda each: each.start_s):
        first, after = (-(-round(time_s * 1e9) // period_ns) for time_s in (span.start_s, span.end_s))
        number = np.where((first <= number) & (number < after), after, number)
    return number


def call_windows(market: MarketFrames, calls: Ints, window_s: float = WINDOW_S) -> Windows:
    """The window of each call (a row of the events): from the latest of (eq. 171)

    the account's last change (a fill, ADL, takeover or deposit of its own), `window_s` before the call, and the end of
    the warm-up, when positions are seeded.
    """
    events = market.events
    time_s = events["time_s"]
    earliest_s = time_s[calls] - window_s
    bound_s = np.where(time_s[calls] >= 0, np.maximum(earliest_s, 0.0), earliest_s)
    bound = np.searchsorted(time_s, bound_s, side="right") - 1
    change = _last_change(events, calls)
    own = change > bound
    return Windows(
        start=np.where(own, change, bound),
        end=calls,
        from_s=np.where(own, time_s[np.maximum(change, 0)], bound_s),
        to_s=time_s[calls],
    )


def moves_without_trades(
    market: MarketFrames, path: TradedPath, windows: Windows, pass_through: float
) -> tuple[Floats, Floats]:
    """The move of the mark in each window, and its parts (N, 5) but for those of trades, which are 0 (eq. 172)."""
    events = market.events
    tick = market.contract.to_price(1.0)
    mark = known_marks(events["mark_ticks"]) * tick
    mark_then, mark_now = mark[np.maximum(windows.start, 0)], mark[windows.end]
    outside_then, outside_now = outside_price(market, windows.from_s), outside_price(market, windows.to_s)
    excess = np.append(path.start_excess, path.excess)
    excess_then = excess[np.searchsorted(path.place, windows.start, side="right")]
    excess_now = excess[np.searchsorted(path.place, windows.end)]
    parts = np.zeros((len(windows.end), len(Part)))
    parts[:, Part.INDEX] = outside_now - outside_then
    parts[:, Part.SMOOTHING] = (mark_now - outside_now) - (mark_then - outside_then)
    parts[:, Part.SMOOTHING] -= pass_through * (excess_now - excess_then)
    return mark_now - mark_then, parts


def _half_spread(market: MarketFrames, time_s: Floats) -> Floats:
    """Half of the spread as last sampled, 0 before there was one; quote units."""
    spread = market.series["spread_ticks"].astype(np.float64) * market.contract.to_price(1.0)
    known = np.isfinite(spread)
    if not known.any():
        return np.zeros(len(time_s))
    sampled_s, spread = market.series["time_s"][known], spread[known]
    row = np.searchsorted(sampled_s, time_s, side="right") - 1
    return np.where(row >= 0, 0.5 * spread[np.maximum(row, 0)], 0.0)


def known_marks(marks: Ints) -> Floats:
    """Marks, with those of before there was one (0) taken from the first there is."""
    known = np.flatnonzero(marks > 0)
    filled = marks.astype(np.float64)
    if len(known):
        filled[: known[0]] = filled[known[0]]
    return filled


def _last_change(events: Columns, calls: Ints) -> Ints:
    """Row of each called account's last own fill, ADL, takeover or deposit before its call; -1 for none."""
    kind = events["kind"]
    both = np.flatnonzero((kind == EventKind.FILL) | (kind == EventKind.ADL))
    alone = np.flatnonzero((kind == EventKind.DEPOSIT) | (kind == EventKind.TAKEOVER))
    row = np.concatenate([both, both, alone])
    if not len(row):
        return np.full(len(calls), -1)
    account = np.concatenate([events["account"][both], events["maker_account"][both], events["account"][alone]])
    order = np.lexsort((row, account))
    row, account = row[order], account[order].astype(np.int64)
    rows = len(kind) + 1
    asked = events["account"][calls].astype(np.int64)
    found = np.searchsorted(account * rows + row, asked * rows + calls) - 1
    is_own = (found >= 0) & (account[np.maximum(found, 0)] == asked)
    return np.where(is_own, row[np.maximum(found, 0)], -1)
