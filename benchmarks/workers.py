"""Two workers beside one: the same runs of a sweep, start of the workers included.

Wall time, so this needs an idle machine with two cores.
"""

import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.rows import Row
from marginquake.sim.studies import sweep as sweeping
from marginquake.sim.studies.design import load_sweep

SWEEP = Path("scenarios/sweeps/leverage_depth.yaml")
RUNS = 24


def measure(repeat: int, runs: int = RUNS) -> list[Row]:
    """The ratio, at most twice: it takes a minute or two each time."""
    times = [(_seconds(1, runs), _seconds(2, runs)) for _ in range(min(repeat, 2))]
    alone, together = np.array(times).T
    took = f"{np.median(alone):.0f} s against {np.median(together):.0f} s"
    note = f"{runs} runs of {SWEEP.stem}: {took}, start of workers included"
    return [Row("two workers / one, independent runs", float(np.median(alone / together)), "x", 1.8, 1.95, note)]


def _seconds(workers: int, runs: int) -> float:
    with tempfile.TemporaryDirectory(prefix="marginquake-") as folder:
        plan = sweeping.plan_sweep(load_sweep(SWEEP))
        started = time.perf_counter()
        sweeping.run_sweep(plan, Path(folder), workers, limit=runs)
        return time.perf_counter() - started
