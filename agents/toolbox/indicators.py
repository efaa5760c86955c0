"""What traders work out from prices they see: volatility, basis, activity.

Plain floats, updated once a decision; each participant keeps its own, so each lives with its own data latency.
A return here is a log-return; a variance is per second.
"""

import math
from typing import final

import numpy as np

from marginquake.sim.core.typing import Floats
from marginquake.sim.market.view import MarketView

YEAR_S = 365.0 * 86_400.0
CLIP_VARIANCES = 400.0
"""One squared return counts at most this many local variances: a single print in a thin book must not poison the
averages for hours (met in a prototype, D)."""


def per_second(annual_volatility: float) -> float:
    """Standard deviation of a one-second log-return at `annual_volatility` (0.6 = 60 % a year)."""
    return annual_volatility / math.sqrt(YEAR_S)


def weight(elapsed_s: float, time_scale_s: float) -> float:
    """Weight of a new sample in an exponential average after `elapsed_s`."""
    return -math.expm1(-elapsed_s / time_scale_s)


def reference_ticks(market: MarketView) -> float:
    """A price that exists even while the book is empty: mid, else mark, else index."""
    if market.two_sided:
        return market.mid_ticks
    return float(market.mark_ticks) if market.mark_ticks > 0 else market.index_ticks


@final
class BasisGauge:
    """Exponential average of ln(mid / index): what the perpetual usually trades at over its index.

    Clipped to `clip`, and decaying to 0 while a side is empty or the spread exceeds `max_spread`: makers who follow
    the mid of a one-sided book walk away from the index for ever (met in a prototype, D).
    """

    def __init__(self, time_scale_s: float, clip: float, max_spread: float) -> None:
        self.value = 0.0
        self._time_scale_s = time_scale_s
        self._clip = clip
        self._max_spread = max_spread

    def update(self, market: MarketView, elapsed_s: float) -> float:
        """Take in the current mid; returns the basis, a fraction."""
        target = 0.0
        if market.two_sided and market.spread_ticks <= self._max_spread * market.mid_ticks:
            target = min(self._clip, max(-self._clip, math.log(market.mid_ticks / market.index_ticks)))
        self.value += weight(elapsed_s, self._time_scale_s) * (target - self.value)
        return self.value


@final
class VolatilityGauge:
    """Local volatility, its short-run ratio, and the last second's and five minutes' moves.

    `local` is the square root of a slow average (4 h by default) of one-second squared returns, started at the
    configured volatility; `ratio` is a 30-s volatility over `local`.
    """

    def __init__(self, annual_volatility: float, interval_s: float, *, slow_s: float, fast_s: float, window_s: float):
        self.local = per_second(annual_volatility)
        self._variance = self.local**2
        self._fast_variance = self._variance
        self._slow_s = slow_s
        self._fast_s = fast_s
        self._stride = max(1, round(1.0 / interval_s))
        self._sample_s = self._stride * interval_s
        self._recent = [0.0] * self._stride
        self._window = [0.0] * max(1, round(window_s / self._sample_s))
        self._window_s = len(self._window) * self._sample_s
        self._count = 0
        self.second_move = 0.0
        self.window_move = 0.0

    def update(self, price: float) -> None:
        """Take in the price of this decision (one call every `interval_s`)."""
        log_price = math.log(price)
        slot = self._count % self._stride
        before = self._recent[slot] if self._count >= self._stride else log_price
        self._recent[slot] = log_price
        self.second_move = (log_price - before) / math.sqrt(self._sample_s)
        if slot == 0:
            self._sample(log_price)
        self._count += 1

    def _sample(self, log_price: float) -> None:
        squared = min(self.second_move**2, CLIP_VARIANCES * self._variance)
        self._variance += weight(self._sample_s, self._slow_s) * (squared - self._variance)
        self._fast_variance += weight(self._sample_s, self._fast_s) * (squared - self._fast_variance)
        self.local = math.sqrt(self._variance)
        sample = self._count // self._stride
        slot = sample % len(self._window)
        before = self._window[slot] if sample >= len(self._window) else self._window[0] if sample else log_price
        self._window[slot] = log_price
        self.window_move = log_price - before

    @property
    def ratio(self) -> float:
        """Volatility of the last half minute over local volatility."""
        return math.sqrt(self._fast_variance) / self.local if self.local > 0 else 1.0

    @property
    def second_sigmas(self) -> float:
        """Move of the last second in local standard deviations."""
        return self.second_move / self.local if self.local > 0 else 0.0

    @property
    def window_sigmas(self) -> float:
        """Move of the window (five minutes) in its local standard deviations."""
        return self.window_move / (self.local * math.sqrt(self._window_s)) if self.local > 0 else 0.0


@final
class ActivityGauge:
    """How busy a market is: floor + (1 - floor) * v / v_slow, at most `cap`.

    v: mean of 30-, 300- and 3600-s averages of squared one-second returns; v_slow: a 12-h average (a fixed norm would
    let activity die down, in a prototype, D).
    """

    TIME_SCALES_S = (30.0, 300.0, 3600.0)
    SLOW_S = 12 * 3600.0

    def __init__(self, annual_volatility: float, interval_s: float, floor: float, cap: float) -> None:
        variance = per_second(annual_volatility) ** 2
        self._averages = [variance] * len(self.TIME_SCALES_S)
        self._slow = variance
        self._stride = max(1, round(1.0 / interval_s))
        self._sample_s = self._stride * interval_s
        self._count = 0
        self._last = 0.0
        self._floor = floor
        self._cap = cap
        self.value = 1.0

    def update(self, price: float) -> float:
        """Take in the price of this decision; returns activity (1 = usual)."""
        self._count += 1
        if self._count % self._stride == 1 or self._stride == 1:
            self._sample(math.log(price))
        return self.value

    def _sample(self, log_price: float) -> None:
        if self._last == 0.0:
            self._last = log_price
            return
        squared = min((log_price - self._last) ** 2 / self._sample_s, CLIP_VARIANCES * self._slow)
        self._last = log_price
        for i, scale in enumerate(self.TIME_SCALES_S):
            self._averages[i] += weight(self._sample_s, scale) * (squared - self._averages[i])
        self._slow += weight(self._sample_s, self.SLOW_S) * (squared - self._slow)
        if self._slow > 0:
            mean = sum(self._averages) / len(self._averages)
            self.value = min(self._cap, self._floor + (1.0 - self._floor) * mean / self._slow)


@final
class PriceMemory:
    """Samples of one number (a log-price, say), kept for `reach_s`.

    One sample every `sample_s`, rounded to whole decisions.  Before the first sample it counts as constant:
    nobody extrapolates a move that began before the first look.
    """

    def __init__(self, reach_s: float, sample_s: float, interval_s: float) -> None:
        self._stride = max(1, round(sample_s / interval_s))
        self._sample_s = self._stride * interval_s
        self._samples = np.zeros(int(np.ceil(reach_s / self._sample_s)) + 2)
        self._decisions = 0
        self._newest = 0

    def add(self, value: float) -> None:
        """Take in the value of this decision (one call every `interval_s`)."""
        if self._decisions % self._stride == 0:
            if self._decisions == 0:
                self._samples[:] = value
            self._newest = (self._newest + 1) % len(self._samples)
            self._samples[self._newest] = value
        self._decisions += 1

    @property
    def range(self) -> float:
        """Highest minus lowest value remembered."""
        return float(self._samples.max() - self._samples.min())

    def before(self, lags_s: Floats) -> Floats:
        """The value each of these many seconds ago (to within a sample)."""
        lags = np.minimum(np.rint(lags_s / self._sample_s).astype(np.int64), len(self._samples) - 1)
        values: Floats = self._samples[(self._newest - lags) % len(self._samples)]
        return values
