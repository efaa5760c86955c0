"""dYdX v4: mean premium plus interest, capped by margin, on oracle notional."""

from typing import ClassVar, final

from sim.config import FundingConfig
from sim.funding_rules.base import FundingInputs, FundingRule, MarginTerms, Mean
from sim.prices import mean_premium_funding_rate, premium_index
from sim.venue_formulas.dydx import funding_cap_8h


@final
class Dydx(FundingRule):
    """dYdX v4 funding (eq. 143; grade A): mean premium + interest per 8 h, cut at 600 % (IMF - MMF), an eighth an hour.

    The venue's settings: `interval: 1h, sample_period: 1min, interest: 0`, impact notional 500 USDC / IMF.  `clamp` is
    not used; `cap` holds besides the venue's own.  IMF and MMF are the first bracket's, as configured.
    """

    on_oracle_price: ClassVar[bool] = True

    def __init__(self, config: FundingConfig, terms: MarginTerms) -> None:
        super().__init__(config, terms)
        self._premium = Mean()
        self._cap_8h = funding_cap_8h(terms.initial_fraction, terms.maintenance_fraction)

    def sample(self, inputs: FundingInputs) -> None:
        """Add one premium."""
        self._premium.add(premium_index(inputs.impact_bid_ticks, inputs.impact_ask_ticks, inputs.index_ticks))

    def rate(self) -> float:
        """What the payment would be if the interval ended now."""
        return self.scaled(mean_premium_funding_rate(self._premium.value, self.config.interest, self._cap_8h))

    def forget(self) -> None:
        """Begin another interval."""
        self._premium.clear()
