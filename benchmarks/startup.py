"""Time to the first result on the command line: the help, the first step with kernels compiled or not, imports."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import numpy as np

from benchmarks.rows import Row

SCENARIO = "scenarios/long_squeeze.yaml"
CLI = [sys.executable, "-m", "marginquake"]
COLD_REPEATS = 3
"""Compiling everything takes long; so many times are enough."""
HELP = (("--help",), ("run", "--help"), ("sweep", "--help"), ("doctor", "--help"))
IMPORTS = ("numpy", "numba", "mesa", "pydantic", "pyarrow", "marginquake.sim.studies.run")


def measure(repeat: int) -> list[Row]:
    """Help, imports, first step and whole run; warm, then cold."""
    rows = []
    for arguments in HELP:
        seconds = _median([_seconds([*CLI, *arguments]) for _ in range(repeat)])
        rows.append(Row(f"marginquake {' '.join(arguments)}", seconds, "s", 0.4, 0.3))
    for module in IMPORTS:
        spent = [_import_cost(module) for _ in range(repeat)]
        note = f"{_median([megabytes for _, megabytes in spent]):.0f} MB resident"
        rows.append(Row(f"import {module}", _median([seconds for seconds, _ in spent]), "s", note=note))
    with tempfile.TemporaryDirectory(prefix="marginquake-bench-") as scratch:
        folder = Path(scratch)
        _first_step(folder, {})  # compiles what is not there yet
        warm = [_first_step(folder, {}) for _ in range(repeat)]
        cold = [_first_step_cold(folder) for _ in range(min(repeat, COLD_REPEATS))]
    where = "`marginquake run scenarios/long_squeeze.yaml`, until its first step is done"
    rows.append(Row("first step, warm", _median(warm), "s", 2.5, 1.5, where))
    rows.append(Row("first step, cold", _median(cold), "s", 25, 12, f"no kernel compiled; {len(cold)} times"))
    return rows


def _first_step_cold(folder: Path) -> float:
    cache = folder / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    return _first_step(folder, {"MARGINQUAKE_CACHE": str(cache)})


def _first_step(folder: Path, environment: Mapping[str, str]) -> float:
    """Seconds from the start of the process to the end of its first step, as its log says."""
    log = folder / "log.txt"
    log.unlink(missing_ok=True)
    command = [*CLI, "run", SCENARIO, "--set", "warmup=0", "--set", "duration=100ms", "--no-figures", "--quiet"]
    command += ["--out", str(folder / "runs"), "--log-file", str(log)]
    started = time.time()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **environment})
    stamp = re.search(r"^(\S+ \S+) INFO simulated to the end$", log.read_text(encoding="utf-8"), re.MULTILINE)
    if stamp is None:
        raise RuntimeError(f"{log}: the run did not say when it had simulated to the end")
    return datetime.strptime(stamp[1], "%Y-%m-%d %H:%M:%S,%f").timestamp() - started


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _import_cost(module: str) -> tuple[float, float]:
    """Seconds of the import itself, and resident megabytes of the process after it."""
    program = (
        "import resource, time; started = time.perf_counter(); "
        f"import {module}; "
        "print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    seconds, resident = done.stdout.split()
    return float(seconds), float(resident) / 1024


def _median(values: list[float]) -> float:
    return float(np.median(values))
