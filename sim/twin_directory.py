"""`runs/twins/`: runs that `counterfactual` made, which run each is a twin of, and what is off in it.

A twin is an ordinary run directory.  Its name says what is off, its manifest which run it belongs to (`twin_of`) and
the command that makes it again (runs/README.md).
"""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from sim import interrupted, run_directory
from sim.checkpoint import read_job

FOLDER = "twins"
_UNFIT = re.compile(r"[^A-Za-z0-9._]+")


@final
@dataclass(frozen=True, slots=True)
class Twin:
    """A run in `twins/`.  `without`: what is off, nothing in a run that was made to have more seeds; None where its
    manifest does not say.  `scenario_digest`: of the run that it is a twin of, shared by its seeds."""

    path: Path
    without: tuple[str, ...] | None
    run: str
    scenario_digest: str


def folder_of(runs: Path) -> Path:
    """Where twins of the runs below `runs` lie."""
    return runs / FOLDER


def twin_name(scenario_name: str, without: Sequence[str], digest: str, seed: int) -> str:
    """`long_squeeze-without-liquidation-357c92fb-s1`; `digest` is the twin's own: one name, one content."""
    off = "-and-".join(_UNFIT.sub("_", name) for name in sorted(without))
    return run_directory.run_name(f"{scenario_name}-without-{off}" if off else scenario_name, digest, seed)


def twin_of(run: str, scenario_digest: str, without: Sequence[str]) -> dict[str, Any]:
    """Entry of a twin's manifest."""
    return {"run": run, "scenario_digest": scenario_digest, "without": sorted(without)}


def read_twin_run(path: Path) -> Twin:
    """What a run in `twins/` is; one that does not say (made by hand, or before twins had names) is nobody's."""
    said = run_directory.read_manifest(path).get("twin_of")
    if not isinstance(said, Mapping):
        return Twin(path, None, "", "")
    return Twin(path, tuple(said["without"]), str(said["run"]), str(said["scenario_digest"]))


def said_off(without: Sequence[str] | None) -> str:
    """What is off, in the words of `--without`."""
    if without is None:
        return "not said what is off"
    return f"without {' and '.join(without)}" if without else "everything on"


def list_twins(runs: Path) -> list[Twin]:
    """All complete runs in `twins/` below `runs`, by name."""
    return [read_twin_run(path) for path in sorted(run_directory.list_runs(folder_of(runs)))]


def twin_beside(run: Path, without: Sequence[str]) -> Path | None:
    """The twin of this run, of its seed and without these, in `twins/` beside it; None where there is none."""
    own = run_directory.read_manifest(run)
    for twin in list_twins(run.parent):
        same_question = twin.without == tuple(sorted(without)) and twin.scenario_digest == own.get("scenario_digest")
        if same_question and run_directory.read_manifest(twin.path).get("seed") == own.get("seed"):
            return twin.path
    return None


def orphans(runs: Path, but: Sequence[Path] = ()) -> list[Twin]:
    """Twins of no run that is kept; runs in `but` are taken to be gone.  An interrupted run keeps its twins too."""
    gone = set(but)
    kept = {
        run_directory.read_manifest(path).get("scenario_digest")
        for path in run_directory.list_runs(runs)
        if path not in gone
    }
    kept |= {read_job(path).scenario_digest for path in interrupted.list_interrupted(runs) if path not in gone}
    return [twin for twin in list_twins(runs) if twin.scenario_digest not in kept]


def delete_twins(twins: Sequence[Twin]) -> None:
    """Delete these runs, and the folder if it is empty then."""
    for twin in twins:
        away = twin.path.with_name(f".tmp-{twin.path.name}-{os.getpid()}")
        twin.path.rename(away)
        shutil.rmtree(away)
    for folder in {twin.path.parent for twin in twins}:
        run_directory.sweep_leftovers(folder)
        if not any(folder.iterdir()):
            folder.rmdir()
