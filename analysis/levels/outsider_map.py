"""What an outsider would draw from public data, and how wrong that is (docs/model.md, eq. 194, 195).

Public are trades, the mark, the venue's margin table.  Not public are entry prices, leverage, collateral.  Maps that
are published elsewhere are made so: "liquidation levels based on market data and different leverage amounts".
"""

from dataclasses import dataclass
from typing import Literal, final

import numpy as np

from marginquake.analysis.frames.lookup import mark_at
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.levels.positions import Positions, nobody, positions_at, snapshot_times
from marginquake.analysis.levels.true_map import BANDS, LevelMap, bin_edges, by_bin, find_clusters, map_of
from marginquake.analysis.statistics.estimate import all_alike
from marginquake.sim.core.typing import Bools, Floats

Knows = Literal["prints", "entries"]

COMPARED_CLUSTERS = 5
"""Largest clusters whose order is compared."""
NO_BRACKETS = "the scenario names no margin brackets"


@final
@dataclass(frozen=True)
class Assumed:
    """What the outsider takes for granted: how much of the volume trades at which leverage.

    Weights need not sum to 1.  `half_life_s`: positions are closed by themselves in time, half of them in this one
    (default: never, which is what a plain map assumes).
    """

    leverages: tuple[float, ...] = (1, 2, 3, 5, 10, 20, 25, 50, 75, 100, 125)
    weights: tuple[float, ...] = (0.05, 0.06, 0.09, 0.14, 0.22, 0.18, 0.08, 0.10, 0.03, 0.04, 0.01)
    half_life_s: float = np.inf

    def __post_init__(self) -> None:
        if len(self.leverages) != len(self.weights) or min(self.weights) < 0 or sum(self.weights) <= 0:
            raise ValueError("a weight for every leverage, none negative and one positive")
        if min(self.leverages) < 1 or not self.half_life_s > 0:
            raise ValueError("leverages of at least 1, a half-life above 0")

    def offered(self, most: float) -> "Assumed":
        """Only leverages that the venue offers."""
        kept = [pair for pair in zip(self.leverages, self.weights, strict=True) if pair[0] <= most]
        return Assumed(tuple(x for x, _ in kept), tuple(w for _, w in kept), self.half_life_s)


ASSUMED = Assumed()
"""The leverages that venues offer, with weights that made a believable crowd in a prototype (D)."""


@final
@dataclass(frozen=True)
class MapError:
    """An estimated map against the truth, over the bins within reach (eq. 195); NaN where one of them is empty.

    `correlation` over the bins of both sides, and of each; `rank_correlation` (Spearman) of the `clusters` largest true
    clusters: their mass against what the estimate has in the same bins; `mass_ratio` estimated over true notional;
    `wasserstein` between the maps scaled to the same mass, in log-distance.  `seeded_share`: of the true notional in
    positions held since t = 0, whose entry never was a trade; `traded`: volume that the
    outsider has seen, over open interest.
    """

    time_s: float
    correlation: float
    correlation_long: float
    correlation_short: float
    rank_correlation: float
    clusters: int
    mass_ratio: float
    wasserstein: float
    seeded_share: float = np.nan
    traded: float = np.nan


def fresh_levels(entry: Floats, leverage: float, side: int, maintenance: float, inverse: bool) -> Floats:
    """Liquidation price of a fresh isolated position: d = (1/l - m) / (1 -+ m) of the entry away (eq. 194)."""
    if inverse:
        scale = (1 + side * maintenance) / (1 + side / leverage) if leverage > 1 or side > 0 else np.inf
    else:
        scale = (1 - side / leverage) / (1 - side * maintenance)
    return np.asarray(entry * scale, np.float64)


def outsider_map(
    market: MarketFrames, at_s: float = 0.0, knows: Knows = "prints", assumed: Assumed = ASSUMED
) -> LevelMap:
    """The map that an outsider would have at `at_s` (the time of the last snapshot, if there are any).

    Only its bins are estimated, not what lies beyond them or is called.
    `prints`: every trade is taken for a long and a short opened there; their levels go once the mark has crossed them.
    `entries`: more than anybody outside knows, the true open interest by entry price; only leverage is assumed.  What
    separates the two is what trades do not tell of positions, such as those held since before the record.
    """
    positions = positions_at(market, at_s)
    time_s = at_s if positions.missing else positions.time_s
    mark = mark_at(market, time_s) if positions.missing else positions.mark
    if not market.brackets or (positions.missing and knows == "entries"):
        return map_of(nobody(positions.missing or NO_BRACKETS))
    first = market.brackets[0]
    offered = assumed.offered(first.max_leverage)
    if knows == "entries":
        levels = _from_entries(market, positions, offered, first.maintenance)
    else:
        levels = _from_prints(market, time_s, mark, offered, first.maintenance)
    edges = bin_edges()
    sides = {}
    for side in (1, -1):
        distance, leverage, notional = levels[side]
        sides[side] = by_bin(distance, leverage, notional, distance >= 0, BANDS, edges)
    return LevelMap(time_s, mark, edges, BANDS, sides[1], sides[-1])


Levels = dict[int, tuple[Floats, Floats, Floats]]
"""By side: log-distance, leverage and forced notional of every level."""


def _from_prints(market: MarketFrames, time_s: float, mark: float, assumed: Assumed, maintenance: float) -> Levels:
    when, price, notional = _prints(market, time_s)
    lots = notional / market.contract.notional(1.0, price / market.contract.to_price(1.0))
    lots = lots * np.exp2(-(time_s - when) / assumed.half_life_s)
    lowest, highest = _extremes_since(market, when, time_s)

    def stands(side: int, level: Floats) -> Bools:
        return level < lowest if side > 0 else level > highest

    return {
        side: _levels(
            market,
            mark,
            side,
            [
                (leverage, weight / sum(assumed.weights) * lots * stands(side, level), level)
                for leverage, weight in zip(assumed.leverages, assumed.weights, strict=True)
                if 1 / leverage > maintenance
                for level in (fresh_levels(price, leverage, side, maintenance, market.contract.inverse),)
            ],
        )
        for side in (1, -1)
    }


def _from_entries(market: MarketFrames, positions: Positions, assumed: Assumed, maintenance: float) -> Levels:
    """A position that is still open has no leverage whose level lies behind the mark: the others share the weight."""
    levels: Levels = {}
    for side in (1, -1):
        own = (positions.side == side) & (positions.entry_price > 0) & np.isfinite(positions.entry_price)
        entry, lots = positions.entry_price[own], np.abs(positions.position_lots[own])
        pairs = [pair for pair in zip(assumed.leverages, assumed.weights, strict=True) if 1 / pair[0] > maintenance]
        where = [fresh_levels(entry, lever, side, maintenance, market.contract.inverse) for lever, _ in pairs]
        weights = np.array([w * (side * (positions.mark - at) >= 0) for (_, w), at in zip(pairs, where, strict=True)])
        total = weights.sum(axis=0)
        shares = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
        parts = [(lever, share * lots, at) for (lever, _), share, at in zip(pairs, shares, where, strict=True)]
        levels[side] = _levels(market, positions.mark, side, parts)
    return levels


def _levels(
    market: MarketFrames, mark: float, side: int, parts: list[tuple[float, Floats, Floats]]
) -> tuple[Floats, Floats, Floats]:
    """Distance, leverage and notional of lots at levels; levels at no price are infinitely far away."""
    tick = market.contract.to_price(1.0)
    distance, leverage, notional = [np.zeros(0)], [np.zeros(0)], [np.zeros(0)]
    for lever, lots, level in parts:
        real = (level > 0) & np.isfinite(level) & (lots > 0)
        distance.append(side * np.log(mark / level[real]))
        leverage.append(np.full(int(real.sum()), lever))
        notional.append(market.contract.notional(lots[real], level[real] / tick))
    return np.concatenate(distance), np.concatenate(leverage), np.concatenate(notional)


def _prints(market: MarketFrames, time_s: float) -> tuple[Floats, Floats, Floats]:
    """Time, price and notional of everything traded up to a time, warm-up included; volume a row where fills were not
    kept."""
    if not market.not_recorded("fills"):
        fills = market.fills
        seen = fills.time_s <= time_s
        return fills.time_s[seen], fills.price[seen], fills.notional[seen]
    series = market.series
    seen = (series["time_s"] <= time_s) & (series["volume"] > 0) & np.isfinite(series["last"])
    return series["time_s"][seen], series["last"][seen], series["volume"][seen]


def _extremes_since(market: MarketFrames, when: Floats, time_s: float) -> tuple[Floats, Floats]:
    """Lowest and highest mark after each of these times, up to `time_s`."""
    series = market.series
    known = np.isfinite(series["mark"]) & (series["time_s"] <= time_s)
    times, mark = series["time_s"][known], series["mark"][known]
    after = np.searchsorted(times, when, side="right")
    low = np.append(np.minimum.accumulate(mark[::-1])[::-1], np.inf)
    high = np.append(np.maximum.accumulate(mark[::-1])[::-1], -np.inf)
    return low[after], high[after]


def map_error(truth: LevelMap, estimate: LevelMap, seeded_share: float = np.nan, traded: float = np.nan) -> MapError:
    """How wrong an estimate is."""
    sides = {side: (truth.of(side), estimate.of(side)) for side in (1, -1)}
    true, guess = (np.concatenate([sides[1][n], sides[-1][n]]) for n in (0, 1))
    rank, count = _rank_correlation(truth, estimate)
    empty = true.sum() <= 0
    return MapError(
        time_s=truth.time_s,
        correlation=_correlation(true, guess),
        correlation_long=_correlation(*sides[1]),
        correlation_short=_correlation(*sides[-1]),
        rank_correlation=rank,
        clusters=count,
        mass_ratio=np.nan if empty else float(guess.sum() / true.sum()),
        wasserstein=_wasserstein(truth.centers, true, guess),
        seeded_share=seeded_share,
        traded=traded,
    )


def outsider_errors(
    market: MarketFrames, knows: Knows = "prints", assumed: Assumed = ASSUMED, most: int = 13
) -> tuple[MapError, ...]:
    """The error on up to `most` snapshots, evenly spread over the run: does the map improve as trades come in?"""
    times = snapshot_times(market)
    if len(times) == 0 or not market.brackets:
        return ()
    chosen = times[np.unique(np.linspace(0, len(times) - 1, most).round().astype(np.int64))]
    found = []
    for at_s in chosen.tolist():
        positions = positions_at(market, at_s)
        estimate = outsider_map(market, at_s, knows, assumed)
        open_interest = float(positions.notional[positions.side > 0].sum())
        traded = float(_prints(market, at_s)[2].sum()) / open_interest if open_interest > 0 else np.nan
        found.append(map_error(map_of(positions), estimate, seeded_share(market, positions), traded))
    return tuple(found)


def seeded_share(market: MarketFrames, positions: Positions) -> float:
    """Share of the forced notional within reach in positions unchanged since t = 0: no trade shows their entry."""
    inside = positions.waiting & (positions.distance < bin_edges()[-1])
    total = float(positions.forced[inside].sum())
    if total <= 0 or "position_start" not in market.accounts:
        return np.nan
    rows = positions.account
    same = market.accounts["position_start"][rows] == positions.position_lots
    same &= np.isclose(np.nan_to_num(market.accounts["entry_start"][rows]), positions.entry_price, rtol=1e-9)
    return float(positions.forced[inside & same].sum()) / total


def _correlation(true: Floats, guess: Floats) -> float:
    if all_alike(true) or all_alike(guess):
        return float("nan")
    return float(np.corrcoef(true, guess)[0, 1])


def _rank_correlation(truth: LevelMap, estimate: LevelMap) -> tuple[float, int]:
    from scipy.stats import spearmanr

    largest = find_clusters(truth)[:COMPARED_CLUSTERS]
    guessed = []
    for cluster in largest:
        inside = (truth.centers > cluster.near) & (truth.centers < cluster.far)
        guessed.append(float(estimate.of(cluster.side)[inside].sum()))
    masses = np.array([cluster.mass for cluster in largest])
    if len(largest) < 3 or all_alike(np.array(guessed)) or all_alike(masses):
        return float("nan"), len(largest)
    return float(spearmanr(masses, guessed).statistic), len(largest)


def _wasserstein(centers: Floats, true: Floats, guess: Floats) -> float:
    from scipy.stats import wasserstein_distance

    if true.sum() <= 0 or guess.sum() <= 0:
        return float("nan")
    places = np.concatenate([-centers, centers])
    return float(wasserstein_distance(places, places, true, guess))
