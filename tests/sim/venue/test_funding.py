"""Funding in a running market: when it is due, and what the mark makes of what is still to come."""

import pytest

from marginquake.sim.rules.funding import FundingConfig
from marginquake.sim.rules.mark import MarkConfig
from tests.support.scripted_market import PRICE, STEP_NS, Ladder, Part, part_market

RATE = 0.01


def test_the_mark_at_a_payment_has_nothing_of_it_left_and_the_next_has_a_whole_interval() -> None:
    """Fair price (eq. 9): index (1 + rate times the share of the interval still to run)."""
    model = part_market(
        {"book": Part(Ladder)},
        venue={
            "mark": MarkConfig(rule="fair_price", period=STEP_NS),
            "funding": FundingConfig(interval=10 * STEP_NS, sample_period=STEP_NS),
        },
    )
    venue = model.sessions[0].venue
    rule = venue.funding._rule
    rule.rate = lambda: RATE  # what the samples say does not matter here
    marks = []
    for _ in range(30):
        model.step()
        marks.append(venue.exchange.mark_ticks)
    assert marks[:10] == [PRICE] * 10, "nothing was paid yet"
    left = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0]
    assert marks[10:20] == pytest.approx([PRICE * (1 + RATE * share) for share in left])
    assert marks[19] == PRICE
    assert venue.funding.time_left_fraction(model.now_ns) == 1.0
