"""The frozen blocks of a market, composed: what belongs to a rule stands in the rule's file.

Every duration is int nanoseconds after loading; a fraction is a float; an amount is in quote currency.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, field_validator, model_validator

from marginquake.sim.assets.fundamentals import FUNDAMENTALS
from marginquake.sim.assets.index import IndexConfig
from marginquake.sim.assets.oracle import OracleConfig
from marginquake.sim.core.contract import Contract, ContractConfig
from marginquake.sim.core.fields import SECOND, Amount, Block, Duration, Fraction, Idle
from marginquake.sim.core.margin import Bracket, default_brackets
from marginquake.sim.core.problems import WARNINGS, closest
from marginquake.sim.rules.adl_allocation import ADL_ALLOCATIONS
from marginquake.sim.rules.adl_ranking import ADL_RANKINGS
from marginquake.sim.rules.adl_trigger import ADL_TRIGGERS, AdlConfig
from marginquake.sim.rules.faults import FAULTS, AnyFault
from marginquake.sim.rules.funding import FUNDING_RULES, ClampedFundingConfig, FundingConfig
from marginquake.sim.rules.liquidation import PROCEDURES, LiquidationConfig
from marginquake.sim.rules.margin import INITIAL_RULES, MAINTENANCE_RULES, InitialConfig, MaintenanceConfig
from marginquake.sim.rules.mark import MARK_RULES, MarkConfig, MedianOfThree
from marginquake.sim.rules.registry import Registry


class CircuitBreakerConfig(Block):
    """Velocity logic: a fast move of the last price pauses matching; orders wait, marks and margin calls go on."""

    move: Fraction = Field(gt=0, lt=1, description="Of the last price, up or down, within `window`")
    window: Duration = Field(gt=0)
    pause: Duration = Field(5 * SECOND, gt=0)


class FeeConfig(Block):
    """Fractions of notional; a negative maker fee is a rebate."""

    maker: Fraction = Field(0.0002, ge=-5, le=5)
    taker: Fraction = Field(0.0005, ge=-5, le=5)
    liquidation: Fraction = Field(0.0125, ge=0, lt=1, description="Of liquidated notional, at most the equity left")


class InsuranceConfig(Block):
    """The fund that stands behind bankrupt positions."""

    idle: ClassVar[tuple[Idle, ...]] = (
        Idle(
            ("max_loss_per_scan",),
            lambda own, market: not market.liquidation.takeover,
            "liquidation.takeover is false: the fund takes nothing over",
        ),
    )
    initial: Amount = Field(5e6, ge=0)
    shortfall: Literal["adl", "socialised"] = Field(
        "adl", description="What the fund cannot bear: ADL, or a haircut of all unrealised profits on the market"
    )
    max_loss_per_scan: Amount | None = Field(
        None, ge=0, description="Most that the fund loses by takeovers in one scan; the rest is a shortfall"
    )


class CallConfig(Block):
    """A margin call as a process (docs/model.md, eq. 7b).  Margin ratio: maintenance margin / equity.

    By default an account is called where the two are equal, and its forced sale may begin at the engine's next scan.
    """

    idle: ClassVar[tuple[Idle, ...]] = (
        Idle(("hysteresis",), lambda own, market: own.warning is None, "there is no `warning` that could be lifted"),
        Idle(
            ("warning", "level", "window", "grace"),
            lambda own, market: not market.liquidation.enabled,
            "liquidation.enabled is false: nobody is called",
        ),
    )
    warning: Fraction | None = Field(None, gt=0, lt=1, description="Margin ratio that warns; without it nobody is")
    level: Fraction = Field(
        1.0, gt=0, le=1, description="Margin ratio that calls; below 1 the forced sale still waits for 1"
    )
    hysteresis: Fraction = Field(
        0.05, ge=0, le=0.9, description="A warning is lifted once the ratio is this share below `warning`"
    )
    window: Duration = Field(0, ge=0, description="From the call to the forced sale: time to add margin or reduce")
    grace: Duration = Field(
        0, ge=0, description="A margin ratio of 1 must have lasted so long, scan for scan, before the forced sale"
    )

    @property
    def is_a_process(self) -> bool:
        """True unless the call is a moment: no warning, no time between call and forced sale."""
        return self.warning is not None or self.level < 1 or self.window > 0 or self.grace > 0


class VenueConfig(Block):
    """One venue's rules for one market."""

    brackets: tuple[Bracket, ...] = Field(default_factory=default_brackets, min_length=1)
    call: CallConfig = CallConfig()
    max_leverage: float | None = Field(
        None, gt=0, description="Largest leverage in any bracket; default: none but theirs"
    )
    maintenance: Annotated[MaintenanceConfig, MAINTENANCE_RULES] = MaintenanceConfig()
    initial: Annotated[InitialConfig, INITIAL_RULES] = InitialConfig()
    oracle: OracleConfig = OracleConfig()
    mark: Annotated[MarkConfig, MARK_RULES] = MedianOfThree.Config()
    funding: Annotated[FundingConfig, FUNDING_RULES] = ClampedFundingConfig()
    fees: FeeConfig = FeeConfig()
    insurance: InsuranceConfig = InsuranceConfig()
    adl: Annotated[AdlConfig, ADL_TRIGGERS] = AdlConfig()
    price_band: Fraction | None = Field(
        0.1, gt=0, lt=1, description="Orders may not trade further than this from the mark"
    )
    circuit_breaker: CircuitBreakerConfig | None = Field(None, description="Default: none")
    self_trade_prevention: Literal["cancel_maker", "cancel_taker"] = "cancel_maker"


class RecordConfig(Block):
    """What a run directory keeps."""

    events: Literal["none", "liquidations", "fills", "all"] = Field(
        "fills",
        description="fills: all but quotes and cancels; liquidations: of these, all but voluntary fills",
    )
    series_every: Duration = Field(1 * SECOND, gt=0)
    map_every: Duration = Field(10 * SECOND, gt=0, description="Depth and liquidation maps")
    map_range: Fraction = Field(0.15, gt=0, lt=1, description="Maps reach this far around the start price")
    map_bins: int = Field(600, gt=10, le=100_000)
    positions_every: Duration | None = Field(
        60 * SECOND,
        gt=0,
        description="Who holds what (positions.parquet), unless events: none; null = only at the start",
    )

    @field_validator("events", mode="before")
    @classmethod
    def _refuse_the_old_name(cls, value: Any) -> Any:
        if value == "trades":
            raise ValueError("'trades' is called 'fills' now")
        return value


class MarketConfig(Block):
    """One market: a contract on a venue, its index and its liquidation engine."""

    idle: ClassVar[tuple[Idle, ...]] = (
        Idle(
            ("venue.adl",),
            lambda own, market: market.venue.insurance.shortfall == "socialised",
            "venue.insurance.shortfall is socialised: losses are shared, nobody is deleveraged",
        ),
        Idle(
            ("venue.adl", "venue.fees.liquidation", "venue.insurance.max_loss_per_scan"),
            lambda own, market: not market.liquidation.enabled,
            "liquidation.enabled is false: nobody is sold out",
        ),
        Idle(
            ("venue.price_band",),
            lambda own, market: (
                own.venue.price_band is not None and 1 + own.venue.price_band >= own.contract.max_price_multiple
            ),
            "the band is wider than the ladder (contract.max_price_multiple)",
        ),
        Idle(
            ("venue.max_leverage",),
            lambda own, market: (
                own.venue.max_leverage is not None and own.venue.max_leverage > own.venue.brackets[0].max_leverage
            ),
            "no bracket allows as much",
        ),
    )
    name: str
    contract: Contract = ContractConfig()
    venue: VenueConfig = VenueConfig()
    index: IndexConfig = IndexConfig()
    liquidation: Annotated[LiquidationConfig, PROCEDURES] = LiquidationConfig()
    faults: tuple[AnyFault, ...] = Field((), description="What goes wrong: outages, delays, wrong rules, for some time")
    depth_1pct: Amount = Field(12e6, gt=0, description="D1: the length scale of sizes ending in _d1, quote units")
    fuel_ratio: float | None = Field(
        None, gt=0, description="Lambda: forced notional per 1 % within 5 %, over measured D1; sizes are solved for it"
    )
    position_scale: float | None = Field(
        None, gt=0, description="Positions at the start and their deposits times this, instead of a fuel_ratio; twins"
    )

    @model_validator(mode="after")
    def _one_size(self) -> "MarketConfig":
        if self.fuel_ratio is not None and self.position_scale is not None:
            raise ValueError(
                f"fuel_ratio ({self.fuel_ratio:g}) and position_scale ({self.position_scale:g}) both say how large "
                "positions are at the start; remove one"
            )
        return self


RULE_BLOCKS: Final[Mapping[tuple[str, ...], Registry[Any]]] = {
    ("venue", "mark"): MARK_RULES,
    ("venue", "funding"): FUNDING_RULES,
    ("venue", "maintenance"): MAINTENANCE_RULES,
    ("venue", "initial"): INITIAL_RULES,
    ("venue", "adl"): ADL_TRIGGERS,
    ("venue", "adl", "ranking"): ADL_RANKINGS,
    ("venue", "adl", "allocation"): ADL_ALLOCATIONS,
    ("liquidation",): PROCEDURES,
    ("index", "fundamental"): FUNDAMENTALS,
    ("faults",): FAULTS,
}
"""Where in a market a family's rule is named; `faults` is a list of them.  A new family is one entry here."""

NAME = r"^[A-Za-z][A-Za-z0-9_-]*$"
"""What markets and populations may be called: the names become files, columns and stream names."""


class ScenarioHead(Block):
    """The top-level fields of a scenario file that are not about a market or a population."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="Default: the file's name")
    question: str = Field("", description="The question this scenario asks")
    description: str = ""
    seed: int = Field(1, ge=0, description="Root of all randomness")
    duration: Duration = Field(gt=0, description="Simulated time after the warm-up")
    warmup: Duration = Field(60 * SECOND, ge=0, description="Simulated time before t = 0")
    step: Duration = Field(100_000_000, gt=0, description="Decision grid; every other period is a multiple of it")
    meant: tuple[str, ...] = Field((), description="Names of warnings that are meant, and not said: docs/warnings.md")
    record: RecordConfig = RecordConfig()

    @field_validator("meant")
    @classmethod
    def _known_warnings(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in WARNINGS:
                near = closest(name, WARNINGS)
                hint = f"did you mean {near!r}?" if near else f"one of {', '.join(WARNINGS)}"
                raise ValueError(f"there is no warning {name!r}; {hint}")
        return names
