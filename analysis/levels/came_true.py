"""Forecast against realised: what the map said before an episode, and what became of it (docs/model.md, eq. 196)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from marginquake.analysis.causes import Cascade, causal_tree
from marginquake.analysis.causes.cascade import largest_bunch, until_the_low
from marginquake.analysis.causes.episodes import Episode, episodes_of
from marginquake.analysis.causes.price_parts import WINDOW_S
from marginquake.analysis.frames.market import Columns, MarketFrames
from marginquake.analysis.levels.positions import Positions, positions_at, snapshot_times
from marginquake.analysis.levels.true_map import REACH, Cluster, find_clusters, map_of
from marginquake.sim.core.records import Cause, EventKind
from marginquake.sim.core.typing import Bools, Floats, Ints

LARGE = 0.1
"""Smallest cascade that is looked at by itself, relative to the largest."""
ROUNDING = 1e-6
"""Margin that is smaller than this part of the notional is rounding, not added."""
WAYS = ("sold", "taken_over", "deleveraged", "stopped", "closed")
"""How a position that the mark has reached may end; in the order of the codes below."""
_SOLD, _TAKEN_OVER, _DELEVERAGED, _STOPPED, _CLOSED = range(len(WAYS))


@final
@dataclass(frozen=True)
class ClusterOutcome:
    """What became of one cluster (or, without one, of the levels within 20 % that lie in none); notional at them.

    `mass` was waiting; `due` of it is at levels that the mark reached, and is the sum of the rest:
    `sold` by liquidation orders, `taken_over` by the insurance fund, closed by ADL (`deleveraged`), by the account's
    stop (`stopped`) or otherwise by itself (`closed`); still held at the end: `margin_added`, `waiting` (called and not
    sold yet), `other` (for one, levels that moved by funding or with the venue's maintenance rate, or marks that were
    not called upon).
    `level_price` and `fill_price`: means of where it was to be sold and where it was, over what was sold.
    """

    side: int
    cluster: Cluster | None
    accounts: int
    mass: float
    due: float
    sold: float
    taken_over: float
    deleveraged: float
    stopped: float
    closed: float
    margin_added: float
    waiting: float
    other: float
    level_price: float
    fill_price: float

    @property
    def forced(self) -> float:
        """Sold, taken over or deleveraged."""
        return self.sold + self.taken_over + self.deleveraged

    @property
    def hit_share(self) -> float:
        """Share of its mass that the mark reached."""
        return self.due / self.mass if self.mass > 0 else np.nan

    @property
    def slippage(self) -> float:
        """How much worse than their levels the fills were, a fraction."""
        return self.side * (self.level_price - self.fill_price) / self.level_price


@final
@dataclass(frozen=True)
class MapForecast:
    """One episode against the last map before it.

    `mark_low`, `mark_high`: of the mark between snapshot and end.  `realised`: notional of liquidation orders between
    them, at fill prices; `called_before` of it is of accounts that were called already at the snapshot, `unforeseen` of
    others that the map did not have on the way (opened later, or levels that moved closer); `fund_traded`: what the
    insurance fund traded, unwinding.  All of it of both sides, or of the one that was asked for.  `whole`: False where
    the run kept forced fills only, so that `stopped` and `closed` are 0 and stand under `other`.
    """

    start_s: float
    end_s: float
    snapshot_s: float
    mark: float
    mark_low: float
    mark_high: float
    outcomes: tuple[ClusterOutcome, ...]
    realised: float
    called_before: float
    unforeseen: float
    fund_traded: float
    whole: bool

    def total(self, name: str) -> float:
        """Sum of one of the amounts of `ClusterOutcome` over all outcomes."""
        return float(sum(getattr(outcome, name) for outcome in self.outcomes))


def map_forecasts(
    market: MarketFrames, spans: Sequence[tuple[float, float]] | None = None, most: int = 3, side: int = 0
) -> tuple[MapForecast, ...]:
    """Forecast and outcome of each span; default: of the `most` largest cascades, none below a tenth of the largest.

    Of the largest bunch of calls where there is no cascade; of the largest episodes of forced fills where the run kept
    too little for a causal tree.  Spans without a snapshot before them are left out; so is everything where the run
    kept no forced fills.  `side` +1: of longs only, -1: of shorts, 0: of both.
    """
    if market.not_recorded("liquidations") or not market.positions:
        return ()
    if spans is None:
        tree = causal_tree(market)
        called = largest_bunch(market.margin_calls, tree.forced, WINDOW_S) if len(tree.calls) else None
        bunch = (until_the_low(market, called),) if called else ()
        falls: Sequence[Cascade | Episode] = tree.several or bunch or episodes_of(market)
        spans = [(each.start_s, each.end_s) for each in falls[:most] if each.closed >= LARGE * falls[0].closed]
    first = snapshot_times(market)[0]
    sides = (1, -1) if side == 0 else (side,)
    return tuple(_forecast(market, start, end, sides) for start, end in spans if start > first)


def _forecast(market: MarketFrames, start_s: float, end_s: float, sides: tuple[int, ...]) -> MapForecast:
    held = positions_at(market, float(np.nextafter(start_s, -np.inf)))  # one of that instant has the first calls in it
    low, high = _mark_range(market, held, end_s)
    due = held.waiting & np.where(held.side > 0, held.liquidation_price >= low, held.liquidation_price <= high)
    events = {
        name: column[_between(market.events["time_s"], held.time_s, end_s)] for name, column in market.events.items()
    }
    fate = _Fate(market, held, due, events, end_s)
    clusters = [each for each in find_clusters(map_of(held)) if each.side in sides]
    inside = [
        held.waiting & (held.side == each.side) & (held.distance >= each.near) & (held.distance < each.far)
        for each in clusters
    ]
    near = due | (held.waiting & (held.distance < REACH))
    elsewhere = near & ~np.any([np.zeros(len(held), np.bool_), *inside], axis=0)
    outcomes = [fate.outcome(each.side, each, chosen) for each, chosen in zip(clusters, inside, strict=True)]
    outcomes += [fate.outcome(side, None, elsewhere & (held.side == side)) for side in sides]
    fill = (events["kind"] == EventKind.FILL) & np.isin(
        -events["side"], sides
    )  # the account that is closed is on the other side
    forced, fund = fill & (events["cause"] == Cause.LIQUIDATION), fill & (events["cause"] == Cause.TAKEOVER)
    price = np.where(fill, events["price_ticks"], 1).astype(np.float64)  # other events may have none
    notional = market.contract.notional(events["quantity_lots"], price)
    before = np.isin(events["account"], held.account[held.called])
    known = np.isin(events["account"], held.account[due])
    return MapForecast(
        start_s=start_s,
        end_s=end_s,
        snapshot_s=held.time_s,
        mark=held.mark,
        mark_low=low,
        mark_high=high,
        outcomes=tuple(outcomes),
        realised=float(notional[forced].sum()),
        called_before=float(notional[forced & before].sum()),
        unforeseen=float(notional[forced & ~known & ~before].sum()),
        fund_traded=float(notional[fund].sum()),
        whole=not market.not_recorded("fills"),
    )


def _between(time_s: Floats, after_s: float, until_s: float) -> Bools:
    return np.asarray((time_s > after_s) & (time_s <= until_s), np.bool_)


def _mark_range(market: MarketFrames, held: Positions, end_s: float) -> tuple[float, float]:
    """Lowest and highest mark, by the series and by margin calls, which fall between its rows."""
    calls = market.margin_calls
    seen = np.concatenate(
        [
            [held.mark],
            market.series["mark"][_between(market.series["time_s"], held.time_s, end_s)],
            calls.mark[_between(calls.time_s, held.time_s, end_s)],
        ]
    )
    return float(np.nanmin(seen)), float(np.nanmax(seen))


class _Fate:
    """How the lots of a snapshot ended, account by account."""

    def __init__(self, market: MarketFrames, held: Positions, due: Bools, events: Columns, end_s: float) -> None:
        self._held, self._due = held, due
        lots = np.abs(held.position_lots)
        with np.errstate(divide="ignore", invalid="ignore"):
            self._per_lot = np.where(due, held.forced / lots, 0.0)
        place, way, ended, price = _reductions(held, due, events, market.contract.to_price(1.0))
        self._lots = np.zeros((len(WAYS), len(held)))
        np.add.at(self._lots, (way, place), ended)
        self._sold_at = np.zeros(len(held))
        np.add.at(self._sold_at, place[way == _SOLD], (ended * price)[way == _SOLD])
        self._left = np.where(due, lots - self._lots.sum(axis=0), 0.0)
        self._called = np.isin(held.account, events["account"][events["kind"] == EventKind.MARGIN_CALL])
        self._safer = _made_safer(market, held, events, end_s)

    def outcome(self, side: int, cluster: Cluster | None, chosen: Bools) -> ClusterOutcome:
        """Of the accounts in `chosen`."""
        lot_value = self._per_lot * chosen
        ways = {name: float((self._lots[code] * lot_value).sum()) for code, name in enumerate(WAYS)}
        left = self._left * lot_value
        waiting = ~self._safer & self._called
        sold = self._lots[_SOLD] * chosen
        total = float(sold.sum())
        level = float((sold * np.nan_to_num(self._held.liquidation_price)).sum())
        return ClusterOutcome(
            side=side,
            cluster=cluster,
            accounts=int((chosen & self._due).sum()),
            mass=float(self._held.forced[chosen].sum()),
            due=float(self._held.forced[chosen & self._due].sum()),
            **ways,
            margin_added=float(left[self._safer].sum()),
            waiting=float(left[waiting].sum()),
            other=float(left[~self._safer & ~waiting].sum()),
            level_price=level / total if total else np.nan,
            fill_price=float((self._sold_at * chosen).sum()) / total if total else np.nan,
        )


def _reductions(held: Positions, due: Bools, events: Columns, tick: float) -> tuple[Ints, Ints, Floats, Floats]:
    """Every event that made a due position smaller: its place in `held`, the way, lots, price.

    Lots are counted until those of the snapshot are used up: what was opened later and closed again is not theirs.
    """
    kind, lots, side = events["kind"], events["quantity_lots"].astype(np.float64), events["side"]
    fill, takeover, adl = kind == EventKind.FILL, kind == EventKind.TAKEOVER, kind == EventKind.ADL
    cause = events["cause"]
    taker = np.select([cause == Cause.LIQUIDATION, cause == Cause.STOP], [_SOLD, _STOPPED], _CLOSED)
    order = np.arange(len(kind))
    parts = [
        (order[fill], events["account"][fill], taker[fill], (side * lots)[fill]),
        (order[fill], events["maker_account"][fill], np.full(int(fill.sum()), _CLOSED), (-side * lots)[fill]),
        (order[takeover], events["account"][takeover], np.full(int(takeover.sum()), _TAKEN_OVER), None),
        (order[adl], events["account"][adl], np.full(int(adl.sum()), _DELEVERAGED), None),
        (order[adl], events["maker_account"][adl], np.full(int(adl.sum()), _DELEVERAGED), None),
    ]
    rows = np.flatnonzero(due)
    places, ways, ended, orders = [], [], [], []
    for at, account, way, signed in parts:
        found = np.searchsorted(held.account[rows], account).clip(max=max(len(rows) - 1, 0))
        own = held.account[rows][found] == account if len(rows) else np.zeros(len(account), np.bool_)
        place = rows[found[own]] if len(rows) else np.zeros(0, np.int64)
        less = lots[at][own] if signed is None else np.maximum(-held.side[place] * signed[own], 0.0)
        places.append(place)
        ways.append(way[own])
        ended.append(less)
        orders.append(at[own])
    place, way, less, at = (np.concatenate(each) for each in (places, ways, ended, orders))
    sequence = np.lexsort((at, place))
    place, way, less, at = place[sequence], way[sequence], less[sequence], at[sequence]
    total = np.cumsum(less)
    starts = np.searchsorted(place, place, side="left")
    before = total - less - (total - less)[starts] if len(place) else total
    most = np.abs(held.position_lots[place])
    counted = np.minimum(before + less, most) - np.minimum(before, most)
    return place, way, counted, events["price_ticks"][at] * tick


def _made_safer(market: MarketFrames, held: Positions, events: Columns, end_s: float) -> Bools:
    """True where margin was added: a deposit, or (nothing is emitted for isolated margin) more stands behind the very
    same position on the next snapshot after the end than funding explains.

    Funding moves what stands behind every position by one amount a signed lot: the median of those who kept theirs.
    """
    safer = np.isin(held.account, events["account"][events["kind"] == EventKind.DEPOSIT])
    later = snapshot_times(market)
    later = later[later >= end_s]
    if len(later) == 0:
        return safer
    then = positions_at(market, float(later[0]))
    _, mine, theirs = np.intersect1d(held.account, then.account, return_indices=True)
    same = held.position_lots[mine] == then.position_lots[theirs]
    same &= np.isclose(held.entry_price[mine], then.entry_price[theirs], rtol=1e-9, atol=0.0)
    mine, theirs = mine[same], theirs[same]
    if len(mine) == 0:
        return safer
    lots = held.position_lots[mine]
    added = _behind(market, then)[theirs] - _behind(market, held)[mine]
    funding = lots * float(np.median(added / lots))
    safer[mine] |= added - funding > ROUNDING * held.notional[mine]
    return safer


def _behind(market: MarketFrames, held: Positions) -> Floats:
    """What stands behind each position but for what it has gained: equity less unrealised profit, quote units."""
    tick = market.contract.to_price(1.0)
    return held.equity - market.contract.gain(held.position_lots, held.entry_price / tick, held.mark / tick)
