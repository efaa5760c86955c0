"""`scenarios/million_accounts.yaml` from the command line: 10^6 accounts for an hour, invariants checked at its end.

Wall time and largest resident memory of the whole command, figures left out, as a user would wait for it.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.rows import Row
from marginquake.sim.runs import directory

SCENARIO = Path("scenarios/million_accounts.yaml")
MOST_RUNS = 3
"""One takes a minute or two: so many are enough."""


def measure(repeat: int) -> list[Row]:
    """Seconds, memory and what happened."""
    seconds, resident, calls, events = np.array([_run() for _ in range(min(repeat, MOST_RUNS))]).T
    note = f"{np.median(calls):,.0f} margin calls, {np.median(events):,.0f} events; {len(seconds)} times"
    return [
        Row("million_accounts, one simulated hour", float(np.median(seconds)), "s", 120, 40, note),
        Row("largest resident memory", float(np.median(resident)) / 1e9, "GB", 4, 2),
        Row("margin calls", float(np.median(calls)), "", 100_000),
    ]


def _run() -> tuple[float, float, float, float]:
    with tempfile.TemporaryDirectory(prefix="marginquake-") as folder:
        command = [
            sys.executable,
            "-m",
            "marginquake",
            "run",
            str(SCENARIO),
            "--out",
            folder,
            "--no-figures",
            "--quiet",
        ]
        started = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        said = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            raise RuntimeError(f"{SCENARIO} ended with exit status {child.returncode}")
        seconds = time.perf_counter() - started
        summary = directory.read_summary(Path(said.splitlines()[-1]))
        return seconds, usage.ru_maxrss * 1024.0, float(summary["margin_calls"]), float(summary["events"])
