"""High-frequency traders: momentum over seconds, milliseconds away, small inventories that revert in minutes.

Model: Kirilenko, Kyle, Samadi, Tuzun (2017): they trade with the last price move, hold little, and come back to flat
with a half-life of about two minutes. (The source's "hot potato" volume among them does not appear here:
next to none of their trades meet.) The touch imbalance joins the signal (Cont, Kukanov, Stoikov 2014). Differs from
the source, which is a description and no model: the thresholds, the sizes and the way out (post-only first, then
across the spread) are ours.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple, final

import mesa
import numpy as np
from pydantic import Field, model_validator

from marginquake.agents.base import Participant, ParticipantConfig
from marginquake.agents.toolbox.indicators import VolatilityGauge, reference_ticks, weight
from marginquake.agents.toolbox.quote_kernels import draw_awake
from marginquake.sim.core.fields import Amount, Duration, Fraction, Idle
from marginquake.sim.core.integers.casts import wait_ns
from marginquake.sim.core.records import Flag, OrderKind
from marginquake.sim.core.typing import Bools, Floats, Ints
from marginquake.sim.market.context import ParticipantContext
from marginquake.sim.market.orders import OrderEntry
from marginquake.sim.market.view import MarketView
from marginquake.sim.scenario.distributions import Trait, Uniform

BPS = 1e-4
MILLISECOND = 1_000_000
SECOND = 1_000_000_000


class HftConfig(ParticipantConfig):
    """Sizes ending in `_d1` are units of the market's D1, for each account."""

    idle: ClassVar[tuple[Idle, ...]] = (
        Idle(("pull_time",), lambda own, market: own.pull_sigmas is None, "pull_sigmas is null: they never stop"),
    )
    accounts: int = Field(10, gt=0)
    deposit: Trait[Amount] = Field(1e10, ge=0, description="Collateral of each account, quote units")
    latency: Trait[Duration] = Field(
        Uniform(minimum=1.0 * MILLISECOND, maximum=5.0 * MILLISECOND), ge=0, description="Decision to arrival"
    )
    horizon: tuple[Duration, Duration] = Field(
        (100 * MILLISECOND, 5 * SECOND), description="Of momentum; log-uniform over accounts, at least one decision"
    )
    threshold: float = Field(1.5, gt=0, description="Signal that is traded, in standard deviations of the move")
    threshold_spread: Fraction = Field(0.3, ge=0, lt=1, description="Accounts differ by up to this share, both ways")
    imbalance_weight: float = Field(0.5, ge=0, description="Signal of a touch with nothing on one side")
    size_d1: float = Field(4e-4, gt=0, description="Size of an order")
    touch_share: Fraction = Field(0.5, gt=0, le=1, description="No order takes more of the touch")
    reach_bps: float = Field(0.0, ge=0, description="How far beyond the touch an order may trade")
    pause: Duration = Field(SECOND, ge=0, description="Least time between two momentum orders of an account")
    inventory_limit_d1: float = Field(0.02, gt=0, description="Largest position")
    crowded_fraction: Fraction = Field(0.8, gt=0, le=1, description="Of the limit: beyond it, out across the spread")
    half_life: Duration = Field(120 * SECOND, gt=0, description="Of inventory: each lot leaves at rate ln 2 / this")
    requote_rate: float = Field(1.0, gt=0, description="Looks per second at the passive exit order")
    patience: Duration = Field(10 * SECOND, ge=0, description="Lots that wait longer for a passive fill cross")
    volatility: Fraction = Field(0.6, gt=0, description="Per year; where the local volatility starts")
    volatility_time: Duration = Field(300 * SECOND, gt=0, description="Memory of local volatility")
    pull_sigmas: float | None = Field(
        8.0, gt=0, description="Move of a second that stops them; differs like the threshold; null = never"
    )
    pull_time: Duration = Field(30 * SECOND, gt=0, description="Mean of the exponential time for which they stop")

    @model_validator(mode="after")
    def _horizons(self) -> "HftConfig":
        if not 0 < self.horizon[0] <= self.horizon[1]:
            raise ValueError("horizon is [shortest, longest], both above 0")
        return self

    def bytes_needed(self, interval_s: float) -> Iterator[tuple[str, float]]:
        """Mids over the longest horizon, twice."""
        yield "horizon", 16.0 * self.horizon[1] * 1e-9 / interval_s


class Crossing(NamedTuple):
    """Orders across the spread: whose, which way, how much, and whether they only leave."""

    account: Ints
    side: Ints
    lots: Ints
    leaves: Bools


@final
class Hft(Participant):
    """Each account has its horizon, threshold and latency; all see the same moves and compete for the same touch.

    Sends at most one order across the spread and one passive order for each account and decision.  Does nothing while
    a side of the book is empty.
    """

    config_type = HftConfig
    provides: ClassVar[tuple[str, ...] | None] = ()
    example: ClassVar[dict[str, Any]] = {"type": "hft"}
    config: HftConfig

    def __init__(self, model: mesa.Model, config: HftConfig, context: ParticipantContext) -> None:
        super().__init__(model, config, context)
        count = len(self.rows)
        unit_lots = context.depth_1pct / context.contract.notional_per_lot(context.initial_price_ticks)
        self._size_lots = max(1, round(config.size_d1 * unit_lots))
        self._limit_lots = max(1, int(config.inventory_limit_d1 * unit_lots))
        self._crowded_lots = int(config.crowded_fraction * self._limit_lots)
        first, last = (math.log(bound * 1e-9) for bound in config.horizon)
        horizon_s = np.exp(first + (last - first) * self.stream.child("horizon").uniform(0, count))
        self._horizon_steps = np.maximum(1, np.rint(horizon_s / self.interval_s)).astype(np.int64)
        self._per_root_s = 1.0 / np.sqrt(self._horizon_steps * self.interval_s)
        nerve = 1.0 + config.threshold_spread * (2.0 * self.stream.child("threshold").uniform(0, count) - 1.0)
        self._threshold = config.threshold * nerve
        self._pull_sigmas = (math.inf if config.pull_sigmas is None else config.pull_sigmas) * nerve
        self._least_pull = float(self._pull_sigmas.min())
        # Every mid is kept twice, so that those of one horizon ago lie in one piece without wrapping round.
        self._ring = int(self._horizon_steps.max()) + 1
        self._mids = np.zeros(2 * self._ring)
        self._ago = self._ring - self._horizon_steps
        self._seen = 0
        self._volatility = VolatilityGauge(
            config.volatility, self.interval_s, slow_s=config.volatility_time * 1e-9, fast_s=30.0, window_s=300.0
        )
        self._exits = self.stream.child("exits")
        self._clock = self.stream.child("clock")
        self._pulls = self.stream.child("pulls")
        self._due_share = weight(self.interval_s, config.half_life * 1e-9 / math.log(2.0))
        self._look_chance = weight(self.interval_s, 1.0 / config.requote_rate)
        self._awake = np.zeros(count, np.int64)
        self._position = np.zeros(count, np.int64)
        self._held = np.zeros(count, np.int64)
        self._chunk = np.full(count, self._size_lots, np.int64)
        self._hazard: Floats = np.zeros(count)
        self._crowded = np.zeros(count, np.bool_)
        self._any_held = self._any_crowded = self._any_leaving = False
        self._leaving = np.zeros(count, np.int64)
        self._leaving_since_ns = np.zeros(count, np.int64)
        self._resting = np.zeros(count, np.bool_)
        self._ready_ns = np.full(count, -(1 << 62), np.int64)
        self.pulled_until_ns = np.full(count, -(1 << 62), np.int64)
        """Until when each account only flattens."""
        self._last_pull_ns = -(1 << 62)

    @classmethod
    def without(cls, mechanism: str, config: Any) -> Mapping[str, Any]:
        """Goes on trading however fast the price moves."""
        return {"pull_sigmas": None} if mechanism == "withdrawal" and config.pull_sigmas is not None else {}

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        """Follow the move, and let inventory go: first passively, across the spread where it must."""
        signal = self._signal(market)
        if not market.two_sided:
            return
        keen = np.abs(signal) > self._threshold
        if abs(self._volatility.second_sigmas) >= self._least_pull:
            self._pull(market)
        self._count_inventory()
        if self._any_held:
            self._draw_exits(market)
        looking = self._awake[:0]
        if self._any_leaving or self._resting.any():
            looking = self._awake[: self._clock.run(draw_awake, market.step, self._look_chance, self._awake)]
            looking = looking[self._resting[looking] | (self._leaving[looking] != 0)]
        crossing = None
        if self._any_leaving or self._any_crowded or self._last_pull_ns > market.now_ns or keen.any():
            crossing = self._cross(signal, keen, market)
        if crossing is not None or len(looking):
            self._say(crossing, looking, market, orders)

    def _signal(self, market: MarketView) -> Floats:
        """Move of the mid over each horizon in its standard deviations, plus the weighted imbalance of the touch."""
        # While a side is empty the averages go on with a price that exists: a gap would look like a jump.
        mid = reference_ticks(market)
        self._volatility.update(mid)
        mids, slot = self._mids, self._seen % self._ring
        if self._seen == 0:
            mids[:] = mid
        mids[slot] = mids[slot + self._ring] = mid
        self._seen += 1
        imbalance = (market.bid_lots - market.ask_lots) / max(1, market.bid_lots + market.ask_lots)
        signal: Floats = (mid - mids[self._ago + slot]) * self._per_root_s
        signal *= 1.0 / (mid * self._volatility.local)
        signal += self.config.imbalance_weight * imbalance
        return signal

    def _pull(self, market: MarketView) -> None:
        """Accounts that a move of the last second frightens stop for an exponential time."""
        scared = np.flatnonzero(
            (abs(self._volatility.second_sigmas) >= self._pull_sigmas) & (self.pulled_until_ns <= market.now_ns)
        )
        if len(scared):
            wait = -np.log(self._pulls.uniform_at(market.step, scared)) * self.config.pull_time
            self.pulled_until_ns[scared] = market.now_ns + wait_ns(wait)
            self._last_pull_ns = int(self.pulled_until_ns.max())

    def _count_inventory(self) -> None:
        """Note which positions have changed; lots that are gone are no longer due to leave."""
        moved = self.accounts.position_lots - self._position
        if not moved.any():
            return
        position = self._position + moved
        gone = np.where(self._leaving * moved < 0, np.abs(moved), 0)
        leaving = np.sign(self._leaving) * np.maximum(0, np.abs(self._leaving) - gone)
        self._set_leaving(np.clip(leaving, np.minimum(position, 0), np.maximum(position, 0)))
        self._position = position
        self._held = np.abs(position)
        # Lots leave by the order, or all that is due at once where a decision is so long that it is more than that.
        due: Floats = np.multiply(self._due_share, self._held, dtype=np.float64)
        self._chunk = np.maximum(self._size_lots, np.ceil(due).astype(np.int64))
        self._hazard = due / self._chunk
        self._crowded = self._held > self._crowded_lots
        self._any_held, self._any_crowded = bool(position.any()), bool(self._crowded.any())

    def _set_leaving(self, leaving: Ints) -> None:
        self._leaving = leaving
        self._any_leaving = bool(leaving.any())

    def _draw_exits(self, market: MarketView) -> None:
        """Choose the lots that are to leave from now on: an order's worth at a time, signed like the position."""
        rings = self._exits.uniform(market.step, len(self.rows)) < self._hazard
        if not rings.any():
            return
        self._leaving_since_ns[rings & (self._leaving == 0)] = market.now_ns
        more = np.minimum(np.abs(self._leaving) + self._chunk, self._held) * np.sign(self._position)
        self._set_leaving(np.where(rings, more, self._leaving))

    def _cross(self, signal: Floats, keen: Bools, market: MarketView) -> Crossing | None:
        """Exits that cannot wait, else momentum."""
        position, held, crowded = self._position, self._held, self._crowded
        keen &= self._ready_ns <= market.now_ns
        late = (self._leaving != 0) & (self._leaving_since_ns + self.config.patience <= market.now_ns)
        out = late | crowded
        pulled = None
        if self._last_pull_ns > market.now_ns:
            pulled = self.pulled_until_ns > market.now_ns
            keen &= ~pulled
            out |= pulled & (held > 0)
        acting = np.flatnonzero(out | keen)
        if len(acting) == 0:
            return None
        leaves = out[acting]
        side = np.where(leaves, -np.sign(position[acting]), np.sign(signal[acting])).astype(np.int64)
        holding = held[acting]
        relief = np.where(crowded[acting], np.maximum(holding - self._crowded_lots, self._size_lots), 0)
        wanted = np.minimum(np.maximum(relief, np.abs(self._leaving[acting]) * late[acting]), holding)
        if pulled is not None:
            wanted = np.where(pulled[acting], holding, wanted)
        room = self._limit_lots - side * position[acting]
        wanted = np.where(leaves, wanted, np.minimum(self._size_lots, room))
        share = self.config.touch_share
        most = np.where(side > 0, math.ceil(share * market.ask_lots), math.ceil(share * market.bid_lots))
        lots = np.minimum(wanted, most)
        go = lots > 0
        momentum = acting[go & ~leaves]
        self._ready_ns[momentum] = market.now_ns + self.config.pause
        return Crossing(acting[go], side[go], lots[go], leaves[go])

    def _say(self, crossing: Crossing | None, looking: Ints, market: MarketView, orders: OrderEntry) -> None:
        """Take back resting exits of all who act, cross, and rest what may still wait at the touch."""
        bid, ask = market.best_bid_ticks, market.best_ask_ticks
        acting = np.zeros(len(self.rows), np.bool_)
        if crossing is not None:
            acting[crossing.account] = True
            looking = looking[~acting[looking]]
        acting[looking] = True
        acting &= self._resting
        if acting.any():
            orders.cancel_all(self.rows[acting])
            self._resting[acting] = False
        if crossing is not None and len(crossing.account):
            account, side, lots, leaves = crossing
            reach = self.config.reach_bps * BPS
            highest, lowest = math.floor(ask * (1.0 + reach)), math.ceil(bid * (1.0 - reach))
            price = np.where(side > 0, min(highest, self.contract.max_price_ticks - 1), max(1, lowest))
            for chosen, flags in ((leaves, Flag.REDUCE_ONLY), (~leaves, Flag.NONE)):
                rows = self.rows[account[chosen]]
                orders.limit(rows, side[chosen], price[chosen], lots[chosen], kind=OrderKind.IOC, flags=flags)
        rests = looking[self._leaving[looking] != 0]
        if len(rests):
            leaving = self._leaving[rests]
            price = np.where(leaving > 0, ask, bid)
            orders.limit(
                self.rows[rests],
                -np.sign(leaving),
                price,
                np.abs(leaving),
                kind=OrderKind.POST_ONLY,
                flags=Flag.REDUCE_ONLY,
            )
            self._resting[rests] = True
