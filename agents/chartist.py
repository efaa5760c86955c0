"""Chartists: each account forecasts from value, from the trend over a horizon of its own, and from noise.

Model: Chiarella, Iori, Perello (2009, Journal of Economic Dynamics and Control 33, 525-537; parameters R-), whose
finding is that the trend term makes the fat tails and the clustering:

    forecast   r = [g1 ln(p_f / p) / tau_f + g2 (mean past return over tau) + n e] / (g1 + g2 + n)     per second
    horizon    tau = horizon (1 + g1) / (1 + g2);   p_hat = p exp(r tau)
    demand     q(p) = ln(p_hat / p) / (a V p), CARA;  limit price uniform where -limit <= q(p) <= limit

In the paper risk aversion grows as (1 + g1)/(1 + g2) and V is the variance of one period; their product is one
aversion times the variance over the account's horizon, which is how it is written here: a position of one limit is
asked for a forecast of `full_sigmas` standard deviations over the reference horizon at usual volatility.

Differs from the paper: demand saturates at +-limit instead of at 0 and at all one's cash (perpetuals are shorted);
weights are drawn once, also for the horizon; V is an exponential average common to all; value is seen late; a
marketable order trades at prices up to its limit, bounded, and what is left does not rest; the next order of an
account replaces the last.
"""

import math
from collections.abc import Iterator
from typing import Any, ClassVar, final

import mesa
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from marginquake.agents.base import Participant, ParticipantConfig
from marginquake.agents.toolbox.indicators import PriceMemory, VolatilityGauge, per_second, reference_ticks
from marginquake.agents.toolbox.order_slots import OrderSlots
from marginquake.sim.core.fields import Duration, Fraction, Idle
from marginquake.sim.core.integers.casts import wait_ns
from marginquake.sim.core.records import OrderKind, Side, Stage
from marginquake.sim.core.typing import Floats, Ints
from marginquake.sim.market.context import ParticipantContext
from marginquake.sim.market.orders import OrderEntry
from marginquake.sim.market.view import MarketView

SECOND = 1_000_000_000
FARTHEST = 0.5
"""Log-distance beyond which a forecast is the same to everybody: every order is marketable, or rests out of reach."""
SAMPLES_A_HORIZON = 600


class ChartistConfig(ParticipantConfig):
    """Weights are |N(0, sigma)| by account (class values of the paper, R-); sizes ending in `_d1` are units of D1."""

    idle: ClassVar[tuple[Idle, ...]] = (
        Idle(
            ("value_time", "value_delay"),
            lambda own, market: own.fundamental_weight == 0,
            "fundamental_weight is 0: nobody looks at value",
        ),
        Idle(("noise",), lambda own, market: own.noise_weight == 0, "noise_weight is 0: no noise"),
        Idle(
            ("lifetime", "full_sigmas", "capital_d1"),
            lambda own, market: own.wake_rate == 0,
            "wake_rate is 0: they never trade",
        ),
    )
    accounts: int = Field(100, gt=0)
    fundamental_weight: float = Field(10.0, ge=0, description="sigma of g1; 0 = nobody looks at value")
    trend_weight: float = Field(1.4, ge=0, description="sigma of g2; 0 = nobody follows the trend")
    noise_weight: float = Field(1.0, ge=0, description="sigma of n; 0 = no noise")
    horizon: Duration = Field(600 * SECOND, gt=0, description="Reference horizon; times (1 + g1)/(1 + g2) by account")
    value_time: Duration = Field(600 * SECOND, gt=0, description="tau_f: mispricing is expected to go over this time")
    value_delay: Duration = Field(60 * SECOND, ge=0, description="Age of the value they see")
    noise: float = Field(1.0, ge=0, description="sd of the noise forecast, standard deviations over the own horizon")
    capital_d1: float = Field(0.3, gt=0, description="Largest position, all accounts together")
    full_sigmas: float = Field(
        1.0,
        gt=0,
        description="Forecast that asks for the largest position, sd over the reference horizon",
    )
    wake_rate: float = Field(1 / 120, ge=0, description="Orders per second of each account")
    lifetime: Duration | None = Field(None, gt=0, description="Orders rest this long; default the account's horizon")
    volatility: Fraction = Field(0.6, gt=0, description="Per year; usual volatility, and where the measured one starts")
    volatility_time: Duration = Field(3600 * SECOND, gt=0, description="Memory of measured volatility")
    market_bound: Fraction = Field(0.01, gt=0, lt=1, description="Worst price of a marketable order, from mid")

    @model_validator(mode="after")
    def _forecasts(self) -> "ChartistConfig":
        if self.fundamental_weight + self.trend_weight + self.noise_weight <= 0:
            raise ValueError("one of fundamental_weight, trend_weight and noise_weight must be above 0")
        return self

    def bytes_needed(self, interval_s: float) -> Iterator[tuple[str, float]]:
        """Values over their delay."""
        yield "value_delay", 8.0 * self.value_delay * 1e-9 / interval_s


@final
class Chartist(Participant):
    """Now and then each account replaces its order by one drawn from its demand at its forecast."""

    config_type = ChartistConfig
    provides: ClassVar[tuple[str, ...] | None] = ()
    example: ClassVar[dict[str, Any]] = {"type": "chartist", "wake_rate": 0.1}
    config: ChartistConfig

    def __init__(self, model: mesa.Model, config: ChartistConfig, context: ParticipantContext) -> None:
        super().__init__(model, config, context)
        count = len(self.rows)
        character = self.stream.child("character")
        sigmas = (config.fundamental_weight, config.trend_weight, config.noise_weight)
        value, trend, noise = (sigma * np.abs(character.normal(i, count)) for i, sigma in enumerate(sigmas))
        self.horizon_s = config.horizon * 1e-9 * (1.0 + value) / (1.0 + trend)
        """Each account's own."""
        total = value + trend + noise
        self._value_share, self._trend_share, self._noise_share = value / total, trend / total, noise / total
        lot = context.contract.notional_per_lot(context.initial_price_ticks)
        self._limit_lots = config.capital_d1 * context.depth_1pct / lot / count
        horizon_s = config.horizon * 1e-9
        self._width_per_variance = config.full_sigmas / (per_second(config.volatility) * math.sqrt(horizon_s))
        self._lifetime_ns = wait_ns(
            np.full(count, config.lifetime) if config.lifetime is not None else np.rint(self.horizon_s * 1e9)
        )
        self._volatility = VolatilityGauge(
            config.volatility, self.interval_s, slow_s=config.volatility_time * 1e-9, fast_s=30.0, window_s=300.0
        )
        sample_s = horizon_s / SAMPLES_A_HORIZON
        self._prices = PriceMemory(float(self.horizon_s.max()), sample_s, self.interval_s)
        self._delay_s = np.array([config.value_delay * 1e-9])
        self._values = PriceMemory(config.value_delay * 1e-9, self.interval_s, self.interval_s)
        self._slots = OrderSlots(context)
        self._wake = self.stream.child("wake")
        self._draws = self.stream.child("orders")

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        """Watch; take back the orders of those who wake; once that has settled, order again."""
        price = self._price(market)
        log_price = math.log(price)
        self._volatility.update(price)
        self._prices.add(log_price)
        self._values.add(math.log(market.fundamental_ticks))
        self._slots.expire(market.now_ns, orders)
        ready = self._slots.settled(market.now_ns)
        if ready is not None:
            self._order(ready, log_price, market, orders)
        accounts = len(self.rows)
        count = self.looks(self._wake, market.step, self.config.wake_rate)
        if count:
            units = self._wake.uniform(market.step, count, first=1024)
            self._slots.recall(np.unique((units * accounts).astype(np.int64)), market.now_ns, orders)

    def _price(self, market: MarketView) -> float:
        """Mid, or the mark where the book is too thin for a mid to mean anything."""
        if market.two_sided and market.spread_ticks <= self.config.market_bound * market.mid_ticks:
            return market.mid_ticks
        return float(market.mark_ticks) if market.mark_ticks > 0 else market.index_ticks

    def forecast(self, index: Ints, log_price: float, normals: Floats) -> Floats:
        """Expected log-return of these accounts over their own horizons: r tau."""
        horizon_s = self.horizon_s[index]
        value = float(self._values.before(self._delay_s)[0])
        to_value = (value - log_price) / (self.config.value_time * 1e-9) * horizon_s
        trend = log_price - self._prices.before(horizon_s)
        noise = self.config.noise * self._volatility.local * np.sqrt(horizon_s) * normals
        forecast: Floats = (
            self._value_share[index] * to_value + self._trend_share[index] * trend + self._noise_share[index] * noise
        )
        return forecast.clip(-FARTHEST, FARTHEST)

    def width(self, index: Ints) -> Floats:
        """a V limit: the log-distance below (above) p_hat at which these accounts want their largest long (short)."""
        width: Floats = self._width_per_variance * self._volatility.local**2 * self.horizon_s[index]
        return width.clip(0.0, FARTHEST)

    def _order(self, index: Ints, log_price: float, market: MarketView, orders: OrderEntry) -> None:
        index = index[self.accounts.stage[index] < Stage.CALLED]
        if len(index) == 0:
            return
        first, second, third = (self._draws.uniform_at(market.step, index + (i << 32)) for i in range(3))
        normals = np.sqrt(-2.0 * np.log(first)) * np.cos(2.0 * math.pi * second)
        below = 2.0 * third - 1.0
        forecast, width = self.forecast(index, log_price, normals), self.width(index)
        gap = np.rint(-below * self._limit_lots).astype(np.int64) - self.accounts.position_lots[index]
        side = np.sign(gap)
        wish = np.exp(log_price + forecast + below * width)
        bound = reference_ticks(market) * (1.0 + side * self.config.market_bound)
        limit = np.where(side > 0, np.floor(np.minimum(wish, bound)), np.ceil(np.maximum(wish, bound)))
        limit_ticks = limit.clip(1, self.contract.max_price_ticks - 1).astype(np.int64)
        takes = (side > 0) & (0 < market.best_ask_ticks <= limit_ticks)
        takes |= (side < 0) & (market.best_bid_ticks > 0) & (limit_ticks <= market.best_bid_ticks)
        self._send(index, side, limit_ticks, gap, takes, market, orders)

    def _send(
        self,
        index: Ints,
        side: Ints,
        limit_ticks: Ints,
        gap: Ints,
        takes: NDArray[np.bool_],
        market: MarketView,
        orders: OrderEntry,
    ) -> None:
        rests = ~takes & (gap != 0)
        for chosen, kind in ((takes, OrderKind.IOC), (rests, OrderKind.LIMIT)):
            orders.limit(
                self.rows[index[chosen]],
                np.where(side[chosen] > 0, int(Side.BUY), int(Side.SELL)),
                limit_ticks[chosen],
                np.abs(gap[chosen]),
                kind=kind,
            )
        resting = index[rests]
        self._slots.rest(resting, market.now_ns + self._lifetime_ns[resting])
