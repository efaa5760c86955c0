"""Mark = Hyperliquid's median of oracle with average basis, book, and perps elsewhere."""

import math
from typing import final

from sim.config import MarkConfig
from sim.mark_rules.base import MarkInputs, MarkRule, missing
from sim.mark_rules.moving_average import ExponentialAverage
from sim.prices import hyperliquid_mark_price, middle


@final
class Hyperliquid(MarkRule):
    """Hyperliquid (eq. 140, 141; grade A): oracle + 150-s average basis, median of the book, perps of other venues.

    The oracle is the index as the venue believes it to be.  There are no other venues here: the same index stands for
    their perps' mids as long as `outside_perps` is set; without them, or while the book has a side or a last price
    missing, exactly two inputs exist and the 30-s average of the book's median is added.  The venue publishes about
    every 3 s: `period: 3s`.
    """

    def __init__(self, config: MarkConfig) -> None:
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
