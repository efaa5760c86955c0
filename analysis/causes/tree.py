"""The causal tree: what called every account, and which liquidations were among the causes.

Definition, edge cases and a hand-worked example: docs/model.md, eq. 170-176.
"""

import weakref
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from marginquake.analysis.causes.cascade import Cascade, ForcedFills, find_cascades, forced_fills_of_calls
from marginquake.analysis.causes.genealogy import Links, branching_ratio, generations, main_parents, pass_through
from marginquake.analysis.causes.hawkes import Outsider, as_an_outsider
from marginquake.analysis.causes.netting import Netting
from marginquake.analysis.causes.owners import Pieces, forced_pieces
from marginquake.analysis.causes.price_parts import (
    WINDOW_S,
    Part,
    TradedPath,
    Windows,
    call_windows,
    moves_without_trades,
    traded_path,
)
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.statistics.estimate import Estimate
from marginquake.sim.core.records import EventKind
from marginquake.sim.core.typing import Bools, Floats, Ints

CHILD_SHARE = 0.1
"""A call is a child where forced orders made at least this share of the move that caused it (eq. 175)."""
LINK_SHARE = 0.001
"""Liquidations with a smaller share of a move are not listed as parents; their pushes are in `forced` all the same."""


@final
@dataclass(frozen=True)
class Calls:
    """One entry a margin call, in order of time.

    `side` +1 where a long was called; `notional` of the position at the mark, quote units; `move` the change of the
    mark from `from_s` to `time_s` (quote units, signed), and its parts `index`, `voluntary`, `stop`, `forced` and
    `smoothing`, which sum to it; `parent` the call of the liquidation with the largest share (-1: a root);
    `generation` 0 for a root; `cascade` the number of its cascade.
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


@final
@dataclass(frozen=True)
class CausalTree:
    """Calls, who caused them, and what follows from it.

    `branching` over all calls, `first_calls` over the first one of every account: where accounts are called again and
    again the former is larger.  `pass_through`: what of a lasting push by trades the mark passes on (eq. 172).
    `missing`: why there is no tree, '' if there is.
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

    @property
    def several(self) -> tuple[Cascade, ...]:
        """The cascades of two calls or more; the others are calls that stand alone."""
        return tuple(cascade for cascade in self.cascades if len(cascade.calls) > 1)

    def branching_of(self, cascade: Cascade) -> Estimate:
        """The branching ratio of one cascade's calls."""
        chosen = cascade.calls
        return branching_ratio(self.calls.share(Part.FORCED)[chosen], self.calls.time_s[chosen])


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
    path = traded_path(market)
    windows = call_windows(market, rows, window_s)
    passed_on = pass_through(market, path)
    move, parts = moves_without_trades(market, path, windows, passed_on)
    account, side = events["account"][rows].astype(np.int64), events["side"][rows].astype(np.int64)
    pieces = forced_pieces(events)
    owner = _calls_of(pieces, account, rows)
    is_adverse = np.asarray(side * move < 0, np.bool_)
    trades, links = _causes(path, Netting(path, pieces, owner, passed_on), windows, move, is_adverse)
    parts += trades
    forced_share = np.divide(parts[:, Part.FORCED], move, out=np.zeros(len(rows)), where=is_adverse)
    parent = main_parents(links, forced_share >= child_share)
    called = market.margin_calls.select(slice(len(rows)))
    forced = forced_fills_of_calls(market, pieces, owner)
    cascade, cascades = find_cascades(called, links, parent, forced)
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
        parent=parent,
        generation=generations(parent),
        cascade=cascade,
    )
    run_s = market.run["time_s"]
    first = np.sort(np.unique(account, return_index=True)[1])
    return CausalTree(
        calls=calls,
        links=links,
        cascades=cascades,
        branching=branching_ratio(forced_share, calls.time_s),
        first_calls=branching_ratio(forced_share[first], calls.time_s[first]),
        pass_through=passed_on,
        outsider=as_an_outsider(calls.time_s, market.mark_period_s, max(0.0, float(run_s[0])), float(run_s[-1])),
        forced=forced,
        missing=missing,
    )


def _causes(
    path: TradedPath, netting: Netting, windows: Windows, move: Floats, is_adverse: Bools
) -> tuple[Floats, Links]:
    """Parts of each move that trades made (N, 5), and the liquidations among the causes."""
    low, high = np.searchsorted(path.place, windows.start, side="right"), np.searchsorted(path.place, windows.end)
    trades = np.zeros((len(move), len(Part)))
    found: list[tuple[Ints, Ints, Floats]] = []
    for call, adverse in enumerate(is_adverse.tolist()):
        trades[call], owners, pushes = netting.between(int(low[call]), int(high[call]))
        if adverse:
            known = owners >= 0
            parents, place = np.unique(owners[known], return_inverse=True)
            share = np.bincount(place, pushes[known], minlength=len(parents)) / move[call]
            listed = share >= LINK_SHARE
            found.append((np.full(int(listed.sum()), call), parents[listed], share[listed]))
    if not found:
        return trades, Links(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    child, parent, shares = (np.concatenate(column) for column in zip(*found, strict=True))
    return trades, Links(child, parent, shares)


def _calls_of(pieces: Pieces, account: Ints, rows: Ints) -> Ints:
    """Number of the last call of each piece's account before it lost the position, -1 for none."""
    if not len(rows):
        return np.full(len(pieces.place), -1)
    order = np.lexsort((rows, account))
    span = int(max(rows.max(), pieces.place.max(initial=0))) + 1
    found = np.searchsorted(account[order] * span + rows[order], pieces.account * span + pieces.lost) - 1
    call = order[np.maximum(found, 0)]
    return np.where((found >= 0) & (account[call] == pieces.account), call, -1)
