"""What moved the mark: the outside price, and the trades that the mark came to see.

Equation numbers are those of docs/model.md.  Prices in quote units, times in seconds from the end of the warm-up.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import final

import numpy as np

from marginquake.analysis.causes.spot_hedges import NO_HEDGES, SpotHedges
from marginquake.analysis.frames.market import Columns, MarketFrames
from marginquake.sim.core.records import EventKind
from marginquake.sim.core.typing import Floats, Ints

WINDOW_S = 60.0
"""Causes are looked for so far back, or to the account's own last change."""

STALE_MARK = "stale_mark"
"""The fault in which no mark is made (sim/rules/faults.py)."""


class Part(IntEnum):
    """The parts of a move of the mark (eq. 172).

    `FORCED`: liquidation orders, the insurance fund's, and what called accounts sell by themselves; `ADL`: what those
    whom auto-deleveraging (ADL) closed did next, on spot and here.
    """

    INDEX = 0
    VOLUNTARY = 1
    STOP = 2
    FORCED = 3
    SMOOTHING = 4
    ADL = 5


OWNED = (Part.STOP, Part.FORCED, Part.ADL)
"""Parts that have causes of their own: somebody's stop, somebody's liquidation."""


@final
@dataclass(frozen=True)
class OutsidePrice:
    """What no order in this market decides (eq. 170): the fundamental, linear between rows of the series; and where the
    index would be if nobody hedged but those whom ADL closed (eq. 179)."""

    market: MarketFrames
    hedges: SpotHedges = NO_HEDGES

    def alone(self, time_s: Floats) -> Floats:
        """The fundamental."""
        series = self.market.series
        return np.interp(time_s, series["time_s"], series["fundamental"])

    def displaced(self, time_s: Floats) -> Floats:
        """The fundamental, displaced by the spot trades that follow from ADL."""
        outside = self.alone(time_s)
        return outside * np.exp(self.hedges.displacement(time_s)) if len(self.hedges) else outside


@final
@dataclass(frozen=True)
class TradedPath:
    """What traded, one entry a fill in order.

    `place`: its row in the events; `excess`: the print, less half a spread on the aggressor's side, less the outside
    price (eq. 170), and `shift` its change since the fill before; `interval`: the number of the mark that saw it first;
    `start_excess`: that of the first mark.
    """

    place: Ints
    excess: Floats
    shift: Floats
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


def traded_path(market: MarketFrames, outside: OutsidePrice) -> TradedPath:
    """Every fill's excess over the displaced outside price (eq. 170)."""
    events = market.events
    place = np.flatnonzero(events["kind"] == EventKind.FILL)
    tick = market.contract.to_price(1.0)
    time_s = events["time_s"][place]
    price = events["price_ticks"][place] * tick - events["side"][place] * _half_spread(market, time_s)
    first_mark = float(known_marks(events["mark_ticks"])[0]) * tick if len(place) else 0.0
    begins_s = time_s[:1] if len(time_s) else np.zeros(1)
    start_excess = first_mark - float(outside.displaced(begins_s)[0])
    excess = price - outside.displaced(time_s)
    return TradedPath(
        place=place,
        excess=excess,
        shift=np.diff(excess, prepend=start_excess),
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


def moves_of_the_mark(
    market: MarketFrames, outside: OutsidePrice, path: TradedPath, windows: Windows, pass_through: float
) -> tuple[Floats, Floats]:
    """The move of the mark in each window, and its parts (N, 6) but for those of trades, which are 0 (eq. 172)."""
    events = market.events
    tick = market.contract.to_price(1.0)
    mark = known_marks(events["mark_ticks"]) * tick
    mark_then, mark_now = mark[np.maximum(windows.start, 0)], mark[windows.end]
    parts = _without_trades(outside, windows)
    excess_then, excess_now = _excesses(path, windows)
    explained = outside.displaced(windows.to_s) - outside.displaced(windows.from_s)
    move = mark_now - mark_then
    parts[:, Part.SMOOTHING] = move - explained - pass_through * (excess_now - excess_then)
    return move, parts


def moves_of_trades(outside: OutsidePrice, path: TradedPath, windows: Windows) -> tuple[Floats, Floats]:
    """The same of the traded price, half a spread on the aggressor's side taken out: it has no smoothing (eq. 172a)."""
    parts = _without_trades(outside, windows)
    excess_then, excess_now = _excesses(path, windows)
    return parts.sum(axis=1) + excess_now - excess_then, parts


def _without_trades(outside: OutsidePrice, windows: Windows) -> Floats:
    """What the outside price did, and what spot trades after ADL did to it."""
    parts = np.zeros((len(windows.end), len(Part)))
    alone, displaced = (price(windows.to_s) - price(windows.from_s) for price in (outside.alone, outside.displaced))
    parts[:, Part.INDEX] = alone
    parts[:, Part.ADL] = displaced - alone
    return parts


def _excesses(path: TradedPath, windows: Windows) -> tuple[Floats, Floats]:
    """Excess of the last fill up to the beginning and before the end of each window."""
    excess = np.append(path.start_excess, path.excess)
    return (
        excess[np.searchsorted(path.place, windows.start, side="right")],
        excess[np.searchsorted(path.place, windows.end)],
    )


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
