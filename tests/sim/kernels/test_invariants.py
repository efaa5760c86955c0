"""Laws that hold after every command and every mark, whatever the stream."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from marginquake.sim.core.records import EVENT, EventKind, OrderKind
from marginquake.sim.venue.exchange import Exchange
from tests.oracles.exchange_laws import Laws, obey
from tests.support.compare_exchanges import play
from tests.support.strategies import THOROUGH, Case, cases, long_case


@settings(
    max_examples=30 * THOROUGH,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(cases())
def test_the_laws_hold_on_random_streams(case: Case) -> None:
    obey(case)


@pytest.mark.parametrize(("seed", "inverse"), [(5, False), (6, False), (5, True)])
def test_the_laws_hold_on_long_streams(seed: int, inverse: bool) -> None:
    obey(long_case(seed, 1_500 * THOROUGH, inverse=inverse), check_every=20)


def waiting_for_the_last_price(exchange: Exchange) -> dict[int, tuple[bool, int]]:
    """Conditional orders by id: whether they wait for a fall, and the trigger."""
    live = (exchange.orders_of(row) for row in range(len(exchange.accounts.rows)))
    return {
        int(order["order_id"]): (order["queue"] == 0, int(order["trigger_ticks"]))
        for orders in live
        for order in orders[(orders["queue"] == 0) | (orders["queue"] == 1)]
    }


def keep_to_their_kind(case: Case) -> None:
    """What a print has reached does not wait on; a fill-or-kill order fills whole or not at all; a post-only order
    never takes."""
    exchange = case.open(Exchange)
    post_only: set[int] = set()
    for number, (what, fields) in enumerate(case.steps):
        waited = waiting_for_the_last_price(exchange)
        events = play(exchange, (what, fields), number)
        fills = events[events["kind"] == EventKind.FILL]
        for order_id in waited.keys() & waiting_for_the_last_price(exchange).keys():
            falls, trigger = waited[order_id]
            reached = fills["price_ticks"] <= trigger if falls else fills["price_ticks"] >= trigger
            assert not reached.any(), (number, order_id)
        if what == "command" and fields["kind"] == OrderKind.FOK:
            own = events[events["order_id"] == fields["order_id"]]
            assert (own["kind"] == EventKind.FILL).all() or own["kind"].tolist() == [EventKind.REJECTED], number
        if what == "command" and fields["kind"] == OrderKind.POST_ONLY:
            post_only.add(fields["order_id"])
        assert not post_only & set(fills["order_id"].tolist()), number


@settings(
    max_examples=60 * THOROUGH,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(cases())
def test_orders_keep_to_their_kind_on_random_streams(case: Case) -> None:
    keep_to_their_kind(case)


@pytest.mark.parametrize(("seed", "inverse"), [(8, False), (9, False), (8, True)])
def test_orders_keep_to_their_kind_on_long_streams(seed: int, inverse: bool) -> None:
    keep_to_their_kind(long_case(seed, 1_000 * THOROUGH, inverse=inverse))


def test_the_law_of_time_priority_can_be_broken() -> None:
    """The check itself is checked: a queue turned round is noticed."""
    exchange = long_case(7, 400).open(Exchange)
    laws = Laws(exchange)
    for number, step in enumerate(long_case(7, 400).steps):
        play(exchange, step, number)
    laws.queues = {place: queue[::-1] for place, queue in laws._queues().items()}
    with pytest.raises(AssertionError):
        laws._queues_keep_their_order(np.zeros(0, EVENT))
