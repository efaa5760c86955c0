"""What workers do in tests of the sweep engine: importable, and without a market."""

import contextlib
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from marginquake.sim.studies.sweep_directory import pack
from marginquake.sim.studies.workers import Task


def finished(text: str, run: str, seed: int) -> bytes:
    """A complete run directory with nothing but a summary: the seed, and the length of the scenario's text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        (path / "manifest.json").write_text(json.dumps({"schema_version": 1, "status": "complete", "run": run}))
        (path / "summary.json").write_text(json.dumps({"seed": seed, "value": float(len(text)), "wall_seconds": 1.0}))
        return pack(path)


def fails_on_odd_seeds(text: str, run: str, seed: int) -> bytes:
    """Half of the runs always fail."""
    if seed % 2:
        raise ZeroDivisionError(f"seed {seed} is odd")
    return finished(text, run, seed)


def kills_its_first_worker(text: str, run: str, seed: int) -> bytes:
    """Seed 3 takes the whole worker down the first time; `text` names a folder where that is remembered."""
    mark = Path(text) / f"tried-{seed}"
    if seed == 3 and not mark.exists():
        mark.write_text("")
        os._exit(1)
    return finished("", run, seed)


def slowly(text: str, run: str, seed: int) -> bytes:
    """Takes a fifth of a second."""
    time.sleep(0.2)
    return finished(text, run, seed)


@contextlib.contextmanager
def a_market_made_up(execute: object, workers: int, scheduler: str | None = None) -> Iterator["MadeUpFarm"]:
    """In place of `open_farm`: no processes, and `needs_a_fund` instead of a simulation."""
    yield MadeUpFarm()


@final
class MadeUpFarm:
    """Runs tasks where it is."""

    def results(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, bytes]]:
        """Every task with its run."""
        for task in tasks:
            yield task, needs_a_fund(task.text, task.run, task.seed)


CENTRE, SPREAD = 2e6, 0.25
"""Of the funds that seeds need: half need more than the centre; their logarithms are logistic with this scale."""


def fund_needed(seed: int) -> float:
    """Below this fund a seed is auto-deleveraged."""
    return CENTRE * float(np.exp(np.random.default_rng(seed).logistic(0.0, SPREAD)))


def _initial(text: str) -> str:
    """The insurance fund of a resolved scenario; the whole file takes a hundred times as long to read."""
    found = re.search(r"insurance: *(?:\{initial: |\n +initial: )([^,}\s]+)", text)
    assert found is not None
    return found[1]


def needs_a_fund(text: str, run: str, seed: int) -> bytes:
    """A market in which ADL happens where the insurance fund is smaller than the seed needs."""
    fund = float(_initial(text))
    adl = max(0.0, fund_needed(seed) - fund)
    summary = {"seed": seed, "adl_notional": adl, "insurance_fund_end": fund - adl, "depth_1pct": 1e6,
               "open_interest_start": 1e7, "calm": "yes"}  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        (path / "manifest.json").write_text(json.dumps({"schema_version": 1, "status": "complete", "run": run}))
        (path / "summary.json").write_text(json.dumps(summary))
        pq.write_table(pa.table({"position_start": [10, -10], "liquidation_price_start": [95.0, 105.0]}),
                       path / "accounts.parquet")  # fmt: skip
        pq.write_table(pa.table({"time_s": [0.0, 1.0], "mark": [100.0, 100.0]}), path / "series.parquet")
        return pack(path)
