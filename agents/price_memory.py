"""What a price was some time ago: a ring of evenly spaced samples, read for many accounts at once."""

from typing import final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@final
class PriceMemory:
    """Samples of one number (a log-price, say), kept for `reach_s`.

    One sample every `sample_s`, rounded to whole decisions.  Before the first sample it was always what it was first:
    nobody extrapolates a move that began before he was there.
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
