"""Who stands where at a moment: the positions that a margin call could meet, and the mark that would call them."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.frames.lookup import mark_at
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.statistics.estimate import Unmeasurable
from marginquake.sim.core.records import Stage
from marginquake.sim.core.typing import Bools, Floats, Ints

SYSTEM_ROWS = 3
"""Rows of the venue itself: fund, fees, rounding."""
NEAR_S = 1e-6


@final
@dataclass(frozen=True)
class Standing:
    """Open positions at `time_s`, one entry an account that some mark would call and that is not called yet.

    `side` +1 long; `notional` at the mark and `trigger` (liquidation price), quote units.
    """

    time_s: float
    mark: float
    account: Ints
    side: Ints
    notional: Floats
    trigger: Floats

    @property
    def log_distance(self) -> Floats:
        """Log of price between the mark and the trigger; 0 or less where the mark has passed it."""
        return np.asarray(-self.side * np.log(self.trigger / self.mark), np.float64)

    def select(self, mask: Bools) -> "Standing":
        """The positions where `mask` is true."""
        chosen = (self.account[mask], self.side[mask], self.notional[mask], self.trigger[mask])
        return Standing(self.time_s, self.mark, *chosen)


def standing_at(market: MarketFrames, at_s: float, population: str | None = None) -> Standing:
    """Positions at a snapshot of the run; at the end of the warm-up also where none was recorded."""
    held = market.positions
    if not held:
        if abs(at_s) > NEAR_S:
            raise Unmeasurable(f"positions at {at_s:g} s: the run recorded none; run with record.positions_every")
        return standing_at_start(market, population)
    now = np.abs(held["time_s"] - at_s) <= NEAR_S
    if not now.any():
        nearest = float(held["time_s"][np.argmin(np.abs(held["time_s"] - at_s))])
        raise Unmeasurable(
            f"positions at {formats.clock(at_s)}: not recorded, the nearest are of {formats.clock(nearest)}; a "
            f"snapshot is "
            "taken every record.positions_every"
        )
    chosen = now & (held["account"] >= SYSTEM_ROWS) & (held["stage"] < Stage.CALLED) & (held["liquidation_price"] > 0)
    if population is not None:
        chosen &= held["population"] == population
    return Standing(
        time_s=at_s,
        mark=float(held["mark"][now][0]),
        account=held["account"][chosen].astype(np.int64),
        side=np.sign(held["position_lots"][chosen]).astype(np.int64),
        notional=held["notional"][chosen],
        trigger=held["liquidation_price"][chosen],
    )


def standing_at_start(market: MarketFrames, population: str | None = None) -> Standing:
    """Positions at the end of the warm-up, from the table of accounts."""
    accounts = market.accounts
    lots, trigger = accounts["position_start"].astype(np.int64), accounts["liquidation_price_start"]
    chosen = (accounts["row"] >= SYSTEM_ROWS) & (lots != 0) & (trigger > 0)
    if population is not None:
        chosen &= accounts["population"] == population
    mark = known_mark(market, 0.0)
    ticks = mark / market.contract.to_price(1.0)
    return Standing(
        time_s=0.0,
        mark=mark,
        account=accounts["row"][chosen].astype(np.int64),
        side=np.sign(lots[chosen]),
        notional=np.asarray(market.contract.notional(np.abs(lots[chosen]), ticks), np.float64),
        trigger=trigger[chosen],
    )


def known_mark(market: MarketFrames, at_s: float) -> float:
    """The last mark known at a moment; without one nothing can be said."""
    mark = mark_at(market, at_s)
    if math.isnan(mark):
        raise Unmeasurable(f"there was no mark price at {at_s:g} s")
    return mark
