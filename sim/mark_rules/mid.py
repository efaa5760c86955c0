"""Mark = mid."""

from typing import final

from sim.mark_rules.base import MarkInputs, MarkRule, first


@final
class MidPrice(MarkRule):
    """The mid; while a side is empty the last fill, then the index."""

    def update(self, inputs: MarkInputs) -> float:
        """The mark in ticks."""
        return first(inputs.mid_ticks, inputs.last_ticks, inputs.index_ticks)
