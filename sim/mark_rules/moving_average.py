"""An exponential average of samples that come at uneven times."""

import math
from typing import final


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
