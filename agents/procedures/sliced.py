"""Hyperliquid: slices of a large position, with a pause between them."""

from typing import final

import numpy as np

from agents.procedures.base import Bools, Limits, Lots, Procedure, Standing
from sim.config import LiquidationConfig


@final
class Sliced(Procedure):
    """`slice_fraction` of positions above `slice_min_notional`, smaller ones whole, `slice_cooldown` between orders.

    Hyperliquid: 20 % first above 100k, then 30 s (A).  `slice_least_notional` and `slice_most_notional` limit a slice
    as dYdX does (eq. 128).  Given up once the mark is beyond bankruptcy.
    """

    def __init__(self, rules: LiquidationConfig) -> None:
        super().__init__(rules)
        self.cooldown_ns = rules.slice_cooldown
        self._limits = Limits(rules.slice_fraction, rules.slice_least_notional, rules.slice_most_notional)

    def order_lots(self, held: Standing) -> Lots:
        """A slice, or a small position whole."""
        return np.where(held.notional > self.rules.slice_min_notional, self._limits.of(held), held.lots)

    def gives_up(self, held: Standing) -> Bools:
        """Where no order within the bankruptcy price can fill near the mark."""
        return held.bankrupt
