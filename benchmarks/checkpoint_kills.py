"""Kill a checkpointed run at random moments, go on, and compare everything with a run that nobody touched.

    python -m benchmarks.checkpoint_kills [SCENARIO] [--kills 10] [--every 5s] [--set KEY=VALUE]...

Every third kill waits for the next checkpoint to be under way, so that it falls into its writing.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.rows import Row
from marginquake.sim.runs import directory
from marginquake.sim.runs.checkpoint import FILE
from marginquake.sim.runs.partial_runs import partial_path

SCENARIO = Path("scenarios/long_squeeze.yaml")
SHORTER = ("duration=60s", "record.events=all")
CLOCKS = ("wall_seconds", "steps_per_second")
"""Of summary.json: what no two runs agree on."""

TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Kill:
    """One run that was cut off: after how long, how often, and what differs from the untouched one (nothing)."""

    after_s: float
    while_writing: bool
    resumed_at_s: tuple[float, ...]
    differences: tuple[str, ...]


def measure(repeat: int = 5) -> list[Row]:
    """A row for the benchmark's table: how many resumed runs are the same as the untouched one; two kills a repeat."""
    kills = 2 * repeat
    results = kill_at_random(SCENARIO, kills, "5s", SHORTER)
    same = sum(not result.differences for result in results)
    written = sum(result.while_writing for result in results)
    note = f"{written} of the kills fell into the writing of a checkpoint"
    return [Row("killed with -9 and resumed: same as unbroken", same, f"of {kills} runs", floor=kills, note=note)]


def kill_at_random(scenario: Path, kills: int, every: str, overrides: tuple[str, ...], seed: int = 5) -> list[Kill]:
    """Kill and resume as many runs, each once."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="marginquake-") as folder:
        out = Path(folder)
        untouched = _finished(_start(scenario, out, "untouched", overrides))
        wall_s = _wall_seconds(untouched)
        results: list[Kill] = []
        while len(results) < kills:
            number = len(results)
            process = _start(scenario, out, f"killed{number}", overrides, "--checkpoint-every", every)
            partial = partial_path(out, f"killed{number}")
            _wait_for(partial, process)
            started = time.perf_counter()
            time.sleep(draw.uniform(0.0, 2.0 * wall_s))  # checkpoints take their time too
            while_writing = number % 3 == 2 and _wait_for(partial / f"{FILE}.new", process)
            process.kill()
            after_s = time.perf_counter() - started
            stdout, _ = process.communicate()
            if process.returncode == 0:  # it was complete: the untouched run compiled kernels, or was slow otherwise
                wall_s = min(0.9 * wall_s, _wall_seconds(Path(stdout.splitlines()[-1])))
                continue
            resumed = _finished(_command("run", "--resume", str(partial), "--out", str(out), "--quiet"))
            at = directory.read_manifest(resumed)["resumed_at_s"]
            results.append(Kill(after_s, while_writing, tuple(at), tuple(differences(untouched, resumed))))
    return results


def differences(one: Path, other: Path) -> list[str]:
    """What is not the same in two run directories: digest, summary, events, tables, maps."""
    summaries = [directory.read_summary(path) for path in (one, other)]
    keys = (summaries[0].keys() | summaries[1].keys()) - set(CLOCKS)
    found = [f"summary: {key}" for key in keys if summaries[0].get(key) != summaries[1].get(key)]
    for table in ("series", "accounts", "populations", "positions"):
        columns = [_columns(path / f"{table}.parquet") for path in (one, other)]
        found += [table] if columns[0] != columns[1] else []
    events = [_events(path) for path in (one, other)]
    found += [f"events of {market}" for market in events[0] if not events[0][market].equals(events[1][market])]
    with np.load(one / "liquidation_map.npz") as maps, np.load(other / "liquidation_map.npz") as others:
        found += [f"map {name}" for name in maps if not np.array_equal(maps[name], others[name])]
    return found


def _wall_seconds(run: Path) -> float:
    return float(directory.read_summary(run)["wall_seconds"])


def _columns(path: Path) -> dict[str, bytes]:
    """Columns of a table as bytes, so that nan is equal to itself; none without the file."""
    if not path.is_file():
        return {}
    table = pq.read_table(path)
    return {name: np.asarray(table[name].to_pylist()).tobytes() for name in table.column_names}


def _events(path: Path) -> dict[str, pa.Table]:
    """All events of every market, however they are cut into parts."""
    markets: dict[str, list[pa.Table]] = {}
    for part in sorted((path / "events").iterdir()):
        markets.setdefault(part.stem.rpartition("-")[0], []).append(pq.read_table(part))
    return {market: pa.concat_tables(parts).combine_chunks() for market, parts in markets.items()}


def _start(scenario: Path, out: Path, name: str, overrides: tuple[str, ...], *options: str) -> "subprocess.Popen[str]":
    changes = [word for override in overrides for word in ("--set", override)]
    fixed = ["--name", name, "--out", str(out), "--no-figures", "--quiet"]
    return _command("run", str(scenario), *fixed, *changes, *options)


def _command(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "marginquake", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _finished(process: "subprocess.Popen[str]") -> Path:
    """The directory that a run has printed."""
    stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    if process.returncode != 0:
        raise RuntimeError(stderr)
    return Path(stdout.splitlines()[-1])


def _wait_for(path: Path, process: "subprocess.Popen[Any]") -> bool:
    """True as soon as `path` is there; False once the process has ended."""
    while process.poll() is None:
        if path.exists():
            return True
        time.sleep(0.0005)
    return False


def main() -> None:
    """Print a table; exit 1 if a resumed run differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", nargs="?", type=Path, default=SCENARIO)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--every", default="5s")
    parser.add_argument("--set", dest="overrides", action="append")
    arguments = parser.parse_args()
    overrides = tuple(arguments.overrides or SHORTER)
    results = kill_at_random(arguments.scenario, arguments.kills, arguments.every, overrides)
    print(f"{'killed after':>14}  {'in a checkpoint':<15}  {'resumed at':<12}  compared with the unbroken run")
    for result in results:
        at = ", ".join(f"{seconds:g} s" for seconds in result.resumed_at_s)
        verdict = "; ".join(result.differences) or "same digest, summary, events, series, accounts, maps"
        print(f"{result.after_s:12.2f} s  {'yes' if result.while_writing else 'no':<15}  {at:<12}  {verdict}")
    sys.exit(any(result.differences for result in results))


if __name__ == "__main__":
    main()
