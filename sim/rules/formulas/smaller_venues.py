"""Worked formulas of BitMEX, OKX and Deribit, and of inverse contracts: floats, each with its source and grade."""

import math
from typing import NamedTuple, final

from marginquake.sim.core.records import Side


def takeover_insurance_delta(side: Side, quantity: float, bankruptcy_price: float, fill_price: float) -> float:
    """Change of the insurance fund when a position taken over at bankruptcy is closed at `fill_price` (eq. 96).

    s q (fill - bankruptcy): better than bankruptcy feeds the fund, worse is paid by it.  liquidationExamples, grade B.
    `side`: of the position that was taken over.
    """
    return side * quantity * (fill_price - bankruptcy_price)


def fee_inclusive_liquidation_price(
    side: Side,
    quantity: float,
    entry_price: float,
    isolated_margin: float,
    maintenance_rate: float,
    taker_fee: float,
) -> float:
    """Isolated liquidation price where the exit fee counts as maintenance: OKX, Gate (eq. 86, grade A by freqtrade).

    (e - s margin / q) / (1 - s (rate + fee)); all rates are fractions of notional.
    """
    return (entry_price - side * isolated_margin / quantity) / (1 - side * (maintenance_rate + taker_fee))


def inverse_profit(side: Side, contracts: float, entry_price: float, price: float) -> float:
    """Profit of an inverse position in coin: s Q (1/entry - 1/price) (eq. 80); a definition."""
    return side * contracts * (1.0 / entry_price - 1.0 / price)


def inverse_liquidation_price(
    side: Side, contracts: float, entry_price: float, isolated_margin: float, maintenance_rate: float
) -> float:
    """Isolated liquidation price with maintenance on *mark* value: Q (1 + s rate) / (Q/entry + s margin) (eq. 81).

    `isolated_margin` in coin.  Infinite for a short whose margin covers its whole entry value: no price calls it.
    Algebra (grade D); Bybit's page of 2026 charges maintenance in this way (A).
    """
    coin = contracts / entry_price + side * isolated_margin
    return contracts * (1.0 + side * maintenance_rate) / coin if coin > 0 else math.inf


def inverse_bankruptcy_price(side: Side, contracts: float, entry_price: float, margin: float) -> float:
    """Price at which `margin` (coin) is used up: Q / (Q/entry + s margin) (eq. 82); grade D.  Infinite: never."""
    coin = contracts / entry_price + side * margin
    return contracts / coin if coin > 0 else math.inf


@final
class MarginRule(NamedTuple):
    """Rates of a position of size 0, and what each coin of size adds to both."""

    initial: float
    maintenance: float
    per_coin: float


STANDARD_MARGIN = {
    "BTC": MarginRule(0.02, 0.01, 0.00005),
    "ETH": MarginRule(0.02, 0.01, 0.000004),
}
"""Standard margin since 2022-01-11 (Deribit's notice of that day, grade A)."""


def margin_rates(asset: str, position_size: float) -> tuple[float, float]:
    """Initial and maintenance rate of a position of `position_size` coins (eq. 97); notice of 11 Jan 2022, grade A."""
    rule = STANDARD_MARGIN[asset]
    added = rule.per_coin * abs(position_size)
    return rule.initial + added, rule.maintenance + added
