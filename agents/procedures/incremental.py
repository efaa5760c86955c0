"""Deribit: many small orders until the account is compliant."""

import math
from typing import final

import numpy as np

from agents.procedures.base import Bools, Lots, Procedure, Standing
from sim.config import SECOND, LiquidationConfig


@final
class Incremental(Procedure):
    """`incremental.slice_notional` as often as `incremental.rounds_per_second`, until maintenance < equity (eq. 130).

    Deribit: 10 contracts ($100), 25 rounds a second (A, an early document; slices have grown since, R).  The rounds
    between two scans are sent as one order.  Given up once the mark is beyond bankruptcy.
    """

    def __init__(self, rules: LiquidationConfig) -> None:
        super().__init__(rules)
        each = rules.incremental
        self._notional = each.slice_notional * each.rounds_per_second * rules.monitor_period / SECOND

    def order_lots(self, held: Standing) -> Lots:
        """What the rounds of one scan come to."""
        order: Lots = np.clip(math.floor(held.lots_for(self._notional)), 1, held.lots)
        return order

    def gives_up(self, held: Standing) -> Bools:
        """Where no order within the bankruptcy price can fill near the mark."""
        return held.bankrupt
