"""Cash-and-carry holders: short the perpetual, long spot, collecting funding; the patient other side of crowded longs.

They do nothing until the venue closes their short (ADL, liquidation): that leaves spot naked, and they sell it.
ADL thus breaks hedges and spreads selling to spot (mechanisms 2.34).
"""

from typing import Any, ClassVar, final

import mesa
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from agents.base import Participant, ParticipantConfig
from agents.gauges import weight
from sim.distributions import Trait
from sim.market import MarketView, OrderEntry, Seat, SeedPositions
from sim.units import Amount, Duration


class HedgerConfig(ParticipantConfig):
    """Unlevered; their collateral must carry the other side of every seeded position."""

    accounts: int = Field(20, gt=0)
    deposit: Trait[Amount] = Field(1e9, ge=0, description="Collateral of each account, quote units")
    unwind_time: Duration = Field(0, ge=0, description="Freed spot is sold over this time scale; 0 = at once")


@final
class Hedger(Participant):
    """Takes the other side of seeded positions, hedged on spot, and stays flat overall whatever the venue does."""

    config_type = HedgerConfig
    example: ClassVar[dict[str, Any]] = {"type": "hedger"}
    takes_other_side: ClassVar[bool] = True
    config: HedgerConfig

    def __init__(self, model: mesa.Model, config: HedgerConfig, seat: Seat) -> None:
        super().__init__(model, config, seat)
        self._freed = False

    def seed_positions(self, market: MarketView, depth_1pct: float) -> SeedPositions:
        """The other side of everyone else, at the current price, with spot against it."""
        price = round(market.mark_ticks or market.index_ticks)
        flat = np.zeros(len(self.rows), np.int64)
        return SeedPositions(flat, np.full_like(flat, price), takes_other_side=True, hedged_on_spot=True)

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        """Sell the spot (or buy it back) that no longer has a perpetual against it."""
        if not self._freed:
            return
        time_scale_s = self.config.unwind_time * 1e-9
        share = weight(self.interval_s, time_scale_s) if time_scale_s > 0 else 1.0
        gap = orders.spot.position_lots(self.rows) + self.accounts.position_lots
        naked = np.flatnonzero(np.abs(gap) > 0.5)
        self._freed = len(naked) > 0
        if self._freed:
            orders.spot.trade(self.rows[naked], -share * gap[naked])

    def on_events(self, events: NDArray[Any], market: MarketView, orders: OrderEntry) -> None:
        """Any event on these accounts may have closed a short: look at the hedge at the next decision."""
        self._freed = True
