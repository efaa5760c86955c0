"""The ladder: the price moves x %, notional N liquidates, of which the book absorbs M (docs/model.md, eq. 197)."""

from dataclasses import dataclass
from typing import final

import numpy as np

from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.levels.positions import positions_at
from marginquake.sim.core.reach import notional_reached, pressure_index

MOVES = (0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.10)


@final
@dataclass(frozen=True)
class Rung:
    """A move of the mark by `move` (a fraction): down for `side` +1, whose longs are forced, up for -1.

    `forced`: notional with its liquidation price on the way (called accounts, which are on their way already, are
    counted apart); `accounts` how many; `resting`: what the book holds on that side up to the same price, as it stands
    (NaN where the map does not reach so far).  Quote units.
    """

    side: int
    move: float
    price: float
    forced: float
    accounts: int
    resting: float

    @property
    def absorbed(self) -> float:
        """What the book as it stands would take up before the price is there."""
        return float(np.minimum(self.forced, self.resting))

    @property
    def pressure(self) -> float:
        """PI, forced over resting: above 1 the move forces more than stands in its way; infinite where nothing does."""
        return float(pressure_index(self.forced, self.resting))


@final
@dataclass(frozen=True)
class Ladder:
    """Rungs of both sides from the mark outwards.

    `depth_s` is the time of the book map (NaN: none recorded), `called` the notional (at the mark) of accounts that are
    called already.
    """

    time_s: float
    mark: float
    depth_s: float
    rungs: tuple[Rung, ...]
    called: float
    missing: str = ""

    def of(self, side: int) -> tuple[Rung, ...]:
        """Rungs of one side."""
        return tuple(rung for rung in self.rungs if rung.side == side)


def ladder(market: MarketFrames, at_s: float = 0.0, moves: tuple[float, ...] = MOVES) -> Ladder:
    """The ladder of the last snapshot at or before `at_s`, on the book map of the same time (the last before it)."""
    held = positions_at(market, at_s)
    levels = market.map
    row = -1
    if levels is not None and len(held):
        row = int(np.searchsorted(levels.time_s, held.time_s, side="right")) - 1
    rungs = []
    for side in (1, -1) if len(held) else ():
        own = held.waiting & (held.side == side)
        for move in moves:
            price = held.mark * (1 - side * move)
            reached = own & (side * (held.liquidation_price - price) >= 0)
            rungs.append(
                Rung(
                    side=side,
                    move=move,
                    price=price,
                    forced=float(held.forced[reached].sum()),
                    accounts=int(reached.sum()),
                    resting=_resting(market, row, side, price),
                )
            )
    return Ladder(
        time_s=held.time_s,
        mark=held.mark,
        depth_s=float(levels.time_s[row]) if levels is not None and row >= 0 else np.nan,
        rungs=tuple(rungs),
        called=float(held.notional[held.called].sum()),
        missing=held.missing,
    )


def _resting(market: MarketFrames, row: int, side: int, price: float) -> float:
    """Depth on the way to a price (eq. 214)."""
    levels = market.map
    if levels is None or row < 0 or not levels.price_edges[0] <= price <= levels.price_edges[-1]:
        return np.nan
    depth = levels.bid_depth if side > 0 else levels.ask_depth
    return float(notional_reached(levels.price_edges, depth[row], price, side))
