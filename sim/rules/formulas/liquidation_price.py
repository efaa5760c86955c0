"""Requirement, liquidation and bankruptcy price as venues publish them: floats in quote units.

Equation numbers are those of docs/model.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from marginquake.sim.core.records import Side


def bracket_deductions(floors: Sequence[float], rates: Sequence[float]) -> list[float]:
    """Maintenance deductions that make the requirement continuous, in the unit of `floors` (eq. 5).

    cum_n = floor_n * (rate_n - rate_{n-1}) + cum_{n-1}, cum_1 = 0.  Binance USD-M ("maintenance amount"), grade A.
    """
    deductions = [0.0]
    for floor, rate, rate_below in zip(floors[1:], rates[1:], rates[:-1], strict=True):
        deductions.append(floor * (rate - rate_below) + deductions[-1])
    return deductions


@final
@dataclass(frozen=True)
class NotionalBracket:
    """One bracket in quote units: notional in (floor, cap] pays `maintenance_rate * notional - deduction`."""

    floor: float
    cap: float
    maintenance_rate: float
    deduction: float


def notional_brackets(floors: Sequence[float], caps: Sequence[float], rates: Sequence[float]) -> list[NotionalBracket]:
    """Brackets with their deductions derived (eq. 5)."""
    rows = zip(floors, caps, rates, bracket_deductions(floors, rates), strict=True)
    return [NotionalBracket(*row) for row in rows]


def maintenance_margin(notional: float, brackets: Sequence[NotionalBracket]) -> float:
    """Maintenance margin of a position of this notional, quote units (eq. 4); above the last cap, the last bracket."""
    bracket = next((b for b in brackets if notional <= b.cap), brackets[-1])
    return bracket.maintenance_rate * notional - bracket.deduction


def margin_fraction(equity: float, notional: float) -> float:
    """Equity over notional (eq. 3); infinite without a position.  Venues' "margin ratio" is maintenance / equity."""
    return equity / notional if notional > 0 else float("inf")


def liquidation_price(
    side: Side,
    quantity: float,
    entry_price: float,
    wallet_balance: float,
    maintenance_rate: float,
    maintenance_deduction: float,
    other_maintenance: float = 0.0,
    other_unrealised: float = 0.0,
) -> float:
    """Mark at which equity meets maintenance, given the bracket (eq. 6): Binance USD-M FAQ b3c689c1, grade A.

    LP = (WB - TMM_other + UPNL_other + cum - s q e) / (q MMR - s q), quantity q in base units, prices in quote units.
    Isolated: `wallet_balance` is the isolated margin and the `other_*` terms are 0.  Not positive: cannot be called.
    """
    signed = side * quantity
    backing = wallet_balance - other_maintenance + other_unrealised + maintenance_deduction
    return (backing - signed * entry_price) / (quantity * maintenance_rate - signed)


def bracketed_liquidation_price(
    side: Side, quantity: float, entry_price: float, backing: float, brackets: Sequence[NotionalBracket]
) -> tuple[float, int]:
    """Liquidation price where the bracket is that of the notional *at* that price, and its number from 1 (eq. 7).

    The requirement is convex and continuous in price, so the fixed point is unique: it is the first bracket whose
    own solution lies at or below its cap.  `backing`: isolated margin, or wallet balance (cross), quote units.
    """
    price = 0.0
    for number, bracket in enumerate(brackets, start=1):
        price = liquidation_price(side, quantity, entry_price, backing, bracket.maintenance_rate, bracket.deduction)
        if quantity * price <= bracket.cap:
            return price, number
    return price, len(brackets)


def bankruptcy_price(side: Side, quantity: float, entry_price: float, backing: float) -> float:
    """Price at which the backing is used up: entry - s * backing / quantity (eq. 8)."""
    return entry_price - side * backing / quantity
