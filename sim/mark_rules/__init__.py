"""Mark rules by the name that a scenario uses (`venue.mark.rule`): one file a rule, one entry here.

Prices are ticks (floats).  Equation numbers are those of docs/model.md.
"""

from sim.mark_rules.base import MarkInputs, MarkRule
from sim.mark_rules.fair_price import FairPrice
from sim.mark_rules.hyperliquid import Hyperliquid
from sim.mark_rules.index import IndexPrice
from sim.mark_rules.index_plus_basis import IndexPlusBasis
from sim.mark_rules.last import LastPrice
from sim.mark_rules.median_of_three import MedianOfThree
from sim.mark_rules.mid import MidPrice

MARK_RULES: dict[str, type[MarkRule]] = {
    "median_of_three": MedianOfThree,
    "last": LastPrice,
    "mid": MidPrice,
    "index": IndexPrice,
    "fair_price": FairPrice,
    "hyperliquid": Hyperliquid,
    "index_plus_basis": IndexPlusBasis,
}
"""Mark rules by name."""

__all__ = ["MARK_RULES", "MarkInputs", "MarkRule"]
