"""Who is called at a new mark: the liquidation-price index against looking at everybody.

`python -m benchmarks.margin_index`.  A million accounts, half of them long and half short, with leverage log-uniform
between 1.5 and 30.  A *quiet* step books nothing new for anybody but 1,000 accounts and moves the mark by a few ticks;
the *shock* is a fall of 8 % in 30 marks.  Against the index stand

* the scan of all: equity against bracketed maintenance, account by account, as one would write it first;
* the SIMD scan: two columns of liquidation prices, compared with the mark eight or sixteen at a time.

Whom they find must be the same accounts at every mark, or this says so and stops.  Relinking is charged to the index
only, keeping the columns of the SIMD scan up to date to nobody.  Times are CPU seconds of this process.
"""

import argparse
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.rows import Row
from marginquake.sim.core.accounts import SYSTEM_ROWS, AccountTable
from marginquake.sim.core.records import EventKind, MarginMode, Stage
from marginquake.sim.core.valuation import LotValue
from marginquake.sim.kernels import kernel
from marginquake.sim.kernels.valuation import maintenance
from marginquake.sim.venue.exchange import Exchange, ExchangeRules

ACCOUNTS = 1_000_000
WAKES = 1_000
QUIET_STEPS = 50
SHOCK_STEPS = 30
SHOCK = 0.08
PRICE = 100_000
RULES = ExchangeRules(
    lot_value=LotValue(100),
    ladder_size=2 * PRICE,
    maker_fee_ppm=200,
    taker_fee_ppm=500,
    liquidation_fee_ppm=12_500,
    bracket_cap=(5 * 10**10, 6 * 10**11, 10**15),
    bracket_rate_ppm=(4_000, 5_000, 10_000),
    bracket_deduction=(0, 5 * 10**7, 305 * 10**7),
    bracket_initial_ppm=(8_000, 10_000, 20_000),
    max_position_lots=10**9,
)
_OK = np.int64(Stage.OK)
_CALLED = np.int64(Stage.CALLED)
_MARGIN_CALL = int(EventKind.MARGIN_CALL)


@kernel
def scan_of_all(accounts, brackets, value, mark, called):  # type: ignore[no-untyped-def]
    """Call every account whose equity is at or below its maintenance margin (cross accounts); returns how many."""
    count = 0
    for row in range(SYSTEM_ROWS, accounts.shape[0]):
        a = accounts[row]
        position = a["position_lots"]
        if a["stage"] == _OK and position != 0:
            lot_value = position * mark * value
            if a["collateral"] + lot_value - a["cost"] <= maintenance(brackets, abs(lot_value)):
                a["stage"] = _CALLED
                called[count] = row
                count += 1
    return count


@kernel
def simd_scan(long_ticks, short_ticks, mark, called):  # type: ignore[no-untyped-def]
    """Call by two columns of liquidation prices (long: 0 = none; short: the largest integer = none)."""
    count = 0
    for first in range(0, long_ticks.shape[0], 1024):
        hit = False
        last = min(first + 1024, long_ticks.shape[0])
        for row in range(first, last):
            hit |= (long_ticks[row] >= mark) | (short_ticks[row] <= mark)
        if hit:
            for row in range(first, last):
                if long_ticks[row] >= mark or short_ticks[row] <= mark:
                    long_ticks[row] = 0
                    short_ticks[row] = 2**31 - 1
                    called[count] = row
                    count += 1
    return count


@dataclass(frozen=True)
class Crowd:
    """Accounts as they stand before the first mark."""

    signed_lots: NDArray[np.int64]
    collateral: NDArray[np.int64]


def crowd(accounts: int, seed: int = 1) -> Crowd:
    """Lots and collateral that go with log-uniform leverage."""
    draw = np.random.default_rng(seed)
    lots = draw.integers(1, 50, accounts)
    leverage = np.exp(draw.uniform(np.log(1.5), np.log(30), accounts))
    collateral = (lots * (PRICE * RULES.lot_value.at_one_tick) / leverage).astype(np.int64)
    side = np.where(np.arange(accounts) % 2 == 0, 1, -1)
    return Crowd(lots * side, collateral)


def build(people: Crowd) -> Exchange:
    """A market in which they all hold their positions, indexed."""
    count = len(people.signed_lots)
    table = AccountTable(SYSTEM_ROWS + count, RULES.lot_value)
    rows = table.claim(0, count)
    block = table.rows[SYSTEM_ROWS:]
    block["collateral"] = people.collateral
    block["mode"] = int(MarginMode.CROSS)
    exchange = Exchange(RULES, table)
    exchange.seed_positions(rows, people.signed_lots, np.full(count, PRICE))
    return exchange


def marks(quiet: bool) -> list[int]:
    """The marks of one timing."""
    if quiet:
        return (PRICE + np.random.default_rng(2).integers(-3, 4, QUIET_STEPS)).tolist()
    return [round(PRICE * (1 - SHOCK * (step + 1) / SHOCK_STEPS)) for step in range(SHOCK_STEPS)]


Found = list[NDArray[np.int64]]


def by_index(exchange: Exchange, path: list[int], wakes: NDArray[np.int64]) -> tuple[float, Found]:
    """Seconds and who was called at each mark, by the index; `wakes` accounts are relinked before each."""
    events: list[NDArray[Any]] = []
    started = time.process_time()
    for step, mark in enumerate(path):
        exchange.relink(wakes)
        events.append(exchange.set_mark(mark, step))
    seconds = time.process_time() - started
    return seconds, [np.sort(one["account"][one["kind"] == _MARGIN_CALL]) for one in events]


def by_scan(exchange: Exchange, path: list[int]) -> tuple[float, Found]:
    """The same by looking at every account."""
    called = np.zeros(len(exchange.accounts.rows), np.int64)
    rows, brackets = exchange.accounts.rows, exchange.market.brackets
    found: Found = []
    started = time.process_time()
    for mark in path:
        count = scan_of_all(rows, brackets, RULES.lot_value.at_one_tick, mark, called)
        found.append(called[:count].copy())
    return time.process_time() - started, found


def by_simd_scan(exchange: Exchange, path: list[int]) -> tuple[float, Found]:
    """The same by comparing two columns with the mark."""
    rows = exchange.accounts.rows
    called = np.zeros(len(rows), np.int64)
    ticks, held = rows["liquidation_ticks"], rows["position_lots"]
    long_ticks = np.where(held > 0, ticks, 0).astype(np.int32)
    short_ticks = np.where((held < 0) & (ticks > 0), ticks, 2**31 - 1).astype(np.int32)
    found: Found = []
    started = time.process_time()
    for mark in path:
        count = simd_scan(long_ticks, short_ticks, mark, called)
        found.append(called[:count].copy())
    return time.process_time() - started, found


def compare(people: Crowd, quiet: bool) -> tuple[float, float, float, int]:
    """Seconds by index, by scan and by SIMD scan over the same marks, and how many were called."""
    path = marks(quiet)
    wakes = SYSTEM_ROWS + np.random.default_rng(3).integers(0, len(people.signed_lots), WAKES)
    simd, first = by_simd_scan(build(people), path)
    scan, second = by_scan(build(people), path)
    index, third = by_index(build(people), path, wakes)
    for step, (a, b, c) in enumerate(zip(first, second, third, strict=True)):
        if not (np.array_equal(a, b) and np.array_equal(b, c)):
            raise AssertionError(f"mark {step}: {len(a)}, {len(b)} and {len(c)} accounts called: they must be the same")
    return index, scan, simd, sum(len(called) for called in third)


def bytes_an_account(exchange: Exchange) -> float:
    """Account table and margin index; price levels, brackets and the like do not grow with the accounts."""
    table = exchange.accounts
    return (table.rows.nbytes + table.latency_ns.nbytes + table.tie_key.nbytes) / len(table.rows)


def measure(repeat: int) -> list[Row]:
    """Medians of `repeat` interleaved timings at a million accounts."""
    people = crowd(ACCOUNTS)
    compare(crowd(1_000), quiet=True)  # compiles
    compare(crowd(1_000), quiet=False)
    rows = []
    for quiet, name, floor, stretch, steps in ((True, "quiet", 20, 34, QUIET_STEPS), (False, "shock", 4, 7, 1)):
        timed = np.array([compare(people, quiet) for _ in range(repeat)])
        index, scan, simd, called = np.median(timed, axis=0)
        note = f"{1e6 * index / steps:,.0f} us a step" if quiet else f"{1e3 * index:.0f} ms, {called:,.0f} calls"
        rows += [
            Row(f"margin index / scan of all, {name}", scan / index, "x", floor, stretch, note),
            Row(f"margin index / SIMD scan, {name}", simd / index, "x"),
        ]
    seconds = []
    for _ in range(repeat):
        started = time.process_time()
        exchange = build(people)
        seconds.append(time.process_time() - started)
    rows.append(Row("build 10^6 accounts with positions", float(np.median(seconds)), "s", 1.0, 0.3))
    rows.append(Row("account table and margin index", bytes_an_account(exchange), "B an account", 256, 128))
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Margin calls of a million accounts: index against scans.")
    parser.add_argument("--repeat", type=int, default=5, help="the median of so many runs is shown")
    for row in measure(parser.parse_args().repeat):
        print(f"{row.name:46}{row.value:10.2f} {row.unit:14}{row.note}")


if __name__ == "__main__":
    main()
