"""A run's tables calculated again from its events, one at a time: positions, money that came in, open interest."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from marginquake.sim.core.accounts import INSURANCE_ROW, SYSTEM_ROWS
from marginquake.sim.core.records import EventKind

FUND = INSURANCE_ROW
COLUMNS = ("time_ns", "kind", "account", "maker_account", "side", "quantity_lots", "money")


def assert_events_tell_the_tables(run: Path) -> None:
    """Positions at the start and the events make positions at the end; deposits add up; nobody's loss is nobody's."""
    accounts = pq.read_table(run / "accounts.parquet").to_pydict()
    for market in dict.fromkeys(accounts["market"]):
        chosen = [i for i, each in enumerate(accounts["market"]) if each == market]
        start = {accounts["row"][i]: accounts["position_start"][i] for i in chosen}
        end = {accounts["row"][i]: accounts["position_end"][i] for i in chosen}
        lots, paid_in = folded(run, market, start)
        assert sum(start.values()) == 0, f"{market}: positions at the start sum to {sum(start.values())}"
        assert sum(lots.values()) == 0, f"{market}: positions at the end sum to {sum(lots.values())}"
        for row, lots_told in end.items():
            assert lots[row] == lots_told, f"{market}: account {row} ends with {lots_told}, its events say {lots[row]}"
        strangers = {row: held for row, held in lots.items() if row not in end and row != FUND and held}
        assert not strangers, f"{market}: positions of nobody: {strangers}"
        for i in chosen:
            row, told = accounts["row"][i], accounts["deposits_added"][i]
            assert (told == 0) == (paid_in[row] == 0), f"{market}: account {row}: deposits {told} and {paid_in[row]}"


def folded(run: Path, market: str, start: dict[int, int]) -> tuple[dict[int, int], dict[int, int]]:
    """Position of every account after the last event, and what it paid in meanwhile (lots, money units)."""
    lots: dict[int, int] = defaultdict(int, start)
    paid_in: dict[int, int] = defaultdict(int)
    for path in sorted((run / "events").glob(f"{market}-*.parquet")):
        columns = pq.read_table(path, columns=list(COLUMNS)).to_pydict()
        for event in zip(*(columns[name] for name in COLUMNS), strict=True):
            _fold(event, lots, paid_in)
    return lots, paid_in


def _fold(event: tuple[Any, ...], lots: dict[int, int], paid_in: dict[int, int]) -> None:
    time_ns, kind, account, other, side, quantity, money = event
    if kind == EventKind.DEPOSIT:
        assert account >= SYSTEM_ROWS
        assert money > 0
        paid_in[account] += money
    elif time_ns <= 0:  # before positions at the start were counted
        return
    elif kind == EventKind.FILL:
        lots[account] += side * quantity
        lots[other] -= side * quantity
    elif kind == EventKind.TAKEOVER:
        sign = 1 if lots[account] > 0 else -1
        assert quantity == abs(lots[account]), f"account {account} held {lots[account]}, the fund took over {quantity}"
        lots[account] -= sign * quantity
        lots[other] += sign * quantity
    elif kind == EventKind.ADL:
        sign = 1 if lots[account] > 0 else -1
        assert quantity <= abs(lots[account]), f"account {account} held {lots[account]}, ADL closed {quantity}"
        assert lots[other] * sign < 0, f"ADL of {account} ({lots[account]}) against {other} ({lots[other]})"
        lots[account] -= sign * quantity
        lots[other] += sign * quantity
