"""Mark rules (`venue.mark.rule`): what turns the book and the index into the price of margin.

Prices are ticks (floats).  Equation numbers are those of docs/model.md.
"""

import math
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from typing import ClassVar, Final, final

from pydantic import Field

from marginquake.sim.core.fields import SECOND, Duration, Fraction
from marginquake.sim.rules.formulas.prices import fair_price, hyperliquid_mark_price, median_mark_price, middle
from marginquake.sim.rules.registry import Registry, Rule, RuleBlock


class MarkConfig(RuleBlock):
    """The price that margin is calculated at: the block of every mark rule."""

    rule: str = "median_of_three"
    period: Duration = Field(1 * SECOND, gt=0, description="A new mark this often")


@final
@dataclass(frozen=True, slots=True)
class MarkInputs:
    """What a mark rule may look at, in ticks.

    `index_ticks`: what the venue believes the index is (`sim.assets.oracle`).  `mid_ticks`: nan while a side of the
    book is empty; `bid_ticks`, `ask_ticks`: nan while that side is empty; `last_ticks`: nan (or 0) before the first
    fill.  `funding_rate`: that of the last payment, or what the funding rule says accrues;
    `time_to_funding_fraction`: time left / interval, 1 just after a payment.  `now_ns`: the time of this mark; a venue
    whose marks stand still (a fault) asks later than `MarkConfig.period` after the last time.
    """

    index_ticks: float
    mid_ticks: float
    last_ticks: float
    funding_rate: float
    time_to_funding_fraction: float
    bid_ticks: float = math.nan
    ask_ticks: float = math.nan
    now_ns: int = 0


class MarkRule(Rule, ABC):
    """Turns what the venue sees into the mark price; called once every `MarkConfig.period`."""

    config_type: ClassVar[type[MarkConfig]] = MarkConfig

    def __init__(self, config: MarkConfig) -> None:
        self.config = config

    @abstractmethod
    def update(self, inputs: MarkInputs) -> float:
        """The mark in ticks (a float; the venue rounds it)."""


def missing(ticks: float) -> bool:
    """True where there is no such price."""
    return math.isnan(ticks) or ticks <= 0.0


def first(*candidates: float) -> float:
    """The first price that exists; nan if none does."""
    return next((ticks for ticks in candidates if not missing(ticks)), math.nan)


@final
class FairPrice(MarkRule):
    """BitMEX fair price (eq. 9, grade A): a basis that decays to 0 at the next payment; the book has no say."""

    def update(self, inputs: MarkInputs) -> float:
        """The mark in ticks."""
        return fair_price(inputs.index_ticks, inputs.funding_rate, inputs.time_to_funding_fraction)


@final
class Hyperliquid(MarkRule):
    """Hyperliquid (eq. 140, 141; grade A): oracle + 150-s average basis, median of the book, perps of other venues.

    The oracle is the index as the venue believes it to be.  There are no other venues here: the same index stands for
    their perps' mids as long as `outside_perps` is set; without them, or while the book has a side or a last price
    missing, exactly two inputs exist and the 30-s average of the book's median is added.  The venue publishes about
    every 3 s: `period: 3s`.
    """

    class Config(MarkConfig):
        """The block of `hyperliquid`."""

        basis_time_scale: Duration = Field(
            150 * SECOND, gt=0, description="Time scale of the exponential average of mid - oracle"
        )
        book_time_scale: Duration = Field(
            30 * SECOND, gt=0, description="Time scale of the exponential average of the book's median"
        )
        outside_perps: bool = Field(
            True, description="The perpetual is traded elsewhere too; its mids there are the index"
        )

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._basis = ExponentialAverage(config.basis_time_scale)
        self._book = ExponentialAverage(config.book_time_scale)
        self._then_ns: int | None = None

    def update(self, inputs: MarkInputs) -> float:
        """Take one sample of basis and book and give the mark."""
        oracle = inputs.index_ticks
        since = self.config.period if self._then_ns is None else inputs.now_ns - self._then_ns
        self._then_ns = inputs.now_ns
        book = (inputs.bid_ticks, inputs.ask_ticks, inputs.last_ticks)
        whole = not any(missing(ticks) for ticks in book)
        self._basis.update(inputs.mid_ticks - oracle, since)
        self._book.update(middle(*book) if whole else math.nan, since)
        average_book = self._book.value
        return hyperliquid_mark_price(
            oracle,
            0.0 if math.isnan(self._basis.value) else self._basis.value,
            book if whole else None,
            oracle if self.config.outside_perps else None,
            None if math.isnan(average_book) else average_book,
        )


@final
class IndexPrice(MarkRule):
    """The index itself: this market's book has no say.  dYdX v4 margins at its oracle price like this (grade A)."""

    def update(self, inputs: MarkInputs) -> float:
        """The mark in ticks."""
        return inputs.index_ticks


@final
class IndexPlusBasis(MarkRule):
    """Index plus the exponential average of mid - index, at most `basis_limit` from the index (eq. 101).

    Deribit futures: 30 s, 0.5 % (R+, recalled); its average is of the middle of impact prices, here of the mid.  While
    a side of the book is empty no sample is taken; before the first one the mark is the index.
    """

    class Config(MarkConfig):
        """The block of `index_plus_basis`."""

        basis_time_scale: Duration = Field(
            150 * SECOND, gt=0, description="Time scale of the exponential average of mid - index"
        )
        basis_limit: Fraction | None = Field(
            None, gt=0, description="The mark is no further than this from the index; default no limit"
        )

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._basis = ExponentialAverage(config.basis_time_scale)
        self._then_ns: int | None = None

    def update(self, inputs: MarkInputs) -> float:
        """Take one sample of the basis and give the mark."""
        index = inputs.index_ticks
        since = self.config.period if self._then_ns is None else inputs.now_ns - self._then_ns
        self._then_ns = inputs.now_ns
        self._basis.update(inputs.mid_ticks - index, since)
        basis = 0.0 if math.isnan(self._basis.value) else self._basis.value
        if self.config.basis_limit is None:
            return index + basis
        reach = self.config.basis_limit * index
        return index + min(max(basis, -reach), reach)


@final
class LastPrice(MarkRule):
    """The last fill; before the first one the mid, then the index.  Easily pushed by one trade."""

    def update(self, inputs: MarkInputs) -> float:
        """The mark in ticks."""
        return first(inputs.last_ticks, inputs.mid_ticks, inputs.index_ticks)


@final
class MedianOfThree(MarkRule):
    """Binance USD-M: median of fair price, index + moving average of mid - index, and last (eq. 10).

    The average runs over the samples of the last `basis_window`, one each mark period.  While a side of the book is
    empty no sample is taken and old ones age out; without any, the basis is 0.  Before the first fill the mark is
    halfway between P1 and P2.
    """

    class Config(MarkConfig):
        """The block of `median_of_three`."""

        basis_window: Duration = Field(30 * SECOND, gt=0, description="Window of the moving average of mid - index")

    config: Config

    def __init__(self, config: Config) -> None:
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
        if missing(inputs.last_ticks):
            return 0.5 * (fair_price(index, rate, left) + index + self.average_basis_ticks)
        return median_mark_price(index, rate, left, self.average_basis_ticks, inputs.last_ticks)


@final
class MidPrice(MarkRule):
    """The mid; while a side is empty the last fill, then the index."""

    def update(self, inputs: MarkInputs) -> float:
        """The mark in ticks."""
        return first(inputs.mid_ticks, inputs.last_ticks, inputs.index_ticks)


@final
class ExponentialAverage:
    """num <- num exp(-t/tau) + sample t, den <- den exp(-t/tau) + t, average num / den (eq. 141); Hyperliquid, grade A.

    `t`: time since the sample before.  A time without a sample is not forgotten: the next one weighs for it.
    """

    def __init__(self, time_scale_ns: int) -> None:
        self._time_scale_ns = time_scale_ns
        self._weighted = 0.0
        self._weight = 0.0
        self._waited_ns = 0

    def update(self, sample: float, since_ns: int) -> None:
        """One more sample, `since_ns` after the last call; nan: there is none this time."""
        self._waited_ns += since_ns
        if math.isnan(sample):
            return
        decay = math.exp(-self._waited_ns / self._time_scale_ns)
        self._weighted = self._weighted * decay + sample * self._waited_ns
        self._weight = self._weight * decay + self._waited_ns
        self._waited_ns = 0

    @property
    def value(self) -> float:
        """The average; nan before the first sample."""
        return self._weighted / self._weight if self._weight else math.nan


MARK_RULES: Final[Registry[type[MarkRule]]] = Registry(
    "mark rule",
    MarkRule,
    {
        "median_of_three": MedianOfThree,
        "last": LastPrice,
        "mid": MidPrice,
        "index": IndexPrice,
        "fair_price": FairPrice,
        "hyperliquid": Hyperliquid,
        "index_plus_basis": IndexPlusBasis,
    },
    default="median_of_three",
)
"""By the name in `venue.mark.rule`."""
