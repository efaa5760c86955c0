"""What the venue's margin rules mean to an account: how much it may hold, and how far it is from a call.

Model: docs/model.md, eq. 4-7.  Traders calculate in floats; the venue decides in integers.
"""

import math
from typing import final

import numpy as np

from marginquake.sim.core.accounts import AccountView
from marginquake.sim.core.contract import ContractSpec
from marginquake.sim.core.margin import Bracket
from marginquake.sim.core.typing import Floats, Ints


@final
class Brackets:
    """The venue's notional brackets as columns, for accounts that work out what they may hold.

    `multiplier`: what the venue multiplies maintenance with now, as last seen (eq. 146).
    """

    def __init__(self, brackets: tuple[Bracket, ...], max_leverage: float) -> None:
        self.multiplier = 1.0
        self.caps = np.array([b.notional_cap for b in brackets] or [math.inf])
        self.max_leverage = np.array([b.max_leverage for b in brackets] or [max_leverage])
        self.rates = np.array([b.maintenance for b in brackets] or [0.005])
        floors = np.concatenate(([0.0], self.caps[:-1]))
        self.deductions = np.cumsum(floors * np.diff(self.rates, prepend=0.0))

    def maintenance(self, notional: Floats) -> tuple[Floats, Floats]:
        """Rate and deduction (quote units) at each notional."""
        bracket = np.minimum(np.searchsorted(self.caps, notional, side="left"), len(self.caps) - 1)
        return self.multiplier * self.rates[bracket], self.multiplier * self.deductions[bracket]

    def largest_notional(self, leverage: Floats) -> Floats:
        """The largest position the venue lets one open at `leverage` (0 above its maximum)."""
        allowed = self.max_leverage[None, :] >= leverage[:, None] * (1 - 1e-9)
        largest: Floats = np.max(np.where(allowed, self.caps[None, :], 0.0), axis=1)
        return largest


@final
class Exposure:
    """Open positions as their owners see them at one mark: all arrays are aligned with `index`.

    Equity is worked out from the liquidation price L, where it equals maintenance: E(M) = MM(L) + V(q, M) - V(q, L).
    So it is what backs the position, in isolated and in cross mode alike.  Quote units.
    """

    def __init__(
        self, accounts: AccountView, index: Ints, mark: float, contract: ContractSpec, brackets: Brackets
    ) -> None:
        """`index` must name open positions that have a liquidation price."""
        position = accounts.position_lots[index]
        level = accounts.liquidation_ticks[index].astype(np.float64)
        self.index = index
        self.side = np.sign(position)
        self.lots = np.abs(position)
        called_at = contract.notional(self.lots, level)
        rate, relief = brackets.maintenance(called_at)
        self.distance = self.side * (1.0 - level / mark)
        self.notional = contract.notional(self.lots, mark)
        self.equity = rate * called_at - relief + contract.gain(position, level, mark)
        self.rate, self.deduction = brackets.maintenance(self.notional)
        self._inverse = contract.inverse

    def needed(self, wanted: Floats) -> Floats:
        """Equity and deduction over notional at which liquidation is `wanted` (a share of the mark) away."""
        way = 1.0 - self.side * wanted
        needed: Floats = (wanted + self.rate) / way if self._inverse else wanted + self.rate * way
        return needed

    @property
    def health(self) -> Floats:
        """Equity over maintenance margin; 1 at the liquidation price."""
        return self.equity / (self.rate * self.notional - self.deduction)
