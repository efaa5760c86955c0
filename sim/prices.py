"""Mark-price and funding rules: the prices that margin and funding are reckoned at.

A rule is registered by name in `MARK_RULES` or `FUNDING_RULES`; a scenario names it.  Prices are ticks (floats), rates
are fractions.  Equation numbers are those of docs/model.md.
"""

import math
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from typing import Any, final

from numpy.typing import NDArray

from sim.config import SECOND, FundingConfig, MarkConfig

EIGHT_HOURS_NS = 8 * 3600 * SECOND


def fair_price(index: float, funding_rate: float, time_left_fraction: float) -> float:
    """Index plus the funding still to accrue: index (1 + rate * time left / interval) (eq. 9); BitMEX, grade A."""
    return index * (1.0 + funding_rate * time_left_fraction)


def median_mark_price(
    index: float, funding_rate: float, time_left_fraction: float, average_basis: float, last: float
) -> float:
    """Median of (P1, P2, last): P1 the fair price, P2 = index + average basis (eq. 10); Binance USD-M, grade A."""
    return _median(fair_price(index, funding_rate, time_left_fraction), index + average_basis, last)


def clamped_funding_rate(premium: float, interest: float, clamp: float) -> float:
    """F = P + clamp(I - P, -clamp, +clamp), all fractions per 8 h (eq. 12); Binance, BitMEX, Hyperliquid, grade A."""
    return premium + min(max(interest - premium, -clamp), clamp)


def premium_index(impact_bid: float, impact_ask: float, index: float) -> float:
    """(max(0, impact bid - index) - max(0, index - impact ask)) / index (eq. 11); a missing side (nan) gives 0."""
    above = impact_bid - index if impact_bid > index else 0.0
    below = index - impact_ask if impact_ask < index else 0.0
    return (above - below) / index


def impact_price(price_ticks: NDArray[Any], lots: NDArray[Any], notional_tick_lots: float) -> float:
    """Average price of a market order of this notional (ticks * lots) against levels given from the touch outwards.

    nan when the levels hold less than that.
    """
    left = notional_tick_lots
    bought = 0.0
    for price, quantity in zip(price_ticks.tolist(), lots.tolist(), strict=True):
        take = min(left, price * quantity)
        bought += take / price
        left -= take
        if left <= 0.0:
            return float(notional_tick_lots / bought)
    return math.nan


@final
@dataclass(frozen=True, slots=True)
class MarkInputs:
    """What a mark rule may look at, in ticks.

    `mid_ticks`: nan while a side of the book is empty; `last_ticks`: nan (or 0) before the first fill.
    `funding_rate`: that of the last payment; `time_to_funding_fraction`: time left / interval, 1 just after a payment.
    """

    index_ticks: float
    mid_ticks: float
    last_ticks: float
    funding_rate: float
    time_to_funding_fraction: float


class MarkRule(ABC):
    """Turns what the venue sees into the mark price; called once every `MarkConfig.period`."""

    def __init__(self, config: MarkConfig) -> None:
        self.config = config

    @abstractmethod
    def update(self, inputs: MarkInputs) -> float:
        """The mark in ticks (a float; the venue rounds it)."""


@final
class MedianOfThree(MarkRule):
    """Binance USD-M: median of fair price, index + moving average of mid - index, and last (eq. 10).

    The average runs over the samples of the last `basis_window`, one each mark period.  While a side of the book is
    empty no sample is taken and old ones age out; without any, the basis is 0.  Before the first fill the mark is
    halfway between P1 and P2.
    """

    def __init__(self, config: MarkConfig) -> None:
        super().__init__(config)
        self._basis: deque[float] = deque(maxlen=max(1, config.basis_window // config.period))

    @property
    def average_basis_ticks(self) -> float:
        """Moving average of mid - index over the window."""
        samples = [basis for basis in self._basis if not math.isnan(basis)]
        return math.fsum(samples) / len(samples) if samples else 0.0

    def update(self, inputs: MarkInputs) -> float:
        """Take one basis sample and give the mark."""
        index = inputs.index_ticks
        self._basis.append(inputs.mid_ticks - index)
        rate, left = inputs.funding_rate, inputs.time_to_funding_fraction
        if _missing(inputs.last_ticks):
            return 0.5 * (fair_price(index, rate, left) + index + self.average_basis_ticks)
        return median_mark_price(index, rate, left, self.average_basis_ticks, inputs.last_ticks)


@final
class LastPrice(MarkRule):
    """The last fill; before the first one the mid, then the index.  Easily pushed by one trade."""

    def update(self, inputs: MarkInputs) -> float:
        """The mark in ticks."""
        return _first(inputs.last_ticks, inputs.mid_ticks, inputs.index_ticks)


@final
class MidPrice(MarkRule):
    """The mid; while a side is empty the last fill, then the index."""

    def update(self, inputs: MarkInputs) -> float:
        """The mark in ticks."""
        return _first(inputs.mid_ticks, inputs.last_ticks, inputs.index_ticks)


@final
class IndexPrice(MarkRule):
    """The index itself: this market's book has no say."""

    def update(self, inputs: MarkInputs) -> float:
        """The mark in ticks."""
        return inputs.index_ticks


@final
class FairPrice(MarkRule):
    """BitMEX fair price: the index with the funding still to accrue (eq. 9); the book has no say."""

    def update(self, inputs: MarkInputs) -> float:
        """The mark in ticks."""
        return fair_price(inputs.index_ticks, inputs.funding_rate, inputs.time_to_funding_fraction)


MARK_RULES: dict[str, type[MarkRule]] = {
    "median_of_three": MedianOfThree,
    "last": LastPrice,
    "mid": MidPrice,
    "index": IndexPrice,
    "fair_price": FairPrice,
}
"""Mark rules by the name that a scenario uses."""


class FundingRule(ABC):
    """Samples the book during an interval, then says what longs pay shorts (a fraction of notional)."""

    def __init__(self, config: FundingConfig) -> None:
        self.config = config

    @abstractmethod
    def sample(self, impact_bid_ticks: float, impact_ask_ticks: float, index_ticks: float) -> None:
        """One look at the book, every `FundingConfig.sample_period`; nan where the book is too thin."""

    @abstractmethod
    def rate(self) -> float:
        """What the payment would be if the interval ended now."""

    @abstractmethod
    def settle(self) -> float:
        """The rate of the interval that ends, positive when longs pay; starts a new interval."""


@final
class ClampedPremium(FundingRule):
    """Average premium pulled toward the interest rate, for one interval of N hours, capped (eq. 11, 12).

    Rate = clamped_funding_rate(P, I) / (8 / N), I per 8 h; P is Binance's time-weighted mean of the premium index: the
    k-th sample of the interval weighs k, so that late ones count most.
    """

    def __init__(self, config: FundingConfig) -> None:
        super().__init__(config)
        self._weighted = 0.0
        self._weights = 0
        self._count = 0

    @property
    def premium(self) -> float:
        """Time-weighted mean premium of the running interval; 0 before the first sample."""
        return self._weighted / self._weights if self._weights else 0.0

    def sample(self, impact_bid_ticks: float, impact_ask_ticks: float, index_ticks: float) -> None:
        """Add one premium index."""
        self._count += 1
        self._weights += self._count
        self._weighted += self._count * premium_index(impact_bid_ticks, impact_ask_ticks, index_ticks)

    def rate(self) -> float:
        """What the payment would be if the interval ended now."""
        config = self.config
        per_eight_hours = clamped_funding_rate(self.premium, config.interest, config.clamp)
        scaled = per_eight_hours * (config.interval / EIGHT_HOURS_NS)
        return min(max(scaled, -config.cap), config.cap)

    def settle(self) -> float:
        """The rate of the interval that ends; forgets its samples."""
        rate = self.rate()
        self._weighted, self._weights, self._count = 0.0, 0, 0
        return rate


FUNDING_RULES: dict[str, type[FundingRule]] = {"clamped_premium": ClampedPremium}
"""Funding rules by the name that a scenario uses."""


def _median(a: float, b: float, c: float) -> float:
    return max(min(a, b), min(max(a, b), c))


def _missing(ticks: float) -> bool:
    return math.isnan(ticks) or ticks <= 0.0


def _first(*candidates: float) -> float:
    return next((ticks for ticks in candidates if not _missing(ticks)), math.nan)
