"""What a liquidation procedure sees and decides."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from sim.config import LiquidationConfig
from sim.contract import ContractSpec
from sim.market import LiquidationDesk

Lots = NDArray[np.int64]
Ticks = NDArray[np.int64]
Bools = NDArray[np.bool_]
Rows = NDArray[np.int64]


@final
class Standing:
    """Accounts in liquidation, as they stand at this scan; every column is aligned with `rows`.

    `lots_before`: lots held when the last forced order was sent; -1 before the first.
    """

    def __init__(
        self, desk: LiquidationDesk, rows: Rows, lots_before: Lots, contract: ContractSpec, now_ns: int
    ) -> None:
        self._desk = desk
        self.rows = rows
        self.now_ns = now_ns
        self.lots_before = lots_before
        self.contract = contract
        position = desk.rows_view["position_lots"][rows]
        self.side: NDArray[np.int64] = -np.sign(position)
        """Side that closes the position."""
        self.lots: Lots = np.abs(position)
        self.mark_ticks = desk.mark_ticks

    @property
    def notional(self) -> NDArray[np.float64]:
        """Position at the mark, quote units."""
        notional: NDArray[np.float64] = self.lots.astype(np.float64) * self.contract.notional_per_lot(self.mark_ticks)
        return notional

    @property
    def equity(self) -> NDArray[np.int64]:
        """Equity at the mark, money."""
        return self._desk.equity(self.rows)

    @property
    def maintenance(self) -> NDArray[np.int64]:
        """Maintenance margin at the mark, money."""
        return self._desk.maintenance(self.rows)

    @property
    def maintenance_fraction(self) -> NDArray[np.float64]:
        """Maintenance margin over notional at the mark."""
        return self.maintenance / np.maximum(self._desk.notional(self.rows), 1)

    @property
    def lower_tier_lots(self) -> Lots:
        """Lots that fit the bracket below each account's own at the mark; 0 in the lowest."""
        return self._desk.lower_tier_lots(self.rows)

    @property
    def bankrupt(self) -> Bools:
        """True where the mark is beyond the bankruptcy price: no order inside that bound can fill near the mark."""
        bankruptcy = self._desk.bankruptcy_ticks(self.rows)
        beyond: Bools = (bankruptcy > 0) & (self.side * (bankruptcy - self.mark_ticks) < 0)
        return beyond

    def lots_for(self, notional: float) -> float:
        """Lots (fractional) worth this many quote units at the mark."""
        return self.contract.lots_for(notional, self.mark_ticks)


class Procedure(ABC):
    """How accounts in liquidation are closed: what is sent next, and when an account is given up to the waterfall.

    Between two orders of one account lies one scan at least; an account that is compliant or flat by then is released
    before the procedure is asked.
    """

    cooldown_ns = 0
    """Wait between the orders of one account."""
    fill_or_kill = False
    """Orders trade whole or not at all; otherwise what they find at once."""
    limit_at_bankruptcy = False
    """What the fund takes over it offers at once at the bankruptcy price, before it unwinds the rest."""

    def __init__(self, rules: LiquidationConfig) -> None:
        self.rules = rules

    @abstractmethod
    def order_lots(self, held: Standing) -> Lots:
        """Size of the next order of each account, at most `held.lots`; 0: none."""

    @abstractmethod
    def gives_up(self, held: Standing) -> Bools:
        """True where the waterfall takes what is left; asked after an account's first scan."""

    def bound_ticks(self, held: Standing, bound: Ticks) -> Ticks:
        """Worst price of each order; `bound` is what `liquidation.order_bound` says (0: none)."""
        return bound


@final
@dataclass(frozen=True)
class Limits:
    """Least and most of a position that one order may sell, and the share of it in between."""

    fraction: float
    least_notional: float
    most_notional: float | None = None

    def of(self, held: Standing) -> Lots:
        """`fraction` of each position, rounded up, within the limits; never more than there is."""
        part = np.ceil(held.lots * self.fraction).astype(np.int64)
        part = np.maximum(part, math.ceil(held.lots_for(self.least_notional)))
        if self.most_notional is not None:
            part = np.minimum(part, math.floor(held.lots_for(self.most_notional)))
        order: Lots = np.clip(part, 1, held.lots)
        return order
