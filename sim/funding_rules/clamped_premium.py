"""Binance: time-weighted premium with a clamped pull towards the interest rate."""

from typing import final

from sim.config import FundingConfig
from sim.funding_rules.base import FundingInputs, FundingRule, MarginTerms
from sim.prices import clamped_funding_rate, premium_index


@final
class ClampedPremium(FundingRule):
    """Binance USD-M funding (eq. 11, 12): premium P, a clamped pull towards interest I, scaled to the interval, capped.

    rate = clamped_funding_rate(P, I) / (8 / N), I per 8 h; P is Binance's time-weighted mean of the premium index: the
    k-th sample of the interval weighs k, so that late ones count most.
    """

    def __init__(self, config: FundingConfig, terms: MarginTerms) -> None:
        super().__init__(config, terms)
        self._weighted = 0.0
        self._weights = 0
        self._count = 0

    @property
    def premium(self) -> float:
        """Time-weighted mean premium of the running interval; 0 before the first sample."""
        return self._weighted / self._weights if self._weights else 0.0

    def sample(self, inputs: FundingInputs) -> None:
        """Add one premium index."""
        self._count += 1
        self._weights += self._count
        premium = premium_index(inputs.impact_bid_ticks, inputs.impact_ask_ticks, inputs.index_ticks)
        self._weighted += self._count * premium

    def rate(self) -> float:
        """What the payment would be if the interval ended now."""
        return self.scaled(clamped_funding_rate(self.premium, self.config.interest, self.config.clamp))

    def forget(self) -> None:
        """Begin another interval."""
        self._weighted, self._weights, self._count = 0.0, 0, 0
