"""Cascades: calls that hang together through their causes (eq. 175 of docs/model.md)."""

from dataclasses import dataclass
from typing import final

import numpy as np

from marginquake.analysis.causes.genealogy import Links, generations
from marginquake.analysis.causes.owners import Pieces
from marginquake.analysis.frames.market import MarginCalls, MarketFrames
from marginquake.sim.core.typing import Floats, Ints


@final
@dataclass(frozen=True)
class Cascade:
    """Calls joined by links, whichever way; a call that caused none and has no parent is one by itself.

    `calls`: their numbers in the tree, in order of time; `side` +1 where most of them were longs; `start_s` of the
    first call, `end_s` of the last fill of their liquidations; `generations`: calls in each, roots first; `notional`:
    forced fills of their liquidations, quote units.  How far the price went: `analysis.causes.cascade` (eq. 177).
    """

    number: int
    start_s: float
    end_s: float
    calls: Ints
    side: int
    generations: tuple[int, ...]
    notional: float

    @property
    def duration_s(self) -> float:
        """Seconds from the first call to the last forced fill."""
        return self.end_s - self.start_s


@final
@dataclass(frozen=True)
class ForcedFills:
    """Pieces of forced fills and the call whose liquidation they belong to; notional in quote units."""

    call: Ints
    time_s: Floats
    notional: Floats


def forced_fills_of_calls(market: MarketFrames, pieces: Pieces, owner: Ints) -> ForcedFills:
    """What each call's liquidation traded as aggressor; pieces that belong to no call are left out."""
    events = market.events
    row, share = pieces.place[owner >= 0], pieces.share[owner >= 0]
    ticks = events["price_ticks"][row].astype(np.float64)
    notional = np.asarray(market.contract.notional(events["quantity_lots"][row] * share, ticks), np.float64)
    return ForcedFills(owner[owner >= 0], events["time_s"][row], notional)


def find_cascades(
    calls: MarginCalls, links: Links, parent: Ints, fills: ForcedFills
) -> tuple[Ints, tuple[Cascade, ...]]:
    """The number of every call's cascade, and the cascades, largest forced notional first (number 0)."""
    count = len(parent)
    if not count:
        return np.zeros(0, np.int64), ()
    label = _components(links, parent)
    generation = generations(parent)
    members = _grouped(label)
    traded = _grouped(label[fills.call], label.max() + 1)
    found = [_describe(calls, generation, fills, own, forced) for own, forced in zip(members, traded, strict=True)]
    order = sorted(range(len(found)), key=lambda each: (-found[each].notional, found[each].start_s))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return place[label], tuple(Cascade(**(vars(found[each]) | {"number": number})) for number, each in enumerate(order))


def largest_bunch(calls: MarginCalls, fills: ForcedFills, gap_s: float) -> Cascade:
    """Calls of one side that follow each other within `gap_s`, from any cause: the bunch with most notional.

    For runs in which no call had a parent; generations say so: all are roots.
    """
    bunches: list[Ints] = []
    for side in (1, -1):
        own = np.flatnonzero(calls.side == side)
        bunches += np.split(own, np.flatnonzero(np.diff(calls.time_s[own]) > gap_s) + 1)
    largest = max(bunches, key=lambda bunch: float(calls.notional[bunch].sum()))
    forced = np.flatnonzero(np.isin(fills.call, largest))
    return _describe(calls, np.zeros(len(calls.side), np.int64), fills, largest, forced)


def _components(links: Links, parent: Ints) -> Ints:
    """Calls that are joined by the links of children, labelled 0, 1, ..."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    binds = parent[links.child] >= 0
    ends = links.child[binds], links.parent[binds]
    graph = coo_array((np.ones(len(ends[0])), ends), shape=(len(parent), len(parent)))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def _grouped(label: Ints, count: int | None = None) -> list[Ints]:
    """The places of each label, ascending."""
    order = np.argsort(label, kind="stable")
    sizes = np.bincount(label, minlength=count or 0)
    return np.split(order, np.cumsum(sizes)[:-1])


def _describe(calls: MarginCalls, generation: Ints, fills: ForcedFills, own: Ints, forced: Ints) -> Cascade:
    side = 1 if calls.side[own].sum() >= 0 else -1
    times = np.append(calls.time_s[own], fills.time_s[forced])
    return Cascade(
        number=-1,
        start_s=float(calls.time_s[own][0]),
        end_s=float(times.max()),
        calls=own,
        side=side,
        generations=tuple(np.bincount(generation[own]).tolist()),
        notional=float(fills.notional[forced].sum()),
    )


@final
@dataclass(frozen=True)
class CascadeMove:
    """Of the last price, from the first call to the low (where shorts were called: the high).

    `first`: row of the series at the first call; `extreme`: that of the lowest (highest) last price from there to the
    first row at or after the last forced fill; `change`: between the two, a signed fraction (NaN without a price).
    """

    first: int
    extreme: int
    change: float


def cascade_move(market: MarketFrames, cascade: Cascade) -> CascadeMove:
    """The move of one cascade, as sampled with the series, like every other fall and rise of a run.

    From trades it would be larger: in a book that is nearly empty single trades go far, for less than a second.
    """
    time_s, last = market.series["time_s"], market.series["last"]
    first = max(int(np.searchsorted(time_s, cascade.start_s, side="right")) - 1, 0)
    end = min(int(np.searchsorted(time_s, cascade.end_s)), len(time_s) - 1)
    distance = cascade.side * last[first : max(end, first) + 1]
    farthest = int(np.argmin(np.where(np.isfinite(distance), distance, np.inf)))
    return CascadeMove(first, first + farthest, float(last[first + farthest] / last[first] - 1.0))
