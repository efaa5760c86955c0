"""Inverse contracts in general: `contracts` of quote currency, margined and settled in coin (BitMEX, Deribit, Bybit).

Prices are quote units per coin; `contracts` is the quantity in quote units, positive; margins are coin.
"""

import math

from sim.records import Side


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
