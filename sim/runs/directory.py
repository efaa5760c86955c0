"""Write and read runs/<name>/: complete or absent, and readable with pandas, polars or duckdb without code of ours.

Everything is written into a hidden sibling (`.tmp-<name>-<token>`) and renamed at the end.  An existing run of the same
name is renamed away first (`.old-<name>-<token>`), so that after a crash at any instant one of the two is whole; the
next run in the same folder puts it back, or sweeps what is no longer needed (sim/runs/leftovers.py).
"""

import contextlib
import errno
import io
import json
import math
import os
import re
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from shlex import quote
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.measured import Measured
from marginquake.sim.core.outside import disk
from marginquake.sim.core.outside.edges import say
from marginquake.sim.core.outside.stored_text import read_json
from marginquake.sim.core.version import SCHEMA_VERSION
from marginquake.sim.runs import fingerprints, interrupts, leftovers, locks
from marginquake.sim.runs.event_log import Column, logs_in, write_parquet
from marginquake.sim.runs.fingerprints import MANIFEST
from marginquake.sim.runs.foreign import DEEPEST, leads_elsewhere

Scalar = int | float | str | bool | None

PARTIAL = ".partial"
"""Folders with this ending hold runs that are not complete: see sim/runs/partial_runs.py."""

KEPT_NAMES = ("sweeps", "twins")
"""Folders beside the runs that hold runs themselves."""

LONGEST_NAME = 200
"""Letters of a run name: hidden names are longer, and file systems take 255."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EISDIR)
"""What the system says of a rename to a name that something has."""


class RunDirectoryError(ValueError):
    """A run directory cannot be written, found or read; the message says what to do."""


@dataclass(frozen=True)
class RunData:
    """Everything that a finished model hands over.

    `events`, `audit`: EVENT and AUDIT rows by market, of runs that kept them in memory.
    `series`, `accounts`: one 1-D array (or list of strings) a column.
    `maps`: the content of `liquidation_map.npz`.  `summary`: the flat content of `summary.json`.
    `populations`: what every population held at every row of the series; no file is written while it is empty.
    `positions`: what every account held at some times; the same.
    `measured`: by market, what the run says of its own scenario; no file.
    """

    events: Mapping[str, NDArray[Any]]
    series: Mapping[str, Column]
    accounts: Mapping[str, Column]
    maps: Mapping[str, NDArray[Any]]
    summary: Mapping[str, Scalar]
    populations: Mapping[str, Column] = field(default_factory=dict)
    audit: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    positions: Mapping[str, Column] = field(default_factory=dict)
    measured: Mapping[str, Measured] = field(default_factory=dict)


class ScenarioText(Protocol):
    """The part of a scenario that a run directory keeps."""

    @property
    def source_text(self) -> str:
        """The file as the user wrote it."""
        ...

    def resolved_yaml(self) -> str:
        """Every default written out."""
        ...


def run_name(scenario_name: str, digest: str, seed: int) -> str:
    """`<name>-<hash8>-s<seed>`: the same name always holds the same events."""
    return f"{scenario_name}-{digest[:8]}-s{seed}"


def is_run_name(name: str) -> bool:
    """Whether a run directory may be called so: never something that leads elsewhere."""
    return _NAME.match(name) is not None and not name.endswith(PARTIAL) and name not in KEPT_NAMES


def check_target(parent: Path, name: str) -> None:
    """Refuse, before anything is simulated, a place where the run could not be written."""
    if not _NAME.match(name):
        raise RunDirectoryError(
            f"--name {name!r}: a run name starts with a letter or digit and holds only letters, digits, '.', '_', '-'"
        )
    if len(name) > LONGEST_NAME:
        raise RunDirectoryError(
            f"--name {name[:40]}...: has {len(name)} letters; a run name has at most {LONGEST_NAME}"
        )
    if name.endswith(PARTIAL):
        raise RunDirectoryError(f"--name {name!r}: the ending {PARTIAL} is kept for runs that are not complete")
    if name in KEPT_NAMES:
        raise RunDirectoryError(f"--name {name}: {parent / name} is where {name} are kept; choose another --name")
    existing = parent
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir():
        raise RunDirectoryError(f"--out {parent}: {existing} is not a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise RunDirectoryError(f"--out {parent}: {existing} is not writable")
    target = parent / name
    if _is_something_else(target):
        raise RunDirectoryError(f"{target} exists and is not a run directory; move it away or choose another --name")


@contextlib.contextmanager
def new_run(parent: Path, name: str) -> Iterator[Path]:
    """A hidden folder for the run `parent/name`, gone at the end of the block unless `write_run` has given it its name.

    Event logs may write below its `events/` while the run goes on.
    """
    check_target(parent, name)
    is_new = not parent.exists()
    try:
        with leftovers.hidden(parent, "tmp", name) as hidden:
            prepare(hidden)
            yield hidden
    finally:
        if is_new:
            with contextlib.suppress(OSError):  # there are runs in it by now
                parent.rmdir()


def prepare(folder: Path) -> None:
    """Make the folder of a run that begins."""
    disk.make_folders(folder)
    for name in ("events", "audit", "figures"):
        disk.make_folder(folder / name)


def write_run(
    folder: Path,
    data: RunData,
    scenario: ScenarioText,
    manifest: Mapping[str, Any],
    name: str,
    finish: Callable[[Path], None] | None = None,
    replace: bool = False,
    before: int | None = None,
) -> Path:
    """Complete the run in `folder` and give it its name, atomically; returns its path.

    `finish` may change what lies in `folder`, which is complete by then.  `replace`, `before`: as `give_name` has them.
    """
    _write_tables(data, folder)
    disk.write_within(folder / "scenario.yaml", scenario.source_text)
    disk.write_within(folder / "scenario.resolved.yaml", scenario.resolved_yaml())
    disk.write_within(folder / "summary.json", _json(data.summary))
    files = fingerprints.fingerprints(folder)
    head = {"schema_version": SCHEMA_VERSION, **manifest, "status": "complete", fingerprints.FILES: files}
    disk.write_within(folder / MANIFEST, _json(fingerprints.with_own_hash(plain(head))))
    disk.sync_tree(folder)
    if finish is not None:
        finish(folder)
        disk.sync(folder)
    return give_name(folder, name, replace, before)


def same_run(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """True if two manifests are of runs with the same events: same scenario and model version, same seed."""
    return all(one.get(key) == other.get(key) for key in ("scenario_digest", "seed"))


def holder(path: Path) -> int:
    """What has a name at this moment, as a number that it keeps under any other; 0 for nothing."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def give_name(folder: Path, name: str, replace: bool = False, before: int | None = None) -> Path:
    """Rename a complete run, in place of an older one of the same events; returns its new path.

    Where another run has taken the name meanwhile, that one stays and this one gets a name of its own, with a line on
    stderr, unless `replace`: what has been simulated is not thrown away.  `before`: `holder` of the name when this run
    began; where another process has completed the same run since, its result stays, and `folder` is deleted.  None: the
    same run is replaced whenever it was made.
    """
    own = read_manifest(folder)
    target = folder.with_name(name)
    with interrupts.held_back(), locks.one_at_a_time(folder.parent):
        for _ in range(locks.ATTEMPTS):
            if _takes(folder, target):
                return target
            there = manifest_of(target)
            if there is not None and same_run(own, there):
                if before is not None and holder(target) != before:
                    say(f"{target}: another process completed the same run meanwhile; it stays", file=sys.stderr)
                    disk.remove(folder)
                    return target
            elif _is_something_else(target) or (there is not None and not replace):
                taken, target = target, _free_name(folder, own)
                say(f"{taken} was taken meanwhile by another run; this one is {target}", file=sys.stderr)
                continue
            if _swap_in(folder, target):
                return target
    raise RunDirectoryError(f"{target}: other processes take this name again and again; the run is in {folder}")


def put_in_place(folder: Path, target: Path) -> Path:
    """Rename a complete run to a name that says what is in it; returns that.

    The same run stays where another process has put it there meanwhile; anything else is in its way.
    """
    own = read_manifest(folder)
    with interrupts.held_back(), locks.one_at_a_time(target.parent):
        for _ in range(locks.ATTEMPTS):
            if _takes(folder, target):
                return target
            there = manifest_of(target)
            if there is not None and same_run(own, there):
                disk.remove(folder)
                return target
            if _swap_in(folder, target):
                return target
    raise RunDirectoryError(f"{target}: other processes take this name again and again")


def note_left_out(path: Path, lines: Sequence[str]) -> None:
    """Say in the manifest of a complete run which pictures could not be drawn when it was made."""
    write_manifest(path, {**read_manifest(path), "left_out": list(lines)})


def is_complete(path: Path) -> bool:
    """True for a finished run directory under its final name."""
    return not path.name.endswith(PARTIAL) and has_everything(path)


def manifest_of(path: Path) -> dict[str, Any] | None:
    """The manifest of a finished run; None where there is none, or none any more."""
    try:
        manifest = read_manifest(path)
    except (RunDirectoryError, RecursionError):
        return None
    return manifest if not path.name.endswith(PARTIAL) and manifest.get("status") == "complete" else None


def _is_something_else(path: Path) -> bool:
    """True if what has a name is no finished run; looked at again, for another process may just be replacing one."""
    for _ in range(3):
        if not os.path.lexists(path) or manifest_of(path) is not None:
            return False
        time.sleep(0.005)
    return True


def has_everything(path: Path) -> bool:
    """True if all files of a run are there under any folder name; figures may be missing."""
    try:
        return bool(read_manifest(path).get("status") == "complete")
    except (RunDirectoryError, RecursionError):
        return False


def list_runs(parent: Path) -> list[Path]:
    """Complete runs below `parent`, oldest first."""
    return sorted(filter(is_complete, entries(parent)), key=lambda path: (modified_ns(path / MANIFEST), path.name))


def list_damaged(parent: Path) -> list[Path]:
    """Folders below `parent` that were runs and cannot be read as such any more, by name."""
    return [
        path
        for path in entries(parent)
        if not path.name.endswith(PARTIAL) and _has_manifest(path) and not is_complete(path) and os.path.lexists(path)
    ]


def entries(parent: Path) -> list[Path]:
    """What lies in a folder under a name of its own; nothing where the folder cannot be read."""
    try:
        names = os.listdir(parent)
    except OSError:
        return []
    return [parent / name for name in sorted(names) if not name.startswith(".")]


def modified_ns(file: Path) -> int:
    """When a file was written, ns since 1970; 0 where it has gone meanwhile or nobody may look at it."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def _has_manifest(path: Path) -> bool:
    """True also where nobody may look into the folder."""
    try:
        return os.path.lexists(path / MANIFEST) if os.access(path, os.R_OK | os.X_OK) else path.is_dir()
    except OSError:
        return False


def find_run(run: str, parent: Path = Path("runs")) -> Path:
    """A run by path, by its name under `parent`, or by an unambiguous beginning of that name."""
    found = _find_run(run, parent)
    check_plain(found)
    return found


def check_plain(folder: Path, deepest: int = DEEPEST) -> None:
    """Refuse a folder of which a part is somewhere else; called before anything in it is read or written."""
    why = leads_elsewhere(folder, deepest)
    if why is not None:
        raise RunDirectoryError(why)


def _find_run(run: str, parent: Path) -> Path:
    for path in (Path(run), parent / run):
        if is_complete(path):
            return path
    begins = [path for path in list_runs(parent) if path.name.startswith(run)]
    if len(begins) == 1:
        return begins[0]
    if begins:
        names = ", ".join(path.name for path in begins)
        raise RunDirectoryError(f"{run}: several runs under {parent} begin so: {names}")
    if Path(run).exists():
        raise RunDirectoryError(f"{run}: not a run directory (no manifest.json of a complete run)")
    raise RunDirectoryError(f"{run}: no such run, neither as a path nor under {parent}; see `marginquake list runs`")


def read_summary(path: Path) -> dict[str, Scalar]:
    """The flat numbers of a run (`null` where a quantity does not exist)."""
    return _read_json(checked(path / "summary.json"))


def read_manifest(path: Path) -> dict[str, Any]:
    """Provenance of a run: versions, seed, digest, command.  Refused where it is not what was written."""
    content = _read_json(path / MANIFEST)
    if not fingerprints.is_as_written(content):
        raise RunDirectoryError(
            f"{path / MANIFEST}: has changed since it was written; nothing in this run can be relied on"
        )
    return content


def check_nothing_missing(run: Path, manifest: Mapping[str, Any]) -> None:
    """Refuse a run of which a file is gone: parts of events and of the audit are looked for by name only."""
    listed = manifest.get(fingerprints.FILES)
    for name in listed if isinstance(listed, dict) else ():
        if not (run / name).is_file():
            raise RunDirectoryError(f"{run / name}: is missing; run the scenario again")


def checked(path: Path) -> Path:
    """The same path, of a file of a run that is what was written, by the hash in the run's manifest.

    Raises RunDirectoryError where it is not.  Files of runs without a manifest, or with one that lists no files, are
    taken as they are.
    """
    for run in (path.parent, path.parent.parent):
        if (run / MANIFEST).is_file():
            name = path.relative_to(run).as_posix()
            wrong = fingerprints.difference(run, name, read_manifest(run))
            if wrong:
                raise RunDirectoryError(f"{path}: {wrong}; `marginquake verify {quote(str(run))}` looks at all files")
            break
    return path


def _takes(folder: Path, target: Path) -> bool:
    """Rename a folder to a name that nothing has; False where something has it."""
    if os.path.lexists(target) and not target.is_dir():
        return False
    try:
        disk.move(folder, target)
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        raise
    return True


def _swap_in(folder: Path, target: Path) -> bool:
    """Rename a folder to a name that an older one has, which is deleted; False where another process came first."""
    with leftovers.hidden(target.parent, "old", target.name) as old:
        try:
            disk.rename(target, old)  # synced together with what takes its place
        except FileNotFoundError:
            return False
        try:
            is_in = _takes(folder, target)
        except BaseException:
            _takes(old, target)
            raise
        return is_in


def _free_name(folder: Path, manifest: Mapping[str, Any]) -> Path:
    """A name by content that nothing has."""
    own = run_name(str(manifest.get("scenario")), str(manifest.get("scenario_digest")), manifest.get("seed", 0))
    free = (folder.with_name(each) for each in (own, f"{own}-{secrets.token_hex(3)}"))
    return next(path for path in free if not os.path.lexists(path))


def _write_tables(data: RunData, folder: Path) -> None:
    for kept in (data.events, data.audit):
        for market, rows in kept.items():
            log = logs_in(folder, market, rows.dtype)
            log.append(rows)
            log.finish()
    write_parquet(folder / "series.parquet", data.series)
    write_parquet(folder / "accounts.parquet", data.accounts)
    if data.populations:
        write_parquet(folder / "populations.parquet", data.populations)
    if data.positions:
        write_parquet(folder / "positions.parquet", data.positions)
    maps: Any = io.BytesIO()
    np.savez_compressed(maps, **dict(data.maps))  # type: ignore[arg-type]
    disk.write_within(folder / "liquidation_map.npz", maps.getvalue())


def write_manifest(path: Path, content: Mapping[str, Any]) -> None:
    """Write manifest.json, whole or not at all, with its own hash."""
    text = json.dumps(fingerprints.with_own_hash(plain(content)), indent=2, allow_nan=False) + "\n"
    disk.write_whole(path / MANIFEST, text)


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(plain(content), indent=2, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """As JSON can say it, which has no NaN, infinity, NumPy scalars or dataclasses: null for what is not finite."""
    if is_dataclass(value):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise RunDirectoryError(f"{path}: cannot be read ({error})") from error
    if not isinstance(content, dict):
        raise RunDirectoryError(f"{path}: not a JSON object")
    return content
