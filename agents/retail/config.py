"""The settings of a crowd of retail accounts, and their defaults (from a prototype, D: docs/sources.md)."""

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from marginquake.agents.base import ParticipantConfig
from marginquake.sim.core.account_book import Accounts
from marginquake.sim.core.fields import Amount, Block, Duration, Fraction, Idle
from marginquake.sim.core.typing import Floats
from marginquake.sim.scenario.distributions import Buckets, Pareto, Trait, Uniform

SECOND = 1_000_000_000

DETENTS = Buckets(
    values=(1, 2, 3, 5, 10, 20, 25, 50, 75, 100, 125),
    weights=(0.05, 0.06, 0.09, 0.14, 0.22, 0.18, 0.08, 0.10, 0.03, 0.04, 0.01),
)
"""Leverage that sliders suggest, weighted by count (from a prototype, D)."""

DEPOSITS = Pareto(minimum=1_000.0, exponent=1.1, maximum=1_000.0 * 0.005 ** (-1 / 1.1))
"""Truncated at the 99.5 % quantile."""


class PreventionConfig(Block):
    """Shares of accounts by what they do before a margin call threatens (no data, D); they add up to 1."""

    none: Fraction = Field(0.5, ge=0, le=1, description="Do nothing")
    stop: Fraction = Field(0.3, ge=0, le=1, description="Place a stop on entry; replaces stop_share")
    delever: Fraction = Field(0.15, ge=0, le=1, description="Cut the position until liquidation is far enough away")
    hedge: Fraction = Field(0.05, ge=0, le=1, description="Offset the position on spot, in a second account")

    @model_validator(mode="after")
    def _add_up(self) -> "PreventionConfig":
        total = self.none + self.stop + self.delever + self.hedge
        if abs(total - 1.0) > 1e-9:
            raise ValueError(
                f"the shares of none ({self.none:g}), stop ({self.stop:g}), delever ({self.delever:g}) and hedge "
                f"({self.hedge:g}) must add up to 1; they add up to {total:g}"
            )
        return self


class CureConfig(Block):
    """How accounts answer a warning or a margin call (docs/model.md, eq. 38a)."""

    idle: ClassVar[tuple[Idle, ...]] = (
        Idle(
            ("half_life", "reduce_share", "target"),
            lambda own, market: own.responsive_share == 0,
            "responsive_share is 0: nobody answers",
        ),
    )
    responsive_share: Fraction = Field(0.3, ge=0, le=1, description="Accounts that answer at all")
    half_life: Duration = Field(
        1800 * SECOND, gt=0, description="Half of those have answered after this time, from the warning or the call"
    )
    reduce_share: Fraction = Field(
        0.0, ge=0, le=1, description="Of those that answer, who cut the position; the others add margin"
    )
    target: Fraction = Field(0.5, gt=0, lt=1, description="Margin ratio (maintenance / equity) that they restore")


class RetailConfig(ParticipantConfig):
    """Hazards are per account; `leverage` and `deposit` are drawn once for each account."""

    takes_account_book: ClassVar[bool] = True
    idle: ClassVar[tuple[Idle, ...]] = (
        Idle(("stop_share",), lambda own, market: own.prevention is not None, "`prevention` says who places stops"),
        Idle(("stop_distance",), lambda own, market: own.stop_offset is not None, "stop_offset replaces it"),
        Idle(
            ("stop_distance", "stop_offset", "stop_trigger", "stop_beyond_ticks"),
            lambda own, market: not own.places_stops,
            "nobody places stops",
        ),
        Idle(
            ("take_profit_offset",),
            lambda own, market: own.take_profit_share == 0,
            "take_profit_share is 0: nobody places take-profits",
        ),
        Idle(
            ("round_share", "round_grid"),
            lambda own, market: not own.places_stops and own.take_profit_share == 0,
            "nobody places stops or take-profits",
        ),
        Idle(
            ("round_grid", "stop_beyond_ticks"),
            lambda own, market: own.round_share == 0 and (own.places_stops or own.take_profit_share > 0),
            "round_share is 0: nobody looks at round prices",
        ),
        Idle(
            ("trend_time",),
            lambda own, market: own.trend_sensitivity == 0,
            "trend_sensitivity is 0: nobody chases trends",
        ),
        Idle(
            ("trend_sensitivity", "trend_time"),
            lambda own, market: own.long_share in (0, 1),
            "long_share is 0 or 1: all entries are on one side",
        ),
        Idle(
            ("excitation_time", "excitation_cap"),
            lambda own, market: own.excitation == 0,
            "excitation is 0: entries incite nobody",
        ),
        Idle(
            ("delever_sigmas",),
            lambda own, market: own.prevention is None or own.prevention.delever == 0,
            "prevention.delever is 0: nobody cuts positions early",
        ),
        Idle(
            ("hedge_health", "hedge_release"),
            lambda own, market: own.prevention is None or own.prevention.hedge == 0,
            "prevention.hedge is 0: nobody hedges",
        ),
        Idle(
            ("prevention_period",),
            lambda own, market: own.prevention is None or own.prevention.delever == own.prevention.hedge == 0,
            "prevention.delever and prevention.hedge are 0: nobody looks",
        ),
        Idle(
            ("top_up_warning", "top_up_fraction", "top_up_watch", "top_up_cooldown"),
            lambda own, market: own.top_up_share == 0,
            "top_up_share is 0: nobody tops up",
        ),
        Idle(
            ("leverage_range",),
            lambda own, market: own.leverage_response == 0,
            "leverage_response is 0: leverage does not follow volatility",
        ),
        Idle(("humility_time",), lambda own, market: own.humility == 1, "humility is 1: a liquidation teaches nobody"),
        Idle(
            ("entry_offset", "entry_grid", "level_jitter", "minimum_distance"),
            lambda own, market: own.initial_open_fraction == 0,
            "initial_open_fraction is 0: nobody holds a position at the start",
        ),
    )
    accounts: Accounts = Field(2000, description="A number, or your own: {file: book.csv}, one account a row")  # type: ignore[assignment]
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

    trend_sensitivity: float = Field(
        0.0, description="Log-odds that an entry buys, per standard deviation of the past trend_time; 0 = no chasing"
    )
    trend_time: Duration = Field(900 * SECOND, gt=0, description="Past that trend chasers look at")
    excitation: Fraction = Field(0.0, ge=0, lt=1, description="Branching ratio: further entries that one entry incites")
    excitation_time: Duration = Field(600 * SECOND, gt=0, description="How long an entry incites others, mean")
    excitation_cap: float = Field(5.0, gt=1, description="Entries come at most this many times as often as usual")
    disposition: float = Field(1.0, gt=0, description="Hazard of closing winners over that of losers (Odean: 1.5)")

    stop_share: Fraction = Field(0.35, ge=0, le=1, description="Share of accounts that place a stop on entry")
    stop_orders: bool = Field(True, description="false: nobody's stop is placed, and all else stays as it is; twins")
    stop_distance: Trait[Fraction] = Field(
        Uniform(minimum=0.5, maximum=0.8), ge=0, le=1, description="Of the distance to the liquidation price"
    )
    stop_offset: Trait[Fraction] | None = Field(
        None, gt=0, lt=1, description="Distance of the stop from the entry price; replaces stop_distance"
    )
    stop_trigger: Literal["last", "mark"] = "last"
    round_share: Fraction = Field(0.0, ge=0, le=1, description="Accounts whose stops and targets are at round prices")
    round_grid: tuple[Fraction, ...] = Field(
        (0.01, 0.001), min_length=1, description="Spacings of round prices, coarsest first, of the initial price"
    )
    stop_beyond_ticks: tuple[int, int] = Field((1, 3), description="How far beyond a round price their stops are")
    take_profit_share: Fraction = Field(0.0, ge=0, le=1, description="Accounts that place a take-profit on entry")
    take_profit_offset: Trait[Fraction] = Field(
        0.03, gt=0, lt=1, description="Distance of the take-profit from the entry price"
    )

    prevention: PreventionConfig | None = Field(
        None, description="Shares of prevention policies; without it only stop_share"
    )
    prevention_period: Duration = Field(60 * SECOND, gt=0, description="How often de-leverers and hedgers look")
    delever_sigmas: float = Field(
        3.0, gt=0, description="De-leverers want liquidation this many daily standard deviations away"
    )
    hedge_health: float = Field(1.5, gt=1, description="Hedgers act where equity / maintenance margin is below this")
    hedge_release: float = Field(2.0, gt=1, description="They lift the hedge where it is above this")

    top_up_share: Fraction = Field(0.0, ge=0, le=1, description="Accounts that add margin when warned")
    top_up_warning: Fraction = Field(0.8, gt=0, lt=1, description="Share of the way to liquidation that warns them")
    top_up_fraction: float = Field(0.5, gt=0, description="Added, as a share of the margin behind the position")
    top_up_watch: Duration = Field(5 * SECOND, gt=0, description="How often warnings are looked at")
    top_up_cooldown: Duration = Field(0, ge=0, description="Between two top-ups of an account; 0 = once a position")
    cure: CureConfig | None = Field(None, description="Answers to warnings and margin calls; default none")
    buffer: Trait[Fraction] = Field(
        0.0, ge=0, description="Extra collateral behind a position once it is open, share of its initial margin"
    )
    redeposit_share: Fraction = Field(
        0.0, ge=0, le=1, description="Accounts that come back from a ruinous liquidation with their first deposit"
    )

    leverage_response: float = Field(
        0.0, ge=0, description="Leverage at entry goes as (reference_volatility / volatility) to this power; 0 = fixed"
    )
    leverage_range: tuple[float, float] = Field((0.25, 2.0), description="Bounds of that factor")
    leverage_window: Duration = Field(6 * 3600 * SECOND, gt=0, description="Memory of the volatility they go by")
    reference_volatility: Fraction = Field(0.6, gt=0, description="Per year; also what they believe at the start")
    humility: Fraction = Field(1.0, gt=0, le=1, description="Factor on leverage right after an own liquidation")
    humility_time: Duration = Field(24 * 3600 * SECOND, gt=0, description="It comes back to 1 over this time scale")

    initial_open_fraction: Fraction = Field(
        2 / 3, ge=0, le=1, description="Accounts with a position at the start; 2/3 balances the default hazards"
    )
    entry_offset: Trait[Fraction] = Field(
        Uniform(minimum=-0.01, maximum=0.02),
        gt=-1,
        lt=1,
        description="Seeded entries: how much worse than the starting price (longs above it, shorts below)",
    )
    entry_grid: Fraction = Field(
        0.0, ge=0, lt=1, description="Seeded entries are at multiples of this share of the initial price; 0 = anywhere"
    )
    level_jitter: Trait[Fraction] = Field(
        0.0, gt=-1, lt=1, description="Added to entry_offset after entry_grid: moves liquidation prices, nothing else"
    )
    minimum_distance: Fraction = Field(0.004, ge=0, lt=1, description="Nobody is seeded closer to liquidation")
    scalable: bool = Field(True, description="May be scaled to meet the market's fuel_ratio")

    @property
    def places_stops(self) -> bool:
        """Whether any account places a stop on entry."""
        share = self.stop_share if self.prevention is None else self.prevention.stop
        return self.stop_orders and share > 0

    @field_validator("leverage_range")
    @classmethod
    def _range_rises(cls, bounds: tuple[float, float]) -> tuple[float, float]:
        if not 0 < bounds[0] <= bounds[1]:
            raise ValueError(f"must rise from above 0; got {bounds[0]:g} to {bounds[1]:g}")
        return bounds

    @field_validator("stop_beyond_ticks")
    @classmethod
    def _ticks_rise(cls, ticks: tuple[int, int]) -> tuple[int, int]:
        if not 0 <= ticks[0] <= ticks[1]:
            raise ValueError(f"must rise from 0 or more; got {ticks[0]} to {ticks[1]}")
        return ticks

    @field_validator("round_grid")
    @classmethod
    def _grid_falls(cls, grid: tuple[float, ...]) -> tuple[float, ...]:
        if min(grid) <= 0 or list(grid) != sorted(grid, reverse=True):
            raise ValueError("must fall from the coarsest spacing to the finest, all above 0")
        return grid

    @model_validator(mode="after")
    def _hedge_is_lifted_later(self) -> "RetailConfig":
        if self.hedge_release < self.hedge_health:
            raise ValueError(
                f"hedge_release ({self.hedge_release:g}) must not be below hedge_health ({self.hedge_health:g})"
            )
        return self


def quantile(trait: Any, units: Floats) -> Floats:
    """Values of a trait (number or distribution) at uniform draws."""
    return np.asarray(trait.quantile(units)) if hasattr(trait, "quantile") else np.full(len(units), float(trait))
