"""Zero-intelligence flow: limit orders, market orders and cancellations at random, near the touch and deep.

Model: Farmer, Patelli, Zovko (2005), with the power-law placement of Bouchaud, Mezard, Potters (2002, exponent 0.6)
and a second, patient population 1-10 % from mid; rates and sizes from the prototype's table (market_defaults,
section 1).  Differs from the papers: cancellation is slower far from mid, sizes are lognormal, market orders come
faster when the market moves (`gauges.ActivityGauge`).
"""

import itertools
import math
from typing import Any, ClassVar, NamedTuple, final

import mesa
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from agents.base import Participant, ParticipantConfig
from agents.gauges import ActivityGauge, reference_ticks
from sim.config import Block
from sim.distributions import Trait
from sim.kernels import helper, kernel
from sim.kernels.draws import normal, poisson, unit
from sim.market import MarketView, OrderEntry, Seat
from sim.records import EventKind, Side
from sim.units import Amount, Duration, Fraction

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BPS = 1e-4
FILL, CANCELLED, REJECTED, EXPIRED = (
    int(k) for k in (EventKind.FILL, EventKind.CANCELLED, EventKind.REJECTED, EventKind.EXPIRED)
)
LIFETIMES = 2.5
"""Slots for orders reach back this many of the longest mean lifetimes."""
MOST = 16_384
"""Most orders of one decision (the starting book is one)."""
MOST_DEEP = 4_000
"""About how many deep orders a `starting_depth` is made of, at most."""


class DepthPoint(Block):
    """Cumulative resting notional within a distance of mid, each side."""

    within: Fraction = Field(gt=0, lt=1, description="Distance from mid")
    bid: Amount = Field(ge=0, description="Bids within that distance, quote units")
    ask: Amount = Field(ge=0, description="Asks within that distance, quote units")


class BackgroundConfig(ParticipantConfig):
    """Rates are per second; sizes ending in `_d1` are units of the market's D1."""

    accounts: int = Field(2, gt=0)
    deposit: Trait[Amount] = Field(2e10, description="Collateral of each account; backs all its resting orders")
    limit_rate: float = Field(3.0, ge=0, description="Limit orders near the touch, per second")
    limit_mean_d1: float = Field(5e-4, gt=0, description="Mean size")
    limit_offset_bps: float = Field(8.0, gt=0, description="Offset = this * (U^(-1/exponent) - 1) from mid")
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


class Flow(NamedTuple):
    """What the kernels need to draw orders: arrays only, so that the rates may change without compiling again."""

    rate: Floats
    """Per second: limit, deep, market (at the highest activity)."""
    mean_lots: Floats
    """Mean size of each of the three."""
    near: Floats
    """Offset scale (fraction), exponent, least uniform of the truncated power law."""
    deep_low: Floats
    deep_high: Floats
    deep_side: Ints
    deep_cumulative: Floats
    """Segments of distance where deep orders go, and the cumulative share of arrivals."""
    cancel: Floats
    """Cancellations per order and second at the touch, share of it far away, length scale (fraction)."""
    deviation: Floats
    """Standard deviation of log size."""


class Ring(NamedTuple):
    """Own resting orders by slot: the k-th order placed is in slot k modulo the size, so ids ascend along the ring."""

    order_id: Ints
    row: Ints
    price: Ints
    left: Ints
    """Lots left; 0 = gone."""


class Drawn(NamedTuple):
    """Orders drawn in one decision."""

    row: Ints
    side: Ints
    price: Ints
    lots: Ints


LIMIT, DEEP, MARKET = 0, 1, 2


@helper
def hazard_share(distance, cancel):  # type: ignore[no-untyped-def]
    """Cancellation rate at a distance from mid (a fraction), as a share of the rate at the touch."""
    return cancel[1] + (1.0 - cancel[1]) * math.exp(-distance / cancel[2])


@helper
def near_offset(u, near):  # type: ignore[no-untyped-def]
    """Power law of distance, truncated with its mass renormalised, so that nothing piles up at the end."""
    return near[0] * ((near[2] + (1.0 - near[2]) * u) ** (-1.0 / near[1]) - 1.0)


@helper
def deep_segment(u, flow):  # type: ignore[no-untyped-def]
    """Segment of a uniform draw."""
    segment = 0
    while segment < flow.deep_cumulative.shape[0] - 1 and u >= flow.deep_cumulative[segment]:
        segment += 1
    return segment


@helper
def deep_offset(u, segment, flow):  # type: ignore[no-untyped-def]
    """Where in its segment the same draw falls."""
    start = flow.deep_cumulative[segment - 1] if segment > 0 else 0.0
    width = flow.deep_cumulative[segment] - start
    within = (u - start) / width if width > 0.0 else 0.5
    return flow.deep_low[segment] + within * (flow.deep_high[segment] - flow.deep_low[segment])


@helper
def put(drawn, place, row, side, offset, lots, reference, best_bid, best_ask, top):  # type: ignore[no-untyped-def]
    """One resting order at `offset` from the reference, kept a tick clear of the opposite best; False if off the ladder."""
    if side > 0:
        ticks = math.floor(reference * (1.0 - offset))
        if best_ask > 0 and ticks >= best_ask:
            ticks = best_ask - 1
    else:
        ticks = math.ceil(reference * (1.0 + offset))
        if ticks <= best_bid:
            ticks = best_bid + 1
    if ticks < 1 or ticks >= top:
        return False
    drawn.row[place] = row
    drawn.side[place] = side
    drawn.price[place] = ticks
    drawn.lots[place] = lots
    return True


@helper
def whole_lots(mean, deviation, z, u):  # type: ignore[no-untyped-def]
    """Lognormal size in whole lots, at least 1, rounded at random so that the mean is kept."""
    return max(1, math.floor(mean * math.exp(deviation * z - 0.5 * deviation * deviation) + u))


@kernel
def draw_orders(  # type: ignore[no-untyped-def]
    key, step, seconds, flow, activity_share, rows, book, bound, resting, taking, counts
):
    """Draw one decision's orders: resting ones and market orders; `counts` holds how many of each.

    `book`: reference price, best bid, best ask, top of the ladder.  `rows`: first account, number of accounts.
    """
    reference, best_bid, best_ask, top = book[0], int(book[1]), int(book[2]), int(book[3])
    total = flow.rate[0] + flow.rate[1] + flow.rate[2]
    count = min(poisson(key, step, 1 << 40, total * seconds), resting.lots.shape[0])
    counts[0] = 0
    counts[1] = 0
    for i in range(count):
        kind_u = unit(key, step, 8 * i) * total
        side = 1 if unit(key, step, 8 * i + 1) < 0.5 else -1
        place_u = unit(key, step, 8 * i + 2)
        row = rows[0] + int(unit(key, step, 8 * i + 3) * rows[1])
        kind = LIMIT if kind_u < flow.rate[0] else DEEP if kind_u < flow.rate[0] + flow.rate[1] else MARKET
        z = normal(key, step, (1 << 32) + i)
        lots = whole_lots(flow.mean_lots[kind], flow.deviation[0], z, unit(key, step, 8 * i + 4))
        if kind == MARKET:
            if unit(key, step, 8 * i + 5) < activity_share:
                taking.row[counts[1]] = row
                taking.side[counts[1]] = side
                taking.price[counts[1]] = min(max(1, int(reference * (1.0 + side * bound))), top - 1)
                taking.lots[counts[1]] = lots
                counts[1] += 1
            continue
        offset = near_offset(place_u, flow.near)
        if kind == DEEP:
            segment = deep_segment(place_u, flow)
            side = flow.deep_side[segment]
            offset = deep_offset(place_u, segment, flow)
        if put(resting, counts[0], row, side, offset, lots, reference, best_bid, best_ask, top):
            counts[0] += 1
    return counts[0] + counts[1]


@kernel
def draw_history(key, step, seconds, kind, flow, rows, book, resting):  # type: ignore[no-untyped-def]
    """The stationary book of one kind of flow: arrivals of the last `seconds`, thinned by cancellation.

    Returns how many orders are alive; they come oldest first.
    """
    reference, best_bid, best_ask, top = book[0], int(book[1]), int(book[2]), int(book[3])
    arrivals = int(flow.rate[kind] * seconds)
    count = 0
    for i in range(arrivals):
        place_u = unit(key, step, 8 * i + 2)
        side = 1 if unit(key, step, 8 * i + 1) < 0.5 else -1
        offset = near_offset(place_u, flow.near)
        if kind == DEEP:
            segment = deep_segment(place_u, flow)
            side = flow.deep_side[segment]
            offset = deep_offset(place_u, segment, flow)
        age = seconds * (1.0 - i / arrivals)
        if unit(key, step, 8 * i) > math.exp(-flow.cancel[0] * hazard_share(offset, flow.cancel) * age):
            continue
        if count == resting.lots.shape[0]:
            break
        row = rows[0] + int(unit(key, step, 8 * i + 3) * rows[1])
        z = normal(key, step, (1 << 32) + i)
        lots = whole_lots(flow.mean_lots[kind], flow.deviation[0], z, unit(key, step, 8 * i + 4))
        if put(resting, count, row, side, offset, lots, reference, best_bid, best_ask, top):
            count += 1
    return count


@kernel
def draw_segment(  # type: ignore[no-untyped-def]
    key, step, count, lots, segment, flow, rows, book, resting
):
    """`count` orders of about `lots` together, spread evenly over one segment of distance; returns how many."""
    reference, best_bid, best_ask, top = book[0], int(book[1]), int(book[2]), int(book[3])
    placed = 0
    for i in range(min(count, resting.lots.shape[0])):
        offset = flow.deep_low[segment] + unit(key, step, 4 * i) * (flow.deep_high[segment] - flow.deep_low[segment])
        row = rows[0] + int(unit(key, step, 4 * i + 1) * rows[1])
        z = normal(key, step, (1 << 32) + i)
        size = whole_lots(lots / count, flow.deviation[0], z, unit(key, step, 4 * i + 2))
        if put(resting, placed, row, flow.deep_side[segment], offset, size, reference, best_bid, best_ask, top):
            placed += 1
    return placed


@kernel
def draw_cancels(key, step, seconds, flow, ring, reference, slots):  # type: ignore[no-untyped-def]
    """Slots of own orders to cancel: candidates at the highest hazard among all slots, accepted by distance."""
    size = ring.order_id.shape[0]
    candidates = poisson(key, step, 1 << 40, flow.cancel[0] * seconds * size)
    count = 0
    for i in range(candidates):
        slot = int(unit(key, step, 2 * i) * size)
        if ring.left[slot] <= 0 or count == slots.shape[0]:
            continue
        distance = abs(ring.price[slot] / reference - 1.0)
        if unit(key, step, 2 * i + 1) < hazard_share(distance, flow.cancel):
            ring.left[slot] = 0
            slots[count] = slot
            count += 1
    return count


@helper
def slot_of(order_id, ring, placed):  # type: ignore[no-untyped-def]
    """Slot of an own order, -1 if it is not in the ring: binary search, for ids ascend along it."""
    size = ring.order_id.shape[0]
    low, high = max(0, placed - size), placed
    while low < high:
        middle = (low + high) // 2
        if ring.order_id[middle % size] < order_id:
            low = middle + 1
        else:
            high = middle
    if low < placed and ring.order_id[low % size] == order_id:
        return low % size
    return -1


@kernel
def learn(events, first, last, ring, placed):  # type: ignore[no-untyped-def]
    """Take fills, cancellations and refusals of own orders off the ring; returns how many events touched it."""
    touched = 0
    for i in range(events.shape[0]):
        kind = events[i]["kind"]
        if kind == FILL:
            if first <= events[i]["maker_account"] <= last:
                slot = slot_of(events[i]["maker_order_id"], ring, placed)
                if slot >= 0:
                    ring.left[slot] = max(0, ring.left[slot] - events[i]["quantity_lots"])
                    touched += 1
            if first <= events[i]["account"] <= last:
                slot = slot_of(events[i]["order_id"], ring, placed)
                if slot >= 0:
                    ring.left[slot] = max(0, ring.left[slot] - events[i]["quantity_lots"])
                    touched += 1
        elif kind == CANCELLED or kind == EXPIRED or kind == REJECTED:
            if first <= events[i]["account"] <= last:
                slot = slot_of(events[i]["order_id"], ring, placed)
                if slot >= 0:
                    ring.left[slot] = 0
                    touched += 1
    return touched


@final
class Background(Participant):
    """Random limit, market and cancel flow; keeps a ring of its resting orders and cancels by random slot.

    Cancellations draw slots at the highest hazard and accept by distance, and an order still in a slot that comes
    round again is cancelled: so no draw depends on the state of the market, and twins share them all.
    """

    config_type = BackgroundConfig
    example: ClassVar[dict[str, Any]] = {"type": "background"}
    config: BackgroundConfig

    def __init__(self, model: mesa.Model, config: BackgroundConfig, seat: Seat) -> None:
        super().__init__(model, config, seat)
        unit_lots = seat.depth_1pct / seat.contract.notional_per_lot(seat.initial_price_ticks)
        market_rate = config.market_rate * config.activity_cap
        # With a profile to keep, deep flow begins when the profile is filled.
        deep_rate = 0.0 if config.starting_depth else config.deep_rate
        sizes = (config.limit_mean_d1, config.deep_mean_d1, config.market_mean_d1)
        scale = config.limit_offset_bps * BPS
        least = (1.0 + config.limit_max_bps / config.limit_offset_bps) ** -config.limit_exponent
        self._flow = Flow(
            rate=np.array([config.limit_rate, deep_rate, market_rate]),
            mean_lots=np.array(sizes) * unit_lots,
            near=np.array([scale, config.limit_exponent, least]),
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
    def _history_s(self) -> float:
        return LIFETIMES / (self.config.cancel_rate * self.config.cancel_far_fraction)

    def _new_ring(self) -> Ring:
        wanted = self._history_s * (self._flow.rate[LIMIT] + self._flow.rate[DEEP])
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
        """Send the drawn resting orders and remember them; whatever still sits in their slots is cancelled."""
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
                self._history_s,
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
