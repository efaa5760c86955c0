"""Zero-intelligence flow: limit orders, market orders and cancellations at random, near the touch and deep.

Model: Farmer, Patelli, Zovko (2005), with the power-law placement of Bouchaud, Mezard, Potters (2002, exponent 0.6)
and a second, patient population 1-10 % from mid; rates and sizes from a prototype (docs/sources.md, D).  Differs from
the papers: cancellation is slower far from mid, sizes are lognormal, market orders come faster when the market moves
(`indicators.ActivityGauge`).
"""

import itertools
import math
from collections.abc import Iterator
from typing import Any, ClassVar, final

import mesa
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from marginquake.agents.base import Participant, ParticipantConfig
from marginquake.agents.toolbox.flow_kernels import (
    DEEP,
    LIMIT,
    Drawn,
    Flow,
    Ring,
    draw_cancels,
    draw_history,
    draw_orders,
    draw_segment,
    learn,
)
from marginquake.agents.toolbox.indicators import ActivityGauge, reference_ticks
from marginquake.sim.core.fields import Amount, Block, Duration, Fraction, Idle
from marginquake.sim.core.records import Side
from marginquake.sim.market.context import ParticipantContext
from marginquake.sim.market.orders import OrderEntry
from marginquake.sim.market.view import MarketView
from marginquake.sim.scenario.distributions import Trait

BPS = 1e-4
LIFETIMES = 2.5
"""Slots for orders reach back this many of the longest mean lifetimes."""
MOST = 16_384
"""Most orders of one decision (the starting book is one)."""
MOST_SLOTS = 1 << 24
"""Most orders that may rest at once."""
MOST_DEEP = 4_000
"""About how many deep orders a `starting_depth` is made of, at most."""


class DepthPoint(Block):
    """Cumulative resting notional within a distance of mid, each side."""

    within: Fraction = Field(gt=0, lt=1, description="Distance from mid")
    bid: Amount = Field(ge=0, description="Bids within that distance, quote units")
    ask: Amount = Field(ge=0, description="Asks within that distance, quote units")


class BackgroundConfig(ParticipantConfig):
    """Rates are per second; sizes ending in `_d1` are units of the market's D1."""

    idle: ClassVar[tuple[Idle, ...]] = (
        Idle(
            ("limit_mean_d1", "limit_least_bps", "limit_offset_bps", "limit_exponent", "limit_max_bps"),
            lambda own, market: own.limit_rate == 0,
            "limit_rate is 0: no limit orders near the touch",
        ),
        Idle(("deep_rate",), lambda own, market: bool(own.starting_depth), "starting_depth sets the deep flow"),
        Idle(
            ("deep_mean_d1", "deep_from", "deep_to"),
            lambda own, market: own.deep_rate == 0 and not own.starting_depth,
            "deep_rate is 0: no deep orders",
        ),
        Idle(
            ("market_mean_d1", "market_bound"),
            lambda own, market: own.market_rate == 0,
            "market_rate is 0: no market orders",
        ),
        Idle(("fill_after",), lambda own, market: not own.starting_depth, "there is no starting_depth to fill"),
    )
    accounts: int = Field(2, gt=0)
    deposit: Trait[Amount] = Field(2e10, ge=0, description="Collateral of each account; backs all its resting orders")
    limit_rate: float = Field(3.0, ge=0, description="Limit orders near the touch, per second")
    limit_mean_d1: float = Field(5e-4, gt=0, description="Mean size")
    limit_least_bps: float = Field(0.15, ge=0, description="Smallest offset from mid")
    limit_offset_bps: float = Field(8.0, gt=0, description="Offset = least + this * (U^(-1/exponent) - 1) from mid")
    limit_exponent: float = Field(0.6, gt=0)
    limit_max_bps: float = Field(500.0, gt=0)
    deep_rate: float = Field(0.8, ge=0, description="Deep patient orders, per second")
    deep_mean_d1: float = Field(8.5e-3, gt=0, description="Mean size")
    deep_from: Fraction = Field(0.01, ge=0, description="Deep orders: uniform from here ...")
    deep_to: Fraction = Field(0.10, gt=0, lt=1, description="... to here, from mid")
    cancel_rate: float = Field(0.004, gt=0, description="Per order and second, at the touch")
    cancel_far_fraction: Fraction = Field(0.15, gt=0, le=1, description="Of that rate, far away")
    cancel_scale_bps: float = Field(100.0, gt=0, description="Distance over which cancellation slows down")
    market_rate: float = Field(1.0, ge=0, description="Market orders per second at usual activity")
    market_mean_d1: float = Field(3.4e-4, gt=0, description="Mean size")
    market_bound: Fraction = Field(0.01, gt=0, description="Worst price of a market order, from mid")
    size_deviation: float = Field(1.0, ge=0, description="Standard deviation of log size")
    volatility: Fraction = Field(0.6, gt=0, description="Per year; where the activity gauge starts")
    activity_floor: Fraction = Field(0.2, ge=0, le=1)
    activity_cap: float = Field(4.0, ge=1)
    depth_profile: bool = Field(True, description="Start with a stationary book instead of an empty one")
    starting_depth: tuple[DepthPoint, ...] = Field(
        (), description="Shape of the WHOLE book at the start: deep flow fills what others leave, and keeps it so"
    )
    fill_after: Duration = Field(2_000_000_000, ge=0, description="When starting_depth is filled: makers quote first")

    @model_validator(mode="after")
    def _ordered(self) -> "BackgroundConfig":
        points = self.starting_depth
        for inner, outer in itertools.pairwise(points):
            if outer.within <= inner.within or outer.bid < inner.bid or outer.ask < inner.ask:
                raise ValueError("starting_depth is cumulative: `within` must grow and `bid`, `ask` must not fall")
        if self.deep_to <= self.deep_from:
            raise ValueError("deep_to must lie beyond deep_from")
        return self

    def problems(self, interval_s: float) -> Iterator[tuple[str, str, str]]:
        """One decision draws `MOST` orders at most, and the orders that may still rest are remembered."""
        rates = {
            "limit_rate": self.limit_rate,
            "deep_rate": 0.0 if self.starting_depth else self.deep_rate,
            "market_rate": self.market_rate * self.activity_cap,
        }
        largest = max(rates, key=lambda name: rates[name])
        expected = sum(rates.values()) * interval_s
        if expected > MOST:
            message = (
                f"with the other rates comes to {expected:.3g} orders a decision, at most {MOST:,}; write lower rates, "
                "or a shorter step or decision_interval"
            )
            yield largest, message, f"{rates[largest]:g}"
        elif self.slots_wanted > MOST_SLOTS:
            message = (
                f"is so low that {self.slots_wanted:.3g} orders may rest at once, at most {MOST_SLOTS:,}; raise it or "
                "cancel_far_fraction, or write lower rates"
            )
            yield "cancel_rate", message, f"{self.cancel_rate:g}"

    @property
    def history_s(self) -> float:
        """How far back orders may still rest, seconds."""
        return LIFETIMES / (self.cancel_rate * self.cancel_far_fraction)

    @property
    def slots_wanted(self) -> float:
        """Orders that may rest at once."""
        return self.history_s * (self.limit_rate + (0.0 if self.starting_depth else self.deep_rate))

    def bytes_needed(self, interval_s: float) -> Iterator[tuple[str, float]]:
        """The ring of resting orders: four numbers a slot, slots a power of two."""
        yield "cancel_rate", 64.0 * self.slots_wanted


@final
class Background(Participant):
    """Random limit, market and cancel flow; keeps a ring of its resting orders and cancels by random slot.

    Cancellations draw slots at the highest hazard and accept by distance, and an order still in a slot that comes
    round again is cancelled: so no draw depends on the state of the market, and twins share them all.
    """

    config_type = BackgroundConfig
    provides: ClassVar[tuple[str, ...] | None] = ("flow",)
    example: ClassVar[dict[str, Any]] = {"type": "background"}
    config: BackgroundConfig

    def __init__(self, model: mesa.Model, config: BackgroundConfig, context: ParticipantContext) -> None:
        super().__init__(model, config, context)
        unit_lots = context.depth_1pct / context.contract.notional_per_lot(context.initial_price_ticks)
        market_rate = config.market_rate * config.activity_cap
        # With a profile to keep, deep flow begins when the profile is filled.
        deep_rate = 0.0 if config.starting_depth else config.deep_rate
        sizes = (config.limit_mean_d1, config.deep_mean_d1, config.market_mean_d1)
        scale = config.limit_offset_bps * BPS
        least = (1.0 + config.limit_max_bps / config.limit_offset_bps) ** -config.limit_exponent
        self._flow = Flow(
            rate=np.array([config.limit_rate, deep_rate, market_rate]),
            mean_lots=np.array(sizes) * unit_lots,
            near=np.array([scale, config.limit_exponent, least, config.limit_least_bps * BPS]),
            deep_low=np.full(2, config.deep_from),
            deep_high=np.full(2, config.deep_to),
            deep_side=np.array([int(Side.BUY), int(Side.SELL)]),
            deep_cumulative=np.array([0.5, 1.0]),
            cancel=np.array([config.cancel_rate, config.cancel_far_fraction, config.cancel_scale_bps * BPS]),
            deviation=np.array([config.size_deviation]),
        )
        self._activity = ActivityGauge(config.volatility, self.interval_s, config.activity_floor, config.activity_cap)
        self._arrivals = self.stream.child("arrivals")
        self._cancels = self.stream.child("cancels")
        self._start = self.stream.child("start")
        self._row_range = np.array([self.rows[0], len(self.rows)])
        self._book = np.zeros(4)
        self._resting = Drawn(*(np.zeros(MOST, np.int64) for _ in range(4)))
        self._taking = Drawn(*(np.zeros(MOST, np.int64) for _ in range(4)))
        self._counts = np.zeros(2, np.int64)
        self._slots = np.zeros(MOST, np.int64)
        self._placed = 0
        self._ring = self._new_ring()
        self._fill_at_ns: int | None = None
        self._started = False

    @property
    def resting_orders(self) -> int:
        """Own orders believed to rest in the book."""
        return int(np.count_nonzero(self._ring.left))

    @property
    def resting_lots(self) -> int:
        """Lots of these orders."""
        return int(self._ring.left.sum())

    def _new_ring(self) -> Ring:
        wanted = self.config.history_s * (self._flow.rate[LIMIT] + self._flow.rate[DEEP])
        size = 1 << max(10, math.ceil(math.log2(max(wanted, 1.0))))
        return Ring(*(np.zeros(size, np.int64) for _ in range(4)))

    # ---- deciding -------------------------------------------------------------------------------------------------

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        """Cancel, place and trade at random."""
        reference = reference_ticks(market)
        self._book[0] = reference
        self._book[1] = market.best_bid_ticks
        self._book[2] = market.best_ask_ticks
        self._book[3] = self.contract.max_price_ticks
        if not self._started:
            self._begin(market, orders)
        if self._fill_at_ns is not None and market.now_ns >= self._fill_at_ns:
            self._fill_at_ns = None
            self._fill_to_profile(market, orders)
        activity = self._activity.update(reference) / self.config.activity_cap
        seconds = self.interval_s
        cancelled = self._cancels.run(
            draw_cancels, market.step, seconds, self._flow, self._ring, reference, self._slots
        )
        if cancelled:
            slots = self._slots[:cancelled]
            orders.cancel(self._ring.row[slots], self._ring.order_id[slots])
        drawn = self._arrivals.run(
            draw_orders,
            market.step,
            seconds,
            self._flow,
            activity,
            self._row_range,
            self._book,
            self.config.market_bound,
            self._resting,
            self._taking,
            self._counts,
        )
        if drawn:
            resting, taking = self._counts.tolist()
            if resting:
                self._place(resting, orders)
            if taking:
                row, side, price, lots = (column[:taking] for column in self._taking)
                orders.market(row, side, lots, bound_ticks=price)

    def on_events(self, events: NDArray[Any], market: MarketView, orders: OrderEntry) -> None:
        """Learn which resting orders are gone."""
        learn(events, int(self.rows[0]), int(self.rows[-1]), self._ring, self._placed)

    def _place(self, count: int, orders: OrderEntry) -> None:
        """Send the drawn resting orders and remember them; orders that are still in their slots are cancelled."""
        row, side, price, lots = (column[:count] for column in self._resting)
        ids = orders.limit(row, side, price, lots)
        ring = self._ring
        slots = (self._placed + np.arange(count)) % len(ring.order_id)
        self._placed += count
        stale = slots[ring.left[slots] > 0]
        if len(stale):
            orders.cancel(ring.row[stale], ring.order_id[stale])
        ring.order_id[slots] = ids
        ring.row[slots] = row
        ring.price[slots] = price
        ring.left[slots] = lots

    # ---- the starting book ----------------------------------------------------------------------------------------

    def _begin(self, market: MarketView, orders: OrderEntry) -> None:
        """The stationary book of the random flow, so that depth is there from the first second."""
        self._started = True
        if self.config.starting_depth:
            self._fill_at_ns = market.now_ns + self.config.fill_after
        if not self.config.depth_profile:
            return
        for kind in (LIMIT, DEEP):
            count = self._start.run(
                draw_history,
                kind,
                self.config.history_s,
                kind,
                self._flow,
                self._row_range,
                self._book,
                self._resting,
            )
            if count:
                self._place(count, orders)

    def _fill_to_profile(self, market: MarketView, orders: OrderEntry) -> None:
        """Fill what the book lacks to `starting_depth`, and set the deep flow so that it keeps that shape."""
        low: list[float] = []
        high: list[float] = []
        missing: list[float] = []
        sides: list[int] = []
        per_lot = self.contract.notional_per_lot(self._book[0])
        for side in (Side.BUY, Side.SELL):
            reached, target_before, present_before = 0.0, 0.0, 0.0
            for point in self.config.starting_depth:
                target = point.bid if side == Side.BUY else point.ask
                present = market.depth.within(int(side), point.within) * per_lot
                low.append(reached)
                high.append(point.within)
                missing.append(max(0.0, (target - target_before) - (present - present_before)))
                sides.append(int(side))
                reached, target_before, present_before = point.within, target, present
        inner, outer, lots = np.array(low), np.array(high), np.array(missing) / per_lot
        cancel = self._flow.cancel
        far = np.exp(-0.5 * (inner + outer) / cancel[2])
        leaving = lots * cancel[0] * (cancel[1] + (1.0 - cancel[1]) * far)
        if leaving.sum() <= 0.0:
            return
        rate = self._flow.rate.copy()
        mean_lots = self._flow.mean_lots.copy()
        # Sizes grow with the profile, so that a book twenty times as deep is not made of twenty times as many orders.
        mean_lots[DEEP] = max(mean_lots[DEEP], lots.sum() / MOST_DEEP)
        rate[DEEP] = leaving.sum() / mean_lots[DEEP]
        self._flow = self._flow._replace(
            rate=rate,
            mean_lots=mean_lots,
            deep_low=inner,
            deep_high=outer,
            deep_side=np.array(sides),
            deep_cumulative=np.cumsum(leaving) / leaving.sum(),
        )
        self._grow_ring()
        for segment in np.flatnonzero(lots >= 1.0).tolist():
            count = int(np.clip(round(lots[segment] / mean_lots[DEEP]), 10, MOST))
            count = min(count, int(lots[segment]))
            placed = self._start.run(
                draw_segment,
                16 + segment,
                count,
                float(lots[segment]),
                segment,
                self._flow,
                self._row_range,
                self._book,
                self._resting,
            )
            if placed:
                self._place(placed, orders)

    def _grow_ring(self) -> None:
        """A ring for the new deep rate, with the living orders carried over, oldest first."""
        old, placed = self._ring, self._placed
        size = len(old.order_id)
        slots = np.arange(max(0, placed - size), placed) % size
        slots = slots[old.left[slots] > 0]
        self._ring = self._new_ring()
        self._placed = len(slots)
        for mine, other in zip(self._ring, old, strict=True):
            mine[: len(slots)] = other[slots]
