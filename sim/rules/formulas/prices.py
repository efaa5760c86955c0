"""Formulas of mark prices and funding, as venues publish them.

The rules that use them are files of `sim.rules.mark` and `sim.rules.funding`.  Prices are in any one unit, rates are
fractions.  Equation numbers are those of docs/model.md.
"""

import math
from statistics import median
from typing import Any

from numpy.typing import NDArray


def fair_price(index: float, funding_rate: float, time_left_fraction: float) -> float:
    """Index plus the funding still to accrue: index (1 + rate * time left / interval) (eq. 9); BitMEX, grade A."""
    return index * (1.0 + funding_rate * time_left_fraction)


def median_mark_price(
    index: float, funding_rate: float, time_left_fraction: float, average_basis: float, last: float
) -> float:
    """Median of (P1, P2, last): P1 the fair price, P2 = index + average basis (eq. 10); Binance USD-M, grade A."""
    return middle(fair_price(index, funding_rate, time_left_fraction), index + average_basis, last)


def clamped_funding_rate(premium: float, interest: float, clamp: float) -> float:
    """F = P + clamp(I - P, -clamp, +clamp), all fractions per 8 h (eq. 12); Binance, BitMEX, Hyperliquid, grade A."""
    return premium + min(max(interest - premium, -clamp), clamp)


def premium_index(impact_bid: float, impact_ask: float, index: float) -> float:
    """(max(0, impact bid - index) - max(0, index - impact ask)) / index (eq. 11); a missing side (nan) gives 0."""
    above = impact_bid - index if impact_bid > index else 0.0
    below = index - impact_ask if impact_ask < index else 0.0
    return (above - below) / index


def impact_price(price_ticks: NDArray[Any], lots: NDArray[Any], notional_tick_lots: float) -> float:
    """Average price of a market order of this notional (ticks * lots) against levels given from the touch outwards.

    nan when the levels hold less than that.
    """
    left = notional_tick_lots
    bought = 0.0
    for price, quantity in zip(price_ticks.tolist(), lots.tolist(), strict=True):
        take = min(left, price * quantity)
        bought += take / price
        left -= take
        if left <= 0.0:
            return float(notional_tick_lots / bought)
    return math.nan


def hyperliquid_mark_price(
    oracle: float,
    average_basis: float,
    book: tuple[float, float, float] | None,
    outside: float | None,
    average_book: float | None = None,
) -> float:
    """Median of oracle + average basis, the book's median and perps elsewhere (eq. 140); Hyperliquid, grade A.

    `average_basis`: exponential average (150 s) of mid - oracle.  `book`: best bid, best ask, last; None while one of
    them is missing.  `outside`: (weighted) median mid of the perps elsewhere; None if there is none.  Where exactly two
    of the three exist, `average_book`, the exponential average (30 s) of the book's median, is the third, if it exists.
    """
    inputs = [oracle + average_basis]
    if book is not None:
        inputs.append(middle(*book))
    if outside is not None:
        inputs.append(outside)
    if len(inputs) == 2 and average_book is not None:
        inputs.append(average_book)
    return median(inputs)


def mean_premium_funding_rate(premium: float, interest: float, cap: float) -> float:
    """Mean premium plus interest, cut at +-cap: fractions per 8 h (eq. 143); dYdX v4, grade A."""
    return min(max(premium + interest, -cap), cap)


def bitmex_funding_limits(
    rate_before: float, initial_fraction: float, maintenance_fraction: float
) -> tuple[float, float]:
    """Least and largest next funding rate (eq. 144): 75 % of (initial - maintenance), and no further than 75 % of
    maintenance from the rate before; BitMEX perpetual guide, grade R+."""
    most = 0.75 * (initial_fraction - maintenance_fraction)
    reach = 0.75 * maintenance_fraction
    return max(-most, min(rate_before - reach, most)), min(most, max(rate_before + reach, -most))


def middle(a: float, b: float, c: float) -> float:
    """Median of three."""
    return max(min(a, b), min(max(a, b), c))
