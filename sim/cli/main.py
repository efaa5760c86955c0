"""`marginquake`: the command line.  Heavy imports stay inside the commands, so that `--help` answers at once.

Exit codes: 0 done; 1 the simulation failed, or a replay differs; 2 a mistake of the user's (scenario, option, name);
130 interrupted.  Whatever happens, no run directory is left half-written.
"""

import contextlib
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from marginquake.sim.cli import (
    clusters,
    counterfactual,
    doctor,
    explain,
    first_passage,
    liquidations,
    risk,
    sweeps,
)
from marginquake.sim.cli import (
    runs as cli_runs,
)
from marginquake.sim.cli.common import (
    RUNS,
    RunArgument,
    RunOrSweep,
    RunsFolder,
    UserError,
    Verbose,
    check_output,
    check_scenario_file,
    clock,
    logging_to,
    one_message,
    open_console,
    print_scorecard,
)
from marginquake.sim.cli.lazy_imports import postpone
from marginquake.sim.cli.sweeps import draw_sweep, report_sweep
from marginquake.sim.cli.watch import command as watch
from marginquake.sim.core.numbers import short_number
from marginquake.sim.core.version import __version__

if TYPE_CHECKING:
    from marginquake.analysis.facts import FactRow
    from marginquake.sim.studies.run import RunProgress

app = typer.Typer(
    name="marginquake",
    help="Simulate margin-call clusters and liquidation cascades on a limit order book.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

VERDICT_STYLES = {"pass": "green", "fail": "red", "n.a.": "dim"}


def main() -> None:
    """Entry point of the console script."""
    postpone()
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
    scenario: Annotated[
        Path | None, typer.Argument(metavar="SCENARIO", help="A YAML file, e.g. scenarios/long_squeeze.yaml")
    ] = None,
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
    checkpoint_every: Annotated[
        str | None, typer.Option(metavar="TIME", help="Store the whole run every so much simulated time, e.g. 30min.")
    ] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="DIR", help="Go on with a checkpointed run that was cut off.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only the run directory.")] = False,
    no_figures: Annotated[bool, typer.Option("--no-figures", help="Leave out pictures and report.")] = False,
    verbose: Verbose = False,
    log_file: Annotated[Path | None, typer.Option(metavar="F", help="Write the log to a file as well.")] = None,
) -> None:
    """Run one scenario; the last line of stdout is the run directory."""
    with one_message(verbose), logging_to(verbose, log_file):
        options = seed, overrides or None, name, checkpoint_every, reuse or None, check_invariants or None
        said = no_figures or any(value is not None for value in (scenario, *options))
        _check_what_to_run(scenario, resume, said)
        from marginquake.sim.studies import run as running

        if scenario is None:
            with _progress_bar(str(resume), shown=not quiet) as progress:
                result = running.resume(str(resume), out, progress)
        else:
            loaded = running.load_scenario(scenario, overrides or ())
            with _progress_bar(loaded.name, shown=not quiet) as progress:
                result = running.run(
                    loaded, seed, out, name, reuse, check_invariants, progress, not no_figures, checkpoint_every
                )
        if not quiet:
            if result.reused:
                print("this run was there already; nothing was simulated", file=sys.stderr)
            _print_scorecard(result.path)
        print(result.path, flush=True)


@app.command()
def validate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Scenario files.")],
    verbose: Verbose = False,
) -> None:
    """Check scenario files; every problem of every file is shown."""
    with one_message(verbose):
        from marginquake.sim.core.problems import ScenarioError
        from marginquake.sim.studies import run as running

        problems = 0
        for file in files:
            try:
                check_scenario_file(file)
                running.load_scenario(file)
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
    with one_message(verbose):
        import json

        from marginquake.agents import AGENT_TYPES
        from marginquake.sim.scenario.schema import scenario_schema

        text = json.dumps(scenario_schema(AGENT_TYPES), indent=2) + "\n"
        if output is None:
            print(text, end="")
        else:
            try:
                output.write_text(text, encoding="utf-8")
            except OSError as error:
                raise UserError(f"--output {output}: {error.strerror}") from error
            print(output)


@app.command()
def show(run: RunArgument, out: RunsFolder = RUNS, verbose: Verbose = False) -> None:
    """Print the scorecard and provenance of a run."""
    with one_message(verbose):
        from marginquake.sim.runs.directory import find_run, read_manifest
        from marginquake.sim.studies.twin_runs import read_twin_run, said_off

        path = find_run(run, out)
        _print_scorecard(path)
        manifest = read_manifest(path)
        for key in ("created_utc", "seed", "overrides", "event_digest", "software_version", "git_commit", "command"):
            value = manifest.get(key)
            print(f"{key:17}{shlex.join(value) if isinstance(value, list) else value}")
        twin = read_twin_run(path)
        if twin.without is not None:
            print(f"{'twin of':17}{twin.run}, {said_off(twin.without)}")
        print(path)


@app.command()
def plot(
    run: RunOrSweep,
    figure: Annotated[str | None, typer.Option(metavar="NAME", help="Only this figure; default all.")] = None,
    metric: Annotated[
        str | None, typer.Option(metavar="M", help="Of a sweep: a number of summary.json; default the largest fall.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Its twin without forced orders: draw what they added (see counterfactual)."),
    ] = None,
    out: RunsFolder = RUNS,
    verbose: Verbose = False,
) -> None:
    """Draw the figures of a run or sweep again, or (--against) the run over its twin; prints their paths."""
    with one_message(verbose):
        from marginquake.analysis.figures.draw import plot_run
        from marginquake.analysis.studies.twins.figure import plot_twin
        from marginquake.sim.runs.directory import find_run
        from marginquake.sim.studies.sweep_directory import find_sweep

        sweep_found = find_sweep(run, out)
        if sweep_found is not None:
            if against is not None:
                raise UserError(f"--against {against}: belongs to runs, and {sweep_found} is a sweep")
            draw_sweep(sweep_found, figure, metric)
            return
        if metric is not None:
            raise UserError(f"--metric {metric}: belongs to sweeps, and {run} is none")
        path = find_run(run, out)
        if against is not None:
            print(plot_twin(path, find_run(against, out), path / "figures" / "twin.png"))
            return
        for drawn in plot_run(path, figure):
            print(drawn)


@app.command()
def report(run: RunOrSweep, out: RunsFolder = RUNS, verbose: Verbose = False) -> None:
    """Write the report of a run, sweep or comparison again; prints its path."""
    with one_message(verbose):
        from marginquake.analysis.report.run_report import write_report
        from marginquake.sim.runs.directory import find_run
        from marginquake.sim.studies.sweep_directory import find_sweep

        sweep_found = find_sweep(run, out)
        print(report_sweep(sweep_found) if sweep_found is not None else write_report(find_run(run, out)))


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
    with one_message(verbose):
        from marginquake.analysis.facts import MissingExtra, measure, need_extra, scoreboard, to_csv
        from marginquake.analysis.frames.run_frames import load_run
        from marginquake.sim.runs.directory import find_run

        try:
            need_extra()
        except MissingExtra as error:
            raise UserError(str(error)) from None
        check_output("--csv", csv, "")
        check_output("--figure", figure, ".png")
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
            from marginquake.analysis.figures.draw import plot_facts

            plot_facts(measurements, figure, paths[0].name if len(paths) == 1 else f"{len(paths)} runs")


@app.command()
def replay(run: RunArgument, out: RunsFolder = RUNS, quiet: bool = False, verbose: Verbose = False) -> None:
    """Run a run again and compare the event digests; exit 1 if they differ."""
    with one_message(verbose):
        from marginquake.sim.runs.directory import find_run
        from marginquake.sim.studies import run as running

        path = find_run(run, out)
        with _progress_bar(path.name, shown=not quiet) as progress:
            recorded, again = running.replay(path, progress)
        print(f"recorded  {recorded}")
        print(f"replayed  {again}")
        if recorded != again:
            print(f"{path}: the replay gave other events", file=sys.stderr)
            raise typer.Exit(1)
        print("same events")


def _check_what_to_run(scenario: Path | None, resume: str | None, is_described: bool) -> None:
    """A scenario, or a run to go on with: one of them."""
    if resume is not None and is_described:
        raise UserError(f"--resume {resume}: goes on with what was asked for then; leave out the scenario and options")
    if resume is None:
        if scenario is None:
            raise UserError("run: name a scenario file, or --resume a checkpointed run")
        check_scenario_file(scenario)


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
    with Progress(*columns, console=open_console(stderr=True)) as bar:
        task = bar.add_task(title, total=None, facts="compiling and building the market")
        started: list[tuple[float, int]] = []

        def update(seen: "RunProgress") -> None:
            now = time.perf_counter()
            started[:] = started or [(now, seen.events)]
            (since, events_then) = started[0]
            rate = (seen.events - events_then) / (now - since) if now > since else 0.0
            facts = (
                f"{clock(seen.simulated_s)}  {short_number(rate)} events/s  OI {short_number(seen.open_interest)}"
                f"  {seen.margin_calls:,} calls"
            )
            bar.update(task, total=seen.steps_total, completed=seen.step, facts=facts)

        yield update
        if not started:  # nothing was simulated
            bar.update(task, visible=False)


def _print_scorecard(path: Path) -> None:
    from marginquake.analysis.measures.scorecard import scorecard_rows
    from marginquake.sim.runs.directory import read_summary

    print_scorecard(path.name, scorecard_rows(read_summary(path)))
    if (path / "report.html").is_file():
        print(f"Open the report: {path / 'report.html'}")


def _check_runs_differ(paths: list[Path]) -> None:
    """Refuse the same events twice, which would narrow the interval; mention a mixture of scenarios."""
    from marginquake.sim.runs.directory import read_manifest

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

    from marginquake.analysis.facts import score_rows as board

    title = paths[0].name if len(paths) == 1 else f"{len(paths)} runs, {paths[0].name} to {paths[-1].name}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for heading in board.HEADINGS:
        table.add_column(heading)
    for row in rows:
        table.add_row(*(escape(cell) for cell in board.cells_of(row)), style=VERDICT_STYLES[row.verdict])
    console = open_console(stderr=False)
    if not console.is_terminal:
        console = Console(width=200, highlight=False)
    console.print(table)
    print(board.in_band_line(rows))


COMMANDS = (
    cli_runs, watch, sweeps, explain, counterfactual, clusters, risk, liquidations,
    first_passage, doctor,
)  # fmt: skip
"""Modules of commands, in the order of `--help`."""
for module in COMMANDS:
    app.registered_commands += module.app.registered_commands

if __name__ == "__main__":
    main()
