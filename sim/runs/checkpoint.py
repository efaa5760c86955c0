"""A run's checkpoint: one file with the whole model, and what the run was started with.

The file is a line that says what it is, a line of JSON that can be read without trusting the rest, and a pickle of
the model, which a reader of our own takes apart: no code of the file's runs (docs/trust.md).
"""

import json
import os
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, final

from pydantic import TypeAdapter, ValidationError

from marginquake.sim.core.plugins import search_in
from marginquake.sim.runs import directory, unpickler
from marginquake.sim.runs.admitted import NotAdmitted
from marginquake.sim.runs.directory import RunDirectoryError
from marginquake.sim.runs.model_pickle import ArrayPickler
from marginquake.sim.runs.provenance import made_with

FILE = "checkpoint"
LONGEST_HEADER = 1_000_000
MAGIC = b"marginquake checkpoint 2\n"


@final
@dataclass(frozen=True, slots=True)
class Job:
    """A checkpointed run: what was asked for, and how far it had come.

    `scenario_digest`: as in the run's name, unshortened.  `every_ns`: simulated time between checkpoints.
    `python_path`: folders that classes of the user were found in.  `command`: the command line of its first process.
    `now_ns` of `duration_ns`: simulated time.  `wall_seconds`: spent up to here.  `resumed_at_s`: simulated times at
    which another process went on.  `twin_of`: entry of the manifest of a twin (sim/studies/twin_runs.py).
    """

    name: str
    scenario_digest: str
    seed: int
    every_ns: int
    check_invariants: bool
    figures: bool
    python_path: tuple[str, ...]
    command: tuple[str, ...]
    now_ns: int
    duration_ns: int
    wall_seconds: float = 0.0
    resumed_at_s: tuple[float, ...] = ()
    twin_of: Mapping[str, Any] | None = None


def write_checkpoint(folder: Path, job: Job, model: Any) -> None:
    """Replace the checkpoint in `folder`, atomically: whenever the process ends, the old or the new one is there."""
    fresh = folder / f"{FILE}.new"
    header = {"made_with": made_with(), "job": asdict(job)}
    with fresh.open("wb") as file:
        file.write(MAGIC)
        file.write(json.dumps(header).encode() + b"\n")
        try:
            ArrayPickler(file, protocol=5).dump(model)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise RunDirectoryError(
                f"this run cannot be checkpointed: a participant holds what cannot be stored ({error}); keep functions "
                "of functions, files and generators out of its attributes, or leave out --checkpoint-every"
            ) from error
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(folder / FILE)
    _sync(folder)


def read_job(folder: Path) -> Job:
    """What the run in `folder` was started with and how far it had come; nothing is unpickled."""
    with _open(folder) as file:
        return _job(folder, _header(folder, file))


def read_checkpoint(folder: Path, allow_code: bool = False) -> tuple[Job, Any]:
    """The job and the model.  Refuses a checkpoint that was made with anything else than what runs here.

    `allow_code`: read it as Python reads its pickles, which may run any code, that of the user's classes among it.
    """
    with _open(folder) as file:
        header = _header(folder, file)
        job = _job(folder, header)
        here = made_with()
        other = [
            f"{what} {there} (here {here.get(what, 'none')})"
            for what, there in header["made_with"].items()
            if here.get(what) != there
        ]
        if other:
            raise RunDirectoryError(
                f"{folder}: its checkpoint was made with {', '.join(other)}; go on with the same, or run the scenario "
                "again from the start"
            )
        payload = file.read()
        try:
            if allow_code:
                search_in([Path(place) for place in job.python_path])
                model = pickle.loads(payload)
            else:
                model = unpickler.load(payload)
        except NotAdmitted as error:
            raise RunDirectoryError(f"{folder}: its checkpoint is not read: {error}") from error
        except Exception as error:  # a damaged pickle or a missing user module may raise anything
            raise RunDirectoryError(
                f"{folder}: its checkpoint cannot be read ({type(error).__name__}: {error}); run the scenario again "
                "from the start"
            ) from error
    return job, model


def _open(folder: Path) -> IO[bytes]:
    try:
        return (folder / FILE).open("rb")
    except OSError as error:
        raise RunDirectoryError(f"{folder}: holds no checkpoint ({error.strerror})") from error


def _header(folder: Path, file: IO[bytes]) -> dict[str, Any]:
    if file.readline() != MAGIC:
        raise RunDirectoryError(f"{folder / FILE}: not a checkpoint that this version can read")
    try:
        header = json.loads(file.readline(LONGEST_HEADER))
    except (ValueError, RecursionError) as error:
        raise RunDirectoryError(f"{folder / FILE}: damaged ({error})") from None
    if not isinstance(header, dict) or not isinstance(header.get("made_with"), dict):
        raise RunDirectoryError(f"{folder / FILE}: damaged (it does not say what it was made with)")
    return header


def _job(folder: Path, header: dict[str, Any]) -> Job:
    """As it was written, if it is what a job can be: its name becomes that of a folder."""
    try:
        job = TypeAdapter(Job).validate_json(json.dumps(header.get("job")), strict=True)
    except ValidationError as error:
        what = f"{error.errors()[0]['loc']}: {error.errors()[0]['msg']}"
        raise RunDirectoryError(f"{folder / FILE}: damaged (its job, {what})") from None
    if not directory.is_run_name(job.name):
        raise RunDirectoryError(f"{folder / FILE}: damaged ({job.name[:80]!r} is no name of a run)")
    return job


def _sync(folder: Path) -> None:
    """Make the folder's names last."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
