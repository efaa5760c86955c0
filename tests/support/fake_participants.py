"""A tiny registry of participant types, so that the scenario loader is tested without agents."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from marginquake.sim.core.account_book import Accounts
from marginquake.sim.core.fields import Amount, Block, Duration, Fraction
from marginquake.sim.scenario.distributions import Trait


class FakeConfig(Block):
    """The fields of marginquake.agents.base.ParticipantConfig."""

    type: str
    market: str | None = None
    accounts: int = Field(1, gt=0)
    deposit: Trait[Amount] = Field(1e9, gt=0)
    leverage: Trait[float] = 1.0
    margin_mode: str = Field("cross", pattern="^(cross|isolated)$")
    latency: Trait[Duration] = 50_000_000
    data_latency: Duration = Field(0, ge=0)
    decision_interval: Duration = Field(0, ge=0)


class RetailConfig(FakeConfig):
    accounts: Accounts = 1  # type: ignore[assignment]
    activity: Trait[Fraction] = 0.1
    stop_distance: Trait[Fraction] | None = None
    initial_open_fraction: Fraction = 0.0


class MakerConfig(FakeConfig):
    spread: Fraction = Field(gt=0)
    style: Literal["quiet", "aggressive"] = "quiet"


class Retail:
    config_type: ClassVar[type[Block]] = RetailConfig

    @classmethod
    def needs_other_side(cls, config: RetailConfig) -> bool:
        return config.initial_open_fraction > 0


class Maker:
    config_type: ClassVar[type[Block]] = MakerConfig


class Hedger:
    config_type: ClassVar[type[Block]] = FakeConfig
    takes_other_side: ClassVar[bool] = True


class Engine:
    """No population: a block of the market configures it."""

    config_type: ClassVar[type[Block]] = FakeConfig
    configured_by: ClassVar[str] = "liquidation"
    procedures: ClassVar[tuple[str, ...]] = ("full", "sliced")


class NoConfig:
    """Not a participant."""


class OddConfig:
    class Config(Block):
        type: str

    config_type = Config


FAKE_TYPES: dict[str, type[Any]] = {
    "retail": Retail,
    "market_maker": Maker,
    "hedger": Hedger,
    "liquidation_engine": Engine,
}
