"""Binance: everything in one order."""

from typing import final

import numpy as np

from agents.procedures.base import Bools, Lots, Procedure, Standing


@final
class Full(Procedure):
    """Cancel all, one large immediate-or-cancel order; whatever it leaves is taken over (Binance FAQ, B)."""

    def order_lots(self, held: Standing) -> Lots:
        """All of it."""
        return held.lots

    def gives_up(self, held: Standing) -> Bools:
        """After one order."""
        return np.ones(len(held.rows), bool)
