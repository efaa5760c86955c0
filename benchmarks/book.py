"""Operations a second of the matching engine on one stream: `python -m benchmarks.book` (or `make bench`).

Stream A: 2,000 resting orders, then operations of which 52 % are limit orders (50 near the touch, 2 crossing), 40 %
cancellations and 8 % market orders, around a latent mid on a random walk.  What is timed is not a bare book: every
fill settles two accounts with fees and margin, moves their liquidation prices, and every fact is logged as an event.
Cancellations name orders placed before, some of which are gone by then, as in any real feed; the table says how many.
"""

import argparse
import time
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.accounts import SYSTEM_ROWS, AccountTable
from sim.exchange import Exchange, ExchangeRules
from sim.records import COMMAND, EventKind, MarginMode, OrderKind, Reject, Side

LADDER = 1 << 14
RESTING = 2_000
ACCOUNTS = 1_000


def stream_a(operations: int, seed: int = 1) -> NDArray[Any]:
    """Commands of stream A, the resting orders first."""
    draw = np.random.default_rng(seed)
    count = RESTING + operations
    commands = np.zeros(count, COMMAND)
    commands["arrival_ns"] = np.arange(count) * 1000
    commands["order_id"] = np.arange(1, count + 1)
    commands["account"] = SYSTEM_ROWS + draw.integers(0, ACCOUNTS, count)
    commands["quantity_lots"] = draw.integers(1, 100, count)
    side = np.where(draw.random(count) < 0.5, int(Side.BUY), int(Side.SELL))
    commands["side"] = side
    mid = LADDER // 2 + np.cumsum(draw.choice((-1, 0, 1), count, p=(0.01, 0.98, 0.01)))
    kind = draw.choice(4, count, p=(0.50, 0.02, 0.40, 0.08))
    kind[:RESTING] = 0
    near = mid - side * (1 + draw.geometric(0.1, count))
    crossing = mid + side * draw.integers(1, 5, count)
    commands["kind"] = np.choose(kind, (OrderKind.LIMIT, OrderKind.LIMIT, OrderKind.CANCEL, OrderKind.MARKET))
    commands["price_ticks"] = np.choose(kind, (near, crossing, 0, 0))
    target = _cancelled(kind, draw.random(count))
    cancels = np.flatnonzero(target >= 0)
    commands["order_id"][cancels] = commands["order_id"][target[cancels]]
    commands["account"][cancels] = commands["account"][target[cancels]]
    return commands


def _cancelled(kind: NDArray[np.int64], choice: NDArray[np.float64]) -> NDArray[np.int64]:
    """For every cancellation the place of a recent limit order, each at most once; -1 elsewhere."""
    places: list[int] = []
    target = np.full(len(kind), -1)
    for place, (what, chance) in enumerate(zip(kind.tolist(), choice.tolist(), strict=True)):
        if what < 2:
            places.append(place)
        elif what == 2:
            picked = -1 - int(chance * min(len(places), RESTING))
            places[picked], places[-1] = places[-1], places[picked]
            target[place] = places.pop()
    return target


def fresh_exchange() -> Exchange:
    """A market of rich accounts under ordinary rules."""
    accounts = AccountTable(SYSTEM_ROWS + ACCOUNTS, money_per_tick_lot=100)
    rows = accounts.claim(0, ACCOUNTS)
    accounts.rows["collateral"][rows] = 10**14
    accounts.rows["mode"][rows] = int(MarginMode.CROSS)
    accounts.rows["initial_margin_ppm"][rows] = 100_000
    rules = ExchangeRules(
        money_per_tick_lot=100,
        ladder_size=LADDER,
        maker_fee_ppm=200,
        taker_fee_ppm=500,
        liquidation_fee_ppm=12_500,
        bracket_cap=(5 * 10**10, 6 * 10**11, 10**15),
        bracket_rate_ppm=(4_000, 5_000, 10_000),
        bracket_deduction=(0, 5 * 10**7, 305 * 10**7),
        bracket_initial_ppm=(8_000, 10_000, 20_000),
        max_position_lots=1_000_000,
    )
    return Exchange(rules, accounts, orders=1 << 16)


def ours(commands: NDArray[Any], batch: int) -> tuple[float, list[NDArray[Any]]]:
    """Seconds for the operations in batches of `batch`, and the events."""
    exchange = fresh_exchange()
    exchange.set_mark(LADDER // 2, 0)
    exchange.process(commands[:RESTING])
    started = time.perf_counter()
    events = [exchange.process(commands[first : first + batch]) for first in range(RESTING, len(commands), batch)]
    return time.perf_counter() - started, events


def bourse(commands: NDArray[Any]) -> float:
    """Seconds for the same operations in the order book of PyPI's bourse (a book only: no accounts)."""
    from bourse import core

    book = core.OrderBook(0, True)
    ids: dict[int, int] = {}
    rows = commands[["order_id", "quantity_lots", "account", "price_ticks", "kind", "side"]].tolist()
    started = 0.0
    for number, (order_id, lots, account, price, kind, side) in enumerate(rows):
        if number == RESTING:
            started = time.perf_counter()
        book.set_time(number)
        if kind == OrderKind.CANCEL:
            book.cancel_order(ids[order_id])
        elif kind == OrderKind.MARKET:
            book.place_order(side > 0, lots, account)
        else:
            ids[order_id] = book.place_order(side > 0, lots, account, price=price)
    return time.perf_counter() - started


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Operations a second of the matching engine on stream A.")
    parser.add_argument("--operations", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=5, help="the median of so many runs is shown")
    arguments = parser.parse_args()
    commands = stream_a(arguments.operations)
    ours(commands[: RESTING + 1000], 1000)  # compiles

    print(f"stream A, {arguments.operations:,} operations; median of {arguments.repeat}")
    print(f"{'':34}{'M ops/s':>9}")
    for label, batch in (("one call", arguments.operations), ("1000 a call", 1000), ("100 a call", 100)):
        timed = [ours(commands, batch) for _ in range(arguments.repeat)]
        seconds = float(np.median([wall for wall, _ in timed]))
        print(f"{'marginquake, ' + label:34}{arguments.operations / seconds / 1e6:9.2f}")
    if find_spec("bourse") is not None:
        seconds = float(np.median([bourse(commands) for _ in range(arguments.repeat)]))
        print(f"{'bourse (book only), one a call':34}{arguments.operations / seconds / 1e6:9.2f}")

    events = np.concatenate(timed[0][1])
    fills = int((events["kind"] == EventKind.FILL).sum())
    missed = int(((events["kind"] == EventKind.REJECTED) & (events["reason"] == Reject.UNKNOWN_ORDER)).sum())
    asked = int((commands["kind"] == OrderKind.CANCEL).sum())
    print(f"{len(events):,} events, {fills:,} fills; {1 - missed / asked:.0%} of cancellations found their order")


if __name__ == "__main__":
    main()
