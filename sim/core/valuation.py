"""What lots are worth at a price, linear or inverse (docs/model.md, eq. 1).

The value of a position is linear in its lots, so that what two sides of a trade pay always sums to zero, also in parts:

    V(lots, ticks) = lots * value of one lot        linear: ticks * value        inverse: -round(value / ticks)

Equity is backing + V(position, mark) - cost, cost the sum of V over the fills, notional |V|, for both types.
`sim.kernels.valuation` holds the same lines for kernels.
"""

from typing import Any, NamedTuple

import numpy as np

from marginquake.sim.core.records import MOST_TICKS
from marginquake.sim.core.typing import Floats, Ints


class LotValue(NamedTuple):
    """How money follows from lots and prices.

    `at_one_tick`: of a linear contract money per tick and lot; of an inverse one money times ticks of a lot, so that
    a lot is
    worth `at_one_tick / ticks` of the coin (what a long owes, hence the minus sign of V).
    """

    at_one_tick: int
    inverse: bool = False

    def value_of_lot(self, ticks: int) -> int:
        """V of one lot at a price; 0 while there is no price (0)."""
        if not self.inverse:
            return ticks * self.at_one_tick
        return -((2 * self.at_one_tick + ticks) // (2 * ticks)) if ticks > 0 else 0

    def value(self, lots: Any, ticks: Any) -> Ints:
        """V of signed lots, element by element; integers, money."""
        if not self.inverse:
            linear: Ints = lots * (ticks * self.at_one_tick)
            return linear
        ticks = np.asarray(ticks, np.int64)
        price = np.maximum(ticks, 1)
        coin = np.where(ticks > 0, (2 * self.at_one_tick + price) // (2 * price), 0)
        inverse: Ints = -lots * coin
        return inverse

    def notional(self, lots: Any, ticks: Any) -> Ints:
        """|V|."""
        return np.abs(self.value(lots, ticks))

    def value_real(self, lots: Any, ticks: Any) -> Floats:
        """V without rounding, for prices and lots that need not be whole; money."""
        if not self.inverse:
            linear: Floats = lots * (ticks * self.at_one_tick)
            return linear
        price = np.where(np.asarray(ticks) > 0, ticks, np.inf)
        inverse: Floats = -lots * (self.at_one_tick / price)
        return inverse

    def entry_ticks(self, cost: Any, lots: Any) -> Floats:
        """Price at which signed lots cost that much, not rounded; nan or infinite where there is none."""
        with np.errstate(divide="ignore", invalid="ignore"):
            if not self.inverse:
                linear: Floats = cost / (lots * self.at_one_tick)
                return linear
            inverse: Floats = -lots * self.at_one_tick / np.asarray(cost, np.float64)
            return inverse

    def nearest_ticks(self, lots: int, money: int) -> int:
        """Price at which signed lots are worth nearest to `money`; `MOST_TICKS` where no price makes them worth it."""
        size = abs(lots) * self.at_one_tick
        if self.inverse:
            if money == 0 or (lots > 0) == (money > 0):
                return MOST_TICKS
            return min((2 * size + abs(money)) // (2 * abs(money)), MOST_TICKS)
        ticks = (2 * (money if lots > 0 else -money) + size) // (2 * size)
        return min(max(ticks, -MOST_TICKS - 1), MOST_TICKS)

    def lowest_ticks(self, coin: Ints) -> Ints:
        """Inverse: lowest tick at which a lot is worth no more than `coin`; `MOST_TICKS` where `coin` is negative."""
        ticks = 2 * self.at_one_tick // (2 * np.maximum(coin, 0) + 1) + 1
        return np.where(coin >= 0, np.minimum(ticks, MOST_TICKS), MOST_TICKS).astype(np.int64)

    def highest_ticks(self, coin: Ints) -> Ints:
        """Inverse: highest tick at which a lot is worth at least `coin`; `MOST_TICKS` where that is every one."""
        ticks = 2 * self.at_one_tick // (2 * np.maximum(coin, 1) - 1)
        return np.where(coin >= 1, np.minimum(ticks, MOST_TICKS), MOST_TICKS).astype(np.int64)
