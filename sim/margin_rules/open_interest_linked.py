"""Initial margin that rises with open interest, as dYdX's does."""

from typing import final

from sim.margin_rules.base import InitialRule
from sim.venue_formulas.dydx import open_interest_initial_fraction


@final
class OpenInterestLinked(InitialRule):
    """dYdX v4 (eq. 91, grade A): min(base + max(0, (ON - lower) / (upper - lower)) (1 - base), 1).

    `base` is the bracket's, or `InitialConfig.base` where that is larger.  Maintenance stays what it is.
    """

    def fraction(self, base: float, open_notional: float) -> float:
        """Least initial margin at this open notional."""
        config = self.config
        least = max(base, config.base or 0.0)
        return open_interest_initial_fraction(least, open_notional, config.lower, config.upper)
