"""Write and read runs/sweeps/<name>/: the plan of a sweep, its finished runs, its table.

    sweep.yaml       the file as the user wrote it
    sweep.json       the plan: axes, points, seeds, what counts as a cascade
    points/          one ordinary run directory for every point and seed, complete or absent
    results.parquet  one row for every finished run, sorted by point and seed; made again from points/ at any time
    failures.json    what failed the last time it was tried
    figures/, report.html

Runs are named by content (scenario, model version, seed), so a finished one is never done twice, even if the plan
has changed since.
"""

import io
import json
import math
import os
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, final

from marginquake.sim.core.outside import disk
from marginquake.sim.runs import directory, leftovers
from marginquake.sim.runs.directory import RunDirectoryError
from marginquake.sim.runs.fingerprints import table_with_own_hash, with_own_hash
from marginquake.sim.runs.sweep_plan import (
    FAILURES_FILE,
    PLAN_FILE,
    PLAN_VERSION,
    Event,
    Failure,
    is_sweep,
    read_failures,
    read_plan,
    value_text,
)
from marginquake.sim.studies.design import EventConfig, Sweep

AXIS = "axis_"
"""Before the name of an axis: its column in the table."""
NOT_IN_THE_TABLE = ("wall_seconds", "steps_per_second", "seed")
"""What differs between two runs of the same point and seed, and what has a column already."""


@final
class SweepDirectory:
    """One sweep on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.points = path / "points"
        self._event: EventConfig | None = None

    def begin(self, sweep: Sweep, model_version: str, runs: Mapping[tuple[int, int], str]) -> None:
        """Write the plan.  `runs`: names of the run directories by point and seed."""
        if os.path.lexists(self.path) and not is_sweep(self.path) and any(self.path.iterdir()):
            raise RunDirectoryError(f"{self.path} exists and holds no sweep; choose another --out")
        disk.make_folders(self.points)
        plan = sweep.plan()
        for point in plan["points"]:
            point["runs"] = {str(seed): runs[point["point"], seed] for seed in sweep.seeds}
        disk.write_whole(self.path / "sweep.yaml", sweep.text)
        head = {"schema_version": PLAN_VERSION, "model_version": model_version, **plan}
        text = json.dumps(with_own_hash(head), indent=2)
        disk.write_whole(self.path / PLAN_FILE, text + "\n")
        leftovers.sweep_leftovers(self.points)
        self._event = sweep.event

    def check_same_study(self, runs: Iterable[str], event: Event | EventConfig, whole: bool) -> None:
        """Refuse to write over the results of another study of this name.

        It is another one where no run of the plan that is there is among `runs`.  `whole`: also where some scenario of
        it is not, or where something else counts as the event; more seeds are the same study.
        """
        if not is_sweep(self.path):
            return
        there = read_plan(self.path)
        finished = [run for point in there.points for run in point.runs.values() if self.holds(run)]
        asked = set(map(_without_seed, runs))
        missing = [run for run in finished if _without_seed(run) not in asked]
        other_event = whole and _of_event(there.event) != _of_event(event)
        if finished and (len(missing) == len(finished) or (whole and (missing or other_event))):
            what = f"{len(missing)} of its {len(finished)} finished runs are not part of this one"
            if not missing:
                what = f"its event is {' '.join(_of_event(there.event))}"
            raise RunDirectoryError(
                f"{self.path} holds other results ({there.question or there.name}): {what}; choose another --name or "
                "--out, or --replace (in Python replace=True) writes over them"
            )

    def holds(self, run: str) -> bool:
        """True if this run is finished."""
        return directory.is_complete(self.points / run)

    def accept(self, run: str, packed: bytes) -> None:
        """Put a finished run in its place, whole or not at all."""
        target = unpack(packed, self.points / run)
        if self._event is not None:  # a metric that no run has is told at the first run, not after the last
            is_event(directory.read_summary(target), self._event)

    def note_failure(self, failure: Failure) -> None:
        """Keep what failed, in place of what is known of that point and seed."""
        self.forget_failures([(failure.point, failure.seed)])
        self._write_failures([*read_failures(self.path), failure])

    def forget_failures(self, keys: Sequence[tuple[int, int]]) -> None:
        """What is tried again, by point and seed, has not failed yet."""
        left = [each for each in read_failures(self.path) if (each.point, each.seed) not in set(keys)]
        if left:
            self._write_failures(left)
        else:
            disk.delete(self.path / FAILURES_FILE)

    def write_table(self) -> Path:
        """Make results.parquet from the plan and the finished runs."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        plan = read_plan(self.path)
        rows: list[dict[str, Any]] = []
        for point in plan.points:
            for seed in plan.seeds:
                run = point.runs[seed]
                if not self.holds(run):
                    continue
                summary = directory.read_summary(self.points / run)
                row: dict[str, Any] = {"point": point.point}
                row |= {f"{AXIS}{name}": value for name, value in point.values.items()}
                row |= {"seed": seed, "run": run, "event": is_event(summary, plan.event)}
                row |= {key: value for key, value in summary.items() if key not in NOT_IN_THE_TABLE}
                rows.append(row)
        names = list(dict.fromkeys(name for row in rows for name in row))
        axes = {f"{AXIS}{axis.name}" for axis in plan.axes}
        columns = {name: (_axis_column if name in axes else _column)([row.get(name) for row in rows]) for name in names}
        target = self.path / "results.parquet"
        with disk.written_aside(target) as aside, disk.create(aside) as file:
            pq.write_table(table_with_own_hash(pa.table(columns)), file)
        return target

    def _write_failures(self, failures: Sequence[Failure]) -> None:
        disk.write_whole(self.path / FAILURES_FILE, json.dumps([asdict(each) for each in failures], indent=2) + "\n")


def is_event(summary: Mapping[str, Any], event: Event | EventConfig) -> bool:
    """True if a run counts as a cascade: the metric of its summary is above the threshold, or below it."""
    value = summary.get(event.metric)
    if isinstance(value, str):
        raise RunDirectoryError(f"event.metric {event.metric}: is text, not a number")
    if event.metric not in summary:
        numbers = ", ".join(key for key, item in summary.items() if isinstance(item, int | float))
        raise RunDirectoryError(f"event.metric {event.metric}: no such number in summary.json; one of {numbers}")
    if value is None:
        return False
    return value > event.above if event.above is not None else event.below is not None and value < event.below


def find_sweep(sweep: str, parent: Path) -> Path | None:
    """A sweep by path or by name; None if there is none."""
    for path in (Path(sweep), parent / sweep, parent / "sweeps" / sweep):
        if is_sweep(path):
            return path
    return None


def pack(path: Path) -> bytes:
    """A directory as one piece of bytes, to be sent to the process that keeps it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for child in sorted(path.iterdir()):
            archive.add(child, arcname=child.name)
    return buffer.getvalue()


def unpack(packed: bytes, target: Path) -> Path:
    """A packed run in its place, whole or not at all; the same run that another process has put there stays."""
    with leftovers.hidden(target.parent, "tmp", target.name) as hidden:
        _unpack(packed, hidden)
        disk.sync_tree(hidden)
        return directory.put_in_place(hidden, target)


def _unpack(packed: bytes, folder: Path) -> None:
    """Files and folders of an archive: links and names that lead elsewhere are no part of a run."""
    disk.make_folder(folder)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for member in archive:
            path = folder / tarfile.data_filter(member, str(folder)).name
            if member.isdir():
                disk.make_folders(path)
            elif member.isreg() and (content := archive.extractfile(member)) is not None:
                disk.make_folders(path.parent)
                disk.write_within(path, content.read())


def _of_event(event: Event | EventConfig) -> tuple[str, str, str]:
    """Metric, side and threshold."""
    if event.above is not None:
        return event.metric, "above", f"{event.above:g}"
    return event.metric, "below", f"{event.below:g}"


def _without_seed(run: str) -> str:
    """`tiny-12345678` of `tiny-12345678-s3`."""
    return run.rpartition("-s")[0]


def _column(values: list[Any]) -> Any:
    """Numbers as float64 where some are fractions or missing; whole numbers, truth values and texts as they are."""
    import pyarrow as pa

    if any(isinstance(value, float) for value in values):
        return pa.array([math.nan if value is None else float(value) for value in values], pa.float64())
    if any(isinstance(value, str) for value in values):
        return pa.array([None if value is None else str(value) for value in values], pa.string())
    return pa.array(values)


def _axis_column(values: list[Any]) -> Any:
    """Values of one axis: numbers and truth values, null where it is off; else texts, 'off' among them."""
    import pyarrow as pa

    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} and len(kinds) > 1:
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    if len(kinds) > 1 or kinds == {str}:
        return pa.array([value_text(value) for value in values], pa.string())
    return pa.array(values)
