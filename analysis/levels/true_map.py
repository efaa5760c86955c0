"""Clusters in a histogram, and how concentrated it is (docs/model.md, eq. 191, 192)."""

from dataclasses import dataclass
from typing import Literal, final

import numpy as np

from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.levels.positions import Positions, positions_at
from marginquake.sim.core.typing import Bools, Floats

FACTOR = 3.0
"""A bin belongs to a cluster where it holds more than this many times the usual bin."""


@final
@dataclass(frozen=True)
class Concentration:
    """How unevenly notional lies over bins: HHI (sum of squared shares), Gini (0 even, near 1 all in one bin).

    `effective_bins` = 1 / HHI: as many bins with equal shares would be as concentrated.  All NaN without notional.
    """

    hhi: float
    gini: float

    @property
    def effective_bins(self) -> float:
        """1 / HHI."""
        return 1.0 / self.hhi


def concentration(notional: Floats) -> Concentration:
    """HHI and Gini of bins, empty ones included."""
    total = float(notional.sum())
    if total <= 0:
        return Concentration(np.nan, np.nan)
    count = len(notional)
    ranks = np.arange(1, count + 1)
    gini = 2.0 * float(np.sum(ranks * np.sort(notional))) / (count * total) - (count + 1) / count
    return Concentration(float(np.sum((notional / total) ** 2)), gini)


def usual_bin(notional: Floats) -> float:
    """What a bin usually holds: the median, or the mean where more than half of the bins are empty.

    A median of 0 would make a cluster of any dust; the mean is what a bin would hold if all were spread evenly.
    """
    if len(notional) == 0:
        return 0.0
    middle = float(np.median(notional))
    return middle if middle > 0 else float(notional.mean())


def crowded_runs(notional: Floats, factor: float = FACTOR) -> list[tuple[int, int]]:
    """Maximal runs of bins above `factor` times the usual bin: first and last bin of each, in order."""
    above = np.concatenate(([False], notional > factor * usual_bin(notional), [False]))
    starts, ends = np.flatnonzero(above[1:] & ~above[:-1]), np.flatnonzero(~above[1:] & above[:-1]) - 1
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


BIN = 0.0025
"""Width of a bin in log-distance: a quarter of a percent of the mark."""
REACH = 0.20
"""How far from the mark bins go, in log-distance."""
Leverage = Literal["declared", "effective"]


@final
@dataclass(frozen=True)
class Band:
    """Accounts with a leverage of at least `low` and below `high`."""

    low: float
    high: float

    @property
    def label(self) -> str:
        """'7-15x', '70x and more'."""
        if np.isinf(self.high):
            return f"{self.low:g}x and more"
        return f"below {self.high:g}x" if self.low == 0 else f"{self.low:g}-{self.high:g}x"


BANDS = (Band(0, 4), Band(4, 7), Band(7, 15), Band(15, 35), Band(35, 70), Band(70, np.inf))
"""Their ends lie between the leverages that venues offer (1, 2, 3, 5, 10, 20, 25, 50, 75, 100, 125)."""


@final
@dataclass(frozen=True)
class LevelMap:
    """Forced notional by log-distance from the mark (eq. 190), K leverage bands by B bins; quote units.

    `edges` (B + 1) from 0 outwards, on either side; `long`, `short` (K, B): at the liquidation price.  Not in the
    bins: `beyond_*` lies further away than the last edge, `called` is called already (both: notional at the mark).
    `missing` says why there is nothing.
    """

    time_s: float
    mark: float
    edges: Floats
    bands: tuple[Band, ...]
    long: Floats
    short: Floats
    beyond_long: float = 0.0
    beyond_short: float = 0.0
    called: float = 0.0
    missing: str = ""

    @property
    def centers(self) -> Floats:
        """Middle of every bin, log-distance."""
        return 0.5 * (self.edges[1:] + self.edges[:-1])

    def by_band(self, side: int) -> Floats:
        """(K, B) of longs (+1) or shorts (-1)."""
        return self.long if side > 0 else self.short

    def of(self, side: int) -> Floats:
        """Notional a bin, all bands together."""
        return np.asarray(self.by_band(side).sum(axis=0), np.float64)

    def mass(self, side: int) -> float:
        """Notional within reach."""
        return float(self.by_band(side).sum())

    def cumulative(self, side: int) -> Floats:
        """Notional from the mark to the far edge of every bin."""
        return np.cumsum(self.of(side))

    def prices(self, side: int) -> Floats:
        """`edges` as prices: below the mark for longs, above it for shorts."""
        return np.asarray(self.mark * np.exp(-side * self.edges), np.float64)

    def concentration(self, side: int) -> Concentration:
        """HHI and Gini of the bins of one side."""
        return concentration(self.of(side))


@final
@dataclass(frozen=True)
class Cluster:
    """A run of crowded bins (eq. 191): where, how wide, how much.

    `near`, `far` and `distance` (its centre of mass) in log-distance from the mark, with the prices of the same;
    `share` of the side's notional within reach.
    """

    side: int
    mass: float
    share: float
    near: float
    far: float
    distance: float
    peak_distance: float
    peak_mass: float
    price_near: float
    price_far: float
    price: float

    @property
    def width(self) -> float:
        """Log-distance from its near to its far end."""
        return self.far - self.near


def bin_edges(reach: float = REACH, width: float = BIN) -> Floats:
    """Edges of the bins of one side."""
    return width * np.arange(round(reach / width) + 1, dtype=np.float64)


def true_map(
    market: MarketFrames, at_s: float = 0.0, leverage: Leverage = "declared", bands: tuple[Band, ...] = BANDS
) -> LevelMap:
    """The true map on the last snapshot at or before `at_s`: every account at its own liquidation price.

    `leverage`: bands by what accounts chose, or by notional over equity of that moment (which says little but how far
    away the price is).
    """
    return map_of(positions_at(market, at_s), leverage, bands)


def map_of(positions: Positions, leverage: Leverage = "declared", bands: tuple[Band, ...] = BANDS) -> LevelMap:
    """The true map of these positions."""
    edges = bin_edges()
    waiting = positions.select(positions.waiting)
    levers = waiting.effective_leverage
    if leverage == "declared":
        levers = np.where(np.isfinite(waiting.leverage), waiting.leverage, levers)
    sides = {
        side: by_bin(waiting.distance, levers, waiting.forced, waiting.side == side, bands, edges) for side in (1, -1)
    }
    beyond = {
        side: float(waiting.notional[(waiting.side == side) & (waiting.distance >= edges[-1])].sum())
        for side in (1, -1)
    }
    return LevelMap(
        time_s=positions.time_s,
        mark=positions.mark,
        edges=edges,
        bands=bands,
        long=sides[1],
        short=sides[-1],
        beyond_long=beyond[1],
        beyond_short=beyond[-1],
        called=float(positions.notional[positions.called].sum()),
        missing=positions.missing,
    )


def by_bin(
    distance: Floats, leverage: Floats, notional: Floats, chosen: Bools, bands: tuple[Band, ...], edges: Floats
) -> Floats:
    """(K, B): notional by leverage band and bin of distance."""
    levels = np.zeros((len(bands), len(edges) - 1))
    for row, band in enumerate(bands):
        own = chosen & (leverage >= band.low) & (leverage < band.high)
        if np.isinf(band.high):
            own |= chosen & np.isinf(leverage)
        levels[row] = np.histogram(distance[own], edges, weights=notional[own])[0]
        levels[row, -1] -= notional[own & (distance == edges[-1])].sum()  # numpy closes the last bin; here none is
    return levels


def find_clusters(levels: LevelMap, side: int = 0, factor: float = FACTOR) -> tuple[Cluster, ...]:
    """Clusters of one side (+1 longs, -1 shorts; 0 both), the largest first."""
    found = [
        _cluster(levels, each, first, last)
        for each in ((1, -1) if side == 0 else (side,))
        for first, last in crowded_runs(levels.of(each), factor)
    ]
    return tuple(sorted(found, key=lambda cluster: -cluster.mass))


def _cluster(levels: LevelMap, side: int, first: int, last: int) -> Cluster:
    notional = levels.of(side)
    inside = notional[first : last + 1]
    mass, peak = float(inside.sum()), first + int(np.argmax(inside))
    distance = float(np.sum(levels.centers[first : last + 1] * inside) / mass)
    near, far = float(levels.edges[first]), float(levels.edges[last + 1])
    prices = levels.mark * np.exp(-side * np.array([near, far, distance]))
    return Cluster(
        side=side,
        mass=mass,
        share=mass / float(notional.sum()),
        near=near,
        far=far,
        distance=distance,
        peak_distance=float(levels.centers[peak]),
        peak_mass=float(notional[peak]),
        price_near=float(prices[0]),
        price_far=float(prices[1]),
        price=float(prices[2]),
    )
