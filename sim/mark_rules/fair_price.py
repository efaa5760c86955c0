"""Mark = index with the funding still to accrue."""

from typing import final

from sim.mark_rules.base import MarkInputs, MarkRule
from sim.prices import fair_price


@final
class FairPrice(MarkRule):
    """BitMEX fair price (eq. 9, grade A): a basis that decays to 0 at the next payment; the book has no say."""

    def update(self, inputs: MarkInputs) -> float:
        """The mark in ticks."""
        return fair_price(inputs.index_ticks, inputs.funding_rate, inputs.time_to_funding_fraction)
