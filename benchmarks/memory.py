"""Resident memory of a run over its simulated time: flat, however many events there are.

    python -m benchmarks.memory [SCENARIO] [--duration 1d] [--levels all] [--figure docs/images/memory.png]

Each run is a child process of its own, watched from outside; its run directory is thrown away.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.rows import Row
from marginquake.analysis.presentation import theme
from marginquake.sim.core.fields import parse_duration

SCENARIO = Path("scenarios/calm_market.yaml")
FIGURE = Path("docs/images/memory.png")
LEVELS = ("fills", "all")
"""Values of `record.events` that are compared: what a run keeps by default, and everything."""
COLOURS = (theme.INDEX, theme.FORCED_SELL, theme.MUTED, theme.INK)
SAMPLES = 400
MB = 1e6
GROWTH_FLOOR, GROWTH_STRETCH = 1.5, 1.2
"""Memory at the end of the simulation over memory after a tenth of it."""


@dataclass(frozen=True, slots=True)
class Watch:
    """One run: memory (MB) by simulated time (s) while it was simulated; peak with the writing at the end; events."""

    level: str
    simulated_s: NDArray[np.float64]
    resident_mb: NDArray[np.float64]
    peak_mb: float
    events: int
    events_mb: float
    wall_s: float

    @property
    def growth(self) -> float:
        """Memory at the end of the simulation over memory after a tenth of it."""
        early = np.searchsorted(self.simulated_s, 0.1 * self.simulated_s[-1])
        return float(self.resident_mb[-1] / self.resident_mb[early])


CHILD = """
import os, sys
from pathlib import Path
from marginquake.sim.studies import run as running
scenario, out, samples, *overrides = sys.argv[1:]
loaded = running.load_scenario(scenario, overrides)
every = max(1, loaded.steps // int(samples))
due = 0
def report(seen):
    global due
    if seen.step >= due or seen.step == seen.steps_total:
        due = seen.step + every
        with open("/proc/self/statm") as file:
            resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        print(seen.simulated_s, resident, flush=True)
result = running.run(loaded, out=out, name="watched", figures=False, progress=report)
"""


def watch(scenario: Path, duration: str, level: str) -> Watch:
    """Run a scenario in a process of its own and watch its memory."""
    with tempfile.TemporaryDirectory(prefix="marginquake-") as folder:
        changes = [f"duration={duration}", f"record.events={level}"]
        command = [sys.executable, "-c", CHILD, str(scenario), folder, str(SAMPLES), *changes]
        started = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        pairs = [tuple(map(float, line.split())) for line in child.stdout]
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall_s = time.perf_counter() - started
        if child.returncode != 0:
            raise RuntimeError(f"{scenario} with record.events: {level} failed (exit status {child.returncode})")
        samples = np.array(pairs)
        events, events_bytes = _kept(Path(folder) / "watched" / "events")
    return Watch(
        level=level,
        simulated_s=samples[:, 0],
        resident_mb=samples[:, 1] / MB,
        peak_mb=usage.ru_maxrss * 1024 / MB,
        events=events,
        events_mb=events_bytes / MB,
        wall_s=wall_s,
    )


def _kept(folder: Path) -> tuple[int, int]:
    """Rows and bytes of all parts."""
    import pyarrow.parquet as pq

    parts = sorted(folder.iterdir())
    return sum(pq.ParquetFile(part).metadata.num_rows for part in parts), sum(part.stat().st_size for part in parts)


def measure(repeat: int = 5) -> list[Row]:
    """Rows of the benchmark's table, of `repeat` simulated hours; a day and its figure are for the command line."""
    return rows_of(SCENARIO, f"{repeat}h", [watch(SCENARIO, f"{repeat}h", level) for level in LEVELS])


def rows_of(scenario: Path, duration: str, runs: list[Watch]) -> list[Row]:
    """Growth and peak of every run."""
    rows = []
    for seen in runs:
        name = f"{scenario.stem}, {duration}, record.events: {seen.level}"
        note = f"{seen.events:,} events kept, {seen.events_mb:,.0f} MB on disk; {seen.wall_s:,.0f} s"
        rows.append(
            Row(f"{name}: memory at the end / after a tenth", seen.growth, "x", GROWTH_FLOOR, GROWTH_STRETCH, note)
        )
        rows.append(Row(f"{name}: peak", seen.peak_mb, "MB", note="the writing of tables at the end included"))
    return rows


def draw(runs: list[Watch], scenario: str, duration: str, path: Path) -> None:
    """Resident memory over simulated time, a line a run."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    last_s = parse_duration(duration) / 1e9
    unit_s, unit = (3600.0, "h") if last_s > 7200 else (60.0, "min")
    with matplotlib.rc_context(theme.LIGHT):
        figure = Figure(figsize=(theme.WIDTH_INCHES, 4.2), dpi=theme.DPI)
        FigureCanvasAgg(figure)  # type: ignore[no-untyped-call]
        axis = figure.add_axes((0.07, 0.13, 0.91, 0.75))
        for seen, colour in zip(runs, COLOURS, strict=False):
            label = f"record.events: {seen.level} ({seen.events:,} kept)"
            axis.plot(seen.simulated_s / unit_s, seen.resident_mb, color=colour, linewidth=1.4, label=label)
        axis.set_ylim(0, 1.25 * max(float(seen.resident_mb.max()) for seen in runs))
        axis.set_xlim(-0.01 * last_s / unit_s, last_s / unit_s)
        axis.set_xlabel(f"simulated time, {unit}")
        axis.set_title(f"{scenario}: resident memory of the process while it simulates, MB", loc="left")
        axis.legend(loc="lower right", frameon=False)
        axis.grid(visible=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)


def main() -> None:
    """Print the rows and where the figure is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", nargs="?", type=Path, default=SCENARIO)
    parser.add_argument("--duration", default="1d")
    parser.add_argument("--figure", type=Path, default=FIGURE)
    parser.add_argument("--levels", nargs="+", default=LEVELS, choices=("none", "liquidations", "fills", "all"))
    arguments = parser.parse_args()
    runs = [watch(arguments.scenario, arguments.duration, level) for level in arguments.levels]
    for row in rows_of(arguments.scenario, arguments.duration, runs):
        print(f"{row.name:<70} {row.value:>8.2f} {row.unit:<3} {row.note}", flush=True)
    draw(runs, arguments.scenario.stem, arguments.duration, arguments.figure)
    print(arguments.figure)


if __name__ == "__main__":
    main()
