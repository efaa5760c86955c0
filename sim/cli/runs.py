"""`marginquake show`, `plot`, `report` and `clean`: what is done with the runs that there are."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from marginquake.sim.cli.common import (
    RUNS,
    RunArgument,
    RunOrSweep,
    RunsFolder,
    UserError,
    Verbose,
    one_message,
    plural,
    print_run,
)
from marginquake.sim.cli.sweeps import draw_sweep, report_sweep
from marginquake.sim.core.outside.edges import say

app = typer.Typer()


@app.command()
def show(run: RunArgument, out: RunsFolder = RUNS, verbose: Verbose = False) -> None:
    """Print the scorecard and provenance of a run."""
    with one_message(verbose):
        from marginquake.sim.runs.directory import find_run, read_manifest
        from marginquake.sim.studies.twin_runs import read_twin_run, said_off

        path = find_run(run, out)
        print_run(path)
        manifest = read_manifest(path)
        for key in ("created_utc", "seed", "overrides", "event_digest", "software_version", "git_commit", "command"):
            value = manifest.get(key)
            say(f"{key:17}{shlex.join(value) if isinstance(value, list) else value}")
        twin = read_twin_run(path)
        if twin.without is not None:
            say(f"{'twin of':17}{twin.run}, {said_off(twin.without)}")
        say(path)


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
    """Draw the figures of a run or sweep again, or (--against) the run over its twin; prints their paths.

    A figure that cannot be drawn is left out with a line; exit 1 if that is all there is to say.
    """
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
            say(plot_twin(path, find_run(against, out), path / "figures" / "twin.png"))
            return
        written = plot_run(path, figure)
        for drawn in written:
            say(drawn)
        if not written:
            raise typer.Exit(1)


@app.command()
def report(run: RunOrSweep, out: RunsFolder = RUNS, verbose: Verbose = False) -> None:
    """Write the report of a run, sweep or comparison again; prints its path."""
    with one_message(verbose):
        from marginquake.analysis.report.run_report import write_report
        from marginquake.sim.runs.directory import find_run
        from marginquake.sim.studies.sweep_directory import find_sweep

        sweep_found = find_sweep(run, out)
        say(report_sweep(sweep_found) if sweep_found is not None else write_report(find_run(run, out)))


@app.command()
def clean(
    keep: Annotated[int | None, typer.Option(min=0, metavar="N", help="How many of the newest runs to keep.")] = None,
    twins: Annotated[
        bool, typer.Option("--twins", help="Also delete the twins (runs/twins) of no run that is kept.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
    out: RunsFolder = RUNS,
    verbose: Verbose = False,
) -> None:
    """Delete all but the newest runs, twins of none, and what killed runs left behind; says what it leaves."""
    with one_message(verbose):
        from marginquake.sim.runs.partial_runs import clean_runs, superfluous
        from marginquake.sim.studies.twin_runs import delete_twins, orphans

        if keep is None and not twins:
            raise UserError("clean: say --keep N (how many of the newest runs), --twins, or both")
        doomed = [] if keep is None else superfluous(out, keep)
        lonely = orphans(out, doomed)
        word = "would delete" if dry_run else "deleted"
        if not dry_run and keep is not None:
            doomed = clean_runs(out, keep)
        for path in doomed:
            say(f"{word} {path}")
        if twins:
            if not dry_run:
                delete_twins(lonely)
            for twin in lonely:
                say(f"{word} {twin.path}")
        _say_what_is_left(out, 0 if twins else len(lonely), len(lonely) if twins and dry_run else 0)


def _say_what_is_left(out: Path, lonely: int, gone: int) -> None:
    """On stderr: other folders that hold runs.  `lonely`: twins of no run among those left; `gone`: twins to be taken
    for deleted."""
    from marginquake.sim.studies.twin_runs import folder_of, list_twins

    left = len(list_twins(out)) - gone
    if left:
        whose = " of runs that are kept"
        if lonely:
            whose = f", {lonely} of no run that is kept; `marginquake clean --twins` deletes those"
        say(f"left {folder_of(out)}: {left} {plural('twin', left)}{whose}", file=sys.stderr)
    sweeps = out / "sweeps"
    if sweeps.is_dir() and any(sweeps.iterdir()):
        say(f"left {sweeps}: clean deletes no sweep and no comparison", file=sys.stderr)
