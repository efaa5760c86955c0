"""Mark = index, or the oracle's belief of it."""

from typing import final

from sim.mark_rules.base import MarkInputs, MarkRule


@final
class IndexPrice(MarkRule):
    """The index itself: this market's book has no say.  dYdX v4 margins at its oracle price like this (grade A)."""

    def update(self, inputs: MarkInputs) -> float:
        """The mark in ticks."""
        return inputs.index_ticks
