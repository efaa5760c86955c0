"""Bybit: liquidation and bankruptcy prices of linear and inverse contracts, as its help pages print them.

Its inverse rule has changed: pages of before charge maintenance on *entry* value (here), those of 2026 on *mark* value
(`sim.rules.formulas.smaller_venues.inverse_liquidation_price`).  Inverse quantities are in quote units, balances in
coin.
"""

import math

from marginquake.sim.core.records import Side
from marginquake.sim.rules.formulas.smaller_venues import inverse_bankruptcy_price


def linear_liquidation_price(side: Side, entry_price: float, leverage: float, maintenance_rate: float) -> float:
    """Isolated, linear, maintenance on *entry* value: e (1 - s / leverage + s rate) (eq. 83); grade A by freqtrade."""
    return entry_price * (1.0 - side / leverage + side * maintenance_rate)


def inverse_isolated_liquidation_price(
    side: Side, contracts: float, entry_price: float, leverage: float, maintenance_rate: float
) -> float:
    """Isolated, inverse, maintenance on *entry* value: Q / (V + s (V / leverage - rate V)), V = Q / e (eq. 84).

    Formula of the page on isolated margin of the unified account (grade B).  Infinite: cannot be called.
    """
    value = contracts / entry_price
    return _price(contracts, value + side * (value / leverage - maintenance_rate * value))


def inverse_isolated_bankruptcy_price(side: Side, entry_price: float, leverage: float) -> float:
    """Isolated, inverse, without fees: e leverage / (leverage + s) (eq. 82); Bybit help 900000031623, grade A.

    Infinite for a short at leverage 1 or below, which no price can bankrupt.
    """
    return inverse_bankruptcy_price(side, entry_price, entry_price, 1.0 / leverage)


def inverse_cross_bankruptcy_price(
    side: Side, contracts: float, entry_price: float, balance: float, taker_fee: float
) -> float:
    """Cross, inverse: (1 + s fee) Q / (Q/e + s balance): the price at which closing, fee included, leaves nothing.

    Eq. 85; Bybit help 360039261334, grade A for longs, its mirror image (D) for shorts.  Infinite: never bankrupt.
    """
    return _price((1.0 + side * taker_fee) * contracts, contracts / entry_price + side * balance)


def inverse_cross_liquidation_price(
    side: Side, contracts: float, entry_price: float, balance: float, taker_fee: float, maintenance_rate: float
) -> float:
    """Cross, inverse: Q / (V + s (balance - rate V - fee Q / bankruptcy price)), V = Q / e (eq. 85).

    The requirement is maintenance on entry value plus the fee of closing at the bankruptcy price.  Bybit help
    360039261334, grade A for longs, its mirror image (D) for shorts.  The page rounds on the way (5739.50 for 5739.08).
    """
    bankruptcy = inverse_cross_bankruptcy_price(side, contracts, entry_price, balance, taker_fee)
    value = contracts / entry_price
    free = balance - maintenance_rate * value - taker_fee * contracts / bankruptcy
    return _price(contracts, value + side * free)


def _price(quote: float, coin: float) -> float:
    return quote / coin if coin > 0 else math.inf
