"""Sweeps from end to end: read the file, check every point, run what is missing, make the table.

Part of the composition root, as `sim.studies.run` is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from marginquake.sim.core.outside import disk
from marginquake.sim.core.problems import Problem, ScenarioError, ScenarioWarning
from marginquake.sim.core.version import MODEL_VERSION
from marginquake.sim.runs import directory as run_directory
from marginquake.sim.runs import leftovers
from marginquake.sim.runs.directory import RunDirectoryError
from marginquake.sim.runs.sweep_plan import Failure, value_text
from marginquake.sim.scenario.scenario import Scenario
from marginquake.sim.studies import run as running
from marginquake.sim.studies.axis_levels import problems_of_levels
from marginquake.sim.studies.design import PAIRWISE_DESIGN, Point, Sweep, comparison_of, load_sweep
from marginquake.sim.studies.sweep_directory import SweepDirectory, pack
from marginquake.sim.studies.workers import Farm, SweepProgress, Task, open_farm, run_tasks

if TYPE_CHECKING:
    from marginquake.analysis.studies.comparison import Pair

Resolved = tuple[str, str, str, tuple[ScenarioWarning, ...]]
"""Name, digest, resolved text and warnings of a scenario."""
Known = dict[tuple[Path, tuple[str, ...]], Resolved]
"""By file and overrides."""
LEAN = "record.events=none"
"""A sweep keeps no events unless its file says so: they are a hundred times the rest of a run."""


@final
@dataclass(frozen=True, slots=True)
class SweepPlan:
    """Every run of a sweep: its name by point and seed, and of each point the resolved scenario and its digest.

    `warnings`: what is valid but hardly meant in these scenarios, a line each, however many points it is said of.
    """

    sweep: Sweep
    runs: Mapping[tuple[int, int], str]
    texts: Mapping[int, str]
    digests: Mapping[int, str]
    warnings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The sweep's."""
        return self.sweep.name

    def twins(self) -> list[tuple[Point, Point]]:
        """Points whose scenario is that of an earlier one, however it is written, each with the first such."""
        first: dict[str, Point] = {}
        pairs = [(point, first.setdefault(self.digests[point.number], point)) for point in self.sweep.points]
        return [(point, before) for point, before in pairs if point is not before]

    def missing(self, directory: SweepDirectory) -> list[tuple[int, int]]:
        """Points and seeds whose run is not finished, in order."""
        return [key for key, run in self.runs.items() if not directory.holds(run)]


@final
@dataclass(frozen=True, slots=True)
class SweepResult:
    """Where a sweep lies, and how it went.  `left`: runs that are still missing and did not fail."""

    path: Path
    made: int
    failures: tuple[Failure, ...]
    left: int


@final
@dataclass(frozen=True, slots=True)
class CompareResult:
    """Where a comparison lies, its report, and every alternative against the baseline (`pair.sentence` says it)."""

    path: Path
    report: Path
    pairs: "tuple[Pair, ...]"
    failures: tuple[Failure, ...]


def plan_sweep(sweep: Sweep, known: Known | None = None) -> SweepPlan:
    """Resolve and check the scenario of every point; raises ScenarioError naming the first point that is wrong.

    `known`: what earlier plans of a growing sweep have resolved, filled here.
    """
    known = {} if known is None else known
    look_up = _Resolver(known)
    runs: dict[tuple[int, int], str] = {}
    texts: dict[int, str] = {}
    said: dict[tuple[str, str], list[ScenarioWarning]] = {}
    digests: dict[int, str] = {}
    for point in sweep.points:
        name, digests[point.number], texts[point.number], warnings = look_up(point)
        for warning in warnings:
            said.setdefault((warning.name, warning.field), []).append(warning)
        for seed in sweep.seeds:
            runs[point.number, seed] = run_directory.run_name(name, digests[point.number], seed)
    problems = problems_of_levels(sweep, lambda point: known[point.scenario, point.overrides][2], look_up.digest)
    if problems:
        raise ScenarioError(problems)
    told = tuple(_once(each, len(sweep.points)) for each in said.values())
    return SweepPlan(sweep, runs, texts, digests, told)


def _once(warnings: Sequence[ScenarioWarning], points: int) -> str:
    """The first of these, and of how many points it is said where not of all."""
    return f"{warnings[0]}" + (f" (at {len(warnings)} of {points} points)" if len(warnings) < points else "")


@final
class _Resolver:
    """Scenarios of points, each resolved once."""

    def __init__(self, known: Known) -> None:
        self._known = known

    def __call__(self, point: Point) -> Resolved:
        """Name, digest, resolved text and warnings; raises ScenarioError."""
        key = point.scenario, point.overrides
        if key not in self._known:
            scenario = _resolve(point)
            digest = scenario.digest_as_read(MODEL_VERSION)
            self._known[key] = scenario.name, digest, scenario.resolved_yaml(), scenario.warnings
        return self._known[key]

    def digest(self, point: Point) -> str | None:
        """What decides all that happens there; None where there can be no such scenario."""
        try:
            return self(point)[1]
        except ScenarioError:
            return None


def _resolve(point: Point) -> Scenario:
    overrides = point.overrides
    if not any(override.strip().startswith("record.events") for override in overrides):
        overrides = (LEAN, *overrides)
    try:
        return running.load_scenario(point.scenario, overrides, False if point.of_a_run else None)
    except ScenarioError as error:
        where = ", ".join(f"{name} = {value_text(value)}" for name, value in point.values.items())
        raise ScenarioError([Problem(p.place, p.path, f"{p.message} (point {point.number}: {where})", p.value,
                                         p.suggestion) for p in error.problems]) from None  # fmt: skip


def sweep(
    file: str | Path,
    out: str | Path = "runs",
    workers: int = 2,
    resume: bool = False,
    progress: Callable[[SweepProgress], None] | None = None,
    replace: bool = False,
) -> SweepResult:
    """Run every point of a sweep file (or an installed sweep) on every seed; `resume`: go on where an earlier call
    has stopped.  `replace`: write over the results of another sweep of that name, which is refused otherwise.

    Raises ScenarioError with every problem of the file and of its points before anything runs.
    """
    return run_sweep(plan_sweep(load_sweep(file)), Path(out), workers, None, resume, None, progress, replace)


def compare(
    *alternatives: str | Path,
    seeds: int | None = None,
    overrides: Sequence[str] = (),
    name: str | None = None,
    out: str | Path = "runs",
    workers: int = 2,
    progress: Callable[[SweepProgress], None] | None = None,
    replace: bool = False,
) -> CompareResult:
    """Compare rules on the same seeds: paired differences, intervals, a verdict in words; the first is the baseline.

    `alternatives`: one comparison (a file, or the name of an installed one: "policies/mark_rule"), or a scenario and
    what to compare it with: other scenarios, or overrides `path.to.field=value` (several joined by ` ; `).  `seeds`: 1
    to this; default the file's, or 20.  Runs that are finished already are not made again.  `replace`: write over the
    results of another comparison of that name, which is refused otherwise.
    """
    from marginquake.analysis.studies import comparison

    plan = plan_sweep(comparison_of([str(each) for each in alternatives], seeds, overrides, name))
    made = run_sweep(plan, Path(out), workers, None, True, None, progress, replace)
    report = comparison.write_comparison(made.path)
    return CompareResult(made.path, report, comparison.compare(comparison.load_comparison(made.path)), made.failures)


def run_sweep(
    plan: SweepPlan,
    out: Path,
    workers: int = 2,
    scheduler: str | None = None,
    resume: bool = False,
    limit: int | None = None,
    progress: Callable[[SweepProgress], None] | None = None,
    replace: bool = False,
) -> SweepResult:
    """Run what is missing and write the table; what has finished is never lost, however this ends.

    `limit`: at most so many runs.  Raises RunDirectoryError if some are finished already and `resume` is not given, and
    if another study has the name, unless `replace`.
    """
    check_sweep(plan, out, resume, replace)
    todo = plan.missing(SweepDirectory(sweep_path(out, plan.name)))
    todo = todo if limit is None else todo[:limit]
    if not todo:
        return make(plan, out, [], None, progress)
    with open_farm(run_point, min(workers, len(todo)), scheduler) as farm:
        return make(plan, out, todo, farm, progress)


def check_sweep(plan: SweepPlan, out: Path, resume: bool, replace: bool = False) -> None:
    """Refuse to go on with runs of an earlier call, or to write over another study, unless that is meant.

    A sweep may be changed and gone on with; a comparison says what is there or something else.
    """
    directory = SweepDirectory(sweep_path(out, plan.name))
    if not replace:
        whole = plan.sweep.design == PAIRWISE_DESIGN
        directory.check_same_study(plan.runs.values(), plan.sweep.event, whole)
    todo = plan.missing(directory)
    finished = len(plan.runs) - len(todo)
    if finished and not resume:
        raise RunDirectoryError(
            f"{directory.path}: {finished} of {len(plan.runs)} runs are finished; --resume goes on from there, "
            "another --out or name starts afresh"
        )


def make(
    plan: SweepPlan,
    out: Path,
    wanted: Sequence[tuple[int, int]],
    farm: Farm | None,
    progress: Callable[[SweepProgress], None] | None = None,
) -> SweepResult:
    """Run these points and seeds with an open farm (None: there are none) and write plan and table."""
    directory = SweepDirectory(sweep_path(out, plan.name))
    directory.begin(plan.sweep, MODEL_VERSION, plan.runs)
    seen: set[str] = set()
    tasks = []
    for point, seed in wanted:
        run = plan.runs[point, seed]
        if run not in seen:  # two points may come to the same scenario
            seen.add(run)
            tasks.append(Task(point, seed, run, plan.texts[point]))
    directory.forget_failures(wanted)
    try:
        failures = [] if farm is None else run_tasks(tasks, directory, farm, progress)
    except KeyboardInterrupt:
        done = len(plan.runs) - len(plan.missing(directory))
        kept = f"{done} of {len(plan.runs)} runs are finished and kept in {directory.path}"
        raise KeyboardInterrupt(f"interrupted; {kept}, and are not made again") from None
    finally:
        directory.write_table()
    left = len(plan.missing(directory)) - len(failures)
    return SweepResult(directory.path, len(tasks) - len(failures), tuple(failures), left)


def run_point(text: str, run: str, seed: int) -> bytes:
    """On a worker: simulate one resolved scenario and pack its run directory."""
    with leftovers.scratch("run") as folder:
        file = folder / "scenario.yaml"
        disk.write_within(file, text)
        # what the text names has been imported, with leave, by the process that sent it
        scenario = running.load_scenario(file, allow_code=True).shown_as("scenario.resolved.yaml")
        expected = run_directory.run_name(scenario.name, scenario.digest_as_read(MODEL_VERSION), seed)
        if expected != run:
            raise RuntimeError(
                f"this worker would make {expected}, not {run}: it has another version of marginquake, or of a file "
                "that the scenario names"
            )
        return pack(running.run(scenario, seed, out=folder / "runs", name=run, figures=False, files_as_read=True).path)


def sweep_path(out: Path, name: str) -> Path:
    """Where a sweep of this name lies below `out`."""
    return out / "sweeps" / name
