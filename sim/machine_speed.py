"""How fast this machine is: a small market, timed."""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.accounts import SYSTEM_ROWS, AccountTable
from sim.exchange import Exchange, ExchangeRules
from sim.records import COMMAND, MarginMode, OrderKind, Side
from sim.worth import Worth

REFERENCE_COMMANDS_PER_S = 7.2e6
"""What `measure_speed` gave on a virtual core of a 2 GHz Xeon that had it to itself, Python 3.11, numba 0.68."""
SECONDS = 1.0
COMMANDS = 100_000
BATCH = 1000
RECENT = 900
"""A cancellation names one of so many commands before it."""
ACCOUNTS = 1_000
LADDER = 1 << 12


def measure_speed() -> float:
    """Commands a second through book, settlement, margin and event log, in batches of 1000; the best of a second."""
    commands = _stream(COMMANDS)
    best = 0.0
    until = time.perf_counter() + SECONDS
    while time.perf_counter() < until or best == 0.0:
        exchange = rich_exchange(ACCOUNTS, LADDER, 1 << 15)
        exchange.set_mark(LADDER // 2, 0)
        exchange.process(commands[:BATCH])
        started = time.perf_counter()
        for first in range(BATCH, COMMANDS, BATCH):
            exchange.process(commands[first : first + BATCH])
        best = max(best, (COMMANDS - BATCH) / (time.perf_counter() - started))
    return best


def rich_exchange(
    count: int,
    ladder: int,
    orders: int,
    *,
    caps: tuple[int, ...] = (10**15,),
    rates_ppm: tuple[int, ...] = (10_000,),
    deductions: tuple[int, ...] = (0,),
    initial_ppm: tuple[int, ...] = (20_000,),
) -> Exchange:
    """A market of `count` rich accounts under ordinary rules; its brackets are those given."""
    accounts = AccountTable(SYSTEM_ROWS + count, Worth(100))
    rows = accounts.claim(0, count)
    accounts.rows["collateral"][rows] = 10**14
    accounts.rows["mode"][rows] = int(MarginMode.CROSS)
    accounts.rows["initial_margin_ppm"][rows] = 100_000
    rules = ExchangeRules(
        worth=Worth(100),
        ladder_size=ladder,
        maker_fee_ppm=200,
        taker_fee_ppm=500,
        liquidation_fee_ppm=12_500,
        bracket_cap=caps,
        bracket_rate_ppm=rates_ppm,
        bracket_deduction=deductions,
        bracket_initial_ppm=initial_ppm,
        max_position_lots=1_000_000,
    )
    return Exchange(rules, accounts, orders=orders)


def _stream(count: int) -> NDArray[Any]:
    """Half limit orders near the touch, two fifths cancellations of earlier ones, a tenth market orders."""
    draw = np.random.default_rng(1)
    commands = np.zeros(count, COMMAND)
    commands["arrival_ns"] = np.arange(count) * 1000
    commands["order_id"] = np.arange(1, count + 1)
    commands["account"] = SYSTEM_ROWS + draw.integers(0, ACCOUNTS, count)
    commands["quantity_lots"] = draw.integers(1, 100, count)
    side = np.where(draw.random(count) < 0.5, int(Side.BUY), int(Side.SELL))
    commands["side"] = side
    kind = draw.choice((int(OrderKind.LIMIT), int(OrderKind.CANCEL), int(OrderKind.MARKET)), count, p=(0.5, 0.4, 0.1))
    kind[:BATCH] = int(OrderKind.LIMIT)
    commands["kind"] = kind
    limits = kind == OrderKind.LIMIT
    commands["price_ticks"] = np.where(limits, LADDER // 2 - side * draw.geometric(0.1, count), 0)
    cancels = np.flatnonzero(kind == OrderKind.CANCEL)
    named = cancels - 1 - draw.integers(0, RECENT, len(cancels))
    commands["order_id"][cancels] = commands["order_id"][named]
    commands["account"][cancels] = commands["account"][named]
    return commands
