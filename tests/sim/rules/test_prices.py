"""Facts about mark prices and funding."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marginquake.sim.core.fields import SECOND
from marginquake.sim.rules.formulas import prices
from marginquake.sim.rules.funding import FUNDING_RULES, FundingInputs, FundingRule, MarginTerms
from marginquake.sim.rules.mark import MARK_RULES, MarkInputs

INDEX = 100_000.0
HOUR = 3600 * SECOND
TERMS = MarginTerms(initial_fraction=0.01, maintenance_fraction=0.005)


def inputs(mid: float = INDEX, last: float = INDEX, rate: float = 0.0, left: float = 0.5) -> MarkInputs:
    return MarkInputs(INDEX, mid, last, rate, left)


def funding(name: str, **settings: Any) -> FundingRule:
    return FUNDING_RULES.rule(name, TERMS, **settings)


def test_a_spike_of_the_last_price_does_not_move_the_median() -> None:
    rule = MARK_RULES.rule("median_of_three")
    assert rule.update(inputs()) == INDEX
    assert rule.update(inputs(last=95_000.0)) == INDEX


def test_a_spike_of_the_last_price_is_the_mark_under_the_last_price_rule() -> None:
    rule = MARK_RULES.rule("last")
    assert rule.update(inputs(last=95_000.0)) == 95_000.0


def test_the_basis_is_averaged_over_its_window() -> None:
    rule = MARK_RULES.rule("median_of_three", period=1 * SECOND, basis_window=4 * SECOND)
    marks = [rule.update(inputs(mid=INDEX - 100, last=90_000.0)) for _ in range(3)]
    assert marks == [INDEX - 100] * 3
    marks = [rule.update(inputs(mid=INDEX, last=90_000.0)) for _ in range(4)]
    assert marks == [INDEX - 75, INDEX - 50, INDEX - 25, INDEX]


def test_the_basis_ages_out_while_a_side_is_empty() -> None:
    rule = MARK_RULES.rule("median_of_three", period=1 * SECOND, basis_window=3 * SECOND)
    rule.update(inputs(mid=INDEX - 90, last=90_000.0))
    marks = [rule.update(inputs(mid=math.nan, last=90_000.0)) for _ in range(3)]
    assert marks == [INDEX - 90, INDEX - 90, INDEX]


def test_funding_to_come_is_in_the_fair_price() -> None:
    rule = MARK_RULES.rule("median_of_three")
    assert rule.update(inputs(mid=INDEX + 500, last=INDEX + 400, rate=0.001, left=0.5)) == INDEX + 400
    assert MARK_RULES.rule("fair_price").update(inputs(rate=0.001, left=0.5)) == pytest.approx(INDEX + 50)


@pytest.mark.parametrize("name", sorted(MARK_RULES))
@pytest.mark.parametrize("last", [math.nan, 0.0])
def test_every_rule_gives_a_mark_before_the_first_fill_and_with_an_empty_book(name: str, last: float) -> None:
    assert MARK_RULES.rule(name).update(inputs(mid=math.nan, last=last)) == INDEX


def test_mid_and_last_stand_in_for_each_other() -> None:
    assert MARK_RULES.rule("mid").update(inputs(mid=math.nan, last=7.0)) == 7.0
    assert MARK_RULES.rule("last").update(inputs(mid=8.0, last=math.nan)) == 8.0
    assert MARK_RULES.rule("index").update(inputs(mid=8.0, last=7.0)) == INDEX


@given(st.floats(-0.1, 0.1), st.floats(-0.01, 0.01), st.floats(0, 0.01))
def test_the_clamp_bounds_how_far_funding_strays_from_the_premium(
    premium: float, interest: float, clamp: float
) -> None:
    rate = prices.clamped_funding_rate(premium, interest, clamp)
    assert abs(rate - premium) <= clamp + 1e-15
    if abs(interest - premium) <= clamp:
        assert rate == pytest.approx(interest, abs=1e-15)


def test_premium_is_zero_while_the_index_lies_between_the_impact_prices() -> None:
    assert prices.premium_index(99.0, 101.0, 100.0) == 0.0
    assert prices.premium_index(102.0, 103.0, 100.0) == pytest.approx(0.02)
    assert prices.premium_index(97.0, 98.0, 100.0) == pytest.approx(-0.02)
    assert prices.premium_index(math.nan, math.nan, 100.0) == 0.0


def test_impact_price_is_the_average_of_the_fills() -> None:
    levels, lots = np.array([100, 101, 110]), np.array([10, 10, 10])
    assert prices.impact_price(levels, lots, 500.0) == pytest.approx(100.0)
    both = prices.impact_price(levels, lots, 1000.0 + 505.0)
    assert both == pytest.approx(1505.0 / 15)
    assert math.isnan(prices.impact_price(levels, lots, 1e6))


def test_a_balanced_book_pays_the_interest_rate() -> None:
    rule = funding("clamped_premium")
    for _ in range(10):
        rule.sample(FundingInputs(INDEX - 1, INDEX + 1, INDEX))
    assert rule.settle() == pytest.approx(0.0001)


def test_late_samples_weigh_most_and_an_interval_forgets_the_one_before() -> None:
    rule = funding("clamped_premium", cap=1.0)
    rule.sample(FundingInputs(100.0, 101.0, 100.0))
    rule.sample(FundingInputs(103.0, 104.0, 100.0))
    assert rule.rate() == pytest.approx(0.02 - 0.0005)
    rule.settle()
    assert rule.rate() == pytest.approx(0.0001)


def test_the_rate_is_scaled_to_the_interval_and_capped() -> None:
    hourly = funding("clamped_premium", interval=HOUR)
    hourly.sample(FundingInputs(101.0, 102.0, 100.0))
    assert hourly.rate() == pytest.approx((0.01 - 0.0005) / 8)
    capped = funding("clamped_premium", cap=0.003)
    capped.sample(FundingInputs(80.0, 90.0, 100.0))
    assert capped.settle() == -0.003


def test_hyperliquid_pays_an_eighth_each_hour_of_the_plain_mean() -> None:
    """Impact bid 10,100 over a spot of 10,000: 0.95 % per 8 h (documents' example), mean of two samples here."""
    rule = funding("hyperliquid", interval=HOUR, cap=0.04)
    rule.sample(FundingInputs(10_100.0, 10_101.0, 10_000.0))
    assert rule.rate() == pytest.approx(0.0095 / 8)
    rule.sample(FundingInputs(10_000.0, 10_001.0, 10_000.0))
    assert rule.settle() == pytest.approx((0.005 - 0.0005) / 8)
    assert rule.on_oracle_price
    assert rule.accruing == pytest.approx((0.005 - 0.0005) / 8)


def test_hyperliquid_pays_at_most_four_percent_an_hour() -> None:
    rule = funding("hyperliquid", interval=HOUR, cap=0.04)
    rule.sample(FundingInputs(200.0, 201.0, 100.0))
    assert rule.settle() == 0.04


def test_dydx_pays_the_mean_premium_without_a_clamp_up_to_six_times_the_margin_between() -> None:
    rule = funding("dydx", interval=HOUR, interest=0.0)
    for bid in (101.0, 100.0, 102.0):
        rule.sample(FundingInputs(bid, bid + 1, 100.0))
    assert rule.rate() == pytest.approx(0.01 / 8)
    rule.forget()
    rule.sample(FundingInputs(150.0, 151.0, 100.0))
    assert rule.settle() == pytest.approx(6 * (0.01 - 0.005) / 8)
    assert rule.on_oracle_price


def test_bitmex_pays_what_the_interval_before_has_said() -> None:
    rule = funding("bitmex")
    assert rule.rate() == rule.accruing == 0.0001
    for _ in range(3):
        rule.sample(FundingInputs(100.3, 101.0, 100.0, 0.0))
    assert rule.settle() == 0.0001
    assert rule.accruing == pytest.approx(0.003 - 0.0005)
    assert rule.settle() == pytest.approx(0.003 - 0.0005)


def test_bitmex_measures_the_premium_from_the_fair_price_and_adds_its_basis() -> None:
    """The book at the fair price: the premium is the fair basis, and the rate stays within the clamp of interest."""
    rule = funding("bitmex", interest=0.0004)
    fair = 100.0 * (1 + 0.0004 * 0.5)
    rule.sample(FundingInputs(fair - 0.01, fair + 0.01, 100.0, 0.5))
    rule.settle()
    assert rule.accruing == pytest.approx(0.0004)


@given(st.floats(-0.02, 0.02), st.floats(-0.05, 0.05))
def test_bitmex_rates_stay_within_their_limits(before: float, premium: float) -> None:
    least, most = prices.bitmex_funding_limits(before, 0.01, 0.005)
    assert least <= most
    assert most <= 0.75 * 0.005 + 1e-15
    assert least >= -0.75 * 0.005 - 1e-15
    rate = min(max(premium, least), most)
    if abs(before) <= 0.75 * 0.005:
        assert abs(rate - before) <= 0.75 * 0.005 + 1e-15


@pytest.mark.parametrize("name", sorted(FUNDING_RULES))
def test_every_funding_rule_survives_a_thin_book_and_forgets(name: str) -> None:
    rule = funding(name, interest=0.0)
    rule.sample(FundingInputs(math.nan, math.nan, 100.0))
    assert rule.settle() == 0.0
    rule.sample(FundingInputs(102.0, 103.0, 100.0))
    rule.settle()
    rule.settle()
    assert rule.settle() == pytest.approx(0.0, abs=1e-12)
