"""Cascades: calls and stops that hang together through their causes (eq. 175 and 177 of docs/model.md)."""

from dataclasses import dataclass, field, replace
from typing import final

import numpy as np

from marginquake.analysis.causes.forced_flows import CLOSED, ForcedFlows, Record, Way
from marginquake.analysis.causes.genealogy import Links
from marginquake.analysis.causes.price_parts import WINDOW_S
from marginquake.analysis.frames.market import MarginCalls, MarketFrames
from marginquake.sim.core.typing import Bools, Floats, Ints


@final
@dataclass(frozen=True)
class Cascade:
    """Calls and stops joined by links, whichever way; a call that caused none and has no parent is one by itself.

    `calls`: their numbers in the tree, in order of time, and `stops`; `side` +1 where most of the calls were longs;
    `start_s` of the first call or stop; `last_flow_s` of the last that was closed by force or followed from that;
    `end_s` the later of that and the low (where shorts were called: the high), eq. 177; `generations`: calls in each,
    roots first; `notional`: fills of liquidation orders and of the insurance fund, and `closed`: everything that was
    closed by force, once (`forced_flows.CLOSED`), quote units.
    """

    number: int
    start_s: float
    end_s: float
    calls: Ints
    side: int
    generations: tuple[int, ...]
    notional: float
    stops: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    closed: float = 0.0
    last_flow_s: float = float("nan")

    @property
    def duration_s(self) -> float:
        """Seconds from the first call or stop to the end."""
        return self.end_s - self.start_s


@final
@dataclass(frozen=True)
class ForcedFills:
    """What was closed of each call's position: fills of liquidation orders, of the fund and of the account itself, and
    ADL, in pieces, with the call that each belongs to; quote units."""

    call: Ints
    time_s: Floats
    notional: Floats


@final
@dataclass(frozen=True)
class Nodes:
    """Calls and stops together, in order of their events: time, side +1 where a long was called or stopped out, whether
    it is a call, and its number among calls or stops."""

    time_s: Floats
    side: Ints
    is_call: Bools
    number: Ints

    @staticmethod
    def of(record: Record) -> "Nodes":
        """Those of a record."""
        is_call = np.zeros(len(record.node_row), np.bool_)
        is_call[record.call_node] = True
        number = np.zeros(len(is_call), np.int64)
        number[record.call_node] = np.arange(len(record.call_node))
        number[record.stop_node] = np.arange(len(record.stop_node))
        side = record.events["side"][record.node_row].astype(np.int64)
        return Nodes(record.events["time_s"][record.node_row], np.where(is_call, side, -side), is_call, number)


@final
@dataclass(frozen=True)
class Cascades:
    """`with_calls`, most closed by force first, and of stops alone; `of_node`: number of every node's cascade, -1 - k
    for number k of `of_stops`."""

    with_calls: tuple[Cascade, ...]
    of_stops: tuple[Cascade, ...]
    of_node: Ints


def find_cascades(
    market: MarketFrames, nodes: Nodes, links: Links, above: Ints, generation: Ints, flows: ForcedFlows
) -> Cascades:
    """Components of the nodes that links of children join.

    `above`: main parent of every node (-1: a root); `generation` of every call.
    """
    if not len(nodes.time_s):
        return Cascades((), (), np.zeros(0, np.int64))
    label = _components(links, above)
    flows = flows.select(flows.node >= 0)
    owned = _grouped(label[flows.node], int(label.max()) + 1)
    members = zip(_grouped(label), owned, strict=True)
    found = [_describe(market, nodes, generation, own, flows, pieces) for own, pieces in members]
    order = sorted(range(len(found)), key=lambda each: (-found[each].closed, found[each].start_s))
    number = np.zeros(len(found), np.int64)
    kinds: tuple[list[Cascade], list[Cascade]] = ([], [])
    for each in order:
        with_calls = len(found[each].calls) > 0
        same = kinds[0 if with_calls else 1]
        number[each] = len(same) if with_calls else -1 - len(same)
        same.append(replace(found[each], number=len(same)))
    return Cascades(tuple(kinds[0]), tuple(kinds[1]), number[label])


def until_the_low(market: MarketFrames, cascade: Cascade) -> Cascade:
    """The same, ending at its low if that comes after its last flow, by `WINDOW_S` at most (eq. 177)."""
    if "last" not in market.series:
        return cascade
    move = cascade_move(market, replace(cascade, end_s=cascade.end_s + WINDOW_S))
    low_s = float(market.series["time_s"][move.extreme])
    return cascade if move.change != move.change else replace(cascade, end_s=max(cascade.end_s, low_s))


def largest_bunch(calls: MarginCalls, fills: ForcedFills, gap_s: float) -> Cascade:
    """Calls of one side that follow each other within `gap_s`, from any cause: the bunch with most notional.

    For runs in which no call had a parent; generations say so: all are roots.
    """
    bunches: list[Ints] = []
    for side in (1, -1):
        own = np.flatnonzero(calls.side == side)
        bunches += np.split(own, np.flatnonzero(np.diff(calls.time_s[own]) > gap_s) + 1)
    largest = max(bunches, key=lambda bunch: float(calls.notional[bunch].sum()))
    forced = np.isin(fills.call, largest)
    last_s = float(np.append(calls.time_s[largest], fills.time_s[forced]).max())
    notional = float(fills.notional[forced].sum())
    return Cascade(
        number=-1,
        start_s=float(calls.time_s[largest][0]),
        end_s=last_s,
        calls=largest,
        side=1 if calls.side[largest].sum() >= 0 else -1,
        generations=(len(largest),),
        notional=notional,
        closed=notional,
        last_flow_s=last_s,
    )


def _components(links: Links, above: Ints) -> Ints:
    """Nodes that are joined by the links of children, labelled 0, 1, ..."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    binds = above[links.child] >= 0
    ends = links.child[binds], links.parent[binds]
    graph = coo_array((np.ones(len(ends[0])), ends), shape=(len(above), len(above)))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def _grouped(label: Ints, count: int | None = None) -> list[Ints]:
    """The places of each label, ascending."""
    order = np.argsort(label, kind="stable")
    sizes = np.bincount(label, minlength=count or 0)
    return np.split(order, np.cumsum(sizes)[:-1])


def _describe(
    market: MarketFrames, nodes: Nodes, generation: Ints, own: Ints, flows: ForcedFlows, pieces: Ints
) -> Cascade:
    """One component: `own` nodes and `pieces` of the flows."""
    is_call = nodes.is_call[own]
    calls, stops = nodes.number[own[is_call]], nodes.number[own[~is_call]]
    side = int(nodes.side[own[is_call] if len(calls) else own].sum())
    way, notional = flows.way[pieces], flows.notional[pieces]
    last_s = float(np.append(nodes.time_s[own], flows.time_s[pieces]).max())
    return until_the_low(
        market,
        Cascade(
            number=-1,
            start_s=float(nodes.time_s[own].min()),
            end_s=last_s,
            calls=calls,
            side=1 if side >= 0 else -1,
            generations=tuple(np.bincount(generation[calls]).tolist()) if len(calls) else (),
            notional=float(notional[(way == Way.LIQUIDATION) | (way == Way.FUND)].sum()),
            stops=stops,
            closed=float(notional[np.isin(way, CLOSED)].sum()),
            last_flow_s=last_s,
        ),
    )


@final
@dataclass(frozen=True)
class CascadeMove:
    """Of the last price, from the first call or stop to the low (where shorts were called: the high).

    `first`: row of the series at the beginning; `extreme`: that of the lowest (highest) last price from there to the
    first row at or after the end; `change`: between the two, a signed fraction (NaN without a price).
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
