"""Speed of the matching engine on one stream: `python -m benchmarks.book`.

Stream A: 2,000 resting orders, then operations of which 52 % are limit orders (50 near the touch, 2 crossing), 40 %
cancellations and 8 % market orders, around a latent mid on a random walk.  Cancellations name orders placed before,
some of which are gone by then, as in any real feed.  Three things are timed, each with the same text of the rules:

* the *bare book* (`sim.venue.matching_book`): matching, and nothing else, beside its twin in C++
(benchmarks/cpp/book.cpp),
  which must make the same trades or this stops;
* the bare book with its log of every fact;
* the *whole event path*: arrivals by latency, stops, matching, settlement of both sides with fees and margin, the
  liquidation-price index, the event log, and a mark at the end of every step.

Times are CPU seconds of one process, so that neighbours on the machine disturb little; ratios are medians over rounds
in which everything is timed in turn.
"""

import argparse
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.rows import Row, missing
from marginquake.sim.core.accounts import SYSTEM_ROWS
from marginquake.sim.core.records import COMMAND, EVENT, EventKind, OrderKind, Side, join, raw_copy
from marginquake.sim.market.streams import Stream
from marginquake.sim.recording.recorder import TAKEN_AT_ONCE
from marginquake.sim.studies.diagnosis import rich_exchange
from marginquake.sim.venue.arrivals import Arrivals
from marginquake.sim.venue.exchange import Exchange
from marginquake.sim.venue.matching_book import MatchingBook

LADDER = 1 << 14
RESTING = 2_000
ACCOUNTS = 1_000
POOL = 1 << 16
STEP_NS = 100_000_000
LATENCY_NS = (1_000_000, 150_000_000)
STOPS_EVERY = 25
TWIN = Path(__file__).parent / "cpp" / "book.cpp"
COMPILER = "g++"


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
    """A market of rich accounts with three brackets."""
    return rich_exchange(
        ACCOUNTS,
        LADDER,
        POOL,
        caps=(5 * 10**10, 6 * 10**11, 10**15),
        rates_ppm=(4_000, 5_000, 10_000),
        deductions=(0, 5 * 10**7, 305 * 10**7),
        initial_ppm=(8_000, 10_000, 20_000),
    )


def with_latency(commands: NDArray[Any], per_step: int) -> list[NDArray[Any]]:
    """Stream A as it is said: `per_step` commands a step, each account at its own distance from the venue, and one
    limit order in 25 a stop beyond the touch instead."""
    said = commands.copy()
    limits = RESTING + np.flatnonzero(said["kind"][RESTING:] == OrderKind.LIMIT)
    stops = limits[::STOPS_EVERY]
    said["kind"][stops] = int(OrderKind.STOP)
    said["trigger_ticks"][stops] = said["price_ticks"][stops] + 30 * said["side"][stops]
    said["price_ticks"][stops] = 0
    latency = np.random.default_rng(7).integers(*LATENCY_NS, SYSTEM_ROWS + ACCOUNTS)
    step = np.maximum(0, np.arange(len(said)) - RESTING) // per_step
    said["arrival_ns"] = step * STEP_NS + latency[said["account"]]
    return np.split(said, range(RESTING, len(said), per_step))


def event_path(steps: list[NDArray[Any]]) -> tuple[float, NDArray[Any]]:
    """CPU seconds from what is said to the log, after the resting orders; and the log.

    As a market's step does it: events stay with the exchange until there are enough to be worth taking."""
    exchange = fresh_exchange()
    exchange.set_mark(LADDER // 2, 0)
    arrivals = Arrivals(Stream(1, "arrivals"), exchange.accounts.tie_key)
    arrivals.add(steps[0])
    exchange.process(arrivals.due(LATENCY_NS[1]))
    log = []
    started = time.process_time()
    for step, said in enumerate(steps[1:], start=1):
        arrivals.add(said)
        exchange.run(arrivals.due(step * STEP_NS))
        exchange.move_mark(exchange.last_ticks or LADDER // 2, step * STEP_NS)
        if exchange.events_held >= TAKEN_AT_ONCE:
            log.append(raw_copy(exchange.drain_events()))
    log.append(raw_copy(exchange.drain_events()))
    return time.process_time() - started, join(log, EVENT)


def bare(commands: NDArray[Any], log: bool) -> tuple[float, NDArray[Any], int]:
    """CPU seconds of the whole stream in one call, its events (if logged), and the number of fills."""
    book = MatchingBook(LADDER, POOL, log=log)
    if log:
        book.reserve(2 * len(commands))
        book.book.events.fill(1)  # a log that grows meets fresh pages: that is the operating system's time
    before = book.process(commands[:RESTING])
    started = time.process_time()
    events = book.run(commands[RESTING:])
    seconds = time.process_time() - started
    return seconds, np.concatenate((before, events)), book.fills


def checksum(events: NDArray[Any]) -> int:
    """What the C++ twin makes of its trades: sum = sum * multiplier + value, modulo 2**64, over four columns."""
    fills = events[events["kind"] == EventKind.FILL]
    columns = [fills[name].astype(object) for name in ("order_id", "maker_order_id", "price_ticks", "quantity_lots")]
    total = 0
    for trade in zip(*columns, strict=True):
        for value in trade:
            total = (total * 6364136223846793005 + int(value)) % 2**64
    return total


def compile_twin(folder: Path) -> Path | None:
    """The C++ twin, compiled for this machine; None without a compiler."""
    if shutil.which(COMPILER) is None:
        return None
    program = folder / "book"
    subprocess.run([COMPILER, "-O3", "-march=native", "-std=c++17", "-o", program, TWIN], check=True)
    return program


def twin(program: Path, stream: Path) -> tuple[float, int, int]:
    """CPU seconds (median of three runs), number of fills and their checksum by the C++ twin."""
    command = [program, stream, str(LADDER), str(RESTING), "3"]
    seconds, fills, total = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(seconds), int(fills), int(total)


def _median_of(repeat: int, timed: Callable[[], float]) -> float:
    return float(np.median([timed() for _ in range(repeat)]))


def _bare_rows(commands: NDArray[Any], repeat: int) -> list[Row]:
    operations = len(commands) - RESTING
    for log in (True, False):
        bare(commands, log)  # compiles
    _, events, fills = bare(commands, log=True)
    timed: list[tuple[float, float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        program = compile_twin(Path(folder))
        stream = Path(folder) / "stream.bin"
        commands.tofile(stream)
        for _ in range(repeat):
            cpp = np.nan
            if program is not None:
                cpp, *trades = twin(program, stream)
                if trades != [fills, checksum(events)]:
                    raise AssertionError(f"the C++ twin trades otherwise: {trades} against {[fills, checksum(events)]}")
            timed.append((cpp, bare(commands, log=False)[0], bare(commands, log=True)[0]))
    cpp, plain, logged = np.array(timed).T
    name = "book, batch / C++ twin"
    against = Row(name, float(np.median(cpp / plain)), "x", 0.65, 0.85, f"the same {fills:,} trades")
    return [
        missing(name, f"needs {COMPILER}") if program is None else against,
        Row("book, full event log / without", float(np.median(plain / logged)), "x", 0.90, 0.95),
        Row("book, batch", operations / float(np.median(plain)) / 1e6, "M ops/s"),
        Row("book, batch, with full event log", operations / float(np.median(logged)) / 1e6, "M ops/s"),
    ]


def _path_rows(commands: NDArray[Any], repeat: int) -> list[Row]:
    rows = []
    for per_step in (10_000, 1_000, 100):
        steps = with_latency(commands, per_step)
        event_path(steps)  # compiles
        seconds = _median_of(repeat, lambda steps=steps: event_path(steps)[0])  # type: ignore[misc]
        rate = (len(commands) - RESTING) / seconds / 1e6
        floor, stretch = (3.0, 6.0) if per_step == 1_000 else (None, None)
        rows.append(Row(f"whole event path, {per_step:,} commands a step", rate, "M commands/s", floor, stretch))
    return rows


def measure(repeat: int, operations: int = 1_000_000) -> list[Row]:
    """Medians of `repeat` runs of the bare book, its C++ twin and the whole event path."""
    commands = stream_a(operations)
    return _bare_rows(commands, repeat) + _path_rows(commands, repeat)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Operations a second of the matching engine on stream A.")
    parser.add_argument("--operations", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=5, help="the median of so many runs is shown")
    arguments = parser.parse_args()
    print(f"stream A, {arguments.operations:,} operations; medians of {arguments.repeat}")
    for row in measure(arguments.repeat, arguments.operations):
        print(f"{row.name:46}{row.value:9.2f} {row.unit:14}{row.note}")


if __name__ == "__main__":
    main()
