"""A stream of operations as a plain file, and what a driver reports; standard library only: every peer reads it.

The file holds six little-endian int64 a row: kind, side (+1 buys), order id, account, price in ticks, lots.
"""

import json
import struct
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

LIMIT, MARKET, CANCEL = range(3)
ROW = struct.Struct("<6q")

Row = tuple[int, int, int, int, int, int]
Replay = Callable[[list[Row]], None]


def drive(distribution: str, replay: Replay, left: Callable[[], dict[str, Any]]) -> None:
    """Replay the file named on the command line and print what came of it as JSON.

    Arguments of the command line: the file, the number of resting orders at its head (not timed), the number of timed
    operations, the CPU seconds after which to stop.  `replay` performs operations; `left` says where the touch
    stands at the end and what was traded.
    """
    path, resting, operations, patience = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    rows = list(ROW.iter_unpack(Path(path).read_bytes()[: (resting + operations) * ROW.size]))
    replay(rows[:resting])
    seconds, done, chunk = 0.0, resting, max(1, operations // 20)
    while done < len(rows) and seconds < patience:
        part = rows[done : done + chunk]
        started = time.process_time()
        replay(part)
        seconds += time.process_time() - started
        done += len(part)
    report = {"version": metadata.version(distribution), "operations": done - resting, "seconds": seconds, **left()}
    print(json.dumps(report))
