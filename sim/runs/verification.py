"""Is everything that is stored what was written?  File by file, for a run, an interrupted run, and a sweep."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import final

from marginquake.sim.core.outside.stored_text import read_json
from marginquake.sim.runs import fingerprints
from marginquake.sim.runs.checkpoint import FILE, check_as_written
from marginquake.sim.runs.directory import RunDirectoryError, read_manifest
from marginquake.sim.runs.fingerprints import MANIFEST
from marginquake.sim.runs.sweep_plan import PLAN_FILE, is_sweep, read_plan


class Verdict(Enum):
    """Of one file."""

    WHOLE = "as it was written"
    CHANGED = "not what was written"
    MISSING = "missing"
    UNKNOWN = "not known"
    """Nobody has said what it was: of a run of before there were hashes, or put there since."""


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one file.  `why`: in words, where there is more to say."""

    file: Path
    verdict: Verdict
    why: str = ""

    @property
    def is_wrong(self) -> bool:
        """Whether something stored is not what was written."""
        return self.verdict in (Verdict.CHANGED, Verdict.MISSING)


def verify(path: Path) -> Iterator[Finding]:
    """Look at every file.  Raises RunDirectoryError where there is no run, interrupted run or sweep."""
    if is_sweep(path):
        yield from _verify_sweep(path)
    elif (path / MANIFEST).is_file():
        yield from _verify_run(path)
    elif (path / FILE).is_file():
        yield from _verify_checkpoint(path)
    else:
        raise RunDirectoryError(f"{path}: neither a run nor a sweep ({MANIFEST}, {FILE} or {PLAN_FILE} missing)")


def _verify_run(run: Path) -> Iterator[Finding]:
    try:
        manifest = read_manifest(run)
    except RunDirectoryError as error:
        yield Finding(run / MANIFEST, Verdict.CHANGED, str(error).removeprefix(f"{run / MANIFEST}: "))
        return
    listed = manifest.get(fingerprints.FILES)
    if not isinstance(listed, dict):
        yield Finding(run / MANIFEST, Verdict.UNKNOWN, "made before files were listed with their hashes")
        return
    yield Finding(run / MANIFEST, Verdict.WHOLE)
    for name in sorted({*listed, *fingerprints.files_of(run)}):
        file = run / name
        if name not in listed:
            yield Finding(file, Verdict.UNKNOWN, "no part of the run when it was made")
        elif not file.is_file():
            yield Finding(file, Verdict.MISSING)
        else:
            wrong = fingerprints.difference(run, name, manifest)
            yield Finding(file, Verdict.CHANGED if wrong else Verdict.WHOLE, wrong)
    for file in sorted((run / "counterfactuals").glob("*.json")):
        yield Finding(file, Verdict.WHOLE if _document_is_as_written(file) else Verdict.CHANGED)


def _document_is_as_written(file: Path) -> bool:
    try:
        content = read_json(file)
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and (fingerprints.OWN not in content or fingerprints.is_as_written(content))


def _verify_checkpoint(folder: Path) -> Iterator[Finding]:
    """An interrupted run: its checkpoint; parts of its events are looked at when it goes on."""
    try:
        check_as_written(folder)
    except RunDirectoryError as error:
        yield Finding(folder / FILE, Verdict.CHANGED, str(error).removeprefix(f"{folder / FILE}: "))
    else:
        yield Finding(folder / FILE, Verdict.WHOLE)


def _verify_sweep(sweep: Path) -> Iterator[Finding]:
    try:
        plan = read_plan(sweep)
    except RunDirectoryError as error:
        yield Finding(sweep / PLAN_FILE, Verdict.CHANGED, str(error).removeprefix(f"{sweep}: "))
        return
    yield Finding(sweep / PLAN_FILE, Verdict.WHOLE)
    table = sweep / "results.parquet"
    if table.is_file():
        is_whole = fingerprints.stored_table_is_as_written(table)
        yield Finding(table, Verdict.WHOLE if is_whole else Verdict.CHANGED)
    for point in plan.points:
        for run in dict.fromkeys(point.runs.values()):
            if (sweep / "points" / run).is_dir():
                yield from _verify_run(sweep / "points" / run)
