"""Runs that can be gone on with: `runs/<name>.partial/` holds a checkpointed run until it is complete.

The folder has a name of its own, so that nothing that cleans up after killed runs takes it for rubbish, and is never
taken for a run.  It is made with its first checkpoint in it, and renamed to the run's own name at the end.
"""

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from shlex import quote

from marginquake.sim.core.outside import disk
from marginquake.sim.runs import checkpoint, directory, leftovers, locks
from marginquake.sim.runs.checkpoint import Job
from marginquake.sim.runs.directory import PARTIAL, RunDirectoryError
from marginquake.sim.runs.locks import Claimed, State

PATIENCE_S = 0.5
"""How long a claim may be busy because somebody looks at it, seconds."""


def partial_path(parent: Path, name: str) -> Path:
    """Where the run `parent/name` lies until it is complete."""
    return parent / f"{name}{PARTIAL}"


@contextlib.contextmanager
def begun(parent: Path, name: str, first_checkpoint: Callable[[Path], None]) -> Iterator[Path]:
    """The folder of a checkpointed run that begins, with its first checkpoint in it; it is held during the block."""
    folder = partial_path(parent, name)
    check_free(parent, name)
    disk.make_folders(parent)
    with held(folder):
        with leftovers.hidden(parent, "tmp", folder.name) as hidden:
            directory.prepare(hidden)
            first_checkpoint(hidden)
            check_free(parent, name)
            disk.sync_tree(hidden)
            disk.move(hidden, folder)
        yield folder


def set_aside(hidden: Path, name: str, last_checkpoint: Callable[[Path], None]) -> Path:
    """Keep what a run without checkpoints has done: `hidden` is where it lies; returns its folder from now on."""
    last_checkpoint(hidden)
    folder = partial_path(hidden.parent, name)
    disk.sync_tree(hidden)
    disk.move(hidden, folder)
    return folder


def check_free(parent: Path, name: str) -> None:
    """Refuse to begin where an interrupted run of the same name waits."""
    folder = partial_path(parent, name)
    if os.path.lexists(folder):
        raise RunDirectoryError(
            f"{folder} is the same run, interrupted: `marginquake run --resume {quote(str(folder))}` goes on with it; "
            "delete it to start afresh"
        )


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Nobody else may go on with this run meanwhile; the claim ends with the process, however it ends."""
    with _claim(folder):
        yield


def is_held(folder: Path) -> bool:
    """True while a process runs it, or where one might."""
    return locks.look(_claim_file(folder))[0] is not State.FREE


def who_may_hold(folder: Path) -> str | None:
    """In words, who may be running it without being seen from here, and the way out; None where all can be seen."""
    file = _claim_file(folder)
    state, owner = locks.look(file)
    if state is not State.UNKNOWN:
        return None
    return (
        f"{folder}: {owner or 'another process'} was running it, and nothing can be seen of that process from here; if "
        f"it has ended, delete {file}"
    )


def _claim(folder: Path) -> locks.Claim:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return locks.claim(_claim_file(folder))
        except OSError as error:
            raise RunDirectoryError(
                f"{folder}: cannot be claimed: {_claim_file(folder)}: {error.strerror} (another user's, or a folder "
                "that one cannot write to)"
            ) from error
        except Claimed as claimed:
            if time.monotonic() < deadline:
                time.sleep(PATIENCE_S / 20)
                continue
            raise RunDirectoryError(who_may_hold(folder) or f"{folder}: another process is running it") from claimed


def _claim_file(folder: Path) -> Path:
    """Beside the folder, so that a complete run has nothing of it."""
    whole = Path(os.path.abspath(folder))
    return whole.with_name(f"{leftovers.CLAIM}{whole.name}")


def strip(folder: Path) -> None:
    """Take out what only an unfinished run has."""
    disk.delete(folder / checkpoint.FILE)
    drop_half_written(folder)


def drop_half_written(folder: Path) -> None:
    """Take out a checkpoint that was being written when the run was interrupted."""
    disk.delete(folder / f"{checkpoint.FILE}.new")


def discard(folder: Path) -> bool:
    """Delete an interrupted run; False where a process is at it or has been faster, or where there is none."""
    if not os.path.lexists(folder):
        return False
    try:
        with held(folder):
            return leftovers.delete(folder)
    except RunDirectoryError as refused:
        is_full = isinstance(refused.__cause__, OSError) and refused.__cause__.errno in leftovers.FULL
        return is_full and not is_held(folder) and leftovers.delete(folder)


def list_interrupted(parent: Path) -> list[Path]:
    """Folders of checkpointed runs below `parent` that are not complete, oldest checkpoint first."""
    if not parent.is_dir():
        return []
    found = [path for path in directory.entries(parent) if path.name.endswith(PARTIAL) and _has_checkpoint(path)]
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
    leftovers.sweep_leftovers(parent)
    return [
        path
        for path in superfluous(parent, keep)
        if (discard(path) if path.name.endswith(PARTIAL) else leftovers.delete(path))
    ]


def superfluous(parent: Path, keep: int) -> list[Path]:
    """What `clean_runs` would delete: all runs but the `keep` newest, oldest first."""
    waiting = [path for path in list_interrupted(parent) if not is_held(path)]
    runs = sorted([*directory.list_runs(parent), *waiting], key=lambda path: (_age(path), path.name))
    return runs[: max(0, len(runs) - keep)]


def _has_checkpoint(path: Path) -> bool:
    """True also where nobody may look at it."""
    try:
        return stat.S_ISREG((path / checkpoint.FILE).stat().st_mode)
    except PermissionError:
        return True
    except OSError:
        return False


def _age(path: Path) -> int:
    return directory.modified_ns(path / (checkpoint.FILE if path.name.endswith(PARTIAL) else "manifest.json"))


def _clock(time_ns: int) -> str:
    seconds = abs(time_ns) // 1_000_000_000
    return f"{'-' if time_ns < 0 else ''}{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
