"""Funding rules (`venue.funding.rule`).

Rates are fractions of notional, positive when longs pay.  Equation numbers are those of docs/model.md.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Final, final

from pydantic import Field

from marginquake.sim.core.fields import SECOND, Amount, Duration, Fraction, Idle
from marginquake.sim.rules.formulas.dydx import funding_cap_8h
from marginquake.sim.rules.formulas.prices import (
    bitmex_funding_limits,
    clamped_funding_rate,
    fair_price,
    mean_premium_funding_rate,
    premium_index,
)
from marginquake.sim.rules.registry import Registry, Rule, RuleBlock


class FundingConfig(RuleBlock):
    """Payments between longs and shorts that hold the perpetual to its index: what every funding rule's block has."""

    idle: ClassVar[tuple[Idle, ...]] = (
        Idle(
            ("rule", "interval", "interest", "cap", "impact_notional", "sample_period"),
            lambda own, market: not own.enabled,
            "enabled is false: no funding is paid",
        ),
    )
    enabled: bool = True
    rule: str = "clamped_premium"
    interval: Duration = Field(8 * 3600 * SECOND, gt=0)
    interest: Fraction = Field(0.0001, description="Interest per 8 h")
    cap: Fraction = Field(0.02, ge=0, le=1, description="Largest absolute rate of one payment")
    impact_notional: Amount = Field(20_000.0, gt=0)
    sample_period: Duration = Field(5 * SECOND, gt=0)


class ClampedFundingConfig(FundingConfig):
    """The block of rules that clamp interest less premium."""

    clamp: Fraction = Field(0.0005, ge=0, description="How far interest pulls the rate from the premium")


EIGHT_HOURS_NS = 8 * 3600 * SECOND


@final
@dataclass(frozen=True, slots=True)
class FundingInputs:
    """One look at the book, in ticks.  Impact prices are nan where the book is too thin.

    `index_ticks`: what the venue believes the index is.  `time_left_fraction`: time to the next payment / interval.
    """

    impact_bid_ticks: float
    impact_ask_ticks: float
    index_ticks: float
    time_left_fraction: float = 0.0


@final
@dataclass(frozen=True, slots=True)
class MarginTerms:
    """Least initial and maintenance margin of the venue's first bracket, fractions of notional."""

    initial_fraction: float
    maintenance_fraction: float


class FundingRule(Rule, ABC):
    """Samples the book during an interval, then says what longs pay shorts (a fraction of notional)."""

    config_type: ClassVar[type[FundingConfig]] = FundingConfig

    on_oracle_price: ClassVar[bool] = False
    """Whether positions pay on their notional at the oracle's price instead of at the mark."""

    def __init__(self, config: FundingConfig, terms: MarginTerms) -> None:
        self.config = config
        self.terms = terms
        self._paid = 0.0

    @abstractmethod
    def sample(self, inputs: FundingInputs) -> None:
        """One look at the book, every `FundingConfig.sample_period`."""

    @abstractmethod
    def rate(self) -> float:
        """What the payment would be if the interval ended now."""

    @abstractmethod
    def forget(self) -> None:
        """The interval is over: begin another."""

    def settle(self) -> float:
        """The rate of the interval that ends, positive when longs pay; starts a new interval."""
        self._paid = self.rate()
        self.forget()
        return self._paid

    @property
    def accruing(self) -> float:
        """The rate that traders see and fair prices are made of: the last one paid."""
        return self._paid

    def scaled(self, rate_8h: float) -> float:
        """An 8-h rate as one payment: in proportion to the interval, cut at `FundingConfig.cap`."""
        rate = rate_8h * (self.config.interval / EIGHT_HOURS_NS)
        return min(max(rate, -self.config.cap), self.config.cap)


@final
class Mean:
    """Plain mean of what was added; 0 of nothing."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._count = 0

    def add(self, value: float) -> None:
        """One more."""
        self._sum += value
        self._count += 1

    @property
    def value(self) -> float:
        """The mean so far."""
        return self._sum / self._count if self._count else 0.0

    def clear(self) -> None:
        """Begin again."""
        self._sum, self._count = 0.0, 0


@final
class Bitmex(FundingRule):
    """BitMEX funding (eq. 144): what an interval's premium says is paid at the end of the *next* one.

    Premium: impact prices against the *fair* price (eq. 9), over the index, plus the fair basis still to accrue; plain
    mean of the samples (`sample_period: 1min`); clamped as in eq. 12 (grade B).  Limits: 75 % of (initial -
    maintenance margin), and a change of at most 75 % of maintenance (R+).  The first payment is the interest rate.
    """

    config_type = ClampedFundingConfig
    config: ClampedFundingConfig

    def __init__(self, config: ClampedFundingConfig, terms: MarginTerms) -> None:
        super().__init__(config, terms)
        self._premium = Mean()
        self._due = self.scaled(config.interest)

    def sample(self, inputs: FundingInputs) -> None:
        """Add one premium."""
        index, left = inputs.index_ticks, inputs.time_left_fraction
        fair = fair_price(index, self._due, left)
        bid_over = inputs.impact_bid_ticks - fair
        ask_under = fair - inputs.impact_ask_ticks
        beyond = premium_index(index + bid_over, index - ask_under, index)
        self._premium.add(beyond + self._due * left)

    @property
    def indicative(self) -> float:
        """What the samples of the running interval say about the payment after next."""
        wanted = self.scaled(clamped_funding_rate(self._premium.value, self.config.interest, self.config.clamp))
        least, most = bitmex_funding_limits(self._due, self.terms.initial_fraction, self.terms.maintenance_fraction)
        return min(max(wanted, least), most)

    def rate(self) -> float:
        """What will be paid at the end of the running interval: known since it began."""
        return self._due

    @property
    def accruing(self) -> float:
        """The rate of the running interval."""
        return self._due

    def forget(self) -> None:
        """The indicative rate becomes the next one due."""
        self._due = self.indicative
        self._premium.clear()


@final
class ClampedPremium(FundingRule):
    """Binance USD-M funding (eq. 11, 12): premium P, a clamped pull towards interest I, scaled to the interval, capped.

    rate = clamped_funding_rate(P, I) / (8 / N), I per 8 h; P is Binance's time-weighted mean of the premium index: the
    k-th sample of the interval weighs k, so that late ones count most.
    """

    config_type = ClampedFundingConfig
    config: ClampedFundingConfig

    def __init__(self, config: ClampedFundingConfig, terms: MarginTerms) -> None:
        super().__init__(config, terms)
        self._weighted = 0.0
        self._weights = 0
        self._count = 0

    @property
    def premium(self) -> float:
        """Time-weighted mean premium of the running interval; 0 before the first sample."""
        return self._weighted / self._weights if self._weights else 0.0

    def sample(self, inputs: FundingInputs) -> None:
        """Add one premium index."""
        self._count += 1
        self._weights += self._count
        premium = premium_index(inputs.impact_bid_ticks, inputs.impact_ask_ticks, inputs.index_ticks)
        self._weighted += self._count * premium

    def rate(self) -> float:
        """What the payment would be if the interval ended now."""
        return self.scaled(clamped_funding_rate(self.premium, self.config.interest, self.config.clamp))

    def forget(self) -> None:
        """Begin another interval."""
        self._weighted, self._weights, self._count = 0.0, 0, 0


@final
class Dydx(FundingRule):
    """dYdX v4 funding (eq. 143; grade A): mean premium + interest per 8 h, cut at 600 % (IMF - MMF), an eighth an hour.

    The venue's settings: `interval: 1h, sample_period: 1min, interest: 0`, impact notional 500 USDC / IMF.  `cap`
    holds besides the venue's own.  IMF and MMF are the first bracket's, as configured.
    """

    on_oracle_price: ClassVar[bool] = True

    def __init__(self, config: FundingConfig, terms: MarginTerms) -> None:
        super().__init__(config, terms)
        self._premium = Mean()
        self._cap_8h = funding_cap_8h(terms.initial_fraction, terms.maintenance_fraction)

    def sample(self, inputs: FundingInputs) -> None:
        """Add one premium."""
        self._premium.add(premium_index(inputs.impact_bid_ticks, inputs.impact_ask_ticks, inputs.index_ticks))

    def rate(self) -> float:
        """What the payment would be if the interval ended now."""
        return self.scaled(mean_premium_funding_rate(self._premium.value, self.config.interest, self._cap_8h))

    def forget(self) -> None:
        """Begin another interval."""
        self._premium.clear()


@final
class Hyperliquid(FundingRule):
    """Hyperliquid funding (eq. 142; grade A/B): an eighth of F8h of the mean premium each hour, on oracle notional.

    The venue's settings: `interval: 1h, sample_period: 5s, interest: 1bps, clamp: 5bps, cap: 4%`, impact notional 20k
    for BTC and ETH and 6k for others (R).
    """

    config_type = ClampedFundingConfig
    config: ClampedFundingConfig

    on_oracle_price: ClassVar[bool] = True

    def __init__(self, config: ClampedFundingConfig, terms: MarginTerms) -> None:
        super().__init__(config, terms)
        self._premium = Mean()

    def sample(self, inputs: FundingInputs) -> None:
        """Add one premium index."""
        self._premium.add(premium_index(inputs.impact_bid_ticks, inputs.impact_ask_ticks, inputs.index_ticks))

    def rate(self) -> float:
        """What the payment would be if the interval ended now."""
        return self.scaled(clamped_funding_rate(self._premium.value, self.config.interest, self.config.clamp))

    def forget(self) -> None:
        """Begin another interval."""
        self._premium.clear()


FUNDING_RULES: Final[Registry[type[FundingRule]]] = Registry(
    "funding rule",
    FundingRule,
    {"clamped_premium": ClampedPremium, "hyperliquid": Hyperliquid, "dydx": Dydx, "bitmex": Bitmex},
    default="clamped_premium",
)
"""By the name in `venue.funding.rule`."""
