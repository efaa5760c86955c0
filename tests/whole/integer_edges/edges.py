"""Integers that lie at the ends of what is allowed: where a product or a sum would wrap first."""

from collections.abc import Sequence
from typing import Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from marginquake.sim.core.integers.limits import MOST_BALANCE, MOST_COST, MOST_MONEY
from marginquake.sim.core.valuation import LotValue
from tests.support.strategies import THOROUGH

EDGES: Final = settings(
    max_examples=50 * THOROUGH,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
LARGEST_POSITION: Final = 2**59
"""Money that the largest position of one account may be worth where it is worth most (`POSITION_MARGIN`)."""


def near(low: int, high: int, *others: int) -> st.SearchStrategy[int]:
    """Whole numbers in [low, high]: mostly its ends, powers of two and of ten, `others`, and their neighbours."""
    marks: list[int] = [low, high, 0, *others]
    marks += [sign * 2**power for power in range(0, 63, 3) for sign in (1, -1)]
    marks += [sign * 10**power for power in range(0, 19, 3) for sign in (1, -1)]
    close: Sequence[int] = sorted({mark + step for mark in marks for step in (-1, 0, 1) if low <= mark + step <= high})
    return st.sampled_from(close) | st.sampled_from([low, high]) | st.integers(low, high)


BALANCES: Final = near(-MOST_BALANCE, MOST_BALANCE)
DEPOSITS: Final = near(0, MOST_MONEY)
COSTS: Final = near(-MOST_COST, MOST_COST)


@st.composite
def contracts(draw: st.DrawFn) -> tuple[LotValue, int, int]:
    """A lot, the price levels of its ladder, and the largest position, as large together as they may be."""
    ladder = draw(near(2, 2**31 - 2))
    most = draw(near(1, 2**30 - 1))
    inverse = draw(st.booleans())
    largest = LARGEST_POSITION // (most if inverse else most * ladder)
    if largest < 1:
        ladder = max(2, LARGEST_POSITION // most) if not inverse else ladder
        largest = 1
    value = draw(near(1, max(1, largest)))
    return LotValue(value, inverse), ladder, most
