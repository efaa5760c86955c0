"""Markets of hand-made participants: each plays a part that a test has written out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from marginquake.agents.base import Participant, ParticipantConfig
from marginquake.agents.liquidation_engine import LiquidationEngine
from marginquake.sim.assets.fundamentals import GbmConfig
from marginquake.sim.assets.index import FeedbackConfig, IndexConfig
from marginquake.sim.core.contract import ContractConfig
from marginquake.sim.core.records import Side
from marginquake.sim.market.orders import OrderEntry
from marginquake.sim.market.view import MarketView
from marginquake.sim.model.model import MarketModel
from marginquake.sim.rules.funding import FundingConfig
from marginquake.sim.rules.liquidation import LiquidationConfig
from marginquake.sim.rules.mark import MarkConfig
from marginquake.sim.scenario.config import FeeConfig, InsuranceConfig, MarketConfig, RecordConfig, VenueConfig
from marginquake.sim.scenario.scenario import Population, Scenario

PRICE = 10_000
RICH = 1e9
STEP_NS = 100_000_000


class PartConfig(ParticipantConfig):
    """What a part is told: anything."""

    type: str = "part"
    told: Any = None


@dataclass(frozen=True)
class Part:
    """One population: its class, accounts, deposit, latency, leverage."""

    kind: type[Participant]
    accounts: int = 1
    deposit: float = RICH
    latency_ns: int = 0
    leverage: float = 100.0
    told: Any = None


class Ladder(Participant):
    """Ten lots at every tick within 10 %, laid once."""

    config_type = PartConfig
    example: ClassVar[dict[str, Any]] = {"type": "part"}

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        if market.step == 0:
            for away in range(1, 1000):
                orders.limit(self.rows, Side.BUY, PRICE - away, 10)
                orders.limit(self.rows, Side.SELL, PRICE + away, 10)


class Orders(Participant):
    """Says what it is told: {step: (side, lots)}."""

    config_type = PartConfig
    example: ClassVar[dict[str, Any]] = {"type": "part"}
    config: PartConfig

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        if market.step in self.config.told:
            side, lots = self.config.told[market.step]
            orders.market(self.rows, side, lots)


def part_market(
    parts: Mapping[str, Part],
    *,
    venue: Mapping[str, Any] | None = None,
    liquidation: Mapping[str, Any] | None = None,
    index: Mapping[str, Any] | None = None,
) -> MarketModel:
    """A market at 10,000 ticks of 1, lots of 0.01; a still index, no fees, no funding, mark = last; invariants checked.

    `venue`, `liquidation`, `index`: fields that differ.
    """
    settings: dict[str, Any] = {
        "mark": MarkConfig(rule="last", period=STEP_NS),
        "funding": FundingConfig(enabled=False),
        "fees": FeeConfig(maker=0, taker=0, liquidation=0),
        "insurance": InsuranceConfig(initial=RICH),
        "price_band": None,
    }
    market = MarketConfig(
        name="main",
        contract=ContractConfig(initial_price=PRICE, tick_size=1, lot_size=0.01, max_position_lots=10**6),
        venue=VenueConfig(**settings | dict(venue or {})),
        index=IndexConfig(
            fundamental=GbmConfig(volatility=0), feedback=FeedbackConfig(enabled=False), **dict(index or {})
        ),
        liquidation=LiquidationConfig(**{"monitor_period": 10 * STEP_NS, "latency": 0} | dict(liquidation or {})),
    )
    populations = {
        name: Population(
            name=name,
            type="part",
            market="main",
            participant_class=part.kind,
            config=PartConfig(
                told=part.told,
                accounts=part.accounts,
                deposit=part.deposit,
                latency=part.latency_ns,
                leverage=part.leverage,
            ),
        )
        for name, part in parts.items()
    }
    scenario = Scenario(
        name="parts",
        question="",
        description="",
        seed=0,
        duration=3600 * 10 * STEP_NS,
        warmup=0,
        step=STEP_NS,
        record=RecordConfig(events="all", series_every=STEP_NS, map_every=3600 * 10 * STEP_NS),
        markets=(market,),
        populations=populations,
        path=Path(__file__),
        source_text="",
    )
    return MarketModel(scenario, {"liquidation_engine": LiquidationEngine}, check_invariants=True)
