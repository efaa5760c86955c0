"""A run's checkpoint: one file with the whole model, and what the run was started with.

The file is a line that says what it is, a line with the SHA-256 of each of the two that follow, a line of JSON that can
be read without the rest, and a pickle of the model, which a reader of our own takes apart: no code of the file's runs
(docs/trust.md).  Nothing is read that is not what was written.
"""

import hashlib
import json
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, final

from pydantic import TypeAdapter, ValidationError

from marginquake.sim.core.outside import disk
from marginquake.sim.core.plugins import search_in
from marginquake.sim.runs import directory, unpickler
from marginquake.sim.runs.admitted import NotAdmitted
from marginquake.sim.runs.directory import RunDirectoryError
from marginquake.sim.runs.model_pickle import ArrayPickler
from marginquake.sim.runs.provenance import made_with

FILE = "checkpoint"
LONGEST_HEADER = 1_000_000
PIECE = 1 << 20
MAGIC = b"marginquake checkpoint 3\n"
UNKNOWN = b"0" * 64
"""In the place of a hash that is not known yet."""
CHANGED = "has changed since it was written; run the scenario again from the start"


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
    header = json.dumps({"made_with": made_with(), "job": asdict(job)}).encode() + b"\n"
    with disk.create(fresh) as file:
        file.write(MAGIC + hashlib.sha256(header).hexdigest().encode() + b" " + UNKNOWN + b"\n" + header)
        payload = HashedFile(file)
        try:
            ArrayPickler(payload, protocol=5).dump(model)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise RunDirectoryError(
                f"this run cannot be checkpointed: a participant holds what cannot be stored ({error}); keep functions "
                "of functions, files and generators out of its attributes, or leave out --checkpoint-every"
            ) from error
        file.seek(len(MAGIC) + len(UNKNOWN) + 1)
        file.write(payload.hexdigest())
    disk.sync(fresh)
    disk.move(fresh, folder / FILE)


def read_job(folder: Path) -> Job:
    """What the run in `folder` was started with and how far it had come; nothing is unpickled."""
    with _open(folder) as file:
        return _job(folder, _header(folder, file)[0])


def read_checkpoint(folder: Path, allow_code: bool = False) -> tuple[Job, Any]:
    """The job and the model.  Refuses a checkpoint that was made with anything else than what runs here.

    `allow_code`: read it as Python reads its pickles, which may run any code, that of the user's classes among it.
    """
    with _open(folder) as file:
        header, written = _header(folder, file)
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
        if hashlib.sha256(payload).hexdigest() != written:
            raise RunDirectoryError(f"{folder / FILE}: {CHANGED}")
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


def check_as_written(folder: Path) -> None:
    """Raises RunDirectoryError where the checkpoint is not what was written; nothing is unpickled."""
    with _open(folder) as file:
        _, written = _header(folder, file)
        digest = hashlib.sha256()
        while piece := file.read(PIECE):
            digest.update(piece)
        if digest.hexdigest() != written:
            raise RunDirectoryError(f"{folder / FILE}: {CHANGED}")


def _open(folder: Path) -> IO[bytes]:
    try:
        return (folder / FILE).open("rb")
    except OSError as error:
        raise RunDirectoryError(f"{folder}: holds no checkpoint ({error.strerror})") from error


def _header(folder: Path, file: IO[bytes]) -> tuple[dict[str, Any], str]:
    """The line of JSON, if it is what was written, and the hash of what follows it."""
    if file.readline(len(MAGIC)) != MAGIC:
        raise RunDirectoryError(f"{folder / FILE}: not a checkpoint that this version can read; run the scenario again")
    hashes = file.readline(2 * len(UNKNOWN) + 2).decode("ascii", "replace").split()
    line = file.readline(LONGEST_HEADER)
    if len(hashes) != 2 or hashlib.sha256(line).hexdigest() != hashes[0]:
        raise RunDirectoryError(f"{folder / FILE}: {CHANGED}")
    try:
        header = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RunDirectoryError(f"{folder / FILE}: damaged ({error})") from None
    if not isinstance(header, dict) or not isinstance(header.get("made_with"), dict):
        raise RunDirectoryError(f"{folder / FILE}: damaged (it does not say what it was made with)")
    return header, hashes[1]


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


@final
class HashedFile:
    """A file to write to that keeps the hash of what it was given."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def write(self, content: Any) -> int:
        """As the file does; returns the bytes."""
        self._digest.update(content)
        return self._file.write(content)

    def hexdigest(self) -> bytes:
        """Of everything so far."""
        return self._digest.hexdigest().encode()
