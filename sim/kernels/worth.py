"""What a lot is worth at a price: `sim.worth` for kernels (docs/model.md, eq. 1)."""

import numpy as np

from sim.kernels import helper
from sim.records import MOST_TICKS

_MOST_TICKS = np.int64(MOST_TICKS)


@helper
def lot_worth(value, inverse, ticks):  # type: ignore[no-untyped-def]
    """Money that one lot, held long, is worth at a price of at least one tick; negative where it is owed in coin."""
    if inverse:
        return -((2 * value + ticks) // (2 * ticks))
    return ticks * value


@helper
def worth_of_lot(x, ticks):  # type: ignore[no-untyped-def]
    """`lot_worth` under the rules of a market."""
    rules = x.rules[0]
    return lot_worth(rules["value"], rules["inverse"] != 0, ticks)


@helper
def lowest_ticks(value, coin):  # type: ignore[no-untyped-def]
    """Inverse: lowest tick at which a lot is worth no more than `coin`; beyond all prices where that is negative."""
    if coin < 0:
        return _MOST_TICKS
    return min(2 * value // (2 * coin + 1) + 1, _MOST_TICKS)


@helper
def highest_ticks(value, coin):  # type: ignore[no-untyped-def]
    """Inverse: highest tick at which a lot is worth at least `coin`; beyond all prices where every one is."""
    if coin < 1:
        return _MOST_TICKS
    return min(2 * value // (2 * coin - 1), _MOST_TICKS)


@helper
def nearest_ticks(value, inverse, lots, money):  # type: ignore[no-untyped-def]
    """Price at which signed lots are worth nearest to `money`; beyond all prices where none makes them worth it."""
    size = abs(lots) * value
    if inverse:
        if money == 0 or (lots > 0) == (money > 0):
            return _MOST_TICKS
        return min((2 * size + abs(money)) // (2 * abs(money)), _MOST_TICKS)
    ticks = (2 * (money if lots > 0 else -money) + size) // (2 * size)
    return min(max(ticks, -_MOST_TICKS - 1), _MOST_TICKS)
