"""A takeover by a rich fund with plain integers and fractions: the naive twin of `sim.kernels.takeover`."""

from fractions import Fraction
from typing import Any, final

from numpy.typing import NDArray

from sim.records import MarginMode

MONEY = ("position_lots", "cost", "collateral", "isolated_margin")


@final
class NaiveTakeover:
    """`rows`: the fund and the bankrupt account before; the attributes say what is true after."""

    def __init__(self, rows: NDArray[Any], value: int, mark: int) -> None:
        self.fund, self.bankrupt = ({name: int(row[name]) for name in MONEY} for row in rows)
        isolated = rows["mode"][1] == MarginMode.ISOLATED
        lots, cost = self.bankrupt["position_lots"], self.bankrupt["cost"]
        backing = self.bankrupt["isolated_margin" if isolated else "collateral"]
        self.equity = backing + lots * mark * value - cost
        self.price_ticks = Fraction(cost - backing, lots * value)
        self.bankrupt = {
            "position_lots": 0,
            "cost": 0,
            "collateral": self.bankrupt["collateral"] - backing,
            "isolated_margin": 0 if isolated else self.bankrupt["isolated_margin"],
        }
        self._receive(lots, cost - backing)
        self.paid = max(0, -self.bankrupt["collateral"])
        self.bankrupt["collateral"] += self.paid
        self.fund["collateral"] -= self.paid

    def _receive(self, lots: int, cost: int) -> None:
        held, held_cost = self.fund["position_lots"], self.fund["cost"]
        closed = min(abs(lots), abs(held)) if held * lots < 0 else 0
        released = int(Fraction(held_cost * closed, abs(held))) if closed else 0
        used = int(Fraction(cost * closed, abs(lots)))
        self.fund["collateral"] -= released + used
        self.fund["cost"] = held_cost - released + cost - used
        self.fund["position_lots"] = held + lots
