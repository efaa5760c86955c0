"""Hyperliquid: maintenance tiers, liquidation and backstop price, hourly funding.

Maintenance is half of the initial margin at the tier's highest leverage: rate = 1 / (2 max leverage).
"""

from collections.abc import Sequence

from marginquake.sim.core.records import Side
from marginquake.sim.rules.formulas.liquidation_price import NotionalBracket, notional_brackets

BACKSTOP_SHARE = 2.0 / 3.0
"""Below this share of maintenance the liquidator vault takes the position over (Hyperliquid documents, grade A)."""


def maintenance_rate(max_leverage: float) -> float:
    """1 / (2 max leverage): half of the initial margin (eq. 92); documents on margining, grade A."""
    return 1.0 / (2.0 * max_leverage)


def maintenance_brackets(floors: Sequence[float], max_leverages: Sequence[float]) -> list[NotionalBracket]:
    """Margin tiers as brackets with their deductions (eq. 5); documents on margin tiers, grade A."""
    caps = [*floors[1:], float("inf")]
    return notional_brackets(floors, caps, [maintenance_rate(leverage) for leverage in max_leverages])


def isolated_liquidation_price(
    side: Side,
    quantity: float,
    entry_price: float,
    isolated_margin: float,
    max_leverage: float,
    price: float | None = None,
) -> float:
    """P - s (margin - l N) / q / (1 - l s), l = 1 / (2 max leverage), N = q P (eq. 93); documents, grade B.

    `price` P is where it is evaluated, by default the entry; where P does not matter (within one tier) this is eq. 6.
    """
    here = entry_price if price is None else price
    rate = maintenance_rate(max_leverage)
    margin = isolated_margin + side * quantity * (here - entry_price)
    available = margin - rate * quantity * here
    return here - side * available / quantity / (1.0 - rate * side)


def backstop_price(
    side: Side, quantity: float, entry_price: float, isolated_margin: float, maintenance_rate: float
) -> float:
    """Price at which equity is two thirds of maintenance: the vault takes over (eq. 94); rule A, algebra D.

    (e - s margin / q) / (1 - s (2/3) rate).
    """
    return (entry_price - side * isolated_margin / quantity) / (1.0 - side * BACKSTOP_SHARE * maintenance_rate)


def funding_payment(quantity: float, oracle_price: float, rate_8h: float) -> float:
    """What a long of `quantity` pays each hour: an eighth of the 8-h rate on *oracle* notional (eq. 95); grade A/B."""
    return quantity * oracle_price * rate_8h / 8.0
