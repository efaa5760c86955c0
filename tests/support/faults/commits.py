"""What the product writes, each in some milliseconds: a run, one in place of another, a checkpointed one, a report."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from marginquake.sim.core.outside import disk
from marginquake.sim.core.records import EVENT, EventKind
from marginquake.sim.runs import directory, leftovers, partial_runs
from marginquake.sim.runs.checkpoint import FILE, Job, check_as_written, write_checkpoint
from marginquake.sim.runs.directory import RunData, RunDirectoryError
from marginquake.sim.runs.verification import verify
from marginquake.sim.studies.starter import new_scenario
from marginquake.sim.studies.sweep_directory import SweepDirectory, pack, unpack

NAME = "demo-12345678-s7"
OTHER = "demo-87654321-s8"


@dataclass(frozen=True)
class Text:
    """A scenario, as far as a run directory keeps it."""

    source_text: str = "name: demo  # as written\n"

    def resolved_yaml(self) -> str:
        """As it was read."""
        return "name: demo\nseed: 7\n"


def manifest(seed: int = 7) -> dict[str, Any]:
    """Of the run `NAME` (7) or `OTHER` (8)."""
    return {"scenario": "demo", "scenario_digest": "12345678", "seed": seed, "event_digest": "abc"}


@cache
def data() -> RunData:
    """A run of no market."""
    events = np.zeros(500, EVENT)
    events["time_ns"] = np.arange(500) * 1_000_000
    events["kind"] = int(EventKind.FILL)
    return RunData(
        events={"main": events},
        series={"market": ["main", "main"], "time_s": np.array([-1.0, 0.0]), "mid": np.array([np.nan, 100_000.5])},
        accounts={"market": ["main"], "row": np.array([3])},
        maps={"markets": np.array(["main"]), "main/time_s": np.array([0.0, 10.0])},
        summary={"margin_calls": 3, "scenario": "demo"},
    )


JOB = Job(NAME, "12345678", 7, 10, False, False, (), (), 0, 100)
MODEL = {"state": np.arange(3_000)}


def plain(parent: Path, seed: int = 7, replace: bool = False) -> None:
    """A run, made at once."""
    with directory.new_run(parent, NAME) as folder:
        directory.write_run(folder, data(), Text(), manifest(seed), NAME, replace=replace)


def in_place_of_another(parent: Path) -> None:
    """`--replace`."""
    plain(parent, seed=8, replace=True)


def checkpointed(parent: Path) -> None:
    """A run with two checkpoints."""
    with partial_runs.begun(parent, NAME, lambda hidden: write_checkpoint(hidden, JOB, MODEL)) as folder:
        write_checkpoint(folder, dataclasses.replace(JOB, now_ns=50), MODEL)
        directory.write_run(folder, data(), Text(), manifest(), NAME, partial_runs.strip)


def pictured(parent: Path) -> None:
    """A report over an older one, and what the manifest says of it."""
    disk.write_whole(parent / NAME / "report.html", "<p>new</p>" * 1_000)
    directory.note_left_out(parent / NAME, ["a picture"])


def cleaned(parent: Path) -> None:
    """`clean --keep 0`."""
    partial_runs.clean_runs(parent, keep=0)


def unpacked(parent: Path) -> None:
    """A run that a worker sends."""
    unpack(pack(parent / NAME), parent / OTHER)


def swept(parent: Path) -> None:
    """Failures noted and forgotten, as a sweep does."""
    from marginquake.sim.runs.sweep_plan import Failure

    sweep = SweepDirectory(parent)
    sweep.note_failure(Failure(1, 2, "no"))
    sweep.note_failure(Failure(1, 3, "no"))
    sweep.forget_failures([(1, 2)])


def begun_scenario(parent: Path) -> None:
    """`marginquake new`."""
    import os

    before = Path.cwd()
    os.chdir(parent)
    try:
        new_scenario("mine")
    finally:
        os.chdir(before)


COMMITS: Final[Mapping[str, Callable[[Path], None]]] = {
    "run": plain,
    "replace": in_place_of_another,
    "checkpoints": checkpointed,
    "report": pictured,
    "clean": cleaned,
    "unpack": unpacked,
    "failures": swept,
    "new": begun_scenario,
}
NEEDS_A_RUN = ("replace", "report", "clean", "unpack")
"""Which begin where there is a run."""


def prepare(name: str, parent: Path) -> None:
    """What stands there before."""
    if name in NEEDS_A_RUN:
        plain(parent)
        disk.write_whole(parent / NAME / "report.html", "<p>old</p>")


def assert_whole(name: str, parent: Path, done: bool = False) -> None:
    """What stands under final names is whole, after what a next command tidies up; `done`: and all of it is there."""
    leftovers.sweep_leftovers(parent)
    unfinished = [path for path in directory.entries(parent) if (path / FILE).exists()]  # is made again from there
    runs = {
        path.name: path
        for path in directory.entries(parent)
        if (path / "manifest.json").exists() and path not in unfinished
    }
    partial = partial_runs.partial_path(parent, NAME)
    for path in runs.values():
        wrong = [str(each) for each in verify(path) if each.is_wrong]
        assert not wrong, wrong
        assert directory.has_everything(path), path
    if partial.is_dir():
        assert (partial / FILE).exists() or directory.has_everything(partial), "neither a checkpoint nor a run"
        if (partial / FILE).exists():
            check_as_written(partial)
    if name in ("replace", "report"):
        assert NAME in runs, "the run that was there is gone"
        seed = directory.read_manifest(runs[NAME])["seed"]
        assert seed == 8 if name == "replace" and done else seed in (7, 8)
        if seed == 7:
            report = (runs[NAME] / "report.html").read_text()
            assert report in ("<p>old</p>", "<p>new</p>" * 1_000), report[:20]
    if done and name in ("run", "checkpoints"):
        assert NAME in runs, "it said that it had made a run"
        assert not partial.exists()
    if (parent / "mine.yaml").exists():
        assert (parent / "mine.yaml").read_text().endswith("\n")
        assert (parent / "mine.yaml").stat().st_size > 1_000


def goes_on(name: str, parent: Path) -> None:
    """The next command works: the same again, unless it is done or waits to be gone on with."""
    if name == "new" and (parent / "mine.yaml").exists():
        return
    if name == "checkpoints":
        partial_runs.discard(partial_runs.partial_path(parent, NAME))
    if name in NEEDS_A_RUN and not (parent / NAME).exists():
        return
    try:
        COMMITS[name](parent)
    except RunDirectoryError as error:
        raise AssertionError(f"the next command: {error}") from error
    assert_whole(name, parent, done=True)
