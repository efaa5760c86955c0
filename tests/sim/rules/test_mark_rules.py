"""Facts about mark rules that look at more than one price: Hyperliquid's median and its averages."""

import math
from dataclasses import replace
from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marginquake.sim.core.fields import SECOND
from marginquake.sim.rules.formulas import prices
from marginquake.sim.rules.mark import MARK_RULES, ExponentialAverage, MarkInputs

ORACLE = 100_000.0
NOTHING = math.nan


def book(bid: float = ORACLE - 5, ask: float = ORACLE + 5, last: float = ORACLE, oracle: float = ORACLE) -> MarkInputs:
    return MarkInputs(oracle, 0.5 * (bid + ask), last, 0.0, 0.5, bid, ask)


def marks(*inputs: MarkInputs, outside_perps: bool = True) -> list[float]:
    rule = MARK_RULES.rule("hyperliquid", period=3 * SECOND, outside_perps=outside_perps)
    return [rule.update(replace(each, now_ns=3 * n * SECOND)) for n, each in enumerate(inputs)]


def test_a_mark_that_comes_late_weighs_for_the_time_it_was_missed() -> None:
    """150 s without a mark, then the basis of 100: it has as much weight as if it had been there all the time."""
    rule = MARK_RULES.rule("hyperliquid", period=3 * SECOND)
    for second in range(0, 6000, 3):
        rule.update(replace(book(), now_ns=second * SECOND))
    up = replace(book(bid=ORACLE + 95, ask=ORACLE + 105, last=ORACLE + 100), now_ns=(5997 + 150) * SECOND)
    kept = math.exp(-1.0) * 3 / (1 - math.exp(-3 / 150))
    assert rule.update(up) == pytest.approx(ORACLE + 100 * 150 / (150 + kept), abs=1e-6)


@given(st.lists(st.tuples(st.floats(-50, 50) | st.just(NOTHING), st.integers(1, 600)), min_size=1, max_size=30))
def test_the_exponential_average_is_the_weighted_mean_written_out(samples: list[tuple[float, int]]) -> None:
    """Naive twin: every sample weighs for the time since the one before, faded by its age."""
    average = ExponentialAverage(150 * SECOND)
    now, taken = 0, [(0, 0.0)]
    for value, seconds in samples:
        now += seconds
        average.update(value, seconds * SECOND)
        if not math.isnan(value):
            taken.append((now, value))
    if len(taken) == 1:
        assert math.isnan(average.value)
        return
    last = taken[-1][0]
    weights = [(at - before) * math.exp(-(last - at) / 150) for (before, _), (at, _) in pairwise(taken)]
    expected = sum(w * value for w, (_, value) in zip(weights, taken[1:], strict=True)) / sum(weights)
    assert average.value == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_index_plus_basis_follows_the_basis_slowly_and_not_far() -> None:
    rule = MARK_RULES.rule("index_plus_basis", basis_time_scale=30 * SECOND, basis_limit=0.005)
    seconds = count()

    def mark(inputs: MarkInputs) -> float:
        return rule.update(replace(inputs, now_ns=next(seconds) * SECOND))

    assert mark(book(bid=NOTHING)) == ORACLE
    assert mark(book(bid=ORACLE + 95, ask=ORACLE + 105)) == pytest.approx(ORACLE + 100)
    back = [mark(book()) for _ in range(30)]
    assert all(ORACLE < now < before for before, now in pairwise([ORACLE + 100, *back]))
    for _ in range(600):
        far = mark(book(bid=0.9 * ORACLE, ask=0.9 * ORACLE))
    assert far == pytest.approx(0.995 * ORACLE)
    free = MARK_RULES.rule("index_plus_basis", basis_time_scale=SECOND)
    assert free.update(book(bid=0.9 * ORACLE, ask=0.9 * ORACLE)) == pytest.approx(0.9 * ORACLE)


def test_index_plus_basis_does_not_see_the_last_price() -> None:
    one, other = (MARK_RULES.rule("index_plus_basis") for _ in range(2))
    assert one.update(book()) == other.update(book(last=0.5 * ORACLE))


def test_the_mark_is_the_median_of_oracle_book_and_perps_elsewhere() -> None:
    assert prices.hyperliquid_mark_price(100.0, 1.0, (99.0, 103.0, 104.0), 102.0) == 102.0
    assert prices.hyperliquid_mark_price(100.0, 1.0, (99.0, 103.0, 90.0), 102.0) == 101.0


def test_with_two_inputs_the_average_of_the_book_is_the_third() -> None:
    assert prices.hyperliquid_mark_price(100.0, 1.0, None, 102.0, 101.5) == 101.5
    assert prices.hyperliquid_mark_price(100.0, 1.0, (99.0, 103.0, 104.0), None, 90.0) == 101.0
    assert prices.hyperliquid_mark_price(100.0, 1.0, None, 102.0) == 101.5
    assert prices.hyperliquid_mark_price(100.0, 1.0, None, None, 90.0) == 101.0
    assert prices.hyperliquid_mark_price(100.0, 1.0, (99.0, 103.0, 104.0), 102.0, 90.0) == 102.0


def test_a_spike_of_the_last_price_is_lost_in_the_median_of_the_book() -> None:
    assert marks(book(), book(last=0.95 * ORACLE)) == [ORACLE, ORACLE]
    before, after = marks(book(), book(last=0.95 * ORACLE), outside_perps=False)
    assert before == ORACLE
    assert ORACLE - 5 <= after <= ORACLE, "the spread is as far as it gets"


def test_a_basis_moves_the_mark_as_slowly_as_its_average() -> None:
    """The book jumps 100 up, elsewhere nothing moves: oracle + average basis lies between the two."""
    quiet, up = book(), book(bid=ORACLE + 95, ask=ORACLE + 105, last=ORACLE + 100)
    after = marks(*[quiet] * 2000, *[up] * 50)[2000:]
    assert after[-1] == pytest.approx(ORACLE + 100 * (1 - math.exp(-150 / 150)), abs=1e-6)
    after = marks(*[quiet] * 2000, *[up] * 50, outside_perps=False)[2000:]
    grown = 1 - math.exp(-150 / 30)
    assert after[-1] == pytest.approx(ORACLE + 100 * grown, abs=0.1), "the 30-s average of the book lies in between"


def test_a_book_with_one_side_is_no_input() -> None:
    empty = MarkInputs(ORACLE, NOTHING, ORACLE, 0.0, 0.5, ORACLE - 5, NOTHING)
    assert marks(empty) == [ORACLE]
    high = book(bid=ORACLE + 195, ask=ORACLE + 205, last=ORACLE + 200)
    assert marks(*[high] * 400, empty)[-1] == pytest.approx(ORACLE + 200, abs=0.1)


def test_the_median_of_three_is_between_its_inputs() -> None:
    assert prices.middle(3.0, 1.0, 2.0) == 2.0
    assert prices.median([4.0, 1.0]) == 2.5
    assert prices.median([7.0]) == 7.0
