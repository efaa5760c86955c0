"""Cascades small enough to calculate by hand, through the whole model: real book, real margin, real liquidation engine.

A ladder of bids without refill, long accounts whose liquidation prices are given (their collateral is chosen so), one
market sell, mark = last, and an engine that sends unlimited market orders, one account at a time.  No fees.

Everything is an integer: one vector price is a whole number of ticks, one vector quantity a whole number of lots.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from marginquake.agents.base import Participant, ParticipantConfig
from marginquake.agents.liquidation_engine import LiquidationEngine
from marginquake.analysis.frames.market import MarketFrames
from marginquake.sim.assets.fundamentals import GbmConfig
from marginquake.sim.assets.index import FeedbackConfig, IndexConfig
from marginquake.sim.core.accounts import SYSTEM_ROWS
from marginquake.sim.core.contract import ContractConfig
from marginquake.sim.core.margin import Bracket
from marginquake.sim.core.records import EVENT, Cause, EventKind, Side, join
from marginquake.sim.market.context import SeedPositions
from marginquake.sim.market.orders import OrderEntry
from marginquake.sim.market.view import MarketView
from marginquake.sim.model.model import MarketModel
from marginquake.sim.rules.funding import FundingConfig
from marginquake.sim.rules.liquidation import LiquidationConfig
from marginquake.sim.rules.mark import MarkConfig
from marginquake.sim.scenario.config import FeeConfig, InsuranceConfig, MarketConfig, RecordConfig, VenueConfig
from marginquake.sim.scenario.scenario import Population, Scenario
from tests.support.frames.events import frames

Inputs = dict[str, Any]
Line = tuple[int, int]

LOTS_PER_QUANTITY = 1_000
"""Lots in the finest vector quantity: a whole tick of profit then always exceeds the growth of maintenance."""
MAINTENANCE_PPM = 5_000
STEP_NS = 1_000_000
SELL_AT_STEP = 2
QUIET_STEPS = 8
RICH = 1e15


@final
@dataclass(frozen=True)
class Cascade:
    """The market before the sale, in ticks and lots.  `longs`: (liquidation price, lots) of each account."""

    entry_ticks: int
    bids: tuple[Line, ...]
    longs: tuple[Line, ...]
    market_sell_lots: int


@final
@dataclass(frozen=True)
class Outcome:
    """What the sale set off.  `liquidated`: liquidation prices of the accounts closed, in order."""

    last_ticks: int
    sold_lots: int
    forced_lots: int
    liquidated: tuple[int, ...]


class CascadeConfig(ParticipantConfig):
    """Hands the cascade to the participant that plays a part in it."""

    type: str = "part"
    cascade: Any = None


class Bidders(Participant):
    """Lay the ladder of bids once, at the first step."""

    config_type = CascadeConfig
    example: ClassVar[dict[str, Any]] = {"type": "part"}
    config: CascadeConfig
    _laid = False

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        if not self._laid:
            self._laid = True
            for price, lots in self.config.cascade.bids:
                orders.limit(self.rows, Side.BUY, price, lots)


class Longs(Participant):
    """One account for each long; its collateral puts its liquidation price on the given tick."""

    config_type = CascadeConfig
    example: ClassVar[dict[str, Any]] = {"type": "part"}
    config: CascadeConfig

    def seed_positions(self, market: MarketView, depth_1pct: float) -> SeedPositions:
        cascade = self.config.cascade
        entry = np.full(len(self.rows), cascade.entry_ticks)
        price, lots = np.array(cascade.longs, np.int64).T
        loss = lots * (entry - price)
        maintenance = lots * price * MAINTENANCE_PPM // 10**6
        self.context.table.rows["collateral"][self.rows] = loss + maintenance
        return SeedPositions(lots, entry)

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        """Holds."""


class Shorts(Participant):
    """The other side of the longs."""

    config_type = CascadeConfig
    example: ClassVar[dict[str, Any]] = {"type": "part"}
    config: CascadeConfig

    def seed_positions(self, market: MarketView, depth_1pct: float) -> SeedPositions:
        return SeedPositions(np.zeros(1, np.int64), np.array([self.config.cascade.entry_ticks]), takes_other_side=True)

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        """Holds."""


class Seller(Participant):
    """The market sell that starts it."""

    config_type = CascadeConfig
    example: ClassVar[dict[str, Any]] = {"type": "part"}
    config: CascadeConfig

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        if market.step == SELL_AT_STEP:
            orders.market(self.rows, Side.SELL, self.config.cascade.market_sell_lots)


def build_model(cascade: Cascade, capacity: int = 1) -> MarketModel:
    """The model of a cascade: one tick, one lot and one unit of money are all 1 in quote currency.

    `capacity`: accounts that the engine takes in hand at once.
    """
    most = sum(lots for _, lots in cascade.bids + cascade.longs) + cascade.market_sell_lots
    market = MarketConfig(
        name="main",
        contract=ContractConfig(
            initial_price=cascade.entry_ticks, tick_size=1, lot_size=1, money_unit=1, max_position_lots=most
        ),
        venue=VenueConfig(
            brackets=(Bracket(notional_cap=RICH, max_leverage=100, maintenance=MAINTENANCE_PPM / 10**6),),
            mark=MarkConfig(rule="last", period=STEP_NS),
            funding=FundingConfig(enabled=False),
            fees=FeeConfig(maker=0, taker=0, liquidation=0),
            insurance=InsuranceConfig(initial=RICH),
            price_band=None,
        ),
        index=IndexConfig(fundamental=GbmConfig(volatility=0), feedback=FeedbackConfig(enabled=False)),
        liquidation=LiquidationConfig(monitor_period=STEP_NS, capacity=capacity, latency=0, order_bound="none"),
    )
    parts: dict[str, tuple[type[Participant], int]] = {
        "bidders": (Bidders, 1),
        "longs": (Longs, len(cascade.longs)),
        "shorts": (Shorts, 1),
        "seller": (Seller, 1),
    }
    populations = {
        name: Population(
            name=name,
            type="part",
            market="main",
            participant_class=part,
            config=CascadeConfig(cascade=cascade, accounts=count, deposit=RICH, latency=0),
        )
        for name, (part, count) in parts.items()
        if count
    }
    scenario = Scenario(
        name="cascade",
        question="",
        description="",
        seed=0,
        duration=10**6 * STEP_NS,
        warmup=0,
        step=STEP_NS,
        record=RecordConfig(events="none", series_every=10**6 * STEP_NS, map_every=10**6 * STEP_NS),
        markets=(market,),
        populations=populations,
        path=Path(__file__),
        source_text="",
    )
    return MarketModel(scenario, {"liquidation_engine": LiquidationEngine}, check_invariants=True)


def liquidation_prices(cascade: Cascade) -> dict[int, int]:
    """Account row -> liquidation price of each long."""
    return {SYSTEM_ROWS + 1 + number: price for number, (price, _) in enumerate(cascade.longs)}


def run_cascade(cascade: Cascade) -> Outcome:
    """Run the model until nothing has happened for a while."""
    model = build_model(cascade)
    room = model.sessions[0]
    prices = liquidation_prices(cascade)
    sold = forced = quiet = 0
    closed: list[int] = []
    while quiet < QUIET_STEPS or model.now_ns < QUIET_STEPS * STEP_NS:
        model.step()
        events = room.last_events
        fills = events[events["kind"] == EventKind.FILL]
        started = events[events["kind"] == EventKind.LIQUIDATION_STARTED]
        sold += int(fills["quantity_lots"].sum())
        forced += int(fills["quantity_lots"][fills["cause"] == Cause.LIQUIDATION].sum())
        closed += [prices[row] for row in started["account"].tolist()]
        quiet = 0 if len(events) else quiet + 1
    return Outcome(room.venue.exchange.last_ticks, sold, forced, tuple(closed))


def frames_of_cascade(cascade: Cascade, capacity: int = 1) -> MarketFrames:
    """The record of the cascade, until nothing happens any more, as analysis reads it."""
    model = build_model(cascade, capacity)
    room = model.sessions[0]
    parts: list[NDArray[Any]] = []
    quiet = 0
    while quiet < QUIET_STEPS or model.now_ns < QUIET_STEPS * STEP_NS:
        model.step()
        parts.append(room.last_events.copy())
        quiet = 0 if len(parts[-1]) else quiet + 1
    return frames(join(parts, EVENT), STEP_NS / 1e9, float(cascade.entry_ticks))


# -- the two kinds of vectors ------------------------------------------------------------------------------------------


def discrete_cascade(inputs: Inputs) -> dict[str, Any]:
    """Levels, liquidation prices and quantities as listed; prices become ticks of their greatest common divisor."""
    cascade, tick, lot = of_inputs(inputs)
    outcome = run_cascade(cascade)
    return {
        "last": float(outcome.last_ticks * tick),
        "forced_quantity": float(outcome.forced_lots * lot),
        "liquidated": [float(price * tick) for price in outcome.liquidated],
    }


def of_inputs(inputs: Inputs) -> tuple[Cascade, Fraction, Fraction]:
    """The cascade of a vector in ticks and lots, and what a tick and a lot of it are."""
    levels = [exact(price) for price in inputs["bid_levels"]]
    triggers = [exact(price) for price in inputs["liquidation_prices"]]
    sizes = [exact(inputs[name]) for name in ("bid_quantity", "position_quantity", "market_sell")]
    tick = common_divisor(levels + triggers)
    lot = common_divisor(sizes) / LOTS_PER_QUANTITY
    bid_lots, position_lots, sell_lots = (int(size / lot) for size in sizes)
    cascade = Cascade(
        entry_ticks=int(max(levels + triggers) / tick) + 1,
        bids=tuple((int(price / tick), bid_lots) for price in levels),
        longs=tuple((int(price / tick), position_lots) for price in triggers),
        market_sell_lots=sell_lots,
    )
    return cascade, tick, lot


def uniform_cascade(inputs: Inputs) -> dict[str, float]:
    """Depth D and fuel L on every tick, in a discrete form that meets the continuous limit exactly.

    A vector tick is divided into S ticks so that the answer, v / (D - L) vector ticks, is a whole number n of them;
    each holds d = D / S of bids and f = L / S of longs.  After n ticks v + f n = d n: all that was set off is sold,
    and the last of it takes the last lot of level n.  Before that more is set off than bids were met.
    """
    depth, fuel, sell = (exact(inputs[name]) for name in ("depth_per_tick", "fuel_per_tick", "initial_sell"))
    expected = sell / (depth - fuel)
    parts = expected.denominator
    swept = int(expected * parts)
    lot = common_divisor([depth / parts, fuel / parts, sell]) / LOTS_PER_QUANTITY
    beyond = swept + swept // 10 + 2
    top = 3 * beyond
    fuel_lots = int(fuel / parts / lot)
    outcome = run_cascade(
        Cascade(
            entry_ticks=top,
            bids=tuple((top - n, int(depth / parts / lot)) for n in range(1, beyond)),
            longs=tuple((top - n, fuel_lots) for n in range(1, beyond)) if fuel_lots else (),
            market_sell_lots=int(sell / lot),
        )
    )
    return {
        "ticks": float(Fraction(top - outcome.last_ticks, parts)),
        "total_sold": float(outcome.sold_lots * lot),
        "amplification": float(outcome.sold_lots * lot / sell),
    }


def exact(number: float) -> Fraction:
    """The number as written: 99.9 is 999/10."""
    return Fraction(str(number))


def common_divisor(numbers: Iterable[Fraction]) -> Fraction:
    """Largest fraction of which all are whole multiples."""
    given = [number for number in numbers if number]
    scale = math.lcm(*(number.denominator for number in given))
    return Fraction(math.gcd(*(int(number * scale) for number in given)), scale)


KINDS: dict[str, Callable[[Inputs], Any]] = {"discrete_cascade": discrete_cascade, "uniform_cascade": uniform_cascade}
"""Inputs -> a value shaped like `expected`, for tests/sim/rules/test_venue_vectors.py."""
