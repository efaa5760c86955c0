"""The bare book against the naive exchange: the same fills, refusals and prices, event by event."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from marginquake.sim.core.accounts import SYSTEM_ROWS
from marginquake.sim.core.records import COMMAND, EventKind, OrderKind, Side
from marginquake.sim.kernels.book_only import BOOK_EVENT
from marginquake.sim.venue.matching_book import MatchingBook
from tests.oracles.naive_exchange import NaiveExchange
from tests.support.exchanges import PLAIN
from tests.support.ladder import command, traders
from tests.support.strategies import CENTRE, LADDER, MODERATE

KINDS = (*[OrderKind.LIMIT] * 4, OrderKind.POST_ONLY, OrderKind.MARKET, OrderKind.IOC, OrderKind.FOK)
TRADERS = 3


@st.composite
def streams(draw: st.DrawFn) -> NDArray[Any]:
    """Commands around one price: orders that meet, cancellations of own and others' orders, and senseless ones."""
    count = draw(st.integers(1, 40))
    commands = np.zeros(count, COMMAND)
    for number in range(count):
        row = commands[number]
        row["arrival_ns"], row["order_id"] = number, number + 1
        row["account"] = SYSTEM_ROWS + draw(st.integers(0, TRADERS - 1))
        if draw(st.integers(0, 3)) == 0:
            row["kind"] = int(OrderKind.CANCEL)
            row["order_id"] = draw(st.integers(-1, number + 1))
            if draw(st.booleans()):
                row["account"] = commands["account"][max(row["order_id"] - 1, 0)]
            continue
        row["kind"] = int(draw(st.sampled_from(KINDS)))
        row["side"] = draw(st.sampled_from([1, -1]))
        row["quantity_lots"] = draw(st.sampled_from([1, 2, 3, 5, 8, 13, 13, 0]))
        row["price_ticks"] = draw(st.integers(CENTRE - 3, CENTRE + 3))
        if draw(st.integers(0, 9)) == 0:
            row["price_ticks"] = draw(st.sampled_from([0, 1, LADDER - 1, LADDER, -1]))
    return commands


def naive(*, self_trade_cancels_taker: bool = False) -> NaiveExchange:
    """The naive exchange under rules that leave nothing but matching."""
    rules = replace(PLAIN, ladder_size=LADDER, self_trade_cancels_taker=self_trade_cancels_taker)
    return NaiveExchange(rules, traders(count=TRADERS))


def assert_same_facts(left: NDArray[Any], right: NDArray[Any]) -> None:
    """Column by column, those that a bare book knows."""
    for name in BOOK_EVENT.names or ():
        assert left[name].tolist() == right[name].tolist(), name


@MODERATE
@given(streams(), st.booleans())
def test_the_bare_book_and_the_naive_exchange_agree(commands: NDArray[Any], cancels_taker: bool) -> None:
    twin = naive(self_trade_cancels_taker=cancels_taker)
    book = MatchingBook(LADDER, orders=4, self_trade_cancels_taker=cancels_taker)
    silent = MatchingBook(LADDER, orders=4, log=False, self_trade_cancels_taker=cancels_taker)
    expected = twin.process(commands)
    assert_same_facts(book.process(commands), expected)
    assert len(silent.process(commands)) == 0
    for one in (book, silent):
        for name in ("best_bid_ticks", "best_ask_ticks", "last_ticks"):
            assert getattr(one, name) == getattr(twin, name), name
        assert one.fills == (expected["kind"] == EventKind.FILL).sum()
        assert one.live_orders == len(twin.book.resting)


def test_a_batch_gives_what_single_commands_give() -> None:
    commands = np.concatenate([command(OrderKind.LIMIT, 3, order_id=n, side=1, quantity_lots=1, price_ticks=9)
                               for n in range(1, 6000)])  # fmt: skip
    one, other = (MatchingBook(LADDER, orders=4) for _ in range(2))
    single = np.concatenate([one.process(commands[n : n + 1]) for n in range(len(commands))])
    assert_same_facts(other.process(commands), single)


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize("kind", [OrderKind.STOP, OrderKind.MODIFY, OrderKind.CANCEL_ALL])
def test_a_bare_book_says_which_command_it_does_not_take(kind: OrderKind, log: bool) -> None:
    book = MatchingBook(LADDER, log=log)
    order = command(OrderKind.LIMIT, 3, order_id=1, side=Side.BUY, quantity_lots=1, price_ticks=9)
    with pytest.raises(ValueError, match=f"command 1 is {kind.name}"):
        book.process(np.concatenate([order, command(kind, 3)]))
    assert book.best_bid_ticks == 9
    assert len(book.process(np.empty(0, COMMAND))) == 0
