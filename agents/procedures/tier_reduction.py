"""BitMEX and Bybit: down one risk tier at a time."""

from typing import final

import numpy as np

from agents.procedures.base import Bools, Lots, Procedure, Standing


@final
class TierReduction(Procedure):
    """Fill-or-kill what exceeds the next lower bracket; in the lowest, or where that fails, takeover (eq. 128).

    BitMEX, Bybit (A).  A smaller bracket asks less maintenance of the rest, so an account may be released on the way.
    """

    fill_or_kill = True
    limit_at_bankruptcy = True

    def order_lots(self, held: Standing) -> Lots:
        """What is above the cap of the bracket below; nothing in the lowest."""
        lower = held.lower_tier_lots
        return np.where(lower > 0, held.lots - lower, 0)

    def gives_up(self, held: Standing) -> Bools:
        """In the lowest bracket, and where the last order was killed."""
        done: Bools = (held.lower_tier_lots == 0) | (held.lots >= held.lots_before)
        return done
