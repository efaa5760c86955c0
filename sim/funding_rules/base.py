"""What a funding rule sees, and what it is."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

from sim.config import SECOND, FundingConfig

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


class FundingRule(ABC):
    """Samples the book during an interval, then says what longs pay shorts (a fraction of notional)."""

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
        """Begin anew."""
        self._sum, self._count = 0.0, 0
