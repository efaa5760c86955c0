"""Cash-and-carry holders: short the perpetual, long spot, collecting funding; the patient other side of crowded longs.

When their short is closed (by ADL, liquidation, a purchase of their own), spot is left naked, and they sell it.  ADL
thus breaks hedges and spreads selling to spot (press on 2025-10-10, B).

They may take profit: bought below the index, a short closes for less than the spot against it fetches.  Each wake then
buys the share `exit_rate` x (discount - exit_discount) / 10 bp of the position, at prices that still pay.  Where the
perpetual is rich by more than `entry_premium` they sell it again in the same way, up to what they began with.  Where
the crowd was short they are long, and all of this is mirrored.  So open interest falls in a squeeze (15-35 % an event,
D), and pressure is carried to spot.  No source for the rule; rates are design choices (grade D).
"""

import math
from typing import Any, ClassVar, final

import mesa
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from marginquake.agents.base import Participant, ParticipantConfig
from marginquake.agents.toolbox.indicators import weight
from marginquake.agents.toolbox.quote_kernels import draw_awake
from marginquake.sim.core.fields import Amount, Duration, Fraction, Idle
from marginquake.sim.core.records import Flag, OrderKind
from marginquake.sim.market.context import ParticipantContext, SeedPositions
from marginquake.sim.market.orders import OrderEntry
from marginquake.sim.market.view import MarketView
from marginquake.sim.scenario.distributions import Trait

TEN_BPS = 1e-3


class HedgerConfig(ParticipantConfig):
    """Unlevered; their collateral must carry the other side of every seeded position."""

    idle: ClassVar[tuple[Idle, ...]] = (
        Idle(
            ("exit_rate",),
            lambda own, market: own.exit_discount is None,
            "there is no exit_discount: they never close for a discount",
        ),
        Idle(
            ("entry_rate",),
            lambda own, market: own.entry_premium is None,
            "there is no entry_premium: they never rebuild",
        ),
        Idle(
            ("largest_rate", "wake_rate"),
            lambda own, market: own.exit_discount is own.entry_premium is None,
            "there is neither exit_discount nor entry_premium",
        ),
    )
    accounts: int = Field(20, gt=0)
    deposit: Trait[Amount] = Field(1e9, ge=0, description="Collateral of each account, quote units")
    unwind_time: Duration = Field(0, ge=0, description="Freed spot is sold over this time scale; 0 = at once")
    exit_discount: Fraction | None = Field(
        None, ge=0, lt=1, description="Discount to the index beyond which they close positions; default never"
    )
    exit_rate: float = Field(
        0.01, gt=0, description="Share of the position closed per second and 10 bp of discount beyond exit_discount"
    )
    entry_premium: Fraction | None = Field(
        None, ge=0, lt=1, description="Premium beyond which they rebuild their first position; default never"
    )
    entry_rate: float = Field(
        0.01, gt=0, description="Share of what is missing rebuilt per second and 10 bp of premium beyond entry_premium"
    )
    largest_rate: float = Field(0.02, gt=0, description="Share closed or rebuilt per second, at most")
    wake_rate: float = Field(1.0, gt=0, description="Looks at the basis per second of each account")


@final
class Hedger(Participant):
    """Takes the other side of seeded positions, hedged on spot; stays flat overall, also if the venue closes it."""

    config_type = HedgerConfig
    provides: ClassVar[tuple[str, ...] | None] = ()
    example: ClassVar[dict[str, Any]] = {"type": "hedger"}
    takes_other_side: ClassVar[bool] = True
    config: HedgerConfig

    def __init__(self, model: mesa.Model, config: HedgerConfig, context: ParticipantContext) -> None:
        super().__init__(model, config, context)
        count = len(self.rows)
        self._freed = False
        self._begun = False
        self._first_side = 0
        self.first_lots = np.zeros(count, np.int64)
        """Signed positions they were given at the start."""
        self._wake = self.stream.child("wake")
        chance = weight(self.interval_s, 1.0 / config.wake_rate)
        self._wake_chance, self._seconds_a_look = chance, self.interval_s / chance
        self._under_way_ns = int(context.table.latency_ns[context.rows].max())
        self._settled_ns = np.zeros(count, np.int64)
        self._awake = np.zeros(count, np.int64)

    def seed_positions(self, market: MarketView, depth_1pct: float) -> SeedPositions:
        """The other side of everyone else, at the current price, with spot against it."""
        price = round(market.mark_ticks or market.index_ticks)
        flat = np.zeros(len(self.rows), np.int64)
        return SeedPositions(flat, np.full_like(flat, price), takes_other_side=True, hedged_on_spot=True)

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        """Take profit, or rebuild, where the basis pays; then square spot with the perpetual."""
        if not self._begun:
            self._begun = True
            self.first_lots = self.accounts.position_lots.copy()
            self._first_side = int(np.sign(self.first_lots.sum()))
        config = self.config
        if config.exit_discount is not None:
            self._trade(-self._first_side, config.exit_discount, config.exit_rate, market, orders)
        if config.entry_premium is not None:
            self._trade(self._first_side, config.entry_premium, config.entry_rate, market, orders)
        if self._freed:
            self._square(orders)

    def _trade(self, side: int, threshold: float, rate: float, market: MarketView, orders: OrderEntry) -> None:
        """Those who wake buy below the index, or sell above it, by IOC, at least `threshold` away from it."""
        price = market.best_ask_ticks if side > 0 else market.best_bid_ticks
        beyond = side * (1.0 - price / market.index_ticks) - threshold
        if side == 0 or price == 0 or beyond <= 0.0:
            return
        count = self._wake.run(draw_awake, market.step, self._wake_chance, self._awake)
        awake = self._awake[:count]
        awake = awake[self._settled_ns[awake] <= market.now_ns]
        share = min(1.0, self._seconds_a_look * min(self.config.largest_rate, rate * beyond / TEN_BPS))
        held = np.maximum(self._first_side * self.accounts.position_lots[awake], 0)
        closing = side != self._first_side
        most = held if closing else np.maximum(np.abs(self.first_lots[awake]) - held, 0)
        units = self._wake.uniform_at(market.step, awake + (1 << 32))
        lots = np.minimum(most, np.floor(share * most + units).astype(np.int64))
        go = lots > 0
        bound = market.index_ticks * (1.0 - side * threshold)
        bound_ticks = max(1, math.floor(bound) if side > 0 else math.ceil(bound))
        flags = Flag.REDUCE_ONLY if closing else Flag.NONE
        self._settled_ns[awake[go]] = market.now_ns + self._under_way_ns
        orders.limit(self.rows[awake[go]], side, bound_ticks, lots[go], kind=OrderKind.IOC, flags=flags)

    def _square(self, orders: OrderEntry) -> None:
        """Sell the spot (or buy it back) that no longer has a perpetual against it."""
        time_scale_s = self.config.unwind_time * 1e-9
        share = weight(self.interval_s, time_scale_s) if time_scale_s > 0 else 1.0
        gap = orders.spot.position_lots(self.rows) + self.accounts.position_lots
        naked = np.flatnonzero(np.abs(gap) > 0.5)
        self._freed = len(naked) > 0
        if self._freed:
            orders.spot.trade(self.rows[naked], -share * gap[naked])

    def on_events(self, events: NDArray[Any], market: MarketView, orders: OrderEntry) -> None:
        """Any event on these accounts may have changed a position: look at the hedge at the next decision."""
        self._freed = True
