"""dYdX v4: small orders, no worse than the fillable price."""

from typing import final

import numpy as np

from agents.procedures.base import Bools, Limits, Lots, Procedure, Standing, Ticks
from sim.config import LiquidationConfig


@final
class Fillable(Procedure):
    """One order a scan of `fillable.fraction` of the position, at least and at most so much notional, bound by the
    fillable price (eq. 129) instead of `order_bound`; negative equity goes to the waterfall.

    dYdX v4: at most 10 % of a position, at least $1,000, at most $100k a block (A, mainnet genesis).
    """

    def __init__(self, rules: LiquidationConfig) -> None:
        super().__init__(rules)
        fillable = rules.fillable
        self._limits = Limits(fillable.fraction, fillable.least_notional, fillable.most_notional)

    def order_lots(self, held: Standing) -> Lots:
        """Within the limits of a block."""
        return self._limits.of(held)

    def gives_up(self, held: Standing) -> Bools:
        """Where equity is below zero: dYdX deleverages such accounts."""
        below: Bools = held.equity < 0
        return below

    def bound_ticks(self, held: Standing, bound: Ticks) -> Ticks:
        """(V - A r MM) / position, A = clamp(adjustment (1 - E / MM), 0, 1): see `sim.venue_formulas.dydx`.

        V / position is the mark, so the distance from it is the penalty over the notional.  Rounded toward the mark.
        """
        rules = self.rules.fillable
        missing = 1.0 - held.equity / np.maximum(held.maintenance, 1)
        adjustment = np.clip(rules.bankruptcy_adjustment * missing, 0.0, 1.0)
        distance = adjustment * rules.spread_to_maintenance * held.maintenance_fraction
        ticks = held.mark_ticks * (1.0 + held.side * distance)
        inward = np.where(held.side < 0, np.ceil(ticks - 1e-9), np.floor(ticks + 1e-9))
        return np.clip(inward, 1, held.contract.max_price_ticks - 1).astype(np.int64)
