"""Hyperliquid: slices of a large position, with a pause between them."""

from typing import final

import numpy as np

from agents.procedures.base import Bools, Limits, Lots, Procedure, Standing
from sim.config import LiquidationConfig


@final
class Sliced(Procedure):
    """`slice_fraction` of positions above `slice_min_notional`, smaller ones whole; then `slice_cooldown` (eq. 128).

    In its cooldown an account sends nothing, or with `slice_cooldown_orders: whole` all that is left, also where it was
    let go and called again.  Hyperliquid: 20 % above 100k, 30 s in which orders are for the entire position (its
    announcement, B).  `slice_least_notional` and `slice_most_notional` limit a slice as dYdX does.  Given up once the
    mark is beyond bankruptcy.
    """

    def __init__(self, rules: LiquidationConfig) -> None:
        super().__init__(rules)
        self._whole_ns = rules.slice_cooldown if rules.slice_cooldown_orders == "whole" else 0
        self.cooldown_ns = 0 if self._whole_ns else rules.slice_cooldown
        self._limits = Limits(rules.slice_fraction, rules.slice_least_notional, rules.slice_most_notional)
        self._cooling_until_ns: dict[int, int] = {}

    def order_lots(self, held: Standing) -> Lots:
        """A slice; a small position whole, and a large one whose cooldown asks for that."""
        sliced = held.notional > self.rules.slice_min_notional
        if self._whole_ns:
            sliced &= ~self._cooling(held)
            self._cooling_until_ns.update(dict.fromkeys(held.rows[sliced].tolist(), held.now_ns + self._whole_ns))
        return np.where(sliced, self._limits.of(held), held.lots)

    def gives_up(self, held: Standing) -> Bools:
        """Where no order within the bankruptcy price can fill near the mark."""
        return held.bankrupt

    def _cooling(self, held: Standing) -> Bools:
        """True for accounts that have sent a slice within the cooldown; forgets the others."""
        now_ns = held.now_ns
        self._cooling_until_ns = {row: until for row, until in self._cooling_until_ns.items() if until > now_ns}
        return np.array([row in self._cooling_until_ns for row in held.rows.tolist()], np.bool_)
