"""Make the runs that a study of twins needs: here or on workers, each with what makes it again in its manifest.

Part of the composition root, as `sim.studies.run` is.
"""

import contextlib
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

from marginquake.sim.core.outside import disk
from marginquake.sim.core.plugins import admit, admitted
from marginquake.sim.core.version import MODEL_VERSION
from marginquake.sim.runs import directory, leftovers, partial_runs
from marginquake.sim.runs.checkpoint import read_job
from marginquake.sim.runs.directory import RunDirectoryError
from marginquake.sim.scenario.scenario import Scenario
from marginquake.sim.studies import run as running
from marginquake.sim.studies.sweep_directory import pack, unpack
from marginquake.sim.studies.trust import RESOLVED
from marginquake.sim.studies.workers import Task, open_farm


@final
@dataclass(frozen=True, slots=True)
class TwinOrder:
    """A run to be made: the resolved scenario in the folder of the run `base`, with fields changed, and a seed.

    `without`: what those fields switch off.  `base_digest`: of the run's scenario.  `modules`: those of the user that
    the process which gives the order has imported, and whoever carries it out may.
    """

    base: Path
    base_digest: str
    without: tuple[str, ...]
    overrides: tuple[str, ...]
    seed: int
    name: str
    modules: tuple[str, ...] = ()

    @property
    def file(self) -> Path:
        """The scenario that overrides are laid over."""
        return directory.checked(self.base / RESOLVED)

    @property
    def command(self) -> tuple[str, ...]:
        """What makes the same events by hand, in an ordinary run below runs/."""
        fields = (word for override in self.overrides for word in ("--set", override))
        return "marginquake", "run", str(self.file), "--seed", str(self.seed), *fields


def order_for(base: Path, base_digest: str, without: Sequence[str], scenario: Scenario, seed: int) -> TwinOrder:
    """The order for a scenario that was loaded from the run's resolved one."""
    name = twin_name(scenario.name, without, scenario.digest_as_read(MODEL_VERSION), seed)
    return TwinOrder(base, base_digest, tuple(without), scenario.overrides, seed, name, admitted())


def make(order: TwinOrder, folder: Path) -> Path:
    """Run it and write it below `folder`; returns its path."""
    admit(order.modules)
    scenario = running.load_scenario(order.file, order.overrides, allow_code=False)
    expected = twin_name(scenario.name, order.without, scenario.digest_as_read(MODEL_VERSION), order.seed)
    if expected != order.name:
        raise RuntimeError(
            f"{shlex.join(order.command)} would make {expected}, not {order.name}: a file of the run, or one that its "
            "scenario names, has changed meanwhile"
        )
    return running.run(
        scenario,
        order.seed,
        out=folder,
        name=order.name,
        figures=False,
        command=order.command,
        twin_of=twin_of(order.base.name, order.base_digest, order.without),
        files_as_read=True,
    ).path


def make_all(orders: Mapping[str, TwinOrder], folder: Path, workers: int, tell: Callable[[], None]) -> None:
    """Make all of these, by name; `tell` is called after each.  What finishes is kept, also if another fails."""
    if min(workers, len(orders)) <= 1:
        for order in orders.values():
            make(order, folder)
            tell()
        return
    disk.make_folders(folder)
    leftovers.sweep_leftovers(folder)
    failed: list[str] = []
    tasks = [Task(0, order.seed, name, order.file.read_text(encoding="utf-8")) for name, order in orders.items()]
    with open_farm(partial(_packed, dict(orders)), min(workers, len(tasks))) as farm:
        for task, packed in farm.results(tasks):
            if isinstance(packed, bytes):
                unpack(packed, folder / task.run)
            else:
                failed.append(f"{task.run}: {packed}")
            tell()
    if failed:
        raise RuntimeError("; ".join(failed))


def _packed(orders: Mapping[str, TwinOrder], text: str, run: str, seed: int) -> bytes:
    """On a worker: make the order of that name and send it back."""
    with leftovers.scratch("run") as folder:
        return pack(make(orders[run], folder / "runs"))


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
    return directory.run_name(f"{scenario_name}-without-{off}" if off else scenario_name, digest, seed)


def twin_of(run: str, scenario_digest: str, without: Sequence[str]) -> dict[str, Any]:
    """Entry of a twin's manifest."""
    return {"run": run, "scenario_digest": scenario_digest, "without": sorted(without)}


def read_twin_run(path: Path) -> Twin:
    """What a run in `twins/` is; one that does not say (made by hand, or before twins had names) is nobody's."""
    try:
        said = directory.read_manifest(path)["twin_of"]
        return Twin(path, tuple(map(str, said["without"])), str(said["run"]), str(said["scenario_digest"]))
    except (RunDirectoryError, KeyError, TypeError):
        return Twin(path, None, "", "")


def said_off(without: Sequence[str] | None) -> str:
    """What is off, in the words of `--without`."""
    if without is None:
        return "not said what is off"
    return f"without {' and '.join(without)}" if without else "everything on"


def list_twins(runs: Path) -> list[Twin]:
    """All complete runs in `twins/` below `runs`, by name."""
    return [read_twin_run(path) for path in sorted(directory.list_runs(folder_of(runs)))]


def twin_beside(run: Path, without: Sequence[str]) -> Path | None:
    """The twin of this run, of its seed and without these, in `twins/` beside it; None where there is none."""
    own = directory.read_manifest(run)
    for twin in list_twins(run.parent):
        same_question = twin.without == tuple(sorted(without)) and twin.scenario_digest == own.get("scenario_digest")
        if same_question and directory.read_manifest(twin.path).get("seed") == own.get("seed"):
            return twin.path
    return None


def orphans(runs: Path, but: Sequence[Path] = ()) -> list[Twin]:
    """Twins of no run that is kept; runs in `but` are taken to be gone.  An interrupted run keeps its twins too.

    None while a run is kept that cannot be read: they might be its own.
    """
    if unreadable(runs, but):
        return []
    kept = set()
    for path in _kept(runs, but):
        with contextlib.suppress(RunDirectoryError):  # deleted meanwhile
            kept.add(_digest_of(path))
    return [twin for twin in list_twins(runs) if twin.scenario_digest not in kept]


def unreadable(runs: Path, but: Sequence[Path] = ()) -> list[Path]:
    """Runs below `runs`, complete or interrupted, of which nobody can say what they are."""
    found = [path for path in directory.list_damaged(runs) if path not in set(but)]
    for path in _kept(runs, but):
        try:
            _digest_of(path)
        except RunDirectoryError:
            found += [path] if path.exists() else []
    return found


def _kept(runs: Path, but: Sequence[Path]) -> list[Path]:
    gone = set(but)
    return [path for path in (*directory.list_runs(runs), *partial_runs.list_interrupted(runs)) if path not in gone]


def _digest_of(path: Path) -> str:
    """Of the scenario of a run; `RunDirectoryError` where it cannot be read."""
    try:
        if path.name.endswith(directory.PARTIAL):
            return read_job(path).scenario_digest
        return str(directory.read_manifest(path).get("scenario_digest"))
    except (ValueError, TypeError, KeyError, AttributeError, OSError, RecursionError) as error:
        raise RunDirectoryError(f"{path}: cannot be read ({type(error).__name__}: {error})") from error


def delete_twins(twins: Sequence[Twin]) -> None:
    """Delete these runs, and the folder if it is empty then."""
    for twin in twins:
        leftovers.delete(twin.path)
    for folder in {twin.path.parent for twin in twins}:
        leftovers.sweep_leftovers(folder)
        with contextlib.suppress(OSError):  # there are others in it
            folder.rmdir()
