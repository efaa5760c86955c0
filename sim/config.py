"""The frozen blocks of a resolved scenario that describe a market.  `sim.scenario` reads them from YAML.

Every duration is int nanoseconds after loading; a fraction is a float; an amount is in quote currency.
"""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from sim.block import SECOND as SECOND
from sim.block import Block as Block
from sim.faults import AnyFault
from sim.units import Amount, DataFile, Duration, Fraction


class ContractConfig(Block):
    """A linear perpetual: lots are base units, money is quote currency."""

    type: Literal["linear"] = "linear"
    initial_price: float = Field(100_000.0, gt=0, description="Price at the start, quote units")
    tick_size: float = Field(1.0, gt=0, description="Smallest price step, quote units")
    lot_size: float = Field(0.001, gt=0, description="Smallest quantity, base units")
    multiplier: float = Field(1.0, gt=0)
    money_unit: float = Field(1e-6, gt=0, description="Smallest amount of money, quote units")
    max_price_multiple: float = Field(2.0, gt=1, description="The ladder ends at this multiple of initial_price")
    max_position_lots: int = Field(50_000_000, gt=0, lt=2**30, description="Largest position of one account")


class InverseContractConfig(Block):
    """An inverse perpetual: lots are quote units, money is the base coin; profit = lots * value * (1/entry - 1/exit).

    Amounts of the scenario (deposits, brackets, insurance, ...) stay in quote units: they are coin at `initial_price`.
    """

    type: Literal["inverse"] = "inverse"
    initial_price: float = Field(100_000.0, gt=0, description="Price at the start, quote units of one coin")
    tick_size: float = Field(1.0, gt=0, description="Smallest price step, quote units")
    contract_value: float = Field(100.0, gt=0, description="Quote units of one contract, the smallest quantity")
    money_unit: float = Field(1e-8, gt=0, description="Smallest amount of money, coin")
    max_price_multiple: float = Field(2.0, gt=1, description="The ladder ends at this multiple of initial_price")
    max_position_lots: int = Field(20_000_000, gt=0, lt=2**30, description="Largest position of one account")


def _contract_type(value: Any) -> str:
    """A contract without `type` is linear."""
    return str(value.get("type", "linear") if isinstance(value, dict) else getattr(value, "type", "linear"))


Contract = Annotated[
    Annotated[ContractConfig, Tag("linear")] | Annotated[InverseContractConfig, Tag("inverse")],
    Discriminator(_contract_type),
]


class Bracket(Block):
    """One row of a venue's notional brackets; the deduction is derived (docs/model.md, eq. 5)."""

    notional_cap: Amount = Field(gt=0, description="Upper end of the bracket, quote units")
    max_leverage: float = Field(gt=0)
    maintenance: Fraction = Field(gt=0, lt=1, description="Maintenance margin rate")


BTCUSDT_2024 = (
    (50e3, 125, 0.004), (600e3, 100, 0.005), (3e6, 75, 0.0065), (12e6, 50, 0.01), (70e6, 25, 0.02), (100e6, 20, 0.025),
    (230e6, 10, 0.05), (480e6, 5, 0.1), (600e6, 4, 0.125), (800e6, 3, 0.15), (1.2e9, 2, 0.25), (1.8e9, 1, 0.5),
)  # fmt: skip
"""Binance USD-M BTCUSDT brackets, 2024-10-24 (freqtrade's snapshot of the exchange table)."""


def default_brackets() -> tuple[Bracket, ...]:
    """The BTCUSDT table of 2024-10-24."""
    return tuple(Bracket(notional_cap=c, max_leverage=lev, maintenance=m) for c, lev, m in BTCUSDT_2024)


class MarkConfig(Block):
    """The price that margin is reckoned at."""

    rule: str = Field("median_of_three", description="Name in sim.mark_rules.MARK_RULES")
    period: Duration = Field(1 * SECOND, gt=0)
    basis_window: Duration = Field(
        30 * SECOND, gt=0, description="median_of_three: window of the moving average of mid - index"
    )
    basis_time_scale: Duration = Field(
        150 * SECOND,
        gt=0,
        description="hyperliquid, index_plus_basis: time scale of the exponential average of mid - oracle",
    )
    basis_limit: Fraction | None = Field(
        None, gt=0, description="index_plus_basis: the mark is no further than this from the index; default no limit"
    )
    book_time_scale: Duration = Field(
        30 * SECOND, gt=0, description="hyperliquid: time scale of the exponential average of the book's median"
    )
    outside_perps: bool = Field(
        True, description="hyperliquid: the perpetual is traded elsewhere too; its mids there are the index"
    )


class FundingConfig(Block):
    """Payments between longs and shorts that hold the perpetual to its index."""

    enabled: bool = True
    rule: str = Field("clamped_premium", description="Name in sim.funding_rules.FUNDING_RULES")
    interval: Duration = Field(8 * 3600 * SECOND, gt=0)
    interest: Fraction = Field(0.0001, description="Interest per 8 h")
    clamp: Fraction = Field(0.0005, ge=0, description="How far interest pulls the rate from the premium (not dydx)")
    cap: Fraction = Field(0.02, ge=0, description="Largest absolute rate of one payment")
    impact_notional: Amount = Field(20_000.0, gt=0)
    sample_period: Duration = Field(5 * SECOND, gt=0)


class OracleConfig(Block):
    """What the venue believes the index is: its marks and funding see this; participants see the index itself.

    Like Chainlink's feeds: `{period: 12s, deviation: 0.5%, heartbeat: 3600s}`.
    """

    period: Duration = Field(0, ge=0, description="The oracle looks at the index this often; 0 = at every step")
    deviation: Fraction = Field(0.0, ge=0, lt=1, description="It reports a move of this much since its last report")
    heartbeat: Duration = Field(3600 * SECOND, gt=0, description="It reports at least this often, whatever the move")
    delay: Duration = Field(0, ge=0, description="From the look to the venue")


class MaintenanceConfig(Block):
    """Whether maintenance margin stays what the brackets say; if it rises, so does initial margin."""

    rule: str = Field("fixed", description="Name in sim.margin_rules.MAINTENANCE_RULES")
    sensitivity: float = Field(
        0.5, ge=0, description="volatility_linked: beta of 1 + beta (volatility / reference - 1), not below 1"
    )
    reference_volatility: Fraction = Field(0.6, gt=0, description="volatility_linked: per year")
    cap: float = Field(3.0, ge=1, description="volatility_linked: largest multiple of the brackets' rates")
    half_life: Duration = Field(3600 * SECOND, gt=0, description="volatility_linked: memory of mark returns")
    update_every: Duration = Field(60 * SECOND, gt=0, description="New margins this often; a multiple of mark.period")


class InitialConfig(Block):
    """Whether the least initial margin stays what the brackets say."""

    rule: str = Field("fixed", description="Name in sim.margin_rules.INITIAL_RULES")
    base: Fraction | None = Field(
        None,
        gt=0,
        le=1,
        description="open_interest_linked: initial margin at low open interest, at least the brackets'",
    )
    lower: Amount = Field(20e6, ge=0, description="open_interest_linked: open notional from which it rises")
    upper: Amount = Field(50e6, gt=0, description="open_interest_linked: open notional at which it is all of notional")
    update_every: Duration = Field(60 * SECOND, gt=0, description="New margins this often; a multiple of mark.period")


class CircuitBreakerConfig(Block):
    """Velocity logic: a fast move of the last price pauses matching; orders wait, marks and margin calls go on."""

    move: Fraction = Field(gt=0, lt=1, description="Of the last price, up or down, within `window`")
    window: Duration = Field(gt=0)
    pause: Duration = Field(5 * SECOND, gt=0)


class FeeConfig(Block):
    """Fractions of notional; a negative maker fee is a rebate."""

    maker: Fraction = 0.0002
    taker: Fraction = 0.0005
    liquidation: Fraction = Field(0.0125, ge=0, lt=1, description="Of liquidated notional, at most the equity left")


class InsuranceConfig(Block):
    """The fund that stands behind bankrupt positions."""

    initial: Amount = Field(5e6, ge=0)
    shortfall: Literal["adl", "socialised"] = Field(
        "adl", description="What the fund cannot bear: ADL, or a haircut of all unrealised profits on the market"
    )
    max_loss_per_scan: Amount | None = Field(
        None, ge=0, description="Most that the fund loses by takeovers in one scan; the rest is a shortfall"
    )


class AdlConfig(Block):
    """Auto-deleveraging, the last step of the waterfall."""

    ranking: str = Field("binance", description="Name in sim.adl_rankings.ADL_RANKINGS")
    allocation: str = Field("queue", description="Name in sim.adl_allocations.ADL_ALLOCATIONS")
    price: Literal["bankruptcy", "previous_mark"] = Field(
        "bankruptcy", description="Both sides close at the bankruptcy price, or at the mark before the present one"
    )
    price_band: Fraction | None = Field(None, gt=0, description="ADL no further than this from the mark")
    trigger: str = Field("fund_empty", description="Name in sim.adl_triggers.ADL_TRIGGERS")
    drawdown: Fraction = Field(0.3, ge=0, le=1, description="fund_drawdown: loss from the fund's high that begins ADL")
    resume: Fraction = Field(0.25, ge=0, le=1, description="fund_drawdown: loss from the high at which ADL ends")
    window: Duration = Field(8 * 3600 * SECOND, gt=0, description="fund_drawdown: how far back the fund's high lies")


class CallConfig(Block):
    """A margin call as a process (docs/model.md, eq. 7b).  Margin ratio: maintenance margin / equity.

    By default an account is called where the two are equal, and its forced sale may begin at the engine's next scan.
    """

    warning: Fraction | None = Field(None, gt=0, lt=1, description="Margin ratio that warns; without it nobody is")
    level: Fraction = Field(
        1.0, gt=0, le=1, description="Margin ratio that calls; below 1 the forced sale still waits for 1"
    )
    hysteresis: Fraction = Field(
        0.05, ge=0, lt=1, description="A warning is lifted once the ratio is this share below `warning`"
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
    maintenance: MaintenanceConfig = MaintenanceConfig()
    initial: InitialConfig = InitialConfig()
    oracle: OracleConfig = OracleConfig()
    mark: MarkConfig = MarkConfig()
    funding: FundingConfig = FundingConfig()
    fees: FeeConfig = FeeConfig()
    insurance: InsuranceConfig = InsuranceConfig()
    adl: AdlConfig = AdlConfig()
    price_band: Fraction | None = Field(
        0.1, gt=0, lt=1, description="Orders may not trade further than this from the mark"
    )
    circuit_breaker: CircuitBreakerConfig | None = Field(None, description="Default: none")
    self_trade_prevention: Literal["cancel_maker", "cancel_taker"] = "cancel_maker"


class FillableConfig(Block):
    """The procedure `fillable`: dYdX v4, mainnet genesis (A)."""

    bankruptcy_adjustment: float = Field(1.0, gt=0, description="How fast the price widens as equity falls")
    spread_to_maintenance: float = Field(1.5, gt=0, description="Largest penalty over maintenance margin")
    fraction: Fraction = Field(0.1, gt=0, le=1, description="Share of the position in one order")
    least_notional: Amount = Field(1000.0, ge=0, description="An order sells at least so much, or what there is")
    most_notional: Amount = Field(100_000.0, gt=0, description="An order sells at most so much")


class IncrementalConfig(Block):
    """The procedure `incremental`: Deribit, an early document (A)."""

    slice_notional: Amount = Field(100.0, gt=0, description="One slice: 10 contracts of $10")
    rounds_per_second: float = Field(25.0, gt=0, description="Slices of one account in a second")


class LiquidationConfig(Block):
    """The liquidation engine: when it looks, how much it can do, what it sends."""

    enabled: bool = True
    procedure: str = Field("full", description="Name in agents.procedures.PROCEDURES")
    monitor_period: Duration = Field(1 * SECOND, gt=0)
    capacity: int = Field(50, gt=0, description="Accounts handled in one scan")
    latency: Duration = Field(20_000_000, ge=0)
    order_bound: Literal["bankruptcy", "none"] | Fraction = Field(
        "bankruptcy",
        description="Worst price of a liquidation order: bankruptcy, none, or fraction from mark (fillable: its own)",
    )
    takeover: bool = Field(True, description="Unfilled remainders go to the insurance fund at bankruptcy price")
    slice_fraction: Fraction = Field(0.2, gt=0, le=1)
    slice_cooldown: Duration = Field(30 * SECOND, ge=0)
    slice_cooldown_orders: Literal["none", "whole"] = Field(
        "none", description="What an account in its cooldown sends: nothing, or all of its position (Hyperliquid)"
    )
    slice_min_notional: Amount = Field(100_000.0, ge=0, description="Smaller positions are closed whole")
    slice_least_notional: Amount = Field(0.0, ge=0, description="A slice is at least so large")
    slice_most_notional: Amount | None = Field(None, gt=0, description="A slice is at most so large")
    fillable: FillableConfig = FillableConfig()
    incremental: IncrementalConfig = IncrementalConfig()
    backstop_fraction: Fraction | None = Field(
        None, gt=0, lt=1, description="Equity below this share of maintenance margin goes to the fund at once"
    )
    unwind_bound: Fraction = Field(0.01, gt=0, description="Price bound of the fund's own orders, from the mark")
    unwind_time: Duration = Field(30 * SECOND, ge=0, description="The fund sells what it took over this time scale")


class JumpConfig(Block):
    """Merton jumps of the fundamental."""

    per_day: float = Field(ge=0)
    mean: Fraction = 0.0
    deviation: Fraction = Field(0.01, ge=0)


class StochasticVolatilityConfig(Block):
    """Log-volatility as an Ornstein-Uhlenbeck process; the mean of the variance stays that of `volatility`."""

    deviation: float = Field(0.4, ge=0, description="Stationary standard deviation of log-volatility")
    time_scale: Duration = Field(20_000 * SECOND, gt=0)


class GbmConfig(Block):
    """Geometric Brownian motion with optional jumps and stochastic volatility."""

    type: Literal["gbm"] = "gbm"
    volatility: Fraction = Field(0.6, ge=0, description="Per year")
    drift: Fraction = Field(0.0, description="Per year")
    jumps: JumpConfig | None = None
    stochastic_volatility: StochasticVolatilityConfig | None = None


class ReplayConfig(Block):
    """A real path from CSV; between its points a seeded Brownian bridge."""

    type: Literal["replay"] = "replay"
    file: DataFile = Field(description="CSV, relative to the scenario file")
    time_column: str = "time"
    price_column: str = "price"
    start: str | None = Field(None, description="First time used; default the first of the file")
    rescale: bool = Field(True, description="Scale so that the path starts at contract.initial_price")
    bridge_volatility: Fraction = Field(0.6, ge=0, description="Per year, of the bridge between points; 0 = lines")


class ShockConfig(Block):
    """A declared move of the outside fundamental: `log_return` spread evenly over `over`, from `at` on."""

    at: Duration
    log_return: Fraction
    over: Duration = Field(1 * SECOND, gt=0)


class FeedbackConfig(Block):
    """How far hedging on spot moves the index: `one_percent_depth_d1` units of D1 move it 1 %, before decay."""

    enabled: bool = True
    one_percent_depth_d1: float = Field(1.05, gt=0)
    decay: tuple[Duration, ...] = (20 * SECOND, 200 * SECOND, 2000 * SECOND)
    weights: tuple[float, ...] = (0.5, 0.35, 0.15)


def _fundamental_type(value: Any) -> str:
    """A fundamental without `type` is a geometric Brownian motion."""
    return str(value.get("type", "gbm") if isinstance(value, dict) else getattr(value, "type", "gbm"))


Fundamental = Annotated[
    Annotated[GbmConfig, Tag("gbm")] | Annotated[ReplayConfig, Tag("replay")], Discriminator(_fundamental_type)
]


class IndexConfig(Block):
    """The outside reference: fundamental times exp(displacement by this market's hedgers)."""

    fundamental: Fundamental = GbmConfig()
    shocks: tuple[ShockConfig, ...] = ()
    feedback: FeedbackConfig = FeedbackConfig()


class RecordConfig(Block):
    """What a run directory keeps."""

    events: Literal["none", "liquidations", "fills", "all"] = Field(
        "fills",
        description="fills: all but quotes and cancels; liquidations: of these, all but voluntary fills",
    )
    series_every: Duration = Field(1 * SECOND, gt=0)
    map_every: Duration = Field(10 * SECOND, gt=0, description="Depth and liquidation maps")
    map_range: Fraction = Field(0.15, gt=0, lt=1, description="Maps reach this far around the start price")
    map_bins: int = Field(600, gt=10)
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

    name: str
    contract: Contract = ContractConfig()
    venue: VenueConfig = VenueConfig()
    index: IndexConfig = IndexConfig()
    liquidation: LiquidationConfig = LiquidationConfig()
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
    record: RecordConfig = RecordConfig()
