"""A run's checkpoint: one file with the whole model, and what the run was started with.

The file is a line that says what it is, a line of JSON that can be read without trusting the rest, and a pickle of
the model.  Unpickling runs code: only checkpoints from the user's own runs folder are ever loaded.
"""

import json
import os
import pickle
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, final

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.plugins import search_in
from marginquake.sim.runs.directory import RunDirectoryError
from marginquake.sim.runs.provenance import made_with

FILE = "checkpoint"
MAGIC = b"marginquake checkpoint 1\n"


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
        return _job(_header(folder, file))


def read_checkpoint(folder: Path) -> tuple[Job, Any]:
    """The job and the model.  Refuses a checkpoint that was made with anything else than what runs here."""
    with _open(folder) as file:
        header = _header(folder, file)
        job = _job(header)
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
        search_in([Path(place) for place in job.python_path])
        try:
            model = pickle.load(file)
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
    header: dict[str, Any] = json.loads(file.readline())
    return header


def _job(header: dict[str, Any]) -> Job:
    plain: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in header["job"].items()
    }
    return Job(**plain)


def _sync(folder: Path) -> None:
    """Make the folder's names last."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@final
class ArrayPickler(pickle.Pickler):
    """Stores views as views, and compiled functions by name.  Read it with `pickle.load`."""

    def reducer_override(self, thing: Any) -> Any:
        """How to store `thing`; NotImplemented leaves it to pickle."""
        if type(thing) is np.ndarray and not thing.dtype.hasobject:
            return _reduce_array(thing)
        if type(thing).__module__.startswith("numba.") and _by_name(thing) is thing:
            return thing.__qualname__
        return NotImplemented


def _reduce_array(values: NDArray[Any]) -> Any:
    owner = values.base
    if type(owner) is np.ndarray and _is_plain(owner):
        offset = _address(values) - _address(owner)
        return _view, (owner, offset, values.shape, values.strides, values.dtype, values.flags.writeable)
    if not _is_plain(values):
        return NotImplemented
    order = "C" if values.flags.c_contiguous else "F"
    raw = pickle.PickleBuffer(values.reshape(-1, order="A").view(np.uint8).data) if values.size else b""
    return _array, (raw, values.shape, values.dtype, order, values.flags.writeable)


def _is_plain(values: NDArray[Any]) -> bool:
    """True for an array that is one block of memory."""
    return values.flags.c_contiguous or values.flags.f_contiguous


def _address(values: NDArray[Any]) -> int:
    address: int = values.__array_interface__["data"][0]
    return address


def _array(raw: Any, shape: tuple[int, ...], dtype: np.dtype[Any], order: Any, writeable: bool) -> NDArray[Any]:
    """An array that owns its memory."""
    values: NDArray[Any] = np.empty(shape, dtype, order)
    if values.size:
        values.reshape(-1, order="A").view(np.uint8)[:] = np.frombuffer(raw, np.uint8)
    values.flags.writeable = writeable
    return values


def _view(
    owner: NDArray[Any],
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    dtype: np.dtype[Any],
    writeable: bool,
) -> NDArray[Any]:
    """The place in `owner` that a view was of."""
    block = owner if owner.flags.c_contiguous else owner.T
    values: NDArray[Any] = np.ndarray(shape, dtype, block, offset, strides)
    if values.flags.writeable and not writeable:
        values.flags.writeable = False
    return values


def _by_name(thing: Any) -> Any:
    """What the module of a function knows by the function's name."""
    module = sys.modules.get(getattr(thing, "__module__", ""))
    return getattr(module, getattr(thing, "__qualname__", ""), None)
