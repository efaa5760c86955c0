"""What a series of prices, and volumes, is enough for: returns at any scale, their memory, falls."""

import math
from abc import ABC, abstractmethod
from functools import cached_property

import numpy as np

from marginquake.analysis.statistics import memory, swings, tails
from marginquake.analysis.statistics.estimate import ROUNDING, Unmeasurable
from marginquake.sim.core.typing import Floats

MINUTE_S, FIVE_MINUTES_S, HOUR_S, DAY_S = 60.0, 300.0, 3600.0, 86_400.0
LEAST_RETURNS = 30
"""Fewest returns that anything is estimated from: noisy in one run, less so in the mean of twenty."""


class Prices(ABC):
    """A price over time, of a run or of a file, each derived quantity made once.

    Facts of returns are functions of this, so that a run and a file meet the same estimator.  What the prices do not
    hold raises `Unmeasurable` with the reason.
    """

    @property
    @abstractmethod
    def every_s(self) -> float:
        """Sampling, seconds."""

    @abstractmethod
    def log_price(self, step_s: float) -> Floats:
        """Log price at points `step_s` apart, NaN where it is not known.  Refuses steps finer than the sampling."""

    @abstractmethod
    def volume(self, step_s: float) -> Floats:
        """What was traded in each step that `returns` counts; of one unit throughout."""

    @property
    @abstractmethod
    def price(self) -> Floats:
        """Price at every sample; the last one known where there is none."""

    def counted(self, step_s: float) -> slice:
        """Which steps count: all, unless this is a block of a longer series."""
        del step_s
        return slice(0, None)

    def returns(self, step_s: float) -> Floats:
        """Log returns; NaN where the price at either end is not known."""
        return self._all_returns(step_s)[self.counted(step_s)]

    def finite_returns(self, step_s: float) -> Floats:
        """Log returns where there was a price."""
        returns = self.returns(step_s)
        return returns[np.isfinite(returns)]

    def known_returns(self, step_s: float) -> Floats:
        """Log returns where there was a price; refuses too few."""
        known = self.finite_returns(step_s)
        need_returns(len(known), step_s)
        return known

    def long_returns(self, step_s: float, length: int) -> Floats:
        """Log returns over `length` steps, one beginning at every step, where the price at both ends is known."""
        log_price = self.log_price(step_s)
        if len(log_price) <= length:
            has = time_text((len(log_price) - 1) * step_s)
            raise Unmeasurable(f"{has} in one piece hold no return over {time_text(length * step_s)}")
        known = np.isfinite(log_price)
        sums = tails.overlapping_sums(np.nan_to_num(np.diff(held(log_price))), length)
        counted = (np.where(known[length:] & known[:-length], sums, np.nan))[self.counted(step_s)]
        return counted[np.isfinite(counted)]

    def lagged_sums(self, step_s: float, lags: int, sizes: bool) -> Floats:
        """`memory.lagged_sums` of returns, or of their sizes, in basis points."""
        returns = 1e4 * self._all_returns(step_s)
        first, last, _ = self.counted(step_s).indices(len(returns))
        values = (np.abs(returns) if sizes else returns)[first : last + lags]
        return memory.lagged_sums(values, lags, last - first, np.isfinite(values))

    def following_returns(self, step_s: float) -> tuple[Floats, Floats]:
        """Returns, and the next one of each."""
        returns = self._all_returns(step_s)
        first, last, _ = self.counted(step_s).indices(len(returns))
        last = min(last, len(returns) - 1)
        earlier, later = returns[first:last], returns[first + 1 : last + 1]
        known = np.isfinite(earlier) & np.isfinite(later)
        return earlier[known], later[known]

    @cached_property
    def falls(self) -> list[swings.Swing]:
        """Falls of 1 % or more within 15 minutes."""
        return swings.falls(self.gapless_price, self.every_s)

    @cached_property
    def rises(self) -> list[swings.Swing]:
        """Rises of 1 % or more within 15 minutes."""
        return swings.falls(1.0 / self.gapless_price, self.every_s)

    @cached_property
    def gapless_price(self) -> Floats:
        """Price at every sample, the first one before there was any.  Refuses a sampling too coarse for falls."""
        if self.every_s > swings.WINDOW_S / 5.0:
            raise Unmeasurable(
                f"sampled every {time_text(self.every_s)}: too coarse for moves within 15 min",
                step_s=swings.WINDOW_S / 15.0,
            )
        return np.where(np.isfinite(self.price), self.price, self.price[np.isfinite(self.price)][0])

    def _all_returns(self, step_s: float) -> Floats:
        if step_s not in self._returns_by_step:
            found = np.diff(self.log_price(step_s))
            self._returns_by_step[step_s] = np.where(np.abs(found) <= ROUNDING, 0.0, found)
        return self._returns_by_step[step_s]

    @cached_property
    def _returns_by_step(self) -> dict[float, Floats]:
        return {}


def need_returns(count: float, step_s: float, least: int = LEAST_RETURNS) -> None:
    """Refuse fewer returns than `least`."""
    if count < least:
        raise Unmeasurable(f"{int(count)} returns over {time_text(step_s)}: fewer than {least}", share=count / least)


def held(values: Floats) -> Floats:
    """The last value known, NaN before the first."""
    known = np.flatnonzero(np.isfinite(values))
    if len(known) == 0:
        return values
    place = np.searchsorted(known, np.arange(len(values)), side="right") - 1
    return np.where(place >= 0, values[known[np.maximum(place, 0)]], np.nan)


def time_text(seconds: float) -> str:
    """90 -> '90 s', 5400 -> '1.5 h', 86400 -> '24 h', 259200 -> '3 days'."""
    for size, unit in ((DAY_S, "days"), (HOUR_S, "h"), (MINUTE_S, "min")):
        if seconds >= 2 * size * (1 - 1e-9) or (math.isclose(seconds, size) and unit != "days"):
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
