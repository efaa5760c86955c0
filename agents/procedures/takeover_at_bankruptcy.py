"""BitMEX, lowest tier: the engine takes over at once."""

from typing import final

import numpy as np

from agents.procedures.base import Bools, Lots, Procedure, Standing


@final
class TakeoverAtBankruptcy(Procedure):
    """Cancel all, take over, offer the position at the bankruptcy price (BitMEX, A; eq. 131).

    The account sends nothing; the fund, which now holds the position, places the limit order, keeps what it fills
    better, and unwinds the rest.
    """

    limit_at_bankruptcy = True

    def order_lots(self, held: Standing) -> Lots:
        """None."""
        return np.zeros(len(held.rows), np.int64)

    def gives_up(self, held: Standing) -> Bools:
        """At once: when its orders are gone."""
        return np.ones(len(held.rows), bool)
