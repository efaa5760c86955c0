"""Mark = index plus a slow basis that may not go far: Deribit."""

import math
from typing import final

from sim.config import MarkConfig
from sim.mark_rules.base import MarkInputs, MarkRule
from sim.mark_rules.moving_average import ExponentialAverage


@final
class IndexPlusBasis(MarkRule):
    """Index plus the exponential average of mid - index, at most `basis_limit` from the index (eq. 101).

    Deribit futures: 30 s, 0.5 % (R+, recalled); its average is of the middle of impact prices, here of the mid.  While
    a side of the book is empty no sample is taken; before the first one the mark is the index.
    """

    def __init__(self, config: MarkConfig) -> None:
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
