"""The causal tree: what called every account, and which liquidations were among the causes.

Definition, edge cases and a hand-worked example: docs/model.md, eq. 170-179.
"""

import weakref
from dataclasses import dataclass, field
from functools import cached_property
from typing import final

import numpy as np

from marginquake.analysis.causes.cascade import Cascade, ForcedFills, Nodes, find_cascades
from marginquake.analysis.causes.forced_flows import CLOSED, NO_FLOWS, ForcedFlows, Record, Way
from marginquake.analysis.causes.genealogy import Links, branching_ratio, generations, main_parents, pass_through
from marginquake.analysis.causes.hawkes import Outsider, as_an_outsider
from marginquake.analysis.causes.linking import Causes, among_calls, calls_above, joined
from marginquake.analysis.causes.price_parts import (
    OWNED,
    WINDOW_S,
    OutsidePrice,
    Part,
    call_windows,
    moves_of_the_mark,
    moves_of_trades,
    traded_path,
)
from marginquake.analysis.causes.spot_hedges import spot_hedges
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.statistics.estimate import Estimate
from marginquake.sim.core.records import EventKind
from marginquake.sim.core.typing import Bools, Floats, Ints

CHILD_SHARE = 0.1
"""A call or stop is a child where forced orders, stops and ADL made at least this share of its move (eq. 175)."""
LINK_SHARE = 0.001
"""What has a smaller share of a move is not listed as a parent; its pushes are in the parts all the same."""


@final
@dataclass(frozen=True)
class Calls:
    """One entry a margin call, in order of time.

    `side` +1 where a long was called; `notional` of the position at the mark, quote units; `move` the change of the
    mark from `from_s` to `time_s` (quote units, signed), and its parts `index`, `voluntary`, `stop`, `forced`,
    `smoothing` and `adl`, which sum to it; `parent` the call that caused it most, directly or by way of stops (-1: none
    did); `generation` 0 for those without; `cascade` the number of its cascade.
    """

    time_s: Floats
    account: Ints
    side: Ints
    notional: Floats
    mark: Floats
    from_s: Floats
    move: Floats
    index: Floats
    voluntary: Floats
    stop: Floats
    forced: Floats
    smoothing: Floats
    adl: Floats
    parent: Ints
    generation: Ints
    cascade: Ints

    def __len__(self) -> int:
        return len(self.time_s)

    def select(self, chosen: Ints) -> "Calls":
        """The calls with these numbers; parents keep their numbers in the whole tree."""
        return Calls(**{name: getattr(self, name)[chosen] for name in self.__dataclass_fields__})

    @cached_property
    def moved(self) -> Bools:
        """True where the mark moved against the position; the others were called for another reason than price."""
        return np.asarray(self.side * self.move < 0, np.bool_)

    def share(self, part: Part) -> Floats:
        """A part of each move over the move: 1 in all, signed; 0 where the mark did not move against the account."""
        amount: Floats = getattr(self, part.name.lower())
        share: Floats = np.divide(amount, self.move, out=np.zeros(len(self)), where=self.moved)
        return share

    @property
    def caused(self) -> Floats:
        """Share of each move that liquidations made: forced orders, and what ADL made its counterparties do."""
        return self.share(Part.FORCED) + self.share(Part.ADL)


@final
@dataclass(frozen=True)
class Stops:
    """One entry a stop order (or take-profit) that traded, in order of its first fill.

    `side` +1 where it closed a long; `notional` of its fills, quote units; `move` of the traded price that set it off,
    from `from_s` on, and its `parts` (N, 6), columns as in `Part` (eq. 172a); `node`: its number among calls and stops
    together.
    """

    time_s: Floats
    account: Ints
    side: Ints
    notional: Floats
    from_s: Floats
    move: Floats
    parts: Floats
    node: Ints

    def __len__(self) -> int:
        return len(self.time_s)

    def select(self, chosen: Ints) -> "Stops":
        """The stops with these numbers."""
        return Stops(**{name: getattr(self, name)[chosen] for name in self.__dataclass_fields__})

    @cached_property
    def moved(self) -> Bools:
        """True where the price moved against the position; the others are take-profits."""
        return np.asarray(self.side * self.move < 0, np.bool_)

    def share(self, part: Part) -> Floats:
        """A part of each move over the move: 1 in all, signed; 0 where the price did not move against the position."""
        share: Floats = np.divide(self.parts[:, part], self.move, out=np.zeros(len(self)), where=self.moved)
        return share


_NONE, _NO_FLOATS = np.zeros(0, np.int64), np.zeros(0)
NO_STOPS = Stops(
    _NO_FLOATS, _NONE, _NONE, _NO_FLOATS, _NO_FLOATS, _NO_FLOATS, np.zeros((0, len(Part))), _NONE
)  # fmt: skip
NO_LINKS = Links(_NONE, _NONE, np.zeros(0))


@final
@dataclass(frozen=True)
class CausalTree:
    """Calls, who caused them, and what follows from it.

    `links` among calls, without those by way of stops.  `branching` over all calls, `first_calls` over the first one of
    every account: where accounts are called again and again the former is larger.  `pass_through`: what of a lasting
    push by trades the mark passes on (eq. 172).  `forced`: what was closed of each call.  `missing`: why there is no
    tree, '' if there is.  `stop_cascades`: of stops without a call.  `flows`: everything that was closed by force, by
    node: calls and stops numbered together, `call_node` those of the calls, `node_links` between all of them.
    """

    calls: Calls
    links: Links
    cascades: tuple[Cascade, ...]
    branching: Estimate
    first_calls: Estimate
    pass_through: float
    outsider: Outsider
    forced: ForcedFills
    missing: str = ""
    stops: Stops = NO_STOPS
    stop_cascades: tuple[Cascade, ...] = ()
    flows: ForcedFlows = NO_FLOWS
    call_node: Ints = field(default_factory=lambda: _NONE)
    node_links: Links = NO_LINKS

    @property
    def several(self) -> tuple[Cascade, ...]:
        """The cascades of two calls or more, or of a call and stops; the others are calls that stand alone."""
        return tuple(cascade for cascade in self.cascades if len(cascade.calls) + len(cascade.stops) > 1)

    @property
    def chains_of_stops(self) -> tuple[Cascade, ...]:
        """Stops that set each other off, two or more, without a call among them."""
        return tuple(cascade for cascade in self.stop_cascades if len(cascade.stops) > 1)

    def flows_of(self, cascade: Cascade) -> ForcedFlows:
        """What was closed by force in a cascade, and what followed from that."""
        nodes = np.concatenate([self.call_node[cascade.calls], self.stops.node[cascade.stops]])
        return self.flows.select(np.isin(self.flows.node, nodes))

    def branching_of(self, cascade: Cascade) -> Estimate:
        """The branching ratio of one cascade's calls."""
        chosen = cascade.calls
        return branching_ratio(self.calls.caused[chosen], self.calls.time_s[chosen])


_KNOWN: dict[int, CausalTree] = {}


def causal_tree(market: MarketFrames) -> CausalTree:
    """The causal tree of a run's market, calculated once."""
    known = _KNOWN.get(id(market))
    if known is None:
        known = _KNOWN[id(market)] = grow_tree(market)
        weakref.finalize(market, _KNOWN.pop, id(market), None)
    return known


def grow_tree(market: MarketFrames, window_s: float = WINDOW_S, child_share: float = CHILD_SHARE) -> CausalTree:
    """The causal tree with another window (seconds) or threshold."""
    missing = market.not_recorded("fills")
    events = market.events
    rows = np.flatnonzero(events["kind"] == EventKind.MARGIN_CALL)[: 0 if missing else None]
    record = Record(market, rows)
    hedges = spot_hedges(market)
    outside = OutsidePrice(market, hedges)
    path = traded_path(market, outside)
    passed_on = pass_through(market, outside, path)
    causes = Causes(path, record, hedges, LINK_SHARE)
    windows = call_windows(market, rows, window_s)
    move, parts = moves_of_the_mark(market, outside, path, windows, passed_on)
    account, side = events["account"][rows].astype(np.int64), events["side"][rows].astype(np.int64)
    call_links = causes.of(record.call_node, windows, side, move, parts, passed_on)
    stops, stop_links = _stops(market, record, outside, causes, window_s)
    links = joined([call_links, stop_links])

    is_child = np.zeros(len(record.node_row), np.bool_)
    is_child[record.call_node] = _owned_share(move, parts, side) >= child_share
    is_child[record.stop_node] = _owned_share(stops.move, stops.parts, stops.side) >= child_share
    above = main_parents(links, is_child)
    parent = calls_above(above, record)
    generation = generations(parent)
    flows = record.flows(hedges)
    found = find_cascades(market, Nodes.of(record), links, above, generation, flows)
    called = market.margin_calls.select(slice(len(rows)))
    calls = Calls(
        time_s=called.time_s,
        account=account,
        side=side,
        notional=called.notional,
        mark=called.mark,
        from_s=windows.from_s,
        move=move,
        index=parts[:, Part.INDEX],
        voluntary=parts[:, Part.VOLUNTARY],
        stop=parts[:, Part.STOP],
        forced=parts[:, Part.FORCED],
        smoothing=parts[:, Part.SMOOTHING],
        adl=parts[:, Part.ADL],
        parent=parent,
        generation=generation,
        cascade=found.of_node[record.call_node],
    )
    run_s = market.run["time_s"]
    first = np.sort(np.unique(account, return_index=True)[1])
    return CausalTree(
        calls=calls,
        links=among_calls(links, record),
        cascades=found.with_calls,
        branching=branching_ratio(calls.caused, calls.time_s),
        first_calls=branching_ratio(calls.caused[first], calls.time_s[first]),
        pass_through=passed_on,
        outsider=as_an_outsider(calls.time_s, market.mark_period_s, max(0.0, float(run_s[0])), float(run_s[-1])),
        forced=_closed_of_calls(flows, record),
        missing=missing,
        stops=stops,
        stop_cascades=found.of_stops,
        flows=flows,
        call_node=record.call_node,
        node_links=links,
    )


def _stops(
    market: MarketFrames, record: Record, outside: OutsidePrice, causes: Causes, window_s: float
) -> tuple[Stops, Links]:
    """Stop orders that went off, and what caused them: the traded price, each trade as far as it lasted."""
    orders = record.stops
    windows = call_windows(market, orders.row, window_s)
    move, parts = moves_of_trades(outside, causes.path, windows)
    links = causes.of(record.stop_node, windows, orders.side, move, parts, 1.0)
    events = market.events
    ticks = events["price_ticks"][orders.fills].astype(np.float64)
    notional = np.asarray(market.contract.notional(events["quantity_lots"][orders.fills], ticks), np.float64)
    stops = Stops(
        time_s=events["time_s"][orders.row],
        account=orders.account,
        side=orders.side,
        notional=np.bincount(orders.of_fill, notional, len(orders)).astype(np.float64),
        from_s=windows.from_s,
        move=move,
        parts=parts,
        node=record.stop_node,
    )
    return stops, links


def _owned_share(move: Floats, parts: Floats, side: Ints) -> Floats:
    """Share of each move that stops, forced orders and ADL made; 0 where the price did not move against the side."""
    owned = parts[:, OWNED].sum(axis=1)
    share: Floats = np.divide(owned, move, out=np.zeros(len(move)), where=side * move < 0)
    return share


def _closed_of_calls(flows: ForcedFlows, record: Record) -> ForcedFills:
    """What was closed of each call's position, in the book and by ADL; pieces that belong to no call are left out."""
    own = flows.select(np.isin(flows.way, CLOSED) & (flows.way != Way.STOP) & (flows.node >= 0))
    own = own.select(np.argsort(own.row, kind="stable"))
    return ForcedFills(np.searchsorted(record.call_node, own.node), own.time_s, own.notional)
