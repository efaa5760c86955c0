"""BitMEX: the rate is known one interval ahead, and moves only so far."""

from typing import final

from sim.config import FundingConfig
from sim.funding_rules.base import FundingInputs, FundingRule, MarginTerms, Mean
from sim.prices import bitmex_funding_limits, clamped_funding_rate, fair_price, premium_index


@final
class Bitmex(FundingRule):
    """BitMEX funding (eq. 144): what an interval's premium says is paid at the end of the *next* one.

    Premium: impact prices against the *fair* price (eq. 9), over the index, plus the fair basis still to accrue; plain
    mean of the samples (`sample_period: 1min`); clamped as in eq. 12 (grade B).  Limits: 75 % of (initial -
    maintenance margin), and a change of at most 75 % of maintenance (R+).  The first payment is the interest rate.
    """

    def __init__(self, config: FundingConfig, terms: MarginTerms) -> None:
        super().__init__(config, terms)
        self._premium = Mean()
        self._due = self.scaled(config.interest)

    def sample(self, inputs: FundingInputs) -> None:
        """Add one premium."""
        index, left = inputs.index_ticks, inputs.time_left_fraction
        fair = fair_price(index, self._due, left)
        bid_over = inputs.impact_bid_ticks - fair
        ask_under = fair - inputs.impact_ask_ticks
        beyond = premium_index(index + bid_over, index - ask_under, index)
        self._premium.add(beyond + self._due * left)

    @property
    def indicative(self) -> float:
        """What the samples of the running interval say about the payment after next."""
        wanted = self.scaled(clamped_funding_rate(self._premium.value, self.config.interest, self.config.clamp))
        least, most = bitmex_funding_limits(self._due, self.terms.initial_fraction, self.terms.maintenance_fraction)
        return min(max(wanted, least), most)

    def rate(self) -> float:
        """What will be paid at the end of the running interval: known since it began."""
        return self._due

    @property
    def accruing(self) -> float:
        """The rate of the running interval."""
        return self._due

    def forget(self) -> None:
        """The indicative rate becomes the next one due."""
        self._due = self.indicative
        self._premium.clear()
