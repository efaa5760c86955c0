"""Runs that can be gone on with: `runs/<name>.partial/` holds a checkpointed run until it is complete.

The folder has a name of its own, so that nothing that cleans up after killed runs takes it for rubbish, and is never
taken for a run.  It is made with its first checkpoint in it, and renamed to the run's own name at the end.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from shlex import quote

from marginquake.sim.runs import checkpoint, directory
from marginquake.sim.runs.checkpoint import Job
from marginquake.sim.runs.directory import PARTIAL, RunDirectoryError

LOCK = "lock"


def partial_path(parent: Path, name: str) -> Path:
    """Where the run `parent/name` lies until it is complete."""
    return parent / f"{name}{PARTIAL}"


def begin(parent: Path, name: str, first_checkpoint: Callable[[Path], None]) -> Path:
    """Make the folder of a checkpointed run, with its first checkpoint in it; returns its path."""
    folder = partial_path(parent, name)
    check_free(parent, name)
    parent.mkdir(parents=True, exist_ok=True)
    hidden = parent / f".tmp-{folder.name}-{os.getpid()}"
    shutil.rmtree(hidden, ignore_errors=True)
    try:
        directory.prepare(hidden)
        first_checkpoint(hidden)
        hidden.rename(folder)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    return folder


def set_aside(hidden: Path, name: str, last_checkpoint: Callable[[Path], None]) -> Path:
    """Keep what a run without checkpoints has done: `hidden` is where it lies; returns its folder from now on."""
    last_checkpoint(hidden)
    folder = partial_path(hidden.parent, name)
    hidden.rename(folder)
    return folder


def check_free(parent: Path, name: str) -> None:
    """Refuse to begin where an interrupted run of the same name waits."""
    folder = partial_path(parent, name)
    if folder.exists():
        raise RunDirectoryError(
            f"{folder} is the same run, interrupted: `marginquake run --resume {quote(str(folder))}` goes on with it; "
            "delete it to start afresh"
        )


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Nobody else may go on with this run meanwhile; the claim ends with the process, however it ends."""
    import fcntl

    with (folder / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RunDirectoryError(f"{folder}: another process is running it") from error
        yield


def is_held(folder: Path) -> bool:
    """True while a process runs it."""
    try:
        with held(folder):
            return False
    except RunDirectoryError:
        return True


def strip(folder: Path) -> None:
    """Take out what only an unfinished run has."""
    for name in (checkpoint.FILE, f"{checkpoint.FILE}.new", LOCK):
        (folder / name).unlink(missing_ok=True)


def list_interrupted(parent: Path) -> list[Path]:
    """Folders of checkpointed runs below `parent` that are not complete, oldest checkpoint first."""
    if not parent.is_dir():
        return []
    found = [path for path in parent.glob(f"*{PARTIAL}") if (path / checkpoint.FILE).is_file()]
    return sorted(found, key=lambda path: (_age(path), path.name))


def find_interrupted(run: str | Path, parent: Path = Path("runs")) -> Path:
    """A checkpointed run by path or name, with `.partial` or without, or by an unambiguous beginning of its name."""
    places = [Path(run), parent / run]
    for path in [*places, *(place.with_name(place.name + PARTIAL) for place in places if place.name)]:
        if path.name.endswith(PARTIAL) and path.is_dir():
            return path
    begins = [path for path in list_interrupted(parent) if path.name.startswith(str(run))]
    if len(begins) == 1:
        return begins[0]
    if begins:
        raise RunDirectoryError(f"{run}: several interrupted runs begin so: {', '.join(map(str, begins))}")
    raise RunDirectoryError(
        f"--resume {run}: no interrupted run there, nor under {parent}; only runs started with --checkpoint-every can "
        "be gone on with (`marginquake list runs` shows them)"
    )


def position(job: Job) -> str:
    """How far a run had come: `0:30:00 of 24:00:00 simulated`."""
    return f"{_clock(job.now_ns)} of {_clock(job.duration_ns)} simulated"


def clean_runs(parent: Path, keep: int) -> list[Path]:
    """Delete all runs below `parent` but the `keep` newest, and leftovers; returns what was deleted.

    Interrupted runs count like others; those that a process is at are left alone.
    """
    directory.sweep_leftovers(parent)
    doomed = superfluous(parent, keep)
    for path in doomed:
        away = path.with_name(f".tmp-{path.name}-{os.getpid()}")
        path.rename(away)
        shutil.rmtree(away)
    return doomed


def superfluous(parent: Path, keep: int) -> list[Path]:
    """What `clean_runs` would delete: all runs but the `keep` newest, oldest first."""
    waiting = [path for path in list_interrupted(parent) if not is_held(path)]
    runs = sorted([*directory.list_runs(parent), *waiting], key=lambda path: (_age(path), path.name))
    return runs[: max(0, len(runs) - keep)]


def _age(path: Path) -> int:
    file = path / (checkpoint.FILE if path.name.endswith(PARTIAL) else "manifest.json")
    return file.stat().st_mtime_ns


def _clock(time_ns: int) -> str:
    seconds = abs(time_ns) // 1_000_000_000
    return f"{'-' if time_ns < 0 else ''}{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
