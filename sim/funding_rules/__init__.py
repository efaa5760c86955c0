"""Funding rules by the name that a scenario uses (`venue.funding.rule`): one file a rule, one entry here.

Rates are fractions of notional, positive when longs pay.  Equation numbers are those of docs/model.md.
"""

from sim.funding_rules.base import FundingInputs, FundingRule, MarginTerms
from sim.funding_rules.bitmex import Bitmex
from sim.funding_rules.clamped_premium import ClampedPremium
from sim.funding_rules.dydx import Dydx
from sim.funding_rules.hyperliquid import Hyperliquid

FUNDING_RULES: dict[str, type[FundingRule]] = {
    "clamped_premium": ClampedPremium,
    "hyperliquid": Hyperliquid,
    "dydx": Dydx,
    "bitmex": Bitmex,
}
"""Funding rules by name."""

__all__ = ["FUNDING_RULES", "FundingInputs", "FundingRule", "MarginTerms"]
