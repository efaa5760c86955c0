"""The composition root: from a scenario file to a run directory.  Only this and `sim.cli` see everything."""

import contextlib
import dataclasses
import gc
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, Protocol

import mesa

from marginquake.agents import AGENT_TYPES
from marginquake.sim.core.fields import format_duration, parse_time
from marginquake.sim.core.plugins import Code, code
from marginquake.sim.core.version import MODEL_VERSION
from marginquake.sim.model.model import MarketModel
from marginquake.sim.runs import directory, interrupts, leftovers, partial_runs, taken_names
from marginquake.sim.runs.checkpoint import FILE, Job, read_checkpoint, write_checkpoint
from marginquake.sim.runs.directory import RunData, RunDirectoryError, Scalar
from marginquake.sim.runs.event_log import MemoryLog, NoLog, OpenLog, PartChanged, logs_in
from marginquake.sim.runs.interrupts import Stopped
from marginquake.sim.runs.provenance import provenance
from marginquake.sim.scenario import loader
from marginquake.sim.scenario.installed import scenario_file
from marginquake.sim.scenario.measured_warnings import measured_warnings
from marginquake.sim.scenario.scenario import Scenario
from marginquake.sim.studies.trust import RESOLVED, rule_for

if TYPE_CHECKING:
    from marginquake.analysis.presentation.left_out import LeftOut

LOG = logging.getLogger("marginquake")
REPORT = "report.html"
PROGRESS_EVERY_S = 0.2
"""Wall time between two reports of progress, seconds."""


@dataclass(frozen=True, slots=True)
class RunProgress:
    """Where a running simulation stands.  `simulated_s`: seconds since the end of warm-up, negative before."""

    step: int
    steps_total: int
    simulated_s: float
    events: int
    open_interest: float
    margin_calls: int


@dataclass(frozen=True, slots=True)
class RunResult:
    """Where a run lies, and its flat summary.  `reused`: it was there already and nothing was simulated.

    `warnings`: what is valid but hardly meant, a line each: of the scenario first, then what the run measured.
    `left_out`: a line for the pictures and sections of the report that could not be drawn; the run is complete.
    """

    path: Path
    summary: Mapping[str, Scalar]
    reused: bool = False
    left_out: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """As the run's manifest has them."""
        said = directory.read_manifest(self.path).get("warnings")
        return tuple(str(each.get("text")) for each in said if isinstance(each, dict)) if isinstance(said, list) else ()


ProgressCallback = Callable[[RunProgress], None]


class Spectator(Protocol):
    """Watches a run while it goes on; it reads and changes nothing."""

    def open_log(self, inner: OpenLog) -> OpenLog:
        """The logs that the run writes to; a spectator may wrap them to read along."""
        ...

    def look(self, model: MarketModel) -> object:
        """Called before the first step and after every one; it may raise `Stopped` to end the run there."""
        ...


def load_scenario(path: str | Path, overrides: Sequence[str] = (), allow_code: bool | None = None) -> Scenario:
    """Read one scenario, by path or installed name, with `path.to.field=value` overrides.

    A file beats an installed scenario of the same name.  `allow_code`: whether classes of the user (`module:Class`)
    are imported, which runs their code; default yes, but not for a file in the directory of a run, which may be
    somebody else's (docs/trust.md).  Raises `ScenarioError` with every problem found.
    """
    file = scenario_file(path)
    return loader.load_scenario(file, AGENT_TYPES, overrides, rule_for(file, allow_code))


def look_at_scenario(path: str | Path, overrides: Sequence[str] = ()) -> Scenario:
    """The same without any import: what only classes of the user read is left out and warned of.  Not for a run."""
    return loader.load_scenario(scenario_file(path), AGENT_TYPES, overrides, Code.UNREAD)


def run(
    scenario_or_path: Scenario | str | Path,
    seed: int | None = None,
    out: str | Path = "runs",
    name: str | None = None,
    reuse: bool = False,
    check_invariants: bool = False,
    progress: ProgressCallback | None = None,
    figures: bool = True,
    checkpoint_every: int | str | None = None,
    spectator: Spectator | None = None,
    command: Sequence[str] | None = None,
    twin_of: Mapping[str, Any] | None = None,
    files_as_read: bool = False,
    replace: bool = False,
) -> RunResult:
    """Simulate one scenario and write its run directory, complete or not at all.

    `seed`: instead of the scenario's.  `name`: the directory's name; default `<scenario>-<hash8>-s<seed>`.  Raises
    `RunDirectoryError` before anything is simulated where another run has that name, unless `replace`.
    `reuse`: return a complete run of the same scenario, model and seed if it is there; where its report is missing, it
    is drawn.  `check_invariants`: check conservation and the book after every step (slow).
    `figures`: draw the pictures and the report, once the run is complete: what cannot be drawn is left out.
    `checkpoint_every`: simulated time ("30min", or ns) between checkpoints; the run then lies in
    `<out>/<name>.partial` until it is complete, and `resume` goes on with it however it was cut off.
    `spectator`: looks on; not together with checkpoints, which hold what the run is made of and nobody who watches.
    If it ends the run (`Stopped`), what there is goes to `<out>/<name>.partial`, for `resume`.
    `command`: what makes this run, for its manifest; default the command line of this process.  `twin_of`: for the
    manifest of a twin, which run it is one of and what is off.  `files_as_read`: the name stands for input files as
    they were when the scenario was read; without it, files that have changed since are read again.
    """
    loaded = scenario_or_path if isinstance(scenario_or_path, Scenario) else load_scenario(scenario_or_path)
    if not files_as_read and loaded.changed_files():
        loaded = loader.load_again(loaded, AGENT_TYPES)
    seed = loaded.seed if seed is None else seed
    digest = loaded.digest_as_read(MODEL_VERSION)
    parent = Path(out)
    name = directory.run_name(loaded.name, digest, seed) if name is None else name
    every_ns = _checkpoint_period(checkpoint_every, loaded)
    if every_ns and spectator is not None:
        raise ValueError("a run with checkpoints has no spectator")
    leftovers.sweep_leftovers(parent)
    wanted = {"scenario": loaded.name, "scenario_digest": digest, "seed": seed}
    taken_names.check_new(parent, name, wanted, replace, keeps_partial=bool(every_ns) or spectator is not None)
    if reuse and _holds(parent / name, wanted):
        LOG.info("reusing %s", parent / name)
        return _reused(parent / name, figures)

    job = Job(
        name=name,
        scenario_digest=digest,
        seed=seed,
        every_ns=every_ns,
        check_invariants=check_invariants,
        figures=figures,
        python_path=tuple(map(str, scenario_folders(loaded))) if loaded.python_path else (),
        command=tuple(sys.argv if command is None else command),
        now_ns=-loaded.warmup,
        duration_ns=loaded.duration,
        twin_of=twin_of,
    )
    before = directory.holder(parent / name)
    if replace and (every_ns or spectator is not None):
        taken_names.discard_interrupted(parent, name)
    if every_ns:
        return _finished(_run_with_checkpoints(job, loaded, parent, progress, replace, before), figures)
    with directory.new_run(parent, name) as folder:
        open_log: OpenLog = partial(logs_in, folder)
        if spectator is not None:
            open_log = spectator.open_log(open_log)
        path = _carry_out(job, _build(job, loaded, open_log), folder, progress, spectator, replace, before)
    if replace:
        taken_names.discard_interrupted(parent, name)
    return _finished(path, figures)


def resume(
    run: str | Path,
    out: str | Path = "runs",
    progress: ProgressCallback | None = None,
    replace: bool = False,
    allow_code: bool = False,
) -> RunResult:
    """Go on with a run that was started with `checkpoint_every` and cut off; it ends as if it had not been.

    `run`: its path or name, with `.partial` or without.  A run that has been completed since is returned; if it was cut
    off while its pictures were drawn, they are drawn.  Refused where another run has taken its name meanwhile, unless
    `replace`.
    `allow_code`: also where the run has classes of the user, which runs their code (docs/trust.md).
    """
    with code(Code.ALLOWED if allow_code else Code.REFUSED):
        return _resume(run, out, progress, replace, allow_code)


def _resume(
    run: str | Path, out: str | Path, progress: ProgressCallback | None, replace: bool, allow_code: bool
) -> RunResult:
    try:
        folder = partial_runs.find_interrupted(run, Path(out))
    except RunDirectoryError:
        if (path := _completed(run, Path(out))) is not None:
            return _reused(path, figures=_wants_figures(path))
        raise
    directory.check_plain(folder)
    with partial_runs.held(folder):
        if not folder.is_dir():  # another process has just completed it, or deleted it
            if (path := _completed(folder, Path(out))) is not None:
                return _reused(path, figures=_wants_figures(path))
            raise RunDirectoryError(f"{folder}: another process has deleted it")
        before = directory.holder(folder.with_name(folder.name.removesuffix(directory.PARTIAL)))
        if not (folder / FILE).exists() and directory.has_everything(folder):
            name = folder.name.removesuffix(directory.PARTIAL)
            manifest = directory.read_manifest(folder)
            taken_names.check_name(folder.parent, name, manifest, replace)
            partial_runs.strip(folder)
            path = directory.give_name(folder, name, replace, before)
            return _reused(path, figures=_wants_figures(path))
        job, model = read_checkpoint(folder, allow_code)
        if not isinstance(model, MarketModel):
            raise RunDirectoryError(f"{folder}: its checkpoint holds no model; run the scenario again from the start")
        if model.setup.digest(MODEL_VERSION) != job.scenario_digest:
            raise RunDirectoryError(
                f"{folder}: a class of yours or a data file has changed since its checkpoint; run the scenario again "
                "from the start"
            )
        wanted = {"scenario": model.setup.name, "scenario_digest": job.scenario_digest, "seed": job.seed}
        taken_names.check_name(folder.parent, job.name, wanted, replace)
        try:
            model.recorder.move_logs(folder)
        except PartChanged as error:
            raise RunDirectoryError(f"{error}; run the scenario again from the start") from None
        job = dataclasses.replace(job, resumed_at_s=(*job.resumed_at_s, job.now_ns / 1e9))
        LOG.info("going on with %s, %s", folder, partial_runs.position(job))
        path = _keep_on(job, model, folder, progress, replace, before)
    return _finished(path, job.figures)


def _completed(run: str | Path, out: Path) -> Path | None:
    """The run that an interrupted one has become since; None where there is none."""
    final = str(run).rstrip("/").removesuffix(directory.PARTIAL)
    return next(filter(directory.is_complete, (Path(final), out / final)), None)


def simulate(
    loaded: Scenario,
    seed: int,
    check_invariants: bool = False,
    progress: ProgressCallback | None = None,
    open_log: OpenLog = MemoryLog,
    spectator: Spectator | None = None,
) -> RunData:
    """Run the model to its end; nothing is written but by the logs of events.  `spectator` looks on."""
    LOG.info("building %s, seed %d", loaded.name, seed)
    if spectator is not None:
        open_log = spectator.open_log(open_log)
    model = MarketModel(loaded, AGENT_TYPES, seed, check_invariants, open_log)
    try:
        return _advance(model, progress, spectator=spectator)
    finally:
        release(model)


def scenario_folders(loaded: Scenario) -> list[Path]:
    """Where classes of the user may have been found."""
    return [loaded.path.resolve().parent, *map(Path, loaded.python_path), Path.cwd()]


def _build(job: Job, loaded: Scenario, open_log: OpenLog) -> MarketModel:
    LOG.info("building %s, seed %d", loaded.name, job.seed)
    return MarketModel(loaded, AGENT_TYPES, job.seed, job.check_invariants, open_log)


def _checkpoint_period(every: int | str | None, loaded: Scenario) -> int:
    """Simulated ns between checkpoints, a whole number of steps; 0 for none."""
    if every is None:
        return 0
    try:
        period = parse_time(every) if isinstance(every, str) else every
    except ValueError as error:
        raise RunDirectoryError(f"--checkpoint-every {every}: {error}") from None
    if period <= 0 or period % loaded.step:
        step = format_duration(loaded.step)
        raise RunDirectoryError(f"--checkpoint-every {every}: must be a multiple of the scenario's step, {step}")
    return period


def _run_with_checkpoints(
    job: Job, loaded: Scenario, parent: Path, progress: ProgressCallback | None, replace: bool, before: int
) -> Path:
    partial_runs.check_free(parent, job.name)
    model = _build(job, loaded, partial(logs_in, partial_runs.partial_path(parent, job.name)))
    with partial_runs.begun(parent, job.name, lambda hidden: write_checkpoint(hidden, job, model)) as folder:
        return _keep_on(job, model, folder, progress, replace, before)


def _keep_on(
    job: Job, model: MarketModel, folder: Path, progress: ProgressCallback | None, replace: bool, before: int
) -> Path:
    """Carry out a checkpointed job; an interruption ends with a message on how to go on."""
    try:
        return _carry_out(job, model, folder, progress, replace=replace, before=before)
    except KeyboardInterrupt:
        partial_runs.drop_half_written(folder)
        raise KeyboardInterrupt(f"interrupted; go on with: {_way_on(folder, model.setup)}") from None


def _carry_out(
    job: Job,
    model: MarketModel,
    folder: Path,
    progress: ProgressCallback | None,
    spectator: Spectator | None = None,
    replace: bool = False,
    before: int = 0,
) -> Path:
    """Simulate to the end in `folder`, complete the run and give it its name; returns its path."""
    loaded = model.setup
    started = time.perf_counter() - job.wall_seconds

    def keep(now_ns: int) -> None:
        if job.every_ns and now_ns % job.every_ns == 0:
            model.recorder.settle()
            stand = dataclasses.replace(job, now_ns=now_ns, wall_seconds=time.perf_counter() - started)
            write_checkpoint(folder, stand, model)
            LOG.info("checkpoint, %s", partial_runs.position(stand))

    try:
        data = _advance(model, progress, keep, spectator)
    except Stopped:
        wall = time.perf_counter() - started
        raise KeyboardInterrupt(
            _set_aside(dataclasses.replace(job, now_ns=model.now_ns, wall_seconds=wall), model, folder)
        ) from None
    finally:
        release(model)
    wall = time.perf_counter() - started
    rate = model.steps_total / wall
    data = dataclasses.replace(data, summary={**data.summary, "wall_seconds": wall, "steps_per_second": rate})
    manifest = {**provenance(), **_identity(loaded, job), "wall_seconds": wall}
    manifest["event_digest"] = data.summary["event_digest"]
    found = (*loaded.warnings, *measured_warnings(loaded, data.measured))
    manifest["warnings"] = [warning.plain() for warning in found]
    path = directory.write_run(folder, data, loaded, manifest, job.name, partial_runs.strip, replace, before)
    LOG.info("wrote %s", path)
    return path


def _finished(path: Path, figures: bool) -> RunResult:
    """The result of a run that has just been made; its pictures are drawn now that nothing can harm it any more."""
    return RunResult(path, directory.read_summary(path), left_out=_draw_what_can_be(path) if figures else ())


def _reused(path: Path, figures: bool) -> RunResult:
    """A run that was there; a report that is missing is drawn."""
    missing = figures and not (path / REPORT).is_file()
    return RunResult(path, directory.read_summary(path), True, _draw_what_can_be(path) if missing else ())


def _wants_figures(path: Path) -> bool:
    """Whether a complete run was asked for with pictures; not, where its manifest does not say."""
    return directory.read_manifest(path).get("figures") is True


def _set_aside(job: Job, model: MarketModel, folder: Path) -> str:
    """Keep a run that was ended after a step; says how to go on, or why that cannot be."""
    model.recorder.settle()
    try:
        kept = partial_runs.set_aside(folder, job.name, lambda hidden: write_checkpoint(hidden, job, model))
    except (RunDirectoryError, OSError) as why:
        return f"interrupted; nothing was kept: {why}"
    return f"interrupted at {partial_runs.position(job)}; go on with: {_way_on(kept, model.setup)}"


def _way_on(folder: Path, loaded: Scenario) -> str:
    """The command that goes on with an interrupted run."""
    return f"marginquake run --resume {quote(str(folder))}{' --allow-code' if loaded.python_path else ''}"


def _advance(
    model: MarketModel,
    progress: ProgressCallback | None,
    after_step: Callable[[int], None] | None = None,
    spectator: Spectator | None = None,
) -> RunData:
    """Take the steps that are left."""
    LOG.info("simulating %d steps", model.steps_total - model.steps_done)
    due = time.perf_counter()
    if spectator is not None:
        spectator.look(model)
    while model.steps_done < model.steps_total:
        model.step()
        interrupts.end_if_asked()
        if spectator is not None:
            spectator.look(model)
        if after_step is not None:
            after_step(model.now_ns)
        now = time.perf_counter()
        if progress is not None and (now >= due or model.steps_done == model.steps_total):
            due = now + PROGRESS_EVERY_S
            progress(_progress(model, model.steps_done))
    LOG.info("simulated to the end")
    return model.finish()


def replay(path: Path, progress: ProgressCallback | None = None, allow_code: bool = False) -> tuple[str, str]:
    """Run a run again from its resolved scenario; returns the recorded event digest and the new one.

    `allow_code`: also where the run has classes of the user, which runs their code (docs/trust.md).
    """
    manifest = directory.read_manifest(path)
    loaded = load_scenario(directory.checked(path / RESOLVED), allow_code=allow_code)
    again = simulate(loaded, int(manifest["seed"]), progress=progress, open_log=NoLog)
    return str(manifest["event_digest"]), str(again.summary["event_digest"])


def release(model: mesa.Model) -> None:
    """Let a finished model go.  Mesa 3.3 keeps every model alive as a key of `Agent._ids`."""
    model.remove_all_agents()
    ids = getattr(mesa.Agent, "_ids", None)
    if isinstance(ids, dict):
        ids.pop(model, None)
    gc.collect()


def _identity(loaded: Scenario, job: Job) -> dict[str, Any]:
    identity: dict[str, Any] = {
        "scenario": loaded.name,
        "scenario_digest": job.scenario_digest,
        "seed": job.seed,
        "overrides": list(loaded.overrides),
        "markets": [market.name for market in loaded.markets],
        "command": list(job.command),
        "figures": job.figures,
    }
    if job.twin_of is not None:
        identity["twin_of"] = dict(job.twin_of)
    if job.every_ns:
        identity |= {"checkpoint_every": format_duration(job.every_ns)}
    if job.every_ns or job.resumed_at_s:
        identity |= {"resumed_at_s": list(job.resumed_at_s)}
    return identity


def _holds(path: Path, wanted: Mapping[str, Any]) -> bool:
    """True if `path` is a complete run of exactly this scenario, model and seed."""
    there = directory.manifest_of(path)
    return there is not None and directory.same_run(there, wanted)


def _draw_what_can_be(path: Path) -> tuple[str, ...]:
    """Draw pictures and report of a complete run; a line for what could not be drawn, on stderr and in its manifest."""
    from marginquake.analysis.presentation.left_out import LeftOut

    left_out = LeftOut()
    try:
        with left_out.unless_it_fails("report"):
            _draw(path, left_out)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted while its pictures were drawn; the run is complete: {path}; `marginquake plot "
            f"{quote(str(path))}` and `marginquake report {quote(str(path))}` draw them"
        ) from None
    if left_out:
        left_out.tell()
        with contextlib.suppress(OSError):  # a full disk: it has been said
            directory.note_left_out(path, left_out.lines)
    return left_out.lines


def _draw(path: Path, left_out: "LeftOut") -> None:
    from marginquake.analysis.figures.draw import plot_run
    from marginquake.analysis.report.run_report import write_report

    LOG.info("drawing figures")
    plot_run(path, left_out=left_out)
    write_report(path, left_out)


def _progress(model: MarketModel, done: int) -> RunProgress:
    seen = model.recorder.progress()
    return RunProgress(
        step=done,
        steps_total=model.steps_total,
        simulated_s=model.now_ns / 1e9,
        events=seen.events,
        open_interest=seen.open_interest,
        margin_calls=seen.margin_calls,
    )
