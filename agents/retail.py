"""Leveraged retail accounts: enter and leave at random, mostly long, with stops, and sometimes add margin.

Model: market_defaults, section 1 (hazards, side, leverage detents, stops) and mechanisms 2.22-2.23, 2.33, 3.7-3.8.
Cost follows activity: candidates are drawn at the highest hazard and accepted by state, so a sleeping account costs
nothing and no draw depends on the market.  Differs from the sources: no trend chasing and no disposition effect here.
"""

import math
from typing import Any, ClassVar, Literal, final

import mesa
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from agents.base import Participant, ParticipantConfig
from agents.gauges import reference_ticks
from sim.config import Bracket
from sim.distributions import Buckets, Pareto, Trait, Uniform
from sim.market import MarketView, OrderEntry, Seat, SeedPositions
from sim.records import EventKind, Flag, Side
from sim.units import Amount, Duration, Fraction

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
SECOND = 1_000_000_000
PPM = 1_000_000

DETENTS = Buckets(
    values=(1, 2, 3, 5, 10, 20, 25, 50, 75, 100, 125),
    weights=(0.05, 0.06, 0.09, 0.14, 0.22, 0.18, 0.08, 0.10, 0.03, 0.04, 0.01),
)
"""Leverage that sliders suggest, weighted by count (market_defaults, section 1; grade D)."""

DEPOSITS = Pareto(minimum=1_000.0, exponent=1.1, maximum=1_000.0 * 0.005 ** (-1 / 1.1))
"""Truncated at the 99.5 % quantile."""


class RetailConfig(ParticipantConfig):
    """Hazards are per account; `leverage` and `deposit` are drawn once for each account."""

    accounts: int = Field(2000, gt=0)
    deposit: Trait[Amount] = Field(DEPOSITS, ge=0, description="Collateral of each account, quote units")
    leverage: Trait[float] = Field(DETENTS, gt=0, description="Chosen leverage; the venue's maximum caps it")
    margin_mode: str = Field("isolated", pattern="^(cross|isolated)$")
    latency: Trait[Duration] = Field(100_000_000, ge=0, description="Decision to arrival at the venue")
    long_share: Fraction = Field(0.8, ge=0, le=1, description="Share of entries that buy")
    entry_time: Duration = Field(7200 * SECOND, gt=0, description="Mean wait of a flat account before it enters")
    exit_time: Duration = Field(14400 * SECOND, gt=0, description="Mean time in a position")
    reentry_time: Duration = Field(4 * 3600 * SECOND, ge=0, description="Mean pause after a liquidation")
    margin_use: Fraction = Field(0.95, gt=0, le=0.99, description="Of collateral, put up as margin; the rest pays fees")
    max_position_d1: float = Field(0.05, gt=0, description="No entry is larger than this, units of D1")
    market_bound: Fraction = Field(0.02, gt=0, description="Worst price of entries, exits and stops")
    stop_share: Fraction = Field(0.35, ge=0, le=1, description="Share of accounts that place a stop on entry")
    stop_distance: Trait[Fraction] = Field(
        Uniform(minimum=0.5, maximum=0.8), ge=0, le=1, description="Of the distance to the liquidation price"
    )
    stop_trigger: Literal["last", "mark"] = "last"
    top_up_share: Fraction = Field(0.0, ge=0, le=1, description="Accounts that add margin, once, when warned")
    top_up_warning: Fraction = Field(0.8, gt=0, lt=1, description="Share of the way to liquidation that warns them")
    top_up_fraction: float = Field(0.5, gt=0, description="Added, as a share of the margin behind the position")
    top_up_watch: Duration = Field(5 * SECOND, gt=0, description="How often warnings are looked at")
    initial_open_fraction: Fraction = Field(
        2 / 3, ge=0, le=1, description="Accounts with a position at the start; 2/3 balances the default hazards"
    )
    entry_offset: Trait[Fraction] = Field(
        Uniform(minimum=-0.01, maximum=0.02),
        gt=-1,
        lt=1,
        description="Seeded entries: how much worse than the starting price (longs above it, shorts below)",
    )
    minimum_distance: Fraction = Field(0.004, ge=0, lt=1, description="Nobody is seeded closer to liquidation")
    scalable: bool = Field(True, description="May be scaled to meet the market's fuel_ratio")


@final
class Brackets:
    """The venue's notional brackets as columns, for accounts that work out what they may hold."""

    def __init__(self, brackets: tuple[Bracket, ...], max_leverage: float) -> None:
        self.caps = np.array([b.notional_cap for b in brackets] or [math.inf])
        self.max_leverage = np.array([b.max_leverage for b in brackets] or [max_leverage])
        self.rates = np.array([b.maintenance for b in brackets] or [0.005])
        floors = np.concatenate(([0.0], self.caps[:-1]))
        self.deductions = np.cumsum(floors * np.diff(self.rates, prepend=0.0))

    def maintenance(self, notional: Floats) -> tuple[Floats, Floats]:
        """Rate and deduction (quote units) at each notional."""
        bracket = np.minimum(np.searchsorted(self.caps, notional, side="left"), len(self.caps) - 1)
        return self.rates[bracket], self.deductions[bracket]

    def largest_notional(self, leverage: Floats) -> Floats:
        """The largest position the venue lets one open at `leverage` (0 above its maximum)."""
        allowed = self.max_leverage[None, :] >= leverage[:, None] * (1 - 1e-9)
        largest: Floats = np.max(np.where(allowed, self.caps[None, :], 0.0), axis=1)
        return largest


@final
class Retail(Participant):
    """A crowd: each account flat or in one position, with a stop or not, topped up once or not."""

    config_type = RetailConfig
    example: ClassVar[dict[str, Any]] = {
        "type": "retail",
        "accounts": 500,
        "entry_time": "60s",
        "exit_time": "120s",
        "top_up_share": 0.3,
    }
    config: RetailConfig

    def __init__(self, model: mesa.Model, config: RetailConfig, seat: Seat) -> None:
        super().__init__(model, config, seat)
        count = len(self.rows)
        self._brackets = Brackets(seat.brackets, seat.max_leverage)
        self._wake = self.stream.child("wake")
        self._pause = self.stream.child("pause")
        self._seeds = self.stream.child("seed")
        character = self.stream.child("character")
        self._uses_stop = character.uniform(0, count) < config.stop_share
        self._tops_up = character.uniform(1, count) < config.top_up_share
        self._stop_share = _quantile(config.stop_distance, character.uniform(2, count))
        self._stop_id = np.zeros(count, np.int64)
        self._quiet_until_ns = np.zeros(count, np.int64)
        self._topped_up = np.zeros(count, np.bool_)
        entry, exit_ = 1e9 / config.entry_time, 1e9 / config.exit_time
        self._hazard = max(entry, exit_)
        self._entry_chance, self._exit_chance = entry / self._hazard, exit_ / self._hazard
        self._next_watch_ns = 0
        self._place_seeded_stops = False

    # ---- trading --------------------------------------------------------------------------------------------------

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        """The few that wake enter or leave; on its timer, the warned add margin."""
        if self._place_seeded_stops:
            self._place_seeded_stops = False
            self._set_stops(np.flatnonzero(self.accounts.position_lots), market, orders)
        if self._tops_up.any() and market.now_ns >= self._next_watch_ns:
            self._next_watch_ns = market.now_ns + self.config.top_up_watch
            self._top_up(market, orders)
        accounts = len(self.rows)
        count = self._wake.poisson(market.step, accounts * self._hazard * self.interval_s)
        if count == 0:
            return
        units = self._wake.uniform(market.step, 3 * count, first=1024)
        awake, first = np.unique((units[:count] * accounts).astype(np.int64), return_index=True)
        chance, direction = units[count : 2 * count][first], units[2 * count :][first]
        position = self.accounts.position_lots[awake]
        free = self.accounts.stage[awake] == 0
        entering = free & (position == 0) & (chance < self._entry_chance)
        entering &= self._quiet_until_ns[awake] <= market.now_ns
        leaving = free & (position != 0) & (chance < self._exit_chance)
        if entering.any():
            self._enter(awake[entering], direction[entering], market, orders)
        if leaving.any():
            self._leave(awake[leaving], position[leaving], market, orders)

    def _enter(self, index: Ints, units: Floats, market: MarketView, orders: OrderEntry) -> None:
        price = reference_ticks(market)
        lots = self._entry_lots(index, price)
        side = np.where(units < self.config.long_share, int(Side.BUY), int(Side.SELL))
        go = lots > 0
        index, lots, side = index[go], lots[go], side[go]
        orders.market(self.rows[index], side, lots, bound_ticks=self._bound(price, side))

    def _leave(self, index: Ints, position: Ints, market: MarketView, orders: OrderEntry) -> None:
        side = -np.sign(position)
        bound = self._bound(reference_ticks(market), side)
        orders.market(self.rows[index], side, np.abs(position), bound_ticks=bound, flags=Flag.REDUCE_ONLY)

    def _bound(self, price: float, side: Ints) -> Ints:
        bound: Floats = np.rint(price * (1.0 + side * self.config.market_bound))
        return np.clip(bound, 1, self.contract.max_price_ticks - 1).astype(np.int64)

    def _entry_lots(self, index: Ints, price: float) -> Ints:
        """Lots that `margin_use` of the collateral carries at the chosen leverage, within the venue's brackets."""
        leverage = PPM / self.accounts.initial_margin_ppm[index]
        collateral = self.accounts.collateral[index] * float(self.contract.money_unit)
        cap = np.minimum(self._brackets.largest_notional(leverage), self.config.max_position_d1 * self.seat.depth_1pct)
        notional = np.minimum(self.config.margin_use * np.maximum(collateral, 0.0) * leverage, cap)
        lots: Ints = np.floor(notional / self.contract.notional_per_lot(price)).astype(np.int64)
        return lots

    # ---- stops ----------------------------------------------------------------------------------------------------

    def on_events(self, events: NDArray[Any], market: MarketView, orders: OrderEntry) -> None:
        """Place a stop when a position opens, take it away when it closes, rest after a liquidation."""
        first, last = int(self.rows[0]), int(self.rows[-1])
        own = events[(events["account"] >= first) & (events["account"] <= last)]
        kinds = own["kind"]
        gone = (kinds == EventKind.CANCELLED) | (kinds == EventKind.REJECTED) | (kinds == EventKind.TRIGGERED)
        if gone.any():
            index = own["account"][gone] - first
            mine = self._stop_id[index] == own["order_id"][gone]
            self._stop_id[index[mine]] = 0
        ended = kinds == EventKind.LIQUIDATION_STARTED
        if ended.any():
            index = (own["account"][ended] - first).astype(np.int64)
            wait = -np.log(self._pause.uniform_at(market.step, index)) * self.config.reentry_time
            self._quiet_until_ns[index] = market.now_ns + wait.astype(np.int64)
        changed = (kinds == EventKind.FILL) | (kinds == EventKind.ADL) | (kinds == EventKind.TAKEOVER)
        if not changed.any():
            return
        index = np.unique(own["account"][changed] - first).astype(np.int64)
        position = self.accounts.position_lots[index]
        closed = index[(position == 0) & (self._stop_id[index] > 0)]
        if len(closed):
            orders.cancel(self.rows[closed], self._stop_id[closed])
            self._stop_id[closed] = 0
        self._topped_up[index[position == 0]] = False
        self._set_stops(index[position != 0], market, orders)

    def _set_stops(self, index: Ints, market: MarketView, orders: OrderEntry) -> None:
        """Reduce-only stops for those who use one and have none, some of the way from the price to liquidation."""
        chosen = self._uses_stop[index] & (self._stop_id[index] == 0) & (self.accounts.stage[index] == 0)
        index = index[chosen & (self.accounts.liquidation_ticks[index] > 0)]
        if len(index) == 0:
            return
        on_mark = self.config.stop_trigger == "mark"
        price = float(market.mark_ticks if on_mark else market.last_ticks) or reference_ticks(market)
        position = self.accounts.position_lots[index]
        side = -np.sign(position)
        target = price + self._stop_share[index] * (self.accounts.liquidation_ticks[index] - price)
        target = np.where(side < 0, np.minimum(np.ceil(target), price - 1), np.maximum(np.floor(target), price + 1))
        trigger = target.astype(np.int64)
        good = (trigger >= 1) & (trigger < self.contract.max_price_ticks)
        index, side, trigger, position = index[good], side[good], trigger[good], position[good]
        bound = np.rint(trigger * (1.0 + side * self.config.market_bound))
        bounds = np.clip(bound, 1, self.contract.max_price_ticks - 1).astype(np.int64)
        flags = Flag.REDUCE_ONLY | Flag.TRIGGER_ON_MARK if on_mark else Flag.REDUCE_ONLY
        self._stop_id[index] = orders.stop(
            self.rows[index], side, trigger, np.abs(position), bound_ticks=bounds, flags=flags
        )

    # ---- margin ---------------------------------------------------------------------------------------------------

    def _top_up(self, market: MarketView, orders: OrderEntry) -> None:
        """Those whose price has gone `top_up_warning` of the way from entry to liquidation add margin, once."""
        index = np.flatnonzero(self._tops_up & ~self._topped_up & (self.accounts.position_lots != 0))
        index = index[(self.accounts.liquidation_ticks[index] > 0) & (self.accounts.stage[index] == 0)]
        if len(index) == 0:
            return
        value = self.contract.money_per_tick_lot
        entry = self.accounts.cost[index] / (self.accounts.position_lots[index] * value)
        used = (entry - market.mark_ticks) / (entry - self.accounts.liquidation_ticks[index])
        index = index[used >= self.config.top_up_warning]
        if len(index) == 0:
            return
        self._topped_up[index] = True
        margin = np.abs(self.accounts.cost[index]) * (self.accounts.initial_margin_ppm[index] / PPM)
        orders.deposit(self.rows[index], np.maximum(1, margin * self.config.top_up_fraction).astype(np.int64))

    # ---- the start ------------------------------------------------------------------------------------------------

    @classmethod
    def needs_other_side(cls, config: RetailConfig) -> bool:
        """Unless everybody starts flat."""
        return config.initial_open_fraction > 0

    def seed_positions(self, market: MarketView, depth_1pct: float) -> SeedPositions | None:
        """Positions of `initial_open_fraction` of the accounts, none within `minimum_distance` of liquidation.

        An entry that would be too close is drawn again from `entry_offset`; if the whole distribution is too close
        (125x bought above the price), the account stays flat.
        """
        count = len(self.rows)
        price = float(market.mark_ticks) or market.index_ticks
        opened = self._seeds.uniform(0, count) < self.config.initial_open_fraction
        side = np.where(self._seeds.uniform(1, count) < self.config.long_share, 1, -1)
        everyone = np.arange(count)
        lots = np.where(opened & (self.accounts.position_lots == 0), self._entry_lots(everyone, price), 0)
        worst = self._worst_offset(lots, price, side)
        offset = np.full(count, np.inf)
        for attempt in range(24):
            again = (lots > 0) & (offset > worst)
            if not again.any():
                break
            draw = _quantile(self.config.entry_offset, self._seeds.uniform(2 + attempt, count))
            offset[again] = draw[again]
        lots[offset > worst] = 0
        offset[(lots == 0) | ~np.isfinite(offset)] = 0.0
        entry = np.rint(price * (1.0 + side * offset)).astype(np.int64)
        self._place_seeded_stops = True
        return SeedPositions(
            side * lots, entry, scalable=self.config.scalable, minimum_distance=self.config.minimum_distance
        )

    def _worst_offset(self, lots: Ints, price: float, side: Ints) -> Floats:
        """The largest entry offset at which liquidation is still `minimum_distance` away.

        A long with margin i of its entry e is called at M = (e (1 - i) - c/q)/(1 - m) (isolated; docs/model.md,
        liquidation price); shorts mirrored.  Cross margin has the whole collateral behind it instead of i e q.
        """
        unit = self.contract.notional_per_lot(price)
        held = np.maximum(lots, 1)
        rate, deduction = self._brackets.maintenance(held * np.float64(unit))
        relief = deduction / held / unit * price
        safe = price * (1.0 - side * self.config.minimum_distance) * (1.0 - side * rate) + side * relief
        if self.config.margin_mode == "cross":
            collateral = self.accounts.collateral * float(self.contract.money_unit)
            entry = safe + side * collateral / held / unit * price
        else:
            margin = side * (self.accounts.initial_margin_ppm / PPM)
            entry = np.where(margin < 1.0, safe / np.maximum(1.0 - margin, 1e-9), np.inf)
        return side * (entry / price - 1.0)


def _quantile(trait: Any, units: Floats) -> Floats:
    """Values of a trait (number or distribution) at uniform draws."""
    return np.asarray(trait.quantile(units)) if hasattr(trait, "quantile") else np.full(len(units), float(trait))
