"""What an ADL ranking may look at."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray

from sim.margin import (
    AccountRows,
    BracketSchedule,
    backing_equity,
    backing_money,
    maintenance_money,
    position_notional,
)
from sim.worth import Worth

Floats = NDArray[np.float64]
LAST = -1e300
"""The score of an account that closes only after all others: one without equity of its own."""


@final
@dataclass(frozen=True)
class RankingInputs:
    """Candidates' rows, the mark, and the units of money; amounts below are in quote units.

    `draw`: one uniform of (0, 1) for this ranking.
    """

    rows: AccountRows
    mark_ticks: int
    worth: Worth
    money_per_quote: float
    brackets: BracketSchedule
    draw: float = 0.5

    @cached_property
    def backing(self) -> Floats:
        """What stands behind each position."""
        return self._quote(backing_money(self.rows))

    @cached_property
    def equity(self) -> Floats:
        """Backing plus unrealised profit at the mark."""
        return self._quote(backing_equity(self.rows, self.mark_ticks, self.worth))

    @cached_property
    def maintenance(self) -> Floats:
        """Maintenance requirement at the mark."""
        return self._quote(maintenance_money(self.rows, self.mark_ticks, self.worth, self.brackets))

    @cached_property
    def notional(self) -> Floats:
        """|position| at the mark."""
        return self._quote(position_notional(self.rows, self.mark_ticks, self.worth))

    @cached_property
    def entry_notional(self) -> Floats:
        """|position| at its entry price."""
        return self._quote(np.abs(self.rows["cost"]))

    @property
    def unrealised(self) -> Floats:
        """Unrealised profit at the mark."""
        return self.equity - self.backing

    @property
    def longs(self) -> NDArray[np.bool_]:
        """True where the position is long."""
        long: NDArray[np.bool_] = self.rows["position_lots"] > 0
        return long

    def _quote(self, money: NDArray[np.int64]) -> Floats:
        return money / self.money_per_quote


Ranking = Callable[[RankingInputs], Floats]
"""A score for each candidate: the highest closes first."""


def ratio(above: Floats, below: Floats, otherwise: float = 0.0) -> Floats:
    """above / below, `otherwise` where `below` is not positive."""
    return np.divide(above, below, out=np.full_like(above, otherwise), where=below > 0.0)
