"""`marginquake`: the command line.  Heavy imports stay inside the commands, so that `--help` answers at once.

Exit codes: 0 done; 1 the simulation failed, or a replay differs; 2 a mistake of the user's (scenario, option, name);
130 interrupted.  Whatever happens, no run directory is left half-written.
"""

import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sim.version import __version__

if TYPE_CHECKING:
    from rich.console import Console

    from analysis.facts import FactRow
    from sim.api import RunProgress
    from sim.sweep import SweepProgress
    from sim.sweep_api import SweepPlan

app = typer.Typer(
    name="marginquake",
    help="Simulate margin-call clusters and liquidation cascades on a limit order book.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

RunsFolder = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder that holds runs.")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run's path, or its name under runs/.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log to stderr; show tracebacks.")]
VERDICT_STYLES = {"pass": "green", "fail": "red", "n.a.": "dim"}
RUNS = Path("runs")
SCENARIOS = Path("scenarios")


def main() -> None:
    """Entry point of the console script."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has gone: `marginquake list | head -1`
        sys.stderr.close()
        sys.exit(1)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"marginquake {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Simulate margin-call clusters and liquidation cascades on a limit order book."""


@app.command()
def run(
    scenario: Annotated[Path, typer.Argument(metavar="SCENARIO", help="A YAML file, e.g. scenarios/long_squeeze.yaml")],
    seed: Annotated[int | None, typer.Option(min=0, metavar="N", help="Instead of the scenario's seed.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="K=V", help="Override a field; may be repeated.")
    ] = None,
    out: RunsFolder = RUNS,
    name: Annotated[str | None, typer.Option(metavar="S", help="Name of the run directory.")] = None,
    reuse: Annotated[bool, typer.Option("--reuse", help="Take the same run if it is already there.")] = False,
    check_invariants: Annotated[
        bool, typer.Option("--check-invariants", help="Check conservation and the book after every step (slow).")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only the run directory.")] = False,
    no_figures: Annotated[bool, typer.Option("--no-figures", help="Leave out pictures and report.")] = False,
    verbose: Verbose = False,
    log_file: Annotated[Path | None, typer.Option(metavar="F", help="Write the log to a file as well.")] = None,
) -> None:
    """Run one scenario; the last line of stdout is the run directory."""
    with _errors(verbose), _logging(verbose, log_file):
        _check_scenario_file(scenario)
        from sim import api

        loaded = api.load_scenario(scenario, overrides or ())
        with _progress_bar(loaded.name, shown=not quiet) as progress:
            result = api.run(loaded, seed, out, name, reuse, check_invariants, progress, figures=not no_figures)
        if not quiet:
            if result.reused:
                print("this run was there already; nothing was simulated (--reuse)", file=sys.stderr)
            _print_scorecard(result.path)
        print(result.path, flush=True)


@app.command()
def sweep(
    file: Annotated[
        Path, typer.Argument(metavar="SWEEP", help="A YAML file, e.g. scenarios/sweeps/leverage_depth.yaml")
    ],
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Processes on this machine.")] = os.cpu_count() or 1,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A dask scheduler, tcp://host:8786, instead of own workers.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an earlier call has stopped.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check every point; run nothing.")] = False,
    limit: Annotated[int | None, typer.Option(min=0, metavar="N", help="At most so many runs in this call.")] = None,
    out: RunsFolder = RUNS,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only the sweep's directory.")] = False,
    verbose: Verbose = False,
) -> None:
    """Run every point of a sweep on every seed; the last line of stdout is the sweep's directory.

    What has finished is never lost: after Ctrl-C or a crash, --resume runs what is missing. Exit 1 if any run failed.
    """
    with _errors(verbose), _logging(verbose, None):
        _check_scenario_file(file)
        from sim import sweep_api
        from sim.sweep_file import load_sweep

        plan = sweep_api.plan_sweep(load_sweep(file))
        if dry_run:
            _print_plan(plan, out)
            return
        _run_sweep(plan, out, workers, scheduler, resume, limit, quiet)


@app.command()
def validate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Scenario files.")],
    verbose: Verbose = False,
) -> None:
    """Check scenario files; every problem of every file is shown."""
    with _errors(verbose):
        from sim import api
        from sim.problems import ScenarioError

        problems = 0
        for file in files:
            try:
                _check_scenario_file(file)
                api.load_scenario(file)
            except (ScenarioError, UserError) as error:
                problems += 1
                print(error, file=sys.stderr)
            else:
                print(f"{file}: ok")
        if problems:
            raise typer.Exit(2)


@app.command()
def schema(
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="F", help="Write to a file.")] = None,
    verbose: Verbose = False,
) -> None:
    """Print the JSON schema of scenario files, for completion in editors."""
    with _errors(verbose):
        import json

        from agents import AGENT_TYPES
        from sim.scenario import scenario_schema

        text = json.dumps(scenario_schema(AGENT_TYPES), indent=2) + "\n"
        if output is None:
            print(text, end="")
        else:
            try:
                output.write_text(text, encoding="utf-8")
            except OSError as error:
                raise UserError(f"--output {output}: {error.strerror}") from error
            print(output)


@app.command("list")
def list_command(
    what: Annotated[str, typer.Argument(metavar="[scenarios|runs]", help="What to list; default both.")] = "all",
    out: RunsFolder = RUNS,
    verbose: Verbose = False,
) -> None:
    """List the scenarios at hand and the runs made, newest last."""
    with _errors(verbose):
        if what not in ("all", "scenarios", "runs"):
            raise UserError(f"list {what}: say 'scenarios' or 'runs'")
        if what in ("all", "scenarios"):
            _list_scenarios()
        if what in ("all", "runs"):
            _list_runs(out)


@app.command()
def show(run: RunArgument, out: RunsFolder = RUNS, verbose: Verbose = False) -> None:
    """Print the scorecard and provenance of a run."""
    with _errors(verbose):
        from sim.run_directory import find_run, read_manifest

        path = find_run(run, out)
        _print_scorecard(path)
        manifest = read_manifest(path)
        for key in ("created_utc", "seed", "overrides", "event_digest", "software_version", "git_commit", "command"):
            value = manifest.get(key)
            print(f"{key:17}{' '.join(value) if isinstance(value, list) else value}")
        print(path)


@app.command()
def plot(
    run: RunArgument,
    figure: Annotated[str | None, typer.Option(metavar="NAME", help="Only this figure; default all.")] = None,
    against: Annotated[
        str | None, typer.Option(metavar="RUN", help="Its twin without forced orders: draw what they added.")
    ] = None,
    out: RunsFolder = RUNS,
    verbose: Verbose = False,
) -> None:
    """Draw the figures of a run again, or (--against) the run over its twin; prints their paths."""
    with _errors(verbose):
        from analysis.plots import plot_run, plot_twin
        from sim.run_directory import find_run

        path = find_run(run, out)
        if against is not None:
            print(plot_twin(path, find_run(against, out), path / "figures" / "twin.png"))
            return
        for drawn in plot_run(path, figure):
            print(drawn)


@app.command()
def report(run: RunArgument, out: RunsFolder = RUNS, verbose: Verbose = False) -> None:
    """Write the report of a run again; prints its path."""
    with _errors(verbose):
        from analysis.report import write_report
        from sim.run_directory import find_run

        print(write_report(find_run(run, out)))


@app.command()
def facts(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Runs of one scenario, a seed each.")],
    out: RunsFolder = RUNS,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the scoreboard as CSV.")] = None,
    figure: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw tails and memory of returns (Hill k-plot, ACF).")
    ] = None,
    metaorder_gap: Annotated[
        float, typer.Option(metavar="S", help="A pause of a whale that ends its metaorder, seconds.")
    ] = 30.0,
    verbose: Verbose = False,
) -> None:
    """Hold runs against stylised facts of real markets: estimate, interval over seeds, band, verdict."""
    with _errors(verbose):
        from analysis.facts import MissingExtra, measure, need_extra, scoreboard, to_csv
        from analysis.load import load_run
        from sim.run_directory import find_run

        try:
            need_extra()
        except MissingExtra as error:
            raise UserError(str(error)) from None
        _check_output("--csv", csv, "")
        _check_output("--figure", figure, ".png")
        if not metaorder_gap > 0:
            raise UserError(f"--metaorder-gap {metaorder_gap:g}: must be positive")
        paths = [find_run(run, out) for run in runs]
        _check_runs_differ(paths)
        measurements = [measure(load_run(path), metaorder_gap_s=metaorder_gap) for path in paths]
        rows = scoreboard(measurements)
        _print_facts(rows, paths)
        if csv is not None:
            csv.write_text(to_csv(rows, [path.name for path in paths]), encoding="utf-8")
        if figure is not None:
            from analysis.plots import plot_facts

            plot_facts(measurements, figure, paths[0].name if len(paths) == 1 else f"{len(paths)} runs")


@app.command()
def replay(run: RunArgument, out: RunsFolder = RUNS, quiet: bool = False, verbose: Verbose = False) -> None:
    """Run a run again and compare the event digests; exit 1 if they differ."""
    with _errors(verbose):
        from sim import api
        from sim.run_directory import find_run

        path = find_run(run, out)
        with _progress_bar(path.name, shown=not quiet) as progress:
            recorded, again = api.replay(path, progress)
        print(f"recorded  {recorded}")
        print(f"replayed  {again}")
        if recorded != again:
            print(f"{path}: the replay gave other events", file=sys.stderr)
            raise typer.Exit(1)
        print("same events")


@app.command()
def clean(
    keep: Annotated[int, typer.Option(min=0, metavar="N", help="How many of the newest runs to keep.")],
    out: RunsFolder = RUNS,
    verbose: Verbose = False,
) -> None:
    """Delete all but the newest runs, and what killed runs left behind."""
    with _errors(verbose):
        from sim.run_directory import clean_runs

        for path in clean_runs(out, keep):
            print(f"deleted {path}")


class UserError(Exception):
    """A mistake in what was asked for; the message says which and what to do."""


@contextlib.contextmanager
def _errors(verbose: bool) -> Iterator[None]:
    """Turn every way of failing into one message on stderr and the right exit code."""
    try:
        yield
    except typer.Exit:
        raise
    except KeyboardInterrupt:
        # Objects that were interrupted while they were made (llvmlite's, say) complain when they are taken down.
        sys.unraisablehook = lambda _: None
        print("interrupted", file=sys.stderr)
        raise typer.Exit(130) from None
    except BrokenPipeError:
        raise
    except Exception as error:  # every failure ends here, as one message
        users = _is_users(error)
        if users:
            print(error, file=sys.stderr)
        elif verbose:
            traceback.print_exc()
        else:
            print(f"failed: {type(error).__name__}: {error}  (-v shows where)", file=sys.stderr)
        logging.getLogger("marginquake").debug("failed", exc_info=error)
        raise typer.Exit(2 if users else 1) from None


def _is_users(error: Exception) -> bool:
    """True for a mistake of the user's, False for a failing simulation."""
    from sim.problems import ScenarioError
    from sim.run_directory import RunDirectoryError

    if isinstance(error, UserError | RunDirectoryError | ScenarioError):
        return True
    from sim.sweep import ClusterUnreachable

    return isinstance(error, ClusterUnreachable)


def _check_scenario_file(path: Path) -> None:
    if path.is_dir():
        raise UserError(f"{path}: is a folder, not a scenario file")
    if not path.is_file():
        near = sorted(SCENARIOS.glob(f"{path.stem}*.yaml")) if SCENARIOS.is_dir() else []
        hint = f"; did you mean {near[0]}?" if near else "; `marginquake list scenarios` shows what is there"
        raise UserError(f"{path}: no such file{hint}")


@contextlib.contextmanager
def _logging(verbose: bool, log_file: Path | None) -> Iterator[None]:
    logger = logging.getLogger("marginquake")
    handlers: list[logging.Handler] = []
    if verbose:
        handlers.append(logging.StreamHandler(sys.stderr))
        handlers[0].setLevel(logging.INFO)
    if log_file is not None:
        try:
            handlers.append(logging.FileHandler(log_file, encoding="utf-8"))
        except OSError as error:
            raise UserError(f"--log-file {log_file}: {error.strerror}") from error
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
    if handlers:
        logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()


def _run_sweep(
    plan: "SweepPlan",
    out: Path,
    workers: int,
    scheduler: str | None,
    resume: bool,
    limit: int | None,
    quiet: bool,
) -> None:
    """Run what is missing, with a bar; exit 1 if anything failed."""
    from sim import sweep_api

    with _sweep_bar(plan.sweep.name, shown=not quiet) as progress:
        result = sweep_api.run_sweep(plan, out, workers, scheduler, resume, limit, progress)
    if not quiet:
        print(
            f"{result.made} runs made, {len(plan.runs) - result.made - result.left - len(result.failures)} were there"
        )
        if result.left:
            print(f"{result.left} are left: --resume goes on")
    for failure in result.failures:
        print(f"failed: point {failure.point}, seed {failure.seed}: {failure.error}", file=sys.stderr)
    print(result.path, flush=True)
    if result.failures:
        raise typer.Exit(1)


def _print_plan(plan: "SweepPlan", out: Path) -> None:
    """What a sweep would do."""
    from rich.table import Table

    from sim.sweep_api import sweep_path
    from sim.sweep_directory import SweepDirectory

    path = sweep_path(out, plan.sweep.name)
    directory = SweepDirectory(path)
    table = Table(title=path.name, title_justify="left", box=None, pad_edge=False)
    for heading in ("point", *(str(axis["name"]) for axis in plan.sweep.axes), "finished"):
        table.add_column(heading, justify="right")
    for point in plan.sweep.points:
        done = sum(directory.holds(plan.runs[point.number, seed]) for seed in plan.sweep.seeds)
        table.add_row(str(point.number), *(f"{value}" for value in point.values.values()),
                      f"{done}/{len(plan.sweep.seeds)}")  # fmt: skip
    _console(stderr=False).print(table)
    missing = len(plan.missing(directory))
    print(f"{len(plan.runs)} runs, {missing} to be made; every point is valid")


@contextlib.contextmanager
def _sweep_bar(title: str, shown: bool) -> Iterator["Callable[[SweepProgress], None] | None"]:
    """A bar on stderr: runs done, failures, time left."""
    if not shown:
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[facts]}"))
    with Progress(*columns, console=_console(stderr=True)) as bar:
        task = bar.add_task(title, total=None, facts="starting workers")

        def update(seen: "SweepProgress") -> None:
            left = "" if seen.left_s is None else f", {_clock(seen.left_s)} left"
            facts = f"{seen.done}/{seen.total} runs, {seen.failed} failed{left}"
            bar.update(task, total=seen.total, completed=seen.done, facts=facts)

        yield update


@contextlib.contextmanager
def _progress_bar(title: str, shown: bool) -> Iterator["Callable[[RunProgress], None] | None"]:
    """A bar on stderr: simulated time, events a second, open interest, margin calls so far."""
    if not shown:
        yield None
        return
    import time

    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TextColumn("{task.fields[facts]}"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=_console(stderr=True)) as bar:
        task = bar.add_task(title, total=None, facts="compiling and building the market")
        started: list[float] = []

        def update(seen: "RunProgress") -> None:
            now = time.perf_counter()
            started[:] = started or [now]
            elapsed = now - started[0]
            rate = seen.events / elapsed if elapsed > 0 else 0.0
            facts = (
                f"{_clock(seen.simulated_s)}  {_short(rate)} events/s  OI {_short(seen.open_interest)}"
                f"  {seen.margin_calls:,} calls"
            )
            bar.update(task, total=seen.steps_total, completed=seen.step, facts=facts)

        yield update
        if not started:  # nothing was simulated
            bar.update(task, visible=False)


def _console(stderr: bool) -> "Console":
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def _print_scorecard(path: Path) -> None:
    from rich.table import Table

    from analysis.scorecard import scorecard_rows
    from sim.run_directory import read_summary

    table = Table(title=path.name, title_justify="left", show_header=False, box=None, pad_edge=False)
    for row in scorecard_rows(read_summary(path)):
        table.add_row(*(str(cell) for cell in row))
    _console(stderr=False).print(table)
    if (path / "report.html").is_file():
        print(f"Open the report: {path / 'report.html'}")


def _check_output(option: str, path: Path | None, suffix: str) -> None:
    """Refuse, before anything is measured, a file that could not be written."""
    if path is None:
        return
    if suffix and path.suffix.lower() != suffix:
        raise UserError(f"{option} {path}: the name must end in {suffix}")
    if path.is_dir():
        raise UserError(f"{option} {path}: is a folder")
    if not path.parent.is_dir():
        raise UserError(f"{option} {path}: no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UserError(f"{option} {path}: not writable")


def _check_runs_differ(paths: list[Path]) -> None:
    """Refuse the same events twice, which would narrow the interval; mention a mixture of scenarios."""
    from sim.run_directory import read_manifest

    manifests = [read_manifest(path) for path in paths]
    seen: dict[object, Path] = {}
    for path, manifest in zip(paths, manifests, strict=True):
        digest = manifest.get("event_digest", str(path))
        if digest in seen:
            raise UserError(f"{path} holds the same events as {seen[digest]}: each run counts once")
        seen[digest] = path
    if len({manifest.get("scenario_digest") for manifest in manifests}) > 1:
        print("the runs are of different scenarios: the intervals are not over seeds alone", file=sys.stderr)


def _print_facts(rows: "list[FactRow]", paths: list[Path]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from analysis.facts import board

    title = paths[0].name if len(paths) == 1 else f"{len(paths)} runs, {paths[0].name} to {paths[-1].name}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for heading in board.HEADINGS:
        table.add_column(heading)
    for row in rows:
        table.add_row(*(escape(cell) for cell in board.cells_of(row)), style=VERDICT_STYLES[row.verdict])
    console = _console(stderr=False)
    if not console.is_terminal:
        console = Console(width=200, highlight=False)
    console.print(table)
    print(board.in_band_line(rows))


def _list_scenarios() -> None:
    from sim import api
    from sim.problems import ScenarioError

    files = sorted(SCENARIOS.glob("*.yaml")) if SCENARIOS.is_dir() else []
    if not files:
        print("no scenarios/*.yaml here", file=sys.stderr)
    for file in files:
        try:
            question = " ".join(api.load_scenario(file).question.split())
        except ScenarioError as error:
            question = f"(invalid: {str(error).splitlines()[0]})"
        print(f"{file}  {question}")


def _list_runs(out: Path) -> None:
    from sim.run_directory import list_runs, read_summary

    runs = list_runs(out)
    if not runs:
        print(f"no runs under {out}", file=sys.stderr)
    for path in runs:
        summary: dict[str, Any] = read_summary(path)
        fall, calls = summary.get("max_drawdown_fraction"), summary.get("margin_calls")
        facts = f"{calls:,} margin calls" if isinstance(calls, int) else ""
        facts += f", largest fall {fall:.1%}" if isinstance(fall, float) else ""
        print(f"{path}  {facts}")


def _clock(seconds: float) -> str:
    """-0:05:00 is five minutes before the end of warm-up."""
    whole = abs(int(seconds))
    return f"{'-' if seconds < 0 else ''}{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _short(value: float) -> str:
    """1234567 as 1.2M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.1f}{unit}"
    return f"{value:.0f}"


if __name__ == "__main__":
    main()
