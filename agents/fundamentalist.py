"""Value traders: buy what looks cheap against a noisy, late view of value; sell what looks dear.

Model: fundamentalists as in Chiarella, Iori, Perello (2009) reduced to market orders beyond a threshold of
mispricing; numbers from a prototype (D).  Differs from the paper: no chartist term here, sizes are uniform
instead of from a utility, and the position is limited.
"""

import math
from collections.abc import Iterator
from typing import Any, ClassVar, final

import mesa
import numpy as np
from pydantic import Field, model_validator

from marginquake.agents.base import Participant, ParticipantConfig
from marginquake.agents.toolbox.indicators import reference_ticks
from marginquake.sim.core.fields import Duration, Fraction, Idle
from marginquake.sim.core.records import Side
from marginquake.sim.market.context import ParticipantContext
from marginquake.sim.market.orders import OrderEntry
from marginquake.sim.market.view import MarketView

SECOND = 1_000_000_000


class FundamentalistConfig(ParticipantConfig):
    """Sizes ending in `_d1` are units of the market's D1; rate and limit are of all accounts together."""

    idle: ClassVar[tuple[Idle, ...]] = (
        Idle(
            ("noise", "threshold", "value_delay", "size_d1", "limit_d1", "market_bound"),
            lambda own, market: own.wake_rate == 0,
            "wake_rate is 0: they never trade",
        ),
    )
    accounts: int = Field(4, gt=0)
    wake_rate: float = Field(0.2, ge=0, description="Appraisals per second")
    noise: Fraction = Field(0.01, ge=0, description="Standard deviation of the error of one appraisal")
    threshold: Fraction = Field(0.005, ge=0, description="Mispricing that is left alone")
    value_delay: Duration = Field(60 * SECOND, ge=0, description="Age of the value they see")
    size_d1: tuple[float, float] = Field((0.0017, 0.0085), description="Smallest and largest order")
    limit_d1: float = Field(1.75, gt=0, description="Largest position, all accounts together")
    market_bound: Fraction = Field(0.01, gt=0, description="Worst price, from mid")

    @model_validator(mode="after")
    def _sizes(self) -> "FundamentalistConfig":
        if not 0 < self.size_d1[0] <= self.size_d1[1]:
            raise ValueError("size_d1 is [smallest, largest], both above 0")
        return self

    def bytes_needed(self, interval_s: float) -> Iterator[tuple[str, float]]:
        """Values over their delay."""
        yield "value_delay", 8.0 * self.value_delay * 1e-9 / interval_s


@final
class Fundamentalist(Participant):
    """Now and then appraises the contract, and trades toward value if it is far enough away."""

    config_type = FundamentalistConfig
    provides: ClassVar[tuple[str, ...] | None] = ()
    example: ClassVar[dict[str, Any]] = {"type": "fundamentalist"}
    config: FundamentalistConfig

    def __init__(self, model: mesa.Model, config: FundamentalistConfig, context: ParticipantContext) -> None:
        super().__init__(model, config, context)
        unit = context.depth_1pct / context.contract.notional_per_lot(context.initial_price_ticks)
        self._least_lots, self._most_lots = config.size_d1[0] * unit, config.size_d1[1] * unit
        self._limit_lots = config.limit_d1 * unit / len(self.rows)
        self._delay = round(config.value_delay * 1e-9 / self.interval_s)
        self._values = np.zeros(self._delay + 1)
        self._count = 0

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        """Appraise at random times; one order at most for each appraisal."""
        size = len(self._values)
        self._values[self._count % size] = market.fundamental_ticks
        # Until the delay has passed, the first value known.
        value = self._values[(self._count + 1) % size] if self._count >= self._delay else self._values[0]
        self._count += 1
        count = self.stream.poisson(market.step, self.config.wake_rate * self.interval_s)
        if count == 0:
            return
        units = self.stream.uniform(market.step, 3 * count, first=1024)
        errors = self.stream.normal(market.step, count, first=4096)
        reference = reference_ticks(market)
        for i in range(count):
            mispricing = math.log(value / reference) + self.config.noise * float(errors[i])
            if abs(mispricing) > self.config.threshold:
                self._trade(1 if mispricing > 0 else -1, units[3 * i : 3 * i + 3], reference, orders)

    def _trade(self, direction: int, units: np.ndarray[Any, Any], reference: float, orders: OrderEntry) -> None:
        account = int(units[0] * len(self.rows))
        lots = math.floor(self._least_lots + units[1] * (self._most_lots - self._least_lots) + units[2])
        room = math.floor(self._limit_lots - direction * int(self.accounts.position_lots[account]))
        lots = min(lots, room)
        if lots < 1:
            return
        bound = round(reference * (1.0 + direction * self.config.market_bound))
        bound = min(max(1, bound), self.contract.max_price_ticks - 1)
        side = Side.BUY if direction > 0 else Side.SELL
        orders.market(self.rows[account : account + 1], side, lots, bound_ticks=bound)
