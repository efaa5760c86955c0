"""What twins are compared by: how far the price went from its start, and who sold on the way (eq. 181, 184)."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np

from marginquake.analysis.frames.market import Fills, MarketFrames
from marginquake.analysis.frames.run_frames import RunFrames
from marginquake.sim.core.price_moves import Direction, from_start
from marginquake.sim.core.records import Cause, Side


@final
@dataclass(frozen=True)
class Outcome:
    """One market of a run.  `fall`, `rise`: largest distance of the last price below and above its start, as a
    fraction of the start, sampled like the series.  `forced_sold`, `forced_bought`: quote notional.  `forced_share`,
    `stop_share`: of all notional sold (bought) by takers on the way to the lowest (highest) price, by direction; NaN
    where fills were not kept or nobody traded.
    """

    seed: int
    run: str
    event_digest: str
    fall: float
    rise: float
    forced_sold: float
    forced_bought: float
    forced_share: dict[Direction, float]
    stop_share: dict[Direction, float]

    def moved(self, direction: Direction) -> float:
        """Its fall, or its rise."""
        return self.fall if direction == "fall" else self.rise


def outcome(run: RunFrames, name: str | None = None) -> Outcome:
    """Measure one market of a run, the first unless one is named."""
    market = run.first if name is None else run.markets[name]
    sold, bought = forced_notional(market)
    forced: dict[Direction, float] = {}
    stops: dict[Direction, float] = {}
    for direction in ("fall", "rise"):
        forced[direction], stops[direction] = taker_shares(market, direction)
    return Outcome(
        seed=int(run.seed),
        run=run.path.name,
        event_digest=str(run.summary.get("event_digest", "")),
        fall=from_start(market.run["last"], "fall"),
        rise=from_start(market.run["last"], "rise"),
        forced_sold=sold,
        forced_bought=bought,
        forced_share=forced,
        stop_share=stops,
    )


def forced_side(sold: float, bought: float) -> Direction:
    """Which moves are compared: rises where more was bought by force than sold."""
    return "rise" if bought > sold else "fall"


def way(market: MarketFrames, direction: Direction) -> tuple[float, float]:
    """From when to when (s) the price went from its start to its extreme: it was at the start at the beginning, and
    beyond it until the end."""
    known = np.isfinite(market.run["last"])
    time_s, prices = market.run["time_s"][known], market.run["last"][known]
    if len(prices) == 0:
        return 0.0, 0.0
    sign = 1.0 if direction == "fall" else -1.0
    extreme = int(np.argmin(sign * prices))
    at_start = np.flatnonzero(sign * (prices[: extreme + 1] - prices[0]) >= 0)
    return float(time_s[at_start[-1]]), float(time_s[extreme])


def taker_shares(market: MarketFrames, direction: Direction) -> tuple[float, float]:
    """Forced and stop share of what takers sold (bought) on the way down (up)."""
    if market.not_recorded("fills"):
        return math.nan, math.nan
    first_s, last_s = way(market, direction)
    side = Side.SELL if direction == "fall" else Side.BUY
    fills = market.fills
    taken = fills.select((fills.time_s > first_s) & (fills.time_s <= last_s) & (fills.side == side))
    total = float(taken.notional.sum())
    if total <= 0:
        return math.nan, math.nan
    return _notional(taken.select(taken.forced)) / total, _notional(taken.select(taken.cause == Cause.STOP)) / total


def forced_notional(market: MarketFrames) -> tuple[float, float]:
    """Notional sold and bought by force after the warm-up; by the side that accounts started on where no event was
    kept."""
    if not market.not_recorded("liquidations"):
        forced = market.forced_fills
        forced = forced.select(forced.time_s >= 0)
        return _notional(forced.select(forced.side == Side.SELL)), _notional(forced.select(forced.side == Side.BUY))
    own, start = market.accounts["forced_notional"], market.accounts["position_start"]
    return float(own[start > 0].sum()), float(own[start < 0].sum())


def _notional(fills: Fills) -> float:
    return float(fills.notional.sum())
