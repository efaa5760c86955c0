"""Mark = last price."""

from typing import final

from sim.mark_rules.base import MarkInputs, MarkRule, first


@final
class LastPrice(MarkRule):
    """The last fill; before the first one the mid, then the index.  Easily pushed by one trade."""

    def update(self, inputs: MarkInputs) -> float:
        """The mark in ticks."""
        return first(inputs.last_ticks, inputs.mid_ticks, inputs.index_ticks)
