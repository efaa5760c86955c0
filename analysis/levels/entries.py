"""Open interest by entry price (docs/model.md, eq. 193)."""

from dataclasses import dataclass
from typing import final

import numpy as np

from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.levels.positions import positions_at
from marginquake.analysis.levels.true_map import BIN, FACTOR, REACH, crowded_runs
from marginquake.sim.core.typing import Floats


@final
@dataclass(frozen=True)
class EntryMap:
    """Notional at the mark by the log of entry price over mark, longs and shorts; quote units.

    `edges` (B + 1).  `*_outside`: entries beyond the edges, so that bins and outside together are all open interest.
    `callable_leverage`: notional over equity of all positions whose liquidation price lies within reach: makers and
    hedgers, who hold much more than they need, are not among them.
    """

    time_s: float
    mark: float
    edges: Floats
    long: Floats
    short: Floats
    long_outside: float
    short_outside: float
    callable_leverage: float
    missing: str = ""

    @property
    def prices(self) -> Floats:
        """`edges` as prices."""
        return np.asarray(self.mark * np.exp(self.edges), np.float64)

    def of(self, side: int) -> Floats:
        """Notional a bin of longs (+1) or shorts (-1)."""
        return self.long if side > 0 else self.short

    def open_interest(self, side: int = 1) -> float:
        """All notional of one side; both sides have the same."""
        return float(self.of(side).sum()) + (self.long_outside if side > 0 else self.short_outside)


@final
@dataclass(frozen=True)
class EntryPeak:
    """A run of crowded entry prices, found like clusters; `share` of the side's open interest."""

    side: int
    notional: float
    share: float
    price_low: float
    price_high: float
    price: float


def entry_map(market: MarketFrames, at_s: float = 0.0) -> EntryMap:
    """Open interest by entry price on the last snapshot at or before `at_s`."""
    held = positions_at(market, at_s)
    edges = BIN * np.arange(-round(REACH / BIN), round(REACH / BIN) + 1, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        place = np.log(held.entry_price / held.mark)
    bins, outside = {}, {}
    for side in (1, -1):
        own = held.side == side
        bins[side] = np.histogram(place[own], edges, weights=held.notional[own])[0]
        outside[side] = float(held.notional[own & ~((place >= edges[0]) & (place <= edges[-1]))].sum())
    near = held.waiting & (held.distance < REACH)
    near_equity = float(held.equity[near].sum())
    return EntryMap(
        time_s=held.time_s,
        mark=held.mark,
        edges=edges,
        long=bins[1],
        short=bins[-1],
        long_outside=outside[1],
        short_outside=outside[-1],
        callable_leverage=float(held.notional[near].sum()) / near_equity if near_equity > 0 else np.nan,
        missing=held.missing,
    )


def entry_peaks(entries: EntryMap, side: int = 0, factor: float = FACTOR) -> tuple[EntryPeak, ...]:
    """Crowded entry prices of one side (0: both), the largest first."""
    found = []
    for each in (1, -1) if side == 0 else (side,):
        notional, prices = entries.of(each), entries.prices
        centers = np.sqrt(prices[1:] * prices[:-1])
        for first, last in crowded_runs(notional, factor):
            inside = notional[first : last + 1]
            mass = float(inside.sum())
            found.append(
                EntryPeak(
                    side=each,
                    notional=mass,
                    share=mass / entries.open_interest(each),
                    price_low=float(prices[first]),
                    price_high=float(prices[last + 1]),
                    price=float(np.sum(centers[first : last + 1] * inside) / mass),
                )
            )
    return tuple(sorted(found, key=lambda peak: -peak.notional))
