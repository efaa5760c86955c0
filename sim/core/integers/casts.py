"""From floats to int64, and sums of int64, without a wrapped value."""

from typing import Any, Final

import numpy as np

from marginquake.sim.core.integers.limits import MOST_MONEY, NEVER_NS, TooLarge
from marginquake.sim.core.typing import Ints

_LOW: Final = np.int64(0xFFFFFFFF)
_BITS: Final = np.int64(32)


def whole(values: Any, what: str = "a number") -> Ints:
    """int64, toward zero.  Raises TooLarge where one is no number or does not fit."""
    try:
        with np.errstate(invalid="raise"):
            return np.asarray(values).astype(np.int64)
    except FloatingPointError:
        found = np.asarray(values, np.float64)
        worst = found[~(np.abs(found) < 2.0**63)].ravel()[0]
        raise TooLarge(f"{what}: {worst:.6g} does not fit in 64 bits") from None


def money(values: Any, what: str, way_out: str = "raise contract.money_unit") -> Ints:
    """Nearest money units of amounts for single accounts.  Raises TooLarge where one is above `MOST_MONEY`."""
    rounded = np.rint(values)
    if not (np.abs(rounded) <= MOST_MONEY).all():
        worst = np.asarray(rounded)[~(np.abs(rounded) <= MOST_MONEY)].ravel()[0]
        raise TooLarge(f"{what}: {worst:.6g} money units; one account holds at most {MOST_MONEY:.6g}; {way_out}")
    return np.asarray(rounded).astype(np.int64)


def wait_ns(values: Any) -> Ints:
    """Nanoseconds to wait, toward zero; what is longer than `NEVER_NS` is cut there."""
    cut: Ints = np.minimum(values, float(NEVER_NS)).astype(np.int64)
    return cut


def exact_sum(values: Ints) -> int:
    """The sum as it is, also where it leaves 64 bits."""
    return (int((values >> _BITS).sum()) << 32) + int((values & _LOW).sum())
