"""Casts to int64 never wrap; sums of int64 are exact."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marginquake.sim.core.integers.casts import exact_sum, money, wait_ns, whole
from marginquake.sim.core.integers.limits import MOST_MONEY, NEVER_NS, TooLarge

BEYOND = (2.0**63, -(2.0**63) * 1.001, 1e300, float("inf"), -float("inf"), float("nan"))


@pytest.mark.parametrize("value", BEYOND)
@pytest.mark.parametrize("count", [1, 7, 64])
def test_a_float_that_does_not_fit_is_no_whole_number(value: float, count: int) -> None:
    values = np.ones(count)
    values[-1] = value
    with pytest.raises(TooLarge, match=r"a size: .* does not fit in 64 bits"):
        whole(values, "a size")


@given(st.lists(st.floats(-(2.0**62), 2.0**62), max_size=20))
def test_what_fits_is_cast_toward_zero(values: list[float]) -> None:
    assert whole(np.array(values)).tolist() == [int(value) for value in values]


@pytest.mark.parametrize("value", [*BEYOND, MOST_MONEY * 1.001])
def test_an_amount_beyond_the_bound_of_an_account_is_refused(value: float) -> None:
    with pytest.raises(TooLarge, match=r"a deposit: .* one account holds at most .*; raise contract\.money_unit"):
        money(np.array([1.0, value]), "a deposit")


def test_amounts_are_rounded_to_the_nearest_unit() -> None:
    assert money(np.array([0.4, 1.6, float(MOST_MONEY)]), "a deposit").tolist() == [0, 2, MOST_MONEY]


def test_a_wait_without_end_ends_where_no_clock_comes() -> None:
    assert wait_ns(np.array([1.9, 1e300, np.inf])).tolist() == [1, NEVER_NS, NEVER_NS]


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.sampled_from([-(2**63), 2**63 - 1, -1, 0, 1]), max_size=40))
def test_a_sum_is_exact_where_64_bits_are_not_enough(values: list[int]) -> None:
    assert exact_sum(np.array(values, np.int64)) == sum(values)
