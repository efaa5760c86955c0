"""Market makers: Gueant-Lehalle-Fernandez-Tapia quotes on a ladder of levels, hedged on spot, withdrawing in stress.

Quotes: asymptotic offsets of Gueant, Lehalle, Fernandez-Tapia 2013 ("GLFT") at the innermost level.  Outer levels
grow geometrically and shift by the same inventory skew, because depth within u of mid grows as u^kappa in real books
(kappa .4 to 1.2: CoinDesk Research, B; min66633, C).  Withdrawal: size x W(z) = exp(-0.064 |z|), z the five-minute
return in local standard deviations (our fit to the bins of min66633, C), and hard pulls at a threshold of each maker's
own, to a residual size: in a prototype, all pulling to zero together emptied the book with no forced order at all (D).
A maker may also pull when it holds too much or has lost too much; it looks at itself once a second.  Differs from
GLFT: drift-free fair value from the index plus an average basis instead of the mid; one skew for all levels; several
levels.  Sources: docs/sources.md.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, final

import mesa
import numpy as np
from pydantic import Field, model_validator

from marginquake.agents.base import Participant, ParticipantConfig
from marginquake.agents.toolbox.indicators import BasisGauge, VolatilityGauge, weight
from marginquake.agents.toolbox.quote_kernels import draw_awake, quote_ladders
from marginquake.sim.core.fields import Amount, Duration, Fraction, Idle
from marginquake.sim.core.integers.casts import wait_ns
from marginquake.sim.core.typing import Floats, Ints
from marginquake.sim.market.context import ParticipantContext
from marginquake.sim.market.orders import OrderEntry
from marginquake.sim.market.view import MarketView
from marginquake.sim.scenario.distributions import Trait

BPS = 1e-4
SECOND = 1_000_000_000


def glft_terms(volatility: float, arrival_rate: float, order_decay: float, risk_aversion: float) -> tuple[float, float]:
    """Base half-spread and inventory skew per unit: ln(1 + g/k)/g and c = sqrt(s^2 g/(2kA) (1 + g/k)^(1 + k/g)).

    Prices in any unit u; `volatility` in u per sqrt(s), `arrival_rate` A per s at offset 0, `order_decay` k per u,
    `risk_aversion` g per u and unit of inventory.  Source: GLFT 2013 (R+).
    """
    ratio = risk_aversion / order_decay
    base = math.log1p(ratio) / risk_aversion
    power = (1.0 + 1.0 / ratio) * math.log1p(ratio)
    skew = math.sqrt(volatility**2 * risk_aversion / (2.0 * order_decay * arrival_rate) * math.exp(power))
    return base, skew


def glft_offsets(
    volatility: float, arrival_rate: float, order_decay: float, risk_aversion: float, inventories: Floats
) -> tuple[Floats, Floats]:
    """Bid and ask offsets from fair value: base + (2q + 1)/2 c and base - (2q - 1)/2 c."""
    base, skew = glft_terms(volatility, arrival_rate, order_decay, risk_aversion)
    inventories = np.asarray(inventories, np.float64)
    return base + (2 * inventories + 1) / 2 * skew, base - (2 * inventories - 1) / 2 * skew


def avellaneda_stoikov_quotes(
    mid: float, inventory: float, risk_aversion: float, volatility: float, time_left: float, order_decay: float
) -> tuple[float, float]:
    """Reservation price s - q g s^2 T and total spread g s^2 T + (2/g) ln(1 + g/k) (2008, R+)."""
    risk = risk_aversion * volatility**2 * time_left
    return mid - inventory * risk, risk + 2.0 / risk_aversion * math.log1p(risk_aversion / order_decay)


def withdrawal(sigmas: float, strength: float = 0.064) -> float:
    """Share of size still quoted after a five-minute move of `sigmas` local standard deviations: W(z)."""
    return math.exp(-strength * abs(sigmas))


def fitted_withdrawal(sigmas: Floats, collapse: Floats) -> float:
    """Strength of W(z) = 1 / collapse: least squares on logs.  `collapse`: usual over present depth, by size of move.

    Bins of real books (min66633, grade C) give 0.064, the default of `withdrawal`.
    """
    z = np.abs(sigmas)
    return float(np.sum(z * np.log(collapse)) / np.sum(z**2))


class MarketMakerConfig(ParticipantConfig):
    """Offsets are basis points of fair value; sizes ending in `_d1` are units of the market's D1."""

    idle: ClassVar[tuple[Idle, ...]] = (
        Idle(
            ("pull_spread", "pull_residual", "pull_time", "return_half_life"),
            lambda own, market: own.pull_sigmas is own.pull_inventory is own.pull_loss_d1 is None,
            "nobody pulls: pull_sigmas, pull_inventory and pull_loss_d1 are null",
        ),
    )
    accounts: int = Field(8, gt=0, description="Makers; each requotes on its own")
    deposit: Trait[Amount] = Field(1e10, ge=0, description="Collateral of each account, quote units")
    latency: Trait[Duration] = Field(10_000_000, ge=0, description="Decision to arrival at the venue")
    requote_rate: float = Field(1.0, gt=0, description="Requotes per second of each maker")
    levels: int = Field(14, gt=1, le=1000)
    last_level_bps: float = Field(150.0, gt=0, description="Outermost level")
    depth_d1: float = Field(
        0.88, gt=0, description="Quoted within 1 %, a side, all makers together; background adds the rest of D1"
    )
    depth_exponent: float = Field(1.0, gt=0, description="kappa: depth within u of fair grows as u^kappa")
    risk_aversion: float = Field(0.08, gt=0, description="GLFT gamma, per bp and inventory unit")
    order_decay: float = Field(4.0, gt=0, description="GLFT k: how fast fills thin out, per bp")
    arrival_rate: float = Field(1.0, gt=0, description="GLFT A, per second")
    inventory_units: float = Field(20.0, gt=0, description="GLFT units that one inventory limit is")
    inventory_limit_d1: float = Field(0.44, gt=0, description="Largest position of each maker")
    hedge_rate: float = Field(0.2, ge=0, description="Share of unhedged inventory traded on spot per second")
    basis_time: Duration = Field(20 * SECOND, gt=0, description="Average of mid over index")
    basis_clip: Fraction = Field(0.01, gt=0)
    observation_noise_bps: float = Field(0.15, ge=0, description="Each maker's error on the index, at each requote")
    volatility: Fraction = Field(0.6, gt=0, description="Per year; where the local volatility starts")
    volatility_time: Duration = Field(4 * 3600 * SECOND, gt=0, description="Memory of local volatility")
    spread_response: float = Field(0.3, ge=0, description="Spread x (1 + this * (sqrt(30-s vol / local) - 1))")
    crosses_stale: bool = Field(
        True, description="New quotes may trade with stale ones; otherwise they stay behind the best price last seen"
    )
    withdrawal: float = Field(0.064, ge=0, description="k of W(z) = exp(-k |z|); 0 = never")
    pull_sigmas: float | None = Field(
        7.0, gt=0, description="Move of a second at which the most timid maker pulls; null = never"
    )
    pull_spread: float = Field(0.25, ge=0, description="Maker m pulls at pull_sigmas * (1 + this * m)")
    pull_residual: Fraction = Field(0.4, ge=0, le=1, description="Size left while pulled")
    pull_inventory: float | None = Field(
        None, gt=0, description="Share of the inventory limit at which a maker pulls; default never"
    )
    pull_loss_d1: float | None = Field(
        None, gt=0, description="Each maker's loss from its best, spot hedge included, at which it pulls; default never"
    )
    pull_time: tuple[Duration, Duration] = Field(
        (30 * SECOND, 60 * SECOND), description="Mean pull, from the first maker to the last; exponential"
    )
    return_half_life: Duration = Field(60 * SECOND, gt=0, description="Of the missing size after a pull")

    @model_validator(mode="after")
    def _ladder_widens(self) -> "MarketMakerConfig":
        base, _ = glft_terms(1.0, self.arrival_rate, self.order_decay, self.risk_aversion)
        if base >= self.last_level_bps:
            raise ValueError(f"last_level_bps must exceed the GLFT half-spread of {base:.3g} bp")
        return self

    def bytes_needed(self, interval_s: float) -> Iterator[tuple[str, float]]:
        """A ladder of quotes on each side, for every maker."""
        yield "levels", 100.0 * self.levels * self.accounts


@final
class MarketMaker(Participant):
    """Quotes a ladder on both sides; each account is one maker with its own clock, inventory and nerves."""

    config_type = MarketMakerConfig
    provides: ClassVar[tuple[str, ...] | None] = ("quotes",)
    example: ClassVar[dict[str, Any]] = {"type": "market_maker"}
    config: MarketMakerConfig

    def __init__(self, model: mesa.Model, config: MarketMakerConfig, context: ParticipantContext) -> None:
        super().__init__(model, config, context)
        makers = len(self.rows)
        lot = context.contract.notional_per_lot(context.initial_price_ticks)
        self._limit_lots = config.inventory_limit_d1 * context.depth_1pct / lot
        self._side_lots = config.depth_d1 * context.depth_1pct / lot / makers
        self._basis = BasisGauge(config.basis_time * 1e-9, config.basis_clip, config.basis_clip)
        self._volatility = VolatilityGauge(
            config.volatility, self.interval_s, slow_s=config.volatility_time * 1e-9, fast_s=30.0, window_s=300.0
        )
        timid = math.inf if config.pull_sigmas is None else config.pull_sigmas
        self._threshold = timid * (1.0 + config.pull_spread * np.arange(makers))
        self._lowest_threshold = float(self._threshold.min())
        shares = np.linspace(0.0, 1.0, makers) if makers > 1 else np.zeros(1)
        self._pull_mean_ns = config.pull_time[0] + shares * (config.pull_time[1] - config.pull_time[0])
        self.pulled_until_ns = np.full(makers, -(1 << 62), np.int64)
        """Until when each maker quotes its residual size only."""
        self._money_amount = context.contract.money_amount
        self._loss_limit = math.inf if config.pull_loss_d1 is None else config.pull_loss_d1 * context.depth_1pct
        self._inventory_limit = math.inf if config.pull_inventory is None else config.pull_inventory * self._limit_lots
        looks_at_itself = config.pull_loss_d1 is not None or config.pull_inventory is not None
        self._next_look_ns = -(1 << 62) if looks_at_itself else 1 << 62
        self._best = np.full(makers, -math.inf)
        self._wake = self.stream.child("wake")
        self._quotes = self.stream.child("quotes")
        self._pulls = self.stream.child("pulls")
        self._wake_chance = weight(self.interval_s, 1.0 / config.requote_rate)
        due = weight(self.interval_s, 1.0 / config.hedge_rate) if config.hedge_rate > 0 else 0.0
        self._hedge_share = min(1.0, due / self._wake_chance)
        self._started = False
        self._first_row = int(self.rows[0])
        self._awake = np.zeros(makers, np.int64)
        self._terms = np.zeros(9)
        self._terms[6:] = config.pull_residual, config.return_half_life, float(config.crosses_stale)
        self._out = tuple(np.zeros(makers * 2 * config.levels, np.int64) for _ in range(4))
        self._ladder_for = -1.0
        # Every maker spaces its outer levels in its own way, so that eight makers do not build the same walls.
        own = self.stream.child("spacing").uniform(0, makers * config.levels).reshape(makers, config.levels)
        self._spacing = np.where(np.arange(config.levels) > 0, 0.8 + 0.45 * own, 1.0)
        self._offsets = np.empty((makers, config.levels))
        self._level_lots = np.empty((makers, config.levels))
        self._skew_bps = 0.0

    @classmethod
    def without(cls, mechanism: str, config: Any) -> Mapping[str, Any]:
        """Never quotes less in stress, nor pulls; its spread still answers to volatility, and inventory has limits."""
        pulls = (config.pull_sigmas, config.pull_inventory, config.pull_loss_d1)
        if mechanism != "withdrawal" or (config.withdrawal == 0 and pulls == (None, None, None)):
            return {}
        return {"withdrawal": 0.0, "pull_sigmas": None, "pull_inventory": None, "pull_loss_d1": None}

    # ---- deciding -------------------------------------------------------------------------------------------------

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        """Watch prices; requote the makers whose clock rings, and those who have just pulled."""
        basis = self._basis.update(market, self.interval_s)
        fair = market.index_ticks * math.exp(basis)
        self._volatility.update(self._price(market, fair))
        if not self._started:
            self._started = True
            self._requote(np.arange(len(self.rows)), fair, market, orders)
            return
        count = self._wake.run(draw_awake, market.step, self._wake_chance, self._awake)
        awake = self._awake[:count]
        if abs(self._volatility.second_sigmas) >= self._lowest_threshold:
            awake = np.union1d(awake, self._pull(market))
        if market.now_ns >= self._next_look_ns:
            self._next_look_ns = market.now_ns + SECOND
            awake = np.union1d(awake, self._pull_the_hurt(market, orders))
        if len(awake) == 0:
            return
        self._requote(awake, fair, market, orders)
        self._hedge(awake, orders)

    def _price(self, market: MarketView, fair: float) -> float:
        """Mid within `basis_clip` of fair; fair while the book is one-sided: a thin book must not poison averages."""
        if not market.two_sided:
            return fair
        clip = self.config.basis_clip
        return min(fair * (1.0 + clip), max(fair * (1.0 - clip), market.mid_ticks))

    def _pull(self, market: MarketView) -> Ints:
        """Makers whose threshold the last second's move has passed, and who were not yet pulled."""
        scared = np.flatnonzero(
            (abs(self._volatility.second_sigmas) >= self._threshold) & (self.pulled_until_ns <= market.now_ns)
        )
        self._pull_away(scared, market)
        return scared

    def _pull_away(self, scared: Ints, market: MarketView) -> None:
        if len(scared):
            wait = -np.log(self._pulls.uniform_at(market.step, scared)) * self._pull_mean_ns[scared]
            self.pulled_until_ns[scared] = market.now_ns + wait_ns(wait)

    def _pull_the_hurt(self, market: MarketView, orders: OrderEntry) -> Ints:
        """Makers who hold too much, or have lost too much since they were last at their best, pull.

        While a maker is pulled its best is what it has now: back in the market it starts afresh.
        """
        calm = self.pulled_until_ns <= market.now_ns
        hurt = np.abs(self.accounts.position_lots) > self._inventory_limit
        if math.isfinite(self._loss_limit) and market.mark_ticks > 0:
            profit = self.accounts.equity(market.mark_ticks) * self._money_amount + orders.spot.profit(self.rows)
            self._best = np.where(calm, np.maximum(self._best, profit), profit)
            hurt |= self._best - profit > self._loss_limit
        scared = np.flatnonzero(calm & hurt)
        self._pull_away(scared, market)
        return scared

    def _hedge(self, awake: Ints, orders: OrderEntry) -> None:
        """Trade on spot the share of unhedged inventory that falls due between two wakes; fractions are kept."""
        if self._hedge_share == 0.0:
            return
        rows = self.rows[awake]
        gap = self.accounts.position_lots[awake] + orders.spot.position_lots(rows)
        if gap.any():
            orders.spot.trade(rows, -self._hedge_share * gap)

    # ---- quoting --------------------------------------------------------------------------------------------------

    def _ladder(self) -> None:
        """Offsets (bp) and sizes (lots) of the levels; rebuilt when local volatility has moved 2 %."""
        config = self.config
        local_bps = self._volatility.local / BPS
        if abs(local_bps / self._ladder_for - 1.0) < 0.02:
            return
        self._ladder_for = local_bps
        base, skew = glft_terms(local_bps, config.arrival_rate, config.order_decay, config.risk_aversion)
        inner = min(base + 0.5 * skew, 0.5 * config.last_level_bps)
        self._skew_bps = skew
        common = np.geomspace(inner, config.last_level_bps, config.levels)
        self._offsets = np.sort(common * self._spacing, axis=1)
        steps = np.diff(self._offsets**config.depth_exponent, axis=1, prepend=0.0)
        within = np.where(self._offsets <= 100.0, steps, 0.0).sum(axis=1, keepdims=True)
        self._level_lots = steps / np.where(within > 0.0, within, steps.sum(axis=1, keepdims=True)) * self._side_lots

    def _requote(self, awake: Ints, fair: float, market: MarketView, orders: OrderEntry) -> None:
        """Cancel everything of these makers and quote afresh around their fair value."""
        if len(awake) == 0:
            return
        config = self.config
        self._ladder()
        terms = self._terms
        terms[0] = fair
        terms[1] = self._skew_bps * config.inventory_units
        terms[2] = config.observation_noise_bps
        terms[3] = 1.0 + config.spread_response * (math.sqrt(self._volatility.ratio) - 1.0)
        terms[4] = withdrawal(self._volatility.window_sigmas, config.withdrawal)
        terms[5] = self._limit_lots
        count = self._quotes.run(
            quote_ladders,
            market.step,
            awake,
            self.accounts.position_lots,
            self.pulled_until_ns,
            market.now_ns,
            terms,
            self._offsets,
            self._level_lots,
            market.best_bid_ticks,
            market.best_ask_ticks,
            self.contract.max_price_ticks,
            *self._out,
        )
        orders.cancel_all(self.rows[awake])
        maker, side, price, lots = (column[:count] for column in self._out)
        orders.limit(maker + self._first_row, side, price, lots)
