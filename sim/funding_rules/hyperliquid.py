"""Hyperliquid: plain mean premium, clamped, on oracle notional."""

from typing import ClassVar, final

from sim.config import FundingConfig
from sim.funding_rules.base import FundingInputs, FundingRule, MarginTerms, Mean
from sim.prices import clamped_funding_rate, premium_index


@final
class Hyperliquid(FundingRule):
    """Hyperliquid funding (eq. 142; grade A/B): an eighth of F8h of the mean premium each hour, on oracle notional.

    The venue's settings: `interval: 1h, sample_period: 5s, interest: 1bps, clamp: 5bps, cap: 4%`, impact notional 20k
    for BTC and ETH and 6k for others (R).
    """

    on_oracle_price: ClassVar[bool] = True

    def __init__(self, config: FundingConfig, terms: MarginTerms) -> None:
        super().__init__(config, terms)
        self._premium = Mean()

    def sample(self, inputs: FundingInputs) -> None:
        """Add one premium index."""
        self._premium.add(premium_index(inputs.impact_bid_ticks, inputs.impact_ask_ticks, inputs.index_ticks))

    def rate(self) -> float:
        """What the payment would be if the interval ended now."""
        return self.scaled(clamped_funding_rate(self._premium.value, self.config.interest, self.config.clamp))

    def forget(self) -> None:
        """Begin another interval."""
        self._premium.clear()
