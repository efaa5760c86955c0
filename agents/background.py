"""Zero-intelligence flow: limit orders, market orders and cancellations at random, near the touch and deep.

Model: Farmer, Patelli, Zovko (2005), with the power-law placement of Bouchaud, Mezard, Potters (2002, exponent 0.6)
and a second, patient population 1-10 % from mid; rates and sizes from the prototype's table (market_defaults,
section 1).  Differs from the papers: cancellation is slower far from mid, sizes are lognormal, market orders come
faster when the market moves (`gauges.ActivityGauge`).
"""

import itertools
import math
from dataclasses import dataclass
from typing import Any, ClassVar, final

import mesa
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from agents.base import Participant, ParticipantConfig
from agents.gauges import ActivityGauge, reference_ticks
from sim.config import Block
from sim.distributions import Trait
from sim.market import MarketView, OrderEntry, Seat
from sim.records import EventKind, Side
from sim.units import Amount, Duration, Fraction

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LIFETIMES = 2.5
"""Slots for orders reach back this many of the longest mean lifetimes."""


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


@dataclass(frozen=True, slots=True)
class DeepProfile:
    """Where deep orders go: segments of distance, each with its stationary notional and arrival weight."""

    low: Floats
    high: Floats
    notional: Floats
    side: Ints
    cumulative: Floats

    def segment(self, units: Floats) -> Ints:
        """Segment of each uniform draw."""
        return np.minimum(np.searchsorted(self.cumulative, units, side="right"), len(self.low) - 1)


@final
class Background(Participant):
    """Random limit, market and cancel flow; keeps a ring of its resting orders and cancels by random slot.

    The k-th order goes to slot k modulo the ring's size (an order still there is cancelled), and cancellations draw
    slots at the highest hazard and accept by distance: so no draw depends on the state of the market, and twins share
    them all.
    """

    config_type = BackgroundConfig
    example: ClassVar[dict[str, Any]] = {"type": "background"}
    config: BackgroundConfig

    def __init__(self, model: mesa.Model, config: BackgroundConfig, seat: Seat) -> None:
        super().__init__(model, config, seat)
        lot = seat.contract.notional_per_lot(seat.initial_price_ticks)
        self._lot_notional = lot
        self._limit_lots = config.limit_mean_d1 * seat.depth_1pct / lot
        self._deep_lots = config.deep_mean_d1 * seat.depth_1pct / lot
        self._market_lots = config.market_mean_d1 * seat.depth_1pct / lot
        self._deep_rate = config.deep_rate
        self._deep: DeepProfile | None = None
        self._activity = ActivityGauge(config.volatility, self.interval_s, config.activity_floor, config.activity_cap)
        self._flow = self.stream.child("flow")
        self._cancels = self.stream.child("cancels")
        self._start = self.stream.child("start")
        self._first_ns: int | None = None
        self._filled = not config.starting_depth
        self._make_ring()

    def _make_ring(self) -> None:
        config = self.config
        lifetime_s = 1.0 / (config.cancel_rate * config.cancel_far_fraction)
        wanted = LIFETIMES * lifetime_s * (config.limit_rate + self._deep_rate)
        self._slots = 1 << max(10, math.ceil(math.log2(max(wanted, 1.0))))
        self._id = np.zeros(self._slots, np.int64)
        self._row = np.zeros(self._slots, np.int64)
        self._price = np.zeros(self._slots, np.int64)
        self._left = np.zeros(self._slots, np.int64)
        self._slot_of: dict[int, int] = {}
        self._placed = 0

    # ---- deciding -------------------------------------------------------------------------------------------------

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        """Cancel, place and trade at random."""
        reference = reference_ticks(market)
        if self._first_ns is None:
            self._first_ns = market.now_ns
            if self.config.depth_profile:
                self._place_starting_book(market, orders, reference)
        elif not self._filled and market.now_ns - self._first_ns >= self.config.fill_after:
            self._filled = True
            self._fill_to_profile(market, orders, reference)
        activity = self._activity.update(reference)
        self._cancel(market, orders, reference)
        config = self.config
        rates = (config.limit_rate, self._deep_rate, config.market_rate * config.activity_cap)
        total = sum(rates)
        count = self._flow.poisson(market.step, total * self.interval_s)
        if count == 0:
            return
        units = self._flow.uniform(market.step, 5 * count, first=1024).reshape(count, 5)
        sizes = np.exp(
            config.size_deviation * self._flow.normal(market.step, count, first=1 << 20) - config.size_deviation**2 / 2
        )
        kind = units[:, 0] * total
        side = np.where(units[:, 1] < 0.5, int(Side.BUY), int(Side.SELL))
        rows = self.rows[0] + (units[:, 3] * len(self.rows)).astype(np.int64)
        near = kind < rates[0]
        trades = (kind >= rates[0] + rates[1]) & (units[:, 4] * config.activity_cap < activity)
        deep = ~near & (kind < rates[0] + rates[1])
        if near.any():
            offset = self._near_offset(units[near, 2])
            lots = self._whole(sizes[near] * self._limit_lots, units[near, 4])
            self._place(market, orders, rows[near], side[near], reference, offset, lots)
        if deep.any():
            offset, deep_side = self._deep_offset(units[deep, 2], side[deep])
            lots = self._whole(sizes[deep] * self._deep_lots, units[deep, 4])
            self._place(market, orders, rows[deep], deep_side, reference, offset, lots)
        if trades.any():
            self._trade(orders, rows[trades], side[trades], reference, sizes[trades], units[trades, 2])

    def _near_offset(self, units: Floats) -> Floats:
        """Power law of distance, truncated at `limit_max_bps` (mass renormalised, so no pile-up at the cap)."""
        config = self.config
        least = (1.0 + config.limit_max_bps / config.limit_offset_bps) ** -config.limit_exponent
        units = least + (1.0 - least) * units
        return config.limit_offset_bps * 1e-4 * (units ** (-1.0 / config.limit_exponent) - 1.0)

    def _deep_offset(self, units: Floats, side: Ints) -> tuple[Floats, Ints]:
        if self._deep is None:
            return self.config.deep_from + units * (self.config.deep_to - self.config.deep_from), side
        profile = self._deep
        segment = profile.segment(units)
        start = np.where(segment > 0, profile.cumulative[segment - 1], 0.0)
        within = (units - start) / np.maximum(profile.cumulative[segment] - start, 1e-12)
        return profile.low[segment] + within * (profile.high[segment] - profile.low[segment]), profile.side[segment]

    @staticmethod
    def _whole(lots: Floats, units: Floats) -> Ints:
        """Whole lots, at least 1, rounded at random so that the mean is kept."""
        return np.maximum(1, np.floor(lots + units)).astype(np.int64)

    def _trade(
        self, orders: OrderEntry, rows: Ints, side: Ints, reference: float, sizes: Floats, units: Floats
    ) -> None:
        bound = np.maximum(1, np.rint(reference * (1.0 + side * self.config.market_bound))).astype(np.int64)
        orders.market(rows, side, self._whole(sizes * self._market_lots, units), bound_ticks=bound)

    # ---- placing and cancelling -----------------------------------------------------------------------------------

    def _place(
        self,
        market: MarketView,
        orders: OrderEntry,
        rows: Ints,
        side: Ints,
        reference: float,
        offset: Floats,
        lots: Ints,
    ) -> None:
        bids, asks = np.floor(reference * (1.0 - offset)), np.ceil(reference * (1.0 + offset))
        price = np.where(side > 0, bids, asks).astype(np.int64)
        if market.best_ask_ticks > 0:
            price = np.where(side > 0, np.minimum(price, market.best_ask_ticks - 1), price)
        if market.best_bid_ticks > 0:
            price = np.where(side < 0, np.maximum(price, market.best_bid_ticks + 1), price)
        good = (price >= 1) & (price < self.contract.max_price_ticks)
        if not good.all():
            rows, side, price, lots = rows[good], side[good], price[good], lots[good]
        ids = orders.limit(rows, side, price, lots)
        slots = (self._placed + np.arange(len(ids))) % self._slots
        self._placed += len(ids)
        old = self._id[slots]
        stale = old > 0
        if stale.any():
            orders.cancel(self._row[slots[stale]], old[stale])
            for order_id in old[stale].tolist():
                self._slot_of.pop(order_id, None)
        self._id[slots] = ids
        self._row[slots] = rows
        self._price[slots] = price
        self._left[slots] = lots
        self._slot_of.update(zip(ids.tolist(), slots.tolist(), strict=True))

    def _hazard_share(self, distance: Floats) -> Floats:
        """Cancellation rate at a distance from mid (a fraction), as a share of the rate at the touch."""
        floor = self.config.cancel_far_fraction
        return floor + (1.0 - floor) * np.exp(-distance * 1e4 / self.config.cancel_scale_bps)

    def _cancel(self, market: MarketView, orders: OrderEntry, reference: float) -> None:
        count = self._cancels.poisson(market.step, self.config.cancel_rate * self.interval_s * self._slots)
        if count == 0:
            return
        slots = (self._cancels.uniform(market.step, count, first=1024) * self._slots).astype(np.int64)
        live = self._id[slots] > 0
        if not live.any():
            return
        accept = self._cancels.uniform(market.step, count, first=1 << 30)[live]
        slots = slots[live]
        chosen = slots[accept < self._hazard_share(np.abs(self._price[slots] / reference - 1.0))]
        if len(chosen) > 1:
            chosen = np.unique(chosen)
        if len(chosen) == 0:
            return
        ids = self._id[chosen]
        orders.cancel(self._row[chosen], ids)
        self._id[chosen] = 0
        for order_id in ids.tolist():
            self._slot_of.pop(order_id, None)

    def on_events(self, events: NDArray[Any], market: MarketView, orders: OrderEntry) -> None:
        """Learn which resting orders are gone."""
        first, last = int(self.rows[0]), int(self.rows[-1])
        kinds = events["kind"]
        fills = events[kinds == EventKind.FILL]
        if len(fills):
            made = fills[(fills["maker_account"] >= first) & (fills["maker_account"] <= last)]
            self._reduce(made["maker_order_id"].tolist(), made["quantity_lots"].tolist())
            took = fills[(fills["account"] >= first) & (fills["account"] <= last)]
            self._reduce(took["order_id"].tolist(), took["quantity_lots"].tolist())
        gone = (kinds == EventKind.CANCELLED) | (kinds == EventKind.EXPIRED) | (kinds == EventKind.REJECTED)
        if gone.any():
            for order_id in events["order_id"][gone].tolist():
                self._forget(order_id)

    def _reduce(self, order_ids: list[int], lots: list[int]) -> None:
        for order_id, quantity in zip(order_ids, lots, strict=True):
            slot = self._slot_of.get(order_id)
            if slot is not None:
                self._left[slot] -= quantity
                if self._left[slot] <= 0:
                    self._forget(order_id)

    def _forget(self, order_id: int) -> None:
        slot = self._slot_of.pop(order_id, None)
        if slot is not None:
            self._id[slot] = 0

    # ---- the starting book ----------------------------------------------------------------------------------------

    def _place_starting_book(self, market: MarketView, orders: OrderEntry, reference: float) -> None:
        """The stationary book of the random flow: arrivals of several lifetimes ago on, thinned by cancellation."""
        config = self.config
        history_s = LIFETIMES / (config.cancel_rate * config.cancel_far_fraction)
        deep_rate = 0.0 if config.starting_depth else config.deep_rate
        for name, rate, mean in (("near", config.limit_rate, self._limit_lots), ("deep", deep_rate, self._deep_lots)):
            count = int(rate * history_s)
            if count == 0:
                continue
            stream = self._start.child(name)
            units = stream.uniform(0, 5 * count).reshape(count, 5)
            side = np.where(units[:, 1] < 0.5, int(Side.BUY), int(Side.SELL))
            if name == "near":
                offset = self._near_offset(units[:, 2])
            else:
                offset, side = self._deep_offset(units[:, 2], side)
            age = history_s * (1.0 - np.arange(count) / count)
            alive = units[:, 0] < np.exp(-config.cancel_rate * self._hazard_share(offset) * age)
            deviation = config.size_deviation
            sizes = mean * np.exp(deviation * stream.normal(1, count) - deviation**2 / 2)
            lots = self._whole(sizes, units[:, 4])
            rows = self.rows[0] + (units[:, 3] * len(self.rows)).astype(np.int64)
            self._place(market, orders, rows[alive], side[alive], reference, offset[alive], lots[alive])

    def _fill_to_profile(self, market: MarketView, orders: OrderEntry, reference: float) -> None:
        """Fill what the book lacks to `starting_depth`, and set the deep flow so that it keeps that shape."""
        low: list[float] = []
        high: list[float] = []
        missing: list[float] = []
        sides: list[int] = []
        unit = self.contract.notional_per_lot(reference)
        for side in (Side.BUY, Side.SELL):
            reached, target_before, present_before = 0.0, 0.0, 0.0
            for point in self.config.starting_depth:
                target = point.bid if side == Side.BUY else point.ask
                present = market.depth.within(int(side), point.within) * unit
                low.append(reached)
                high.append(point.within)
                missing.append(max(0.0, (target - target_before) - (present - present_before)))
                sides.append(int(side))
                reached, target_before, present_before = point.within, target, present
        inner, outer = np.array(low), np.array(high)
        notional = np.array(missing)
        arrival = notional * self.config.cancel_rate * self._hazard_share(0.5 * (inner + outer))
        if arrival.sum() <= 0:
            self._deep_rate = 0.0
            return
        share = np.cumsum(arrival) / arrival.sum()
        self._deep = DeepProfile(inner, outer, notional, np.array(sides, np.int64), share)
        mean_notional = self._deep_lots * self._lot_notional
        self._deep_rate = float(arrival.sum() / mean_notional)
        self._grow_ring()
        for index in range(len(notional)):
            count = round(notional[index] / mean_notional)
            if notional[index] <= 0:
                continue
            count = min(max(count, 20), 4000)
            stream = self._start.child(f"segment-{index}")
            units = stream.uniform(0, 3 * count).reshape(count, 3)
            deviation = self.config.size_deviation
            weights = np.exp(deviation * stream.normal(1, count))
            lots = self._whole(notional[index] / unit * weights / weights.sum(), units[:, 0])
            offset = inner[index] + units[:, 1] * (outer[index] - inner[index])
            rows = self.rows[0] + (units[:, 2] * len(self.rows)).astype(np.int64)
            self._place(market, orders, rows, np.full(count, sides[index], np.int64), reference, offset, lots)

    def _grow_ring(self) -> None:
        """A ring for the new deep rate, with the living orders carried over in their order."""
        old = (self._id, self._row, self._price, self._left, self._placed)
        size = self._slots
        self._make_ring()
        live = np.array([s for s in (np.arange(size) + old[4]) % size if old[0][s] > 0], np.int64)
        count = len(live)
        for mine, other in ((self._id, old[0]), (self._row, old[1]), (self._price, old[2]), (self._left, old[3])):
            mine[:count] = other[live]
        self._slot_of = {order_id: slot for slot, order_id in enumerate(self._id[:count].tolist())}
        self._placed = count
