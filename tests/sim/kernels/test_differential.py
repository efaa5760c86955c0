"""The kernels against their naive twin: same events, same money, same queues, on random and on long streams."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from marginquake.sim.core.records import EventKind, Reject
from marginquake.sim.venue.exchange import Exchange
from tests.oracles import naive_exchange
from tests.oracles.naive_accounts import NaiveAccount
from tests.oracles.naive_book import NaiveBook, NaiveOrder
from tests.oracles.naive_exchange import NaiveExchange
from tests.oracles.naive_settlement import change_position
from tests.support.compare_exchanges import (
    assert_same_events,
    assert_same_state,
    assert_twins_agree,
    calls_by_account,
    play,
)
from tests.support.strategies import MODERATE, THOROUGH, Case, cases, long_case

LONG = 3_000 * THOROUGH
"""Commands; at 2,500 every kind of event has occurred nine times."""


@MODERATE
@given(cases())
def test_kernel_and_twin_agree_on_random_streams(case: Case) -> None:
    assert_twins_agree(case, Exchange, NaiveExchange)


@pytest.mark.slow
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_kernel_and_twin_agree_on_a_long_stream(seed: int, inverse: bool) -> None:
    case = long_case(seed, LONG, inverse=inverse)
    assert_twins_agree(case, Exchange, NaiveExchange, state_every=250)


@pytest.mark.parametrize("inverse", [False, True])
def test_the_long_stream_sees_everything(inverse: bool) -> None:
    """A comparison is worth what it exercises: every kind of event and every reason occurs, many times."""
    kernel = long_case(0, LONG, inverse=inverse)
    exchange = kernel.open(Exchange)
    events = np.concatenate([play(exchange, step, number) for number, step in enumerate(kernel.steps)])
    kinds = Counter(EventKind(kind) for kind in events["kind"].tolist())
    for kind in [*list(EventKind)[: EventKind.MARGIN_CALL + 1], EventKind.INSURANCE]:
        assert kinds[kind] >= 5, (kind.name, kinds)
    reasons = {Reject(reason) for reason in events["reason"].tolist()}
    missing = set(Reject) - reasons - {Reject.PRICE_OUT_OF_RANGE, Reject.BAD_QUANTITY}
    assert not missing, missing


def test_one_batch_gives_what_single_commands_give() -> None:
    """Also with a small pool of orders, which has to grow on the way, and events beyond the first buffer."""
    case = long_case(3, 4_000)
    commands = [step for step in case.steps if step[0] == "command"]
    single, batch = case.open(Exchange), case.open(Exchange, orders=4)
    recorded: list[Any] = []
    process = single.process

    def keep(batch_of_one: Any) -> Any:
        recorded.append(batch_of_one.copy())
        return process(batch_of_one)

    single.process = keep
    one_by_one = np.concatenate([play(single, step, number) for number, step in enumerate(commands)])
    at_once = batch.process(np.concatenate(recorded))
    assert len(at_once) > 4096
    assert_same_events(one_by_one, at_once, "batch")
    assert_same_state(single, batch, "batch")


# -- mutants: the comparison must be able to fail ----------------------------------------------------------------------


class NewestFirstBook(NaiveBook):
    """Breaks time priority: the youngest order of a level trades first."""

    def side(self, side: int) -> list[NaiveOrder]:
        return sorted((o for o in reversed(self.resting) if o.side == side), key=lambda o: -side * o.price_ticks)


class NewestFirst(NaiveExchange):
    """A twin with a wrong book."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.book = NewestFirstBook()


def margin_is_never_released(rules: Any, account: NaiveAccount, side: int, lots: int, price_ticks: int) -> None:
    """Closing leaves the isolated margin where it was."""
    before = account.isolated_margin
    change_position(rules, account, side, lots, price_ticks)
    account.isolated_margin = max(before, account.isolated_margin)


def test_the_comparison_notices_broken_time_priority() -> None:
    with pytest.raises(AssertionError, match="at step"):
        assert_twins_agree(long_case(0, 2_000), Exchange, NewestFirst)


def test_the_comparison_notices_forgotten_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    case = long_case(0, 2_000)
    assert_twins_agree(case, Exchange, NaiveExchange, state_every=100)
    monkeypatch.setattr(naive_exchange, "change_position", margin_is_never_released)
    with pytest.raises(AssertionError, match="isolated_margin"):
        assert_twins_agree(case, Exchange, NaiveExchange)


def test_only_the_order_of_margin_calls_is_free() -> None:
    case = long_case(0, 4_000)
    exchange = case.open(Exchange)
    for number, step in enumerate(case.steps):
        events = play(exchange, step, number)
        calls = (events["kind"] == EventKind.MARGIN_CALL).sum()
        if calls > 1:
            turned = events.copy()
            turned[-calls:] = turned[-calls:][::-1]
            assert_same_events(events, turned, "turned")
            assert (calls_by_account(events)[:-calls] == events[:-calls]).all()
            return
    pytest.fail("no mark called two accounts at once")
