"""Basis arbitrage: sell the perpetual when it is rich to the index, buy when cheap, hedge on spot at once.

Numbers from a prototype (docs/sources.md, D): threshold 4 bp, linear rate beyond it, finite capital that comes back
over an hour as positions are unwound.  Differs from textbook arbitrage: capital is finite, and the hedge moves the
index (docs/model.md, eq. 15a), so pressure on the perpetual is carried to spot.
"""

from typing import Any, ClassVar, final

import mesa
import numpy as np
from pydantic import Field

from marginquake.agents.base import Participant, ParticipantConfig
from marginquake.agents.toolbox.indicators import weight
from marginquake.agents.toolbox.quote_kernels import draw_awake
from marginquake.sim.core.fields import Amount, Duration, Fraction
from marginquake.sim.core.records import Side
from marginquake.sim.core.typing import Floats, Ints
from marginquake.sim.market.context import ParticipantContext
from marginquake.sim.market.orders import OrderEntry
from marginquake.sim.market.view import MarketView
from marginquake.sim.scenario.distributions import Trait

BPS = 1e-4
SECOND = 1_000_000_000


class ArbitrageurConfig(ParticipantConfig):
    """Sizes ending in `_d1` are units of the market's D1, all accounts together."""

    deposit: Trait[Amount] = Field(1e10, ge=0, description="Collateral of each account, quote units")
    latency: Trait[Duration] = Field(10_000_000, ge=0, description="Decision to arrival at the venue")
    wake_rate: float = Field(5.0, gt=0, description="Looks per second of each account")
    threshold: Fraction = Field(0.0004, ge=0, description="Basis left alone")
    rate_d1: float = Field(0.0053, gt=0, description="Traded per second and bp of basis beyond the threshold")
    capital_d1: float = Field(5.0, gt=0, description="Largest position")
    unwind_time: Duration = Field(3600 * SECOND, gt=0, description="Positions decay over this time")
    unwind_bound: Fraction = Field(0.001, gt=0, description="Worst price of an unwinding order, from the index")


@final
class Arbitrageur(Participant):
    """Trades the basis at prices that still pay, and offsets every lot on spot at the next decision."""

    config_type = ArbitrageurConfig
    provides: ClassVar[tuple[str, ...] | None] = ()
    example: ClassVar[dict[str, Any]] = {"type": "arbitrageur"}
    config: ArbitrageurConfig

    def __init__(self, model: mesa.Model, config: ArbitrageurConfig, context: ParticipantContext) -> None:
        super().__init__(model, config, context)
        lot = context.contract.notional_per_lot(context.initial_price_ticks)
        share = context.depth_1pct / lot / len(self.rows)
        self._capital_lots = config.capital_d1 * share
        self._lots_per_bp = config.rate_d1 * share / config.wake_rate
        self._wake = self.stream.child("wake")
        self._wake_chance = weight(self.interval_s, 1.0 / config.wake_rate)
        self._awake = np.zeros(len(self.rows), np.int64)
        self._hedged_lots = np.zeros(len(self.rows))

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        """Hedge what has filled; if a clock rings, trade the basis or unwind."""
        self._hedge(orders)
        count = self._wake.run(draw_awake, market.step, self._wake_chance, self._awake)
        if count:
            awake = self._awake[:count].copy()
            self._trade(awake, self._wake.uniform_at(market.step, awake + (1 << 32)), market, orders)

    def _hedge(self, orders: OrderEntry) -> None:
        gap = self.accounts.position_lots + self._hedged_lots
        if gap.any():
            moved = np.flatnonzero(gap)
            orders.spot.trade(self.rows[moved], -gap[moved])
            self._hedged_lots[moved] -= gap[moved]

    def _trade(self, awake: Ints, units: Floats, market: MarketView, orders: OrderEntry) -> None:
        config = self.config
        rich = market.best_bid_ticks / market.index_ticks - 1.0 - config.threshold if market.best_bid_ticks else -1.0
        cheap = 1.0 - market.best_ask_ticks / market.index_ticks - config.threshold if market.best_ask_ticks else -1.0
        position = self.accounts.position_lots[awake]
        if rich > 0.0 or cheap > 0.0:
            side = int(Side.SELL if rich >= cheap else Side.BUY)
            room = np.maximum(0.0, self._capital_lots - side * position)
            wanted = np.minimum(room, self._lots_per_bp * max(rich, cheap) / BPS)
            bound = market.index_ticks * (1.0 - side * config.threshold)
        else:
            # Nothing to earn: hand capital back by unwinding a little.
            share = 1.0 / (config.wake_rate * config.unwind_time * 1e-9)
            wanted = np.abs(position) * min(1.0, share)
            side = 0
            bound = 0.0
        lots = np.floor(wanted + units).astype(np.int64)
        if side == 0:
            lots = np.minimum(lots, np.abs(position))
        go = lots > 0
        if not go.any():
            return
        sides = np.full(len(awake), side) if side else -np.sign(position)
        if side:
            bounds = np.full(len(awake), np.floor(bound) if side > 0 else np.ceil(bound))
        else:
            bounds = np.rint(market.index_ticks * (1.0 + sides * config.unwind_bound))
        bounds = np.clip(bounds[go], 1, self.contract.max_price_ticks - 1).astype(np.int64)
        orders.market(self.rows[awake[go]], sides[go], lots[go], bound_ticks=bounds)
