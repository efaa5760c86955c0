"""Takeover by a rich fund, and ADL, with plain integers and fractions: naive twins of `sim.kernels.takeover`."""

import math
from fractions import Fraction
from typing import Any, final

from numpy.typing import NDArray

from marginquake.sim.core.records import MOST_TICKS, MarginMode, Stage
from marginquake.sim.core.valuation import LotValue

MONEY = ("position_lots", "cost", "collateral", "isolated_margin")


@final
class NaiveTakeover:
    """`rows`: the fund and the bankrupt account before; the attributes say what is true after."""

    def __init__(self, rows: NDArray[Any], lot_value: LotValue, mark: int) -> None:
        self.fund, self.bankrupt = ({name: int(row[name]) for name in MONEY} for row in rows)
        isolated = rows["mode"][1] == MarginMode.ISOLATED
        lots, cost = self.bankrupt["position_lots"], self.bankrupt["cost"]
        backing = self.bankrupt["isolated_margin" if isolated else "collateral"]
        value = lot_value.at_one_tick
        lot = -math.floor(Fraction(value, mark) + Fraction(1, 2)) if lot_value.inverse else mark * value
        self.equity = backing + lots * lot - cost
        paid = cost - backing
        if lot_value.inverse:
            self.price_ticks = Fraction(-lots * value, paid) if paid * lots < 0 else Fraction(MOST_TICKS)
        else:
            self.price_ticks = Fraction(paid, lots * value)
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


@final
class NaiveDeleveraging:
    """ADL of the account in row `bankrupt` of `rows` for signed `money`, against (row, lots) pairs in order.

    Row 0 is the fund, 1 fees, 2 rounding.  Afterwards `accounts` says what is true, `profits` what each counterparty
    realised and `paid` what the fund paid to whom, in order."""

    def __init__(self, rows: NDArray[Any], bankrupt: int, money: int, against: list[tuple[int, int]]) -> None:
        self.accounts = [{name: int(row[name]) for name in (*MONEY, "mode", "stage")} for row in rows]
        self.profits: list[int] = []
        self.paid: list[tuple[int, int]] = []
        position = self.accounts[bankrupt]["position_lots"]
        sign = 1 if position > 0 else -1
        self._settle(bankrupt, -position, -money)
        rest = money
        for row, lots in against:
            part = int(Fraction(money * lots, abs(position)))
            rest -= part
            self.profits.append(self._settle(row, sign * lots, part))
            self._lift(row)
        self.accounts[2]["collateral"] -= rest
        self._lift(bankrupt)

    def _settle(self, row: int, lots: int, cost: int) -> int:
        account = self.accounts[row]
        position = account["position_lots"]
        if position * lots >= 0:
            account["position_lots"] += lots
            account["cost"] += cost
            return 0
        closed = min(abs(lots), abs(position))
        released = int(Fraction(account["cost"] * closed, abs(position)))
        used = int(Fraction(cost * closed, abs(lots)))
        account["collateral"] -= released + used
        account["position_lots"] += lots
        account["cost"] += cost - released - used
        if account["mode"] == MarginMode.ISOLATED:
            freed = Fraction(account["isolated_margin"] * closed, abs(position)).__floor__()
            account["isolated_margin"] += min(0, freed - released - used) - freed
        return -(released + used)

    def _lift(self, row: int) -> None:
        account = self.accounts[row]
        if row < 3 or account["position_lots"] != 0:
            return
        deficit = max(0, -account["collateral"])
        if account["mode"] == MarginMode.ISOLATED:
            if account["stage"] >= Stage.CALLED and account["isolated_margin"] < 0:
                deficit = -account["isolated_margin"]
            account["isolated_margin"] = 0
        if deficit > 0:
            paid = min(deficit, max(0, self.accounts[0]["collateral"]))
            self.accounts[0]["collateral"] -= paid
            account["collateral"] += paid
            self.paid.append((row, paid))
