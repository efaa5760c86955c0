"""Mark = median of fair price, index + average basis, and last."""

import math
from collections import deque
from typing import final

from sim.config import MarkConfig
from sim.mark_rules.base import MarkInputs, MarkRule, missing
from sim.prices import fair_price, median_mark_price


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
        if missing(inputs.last_ticks):
            return 0.5 * (fair_price(index, rate, left) + index + self.average_basis_ticks)
        return median_mark_price(index, rate, left, self.average_basis_ticks, inputs.last_ticks)
