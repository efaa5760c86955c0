"""Two implementations play the same case; they must say the same and end in the same state."""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.accounts import SYSTEM_ROWS
from marginquake.sim.core.records import EVENT, Cause, EventKind, Flag, OrderKind, Side, Stage
from tests.oracles.naive_exchange import open_lots
from tests.support.ladder import account_fact, command, is_naive, table_rows
from tests.support.strategies import Case, Step

ACCOUNT_FACTS = ("position_lots", "cost", "collateral", "isolated_margin", "liquidation_ticks", "stage")
ORDER_FACTS = ("order_id", "side", "price_ticks", "quantity_lots", "flags", "trigger_ticks")
ENGINE_IDS = 10**6
"""Orders of the engine have ids from here on, so that they never meet those of the stream."""


def play(exchange: Any, step: Step, number: int) -> NDArray[Any]:
    """Do one step of a case; returns its events."""
    what, fields = step
    if what == "mark":
        return exchange.set_mark(fields["ticks"], number)
    if what == "seize":
        return _seize(exchange, fields["row"])
    if what == "engine":
        return _engine(exchange, fields["row"], number)
    facts = {name: value for name, value in fields.items() if name not in ("kind", "account")}
    return exchange.process(command(OrderKind(fields["kind"]), fields["account"], **facts))


def set_stage(exchange: Any, row: int, stage: Stage) -> None:
    """Write the stage of an account, as the engine does."""
    if is_naive(exchange):
        exchange.accounts[row].stage = int(stage)
    else:
        table_rows(exchange)["stage"][row] = int(stage)


def _seize(exchange: Any, row: int) -> NDArray[Any]:
    """Take a called account in hand and leave its orders where they are."""
    if account_fact(exchange, row, "stage") == Stage.CALLED:
        set_stage(exchange, row, Stage.LIQUIDATING)
    return np.zeros(0, EVENT)


def _engine(exchange: Any, row: int, number: int) -> NDArray[Any]:
    """Close a called account: cancel its orders, send one forced market order; released when flat.  A warned one is an
    ordinary account again."""
    stage = account_fact(exchange, row, "stage")
    if stage < Stage.CALLED:
        if stage == Stage.WARNED:
            set_stage(exchange, row, Stage.OK)
            exchange.relink(np.array([row]))
        return np.zeros(0, EVENT)
    set_stage(exchange, row, Stage.LIQUIDATING)
    said = [exchange.process(command(OrderKind.CANCEL_ALL, row, arrival_ns=number))]
    position = account_fact(exchange, row, "position_lots")
    if position:
        order = command(
            OrderKind.MARKET,
            row,
            arrival_ns=number,
            order_id=ENGINE_IDS + number,
            side=Side.SELL if position > 0 else Side.BUY,
            quantity_lots=abs(position),
            flags=Flag.REDUCE_ONLY,
            cause=Cause.LIQUIDATION,
        )
        said.append(exchange.process(order))
    if account_fact(exchange, row, "position_lots") == 0:
        set_stage(exchange, row, Stage.OK)
        exchange.relink(np.array([row]))
    return np.concatenate(said)


def assert_twins_agree(case: Case, left: Callable[..., Any], right: Callable[..., Any], state_every: int = 1) -> None:
    """Play `case` on both; events must agree at every step, the state at every `state_every`-th and at the end."""
    one, other = case.open(left), case.open(right)
    assert_same_state(one, other, "at the start")
    for number, step in enumerate(case.steps):
        place = f"at step {number}: {step}"
        assert_same_events(play(one, step, number), play(other, step, number), place)
        if number % state_every == 0:
            assert_same_state(one, other, place)
    assert_same_state(one, other, "at the end")


def assert_same_events(left: NDArray[Any], right: NDArray[Any], place: str) -> None:
    """Event by event and column by column; warnings and margin calls of one mark may come in any order of accounts."""
    left, right = calls_by_account(left), calls_by_account(right)
    kinds = [[EventKind(k).name for k in events["kind"].tolist()] for events in (left, right)]
    assert kinds[0] == kinds[1], f"{place}: {kinds[0]} != {kinds[1]}"
    for name in EVENT.names or ():
        assert left[name].tolist() == right[name].tolist(), f"{place}: {name} of {kinds[0]}"


def calls_by_account(events: NDArray[Any]) -> NDArray[Any]:
    """The same events with each run of warnings and margin calls (they come last) in order of account."""
    called = np.flatnonzero((events["kind"] == EventKind.MARGIN_CALL) | (events["kind"] == EventKind.WARNING))
    out = events.copy()
    out[called] = events[called[np.argsort(events["account"][called], kind="stable")]]
    return out


def assert_same_state(left: Any, right: Any, place: str) -> None:
    """Accounts, books with their queues, conditional orders, prices."""
    for name in ("best_bid_ticks", "best_ask_ticks", "last_ticks", "mark_ticks"):
        assert getattr(left, name) == getattr(right, name), f"{place}: {name}"
    for row in range(count_of(left)):
        facts = [account_facts(exchange, row) for exchange in (left, right)]
        assert facts[0] == facts[1], f"{place}: account {row}: {facts[0]} != {facts[1]}"
        orders = [order_facts(exchange, row) for exchange in (left, right)]
        assert orders[0] == orders[1], f"{place}: orders of account {row}"
    for side in (Side.BUY, Side.SELL):
        levels = left.book_levels(side, 10**6)
        assert levels == right.book_levels(side, 10**6), f"{place}: levels of {side.name}"
        for price, _, _ in levels:
            assert left.queue(side, price) == right.queue(side, price), f"{place}: queue at {price}"


def count_of(exchange: Any) -> int:
    """Number of account rows."""
    return len(exchange.accounts) if is_naive(exchange) else len(table_rows(exchange))


def account_facts(exchange: Any, row: int) -> dict[str, int]:
    """What must agree about one account; open lots are a column of the kernel and a sum of the twin."""
    facts = {name: account_fact(exchange, row, name) for name in ACCOUNT_FACTS}
    if is_naive(exchange):
        facts["open_buy_lots"], facts["open_sell_lots"] = open_lots(exchange, row)
    else:
        for name in ("open_buy_lots", "open_sell_lots"):
            facts[name] = account_fact(exchange, row, name)
    return facts


def order_facts(exchange: Any, row: int) -> list[tuple[int, ...]]:
    """Live orders of one account, newest first."""
    return [tuple(int(order[name]) for name in ORDER_FACTS) for order in exchange.orders_of(row)]


def net_deposits(exchange: Any) -> int:
    """Collateral minus cost, over every row: money that was paid in."""
    rows = range(count_of(exchange))
    return sum(account_fact(exchange, row, "collateral") - account_fact(exchange, row, "cost") for row in rows)


def event_digest(events: NDArray[Any]) -> str:
    """Hash of events, column by column (padding does not count)."""
    digest = hashlib.sha256()
    for name in EVENT.names or ():
        digest.update(np.ascontiguousarray(events[name]).tobytes())
    return digest.hexdigest()


def trader_rows(exchange: Any) -> range:
    """Rows that are not the venue's own."""
    return range(SYSTEM_ROWS, count_of(exchange))
