"""What a lot is worth, shares and products that do not overflow, equity and maintenance of one account."""

import numpy as np

from marginquake.sim.core.records import MOST_TICKS, MarginMode
from marginquake.sim.kernels import helper

_MOST_TICKS = np.int64(MOST_TICKS)


@helper
def lot_value_at(value, inverse, ticks):
    """Money that one lot, held long, is worth at a price of at least one tick; negative where it is owed in coin."""
    if inverse:
        return -((2 * value + ticks) // (2 * ticks))
    return ticks * value


@helper
def value_of_lot(x, ticks):
    """`lot_value_at` under the rules of a market."""
    rules = x.rules[0]
    return lot_value_at(rules["value"], rules["inverse"] != 0, ticks)


@helper
def lowest_ticks(value, coin):
    """Inverse: lowest tick at which a lot is worth no more than `coin`; beyond all prices where that is negative."""
    if coin < 0:
        return _MOST_TICKS
    return min(2 * value // (2 * coin + 1) + 1, _MOST_TICKS)


@helper
def highest_ticks(value, coin):
    """Inverse: highest tick at which a lot is worth at least `coin`; beyond all prices where every one is."""
    if coin < 1:
        return _MOST_TICKS
    return min(2 * value // (2 * coin - 1), _MOST_TICKS)


@helper
def nearest_ticks(value, inverse, lots, money):
    """Price at which signed lots are worth nearest to `money`; beyond all prices where none makes them worth it."""
    size = abs(lots) * value
    if inverse:
        if money == 0 or (lots > 0) == (money > 0):
            return _MOST_TICKS
        return min((2 * size + abs(money)) // (2 * abs(money)), _MOST_TICKS)
    ticks = (2 * (money if lots > 0 else -money) + size) // (2 * size)
    return min(max(ticks, -_MOST_TICKS - 1), _MOST_TICKS)


_MILLION = 1_000_000
_EXACT_IN_FLOAT = 2**51
_NEXT = np.uint64(1)
_ISOLATED = np.int64(MarginMode.ISOLATED)


@helper
def muldiv(n, ppm):
    """floor(n * ppm / 10^6) without overflow."""
    return n // _MILLION * ppm + n % _MILLION * ppm // _MILLION


@helper
def quotient(n, d):
    """floor(n / d) for 0 <= n, 0 < d and a quotient below 2^51: in floating point, then mended to be exact.

    A division of 64-bit integers costs the processor several times as much.
    """
    q = np.int64(float(n) / float(d))
    rest = n - q * d
    if rest < 0:
        return q - 1
    if rest >= d:
        return q + 1
    return q


@helper
def share(total, part, whole):
    """floor(total * part / whole) for 0 <= part <= whole, without overflow."""
    if part == whole:
        return total
    if 0 <= total < _EXACT_IN_FLOAT:
        shares = quotient(total, whole)
        return shares * part + quotient((total - shares * whole) * part, whole)
    return total // whole * part + total % whole * part // whole


@helper
def backing_equity(x, row, mark):
    """What backs the position at `mark`: isolated margin or whole collateral, plus unrealised profit."""
    a = x.accounts[row]
    base = a["isolated_margin"] if a["mode"] == _ISOLATED else a["collateral"]
    return base + a["position_lots"] * value_of_lot(x, mark) - a["cost"]


@helper
def bracket_of(brackets, notional):
    """Number of the bracket of a notional: the first whose cap it does not exceed, or the last."""
    last = np.uint64(brackets.shape[0] - 1)
    k = np.uint64(0)
    while k < last and notional > brackets[k]["cap"]:
        k += _NEXT
    return k


@helper
def maintenance(brackets, notional):
    """Bracketed maintenance margin of a notional: rate * notional - deduction."""
    bracket = brackets[bracket_of(brackets, notional)]
    return muldiv(notional, bracket["rate_ppm"]) - bracket["deduction"]
