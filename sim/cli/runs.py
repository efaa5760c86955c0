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
    clock,
    one_message,
    plural,
    print_run,
    read_seconds,
)
from marginquake.sim.cli.sweeps import draw_sweep, report_sweep
from marginquake.sim.core.outside.edges import say

app = typer.Typer()

LEAST_QUIET_S = 600.0
"""Signs of life come once a minute; a busy machine or disk may be late with some."""


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
    leftovers: Annotated[
        str | None,
        typer.Option(
            "--leftovers",
            metavar="AGE",
            help="Also delete what killed runs left that might be somebody's, without a sign of life for so long: 2d.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
    out: RunsFolder = RUNS,
    verbose: Verbose = False,
) -> None:
    """Delete all but the newest runs, twins of none, and what killed runs left behind; says what it leaves.

    What a process on another machine may be at is left, unless --leftovers says after how long it is dead.
    """
    with one_message(verbose):
        from marginquake.sim.runs.leftovers import sweep_leftovers
        from marginquake.sim.runs.partial_runs import clean_runs, superfluous
        from marginquake.sim.studies.twin_runs import delete_twins, orphans

        if keep is None and not twins and leftovers is None:
            raise UserError("clean: say --keep N (how many of the newest runs), --twins, --leftovers AGE, or several")
        quiet_s = None if leftovers is None else _quiet_time(leftovers)
        if not dry_run and (keep is not None or quiet_s is not None):
            for parent in _folders_of_runs(out):
                sweep_leftovers(parent)
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
        if quiet_s is not None:
            _clean_leftovers(out, quiet_s, word, dry_run)
        _say_what_is_left(out, 0 if twins else len(lonely), len(lonely) if twins and dry_run else 0)
        _say_what_might_live(out, quiet_s if dry_run else None)


def _quiet_time(text: str) -> float:
    """Seconds; long enough for a process that lives to have given a sign."""
    quiet_s = read_seconds("--leftovers", text)
    if quiet_s < LEAST_QUIET_S:
        raise UserError(f"--leftovers {text}: at least 10min; who lives gives a sign once a minute")
    return quiet_s


def _clean_leftovers(out: Path, quiet_s: float, word: str, dry_run: bool) -> None:
    from marginquake.sim.runs.leftovers import delete_leftovers, left_behind

    for parent in _folders_of_runs(out):
        found = left_behind(parent) if dry_run else delete_leftovers(parent, quiet_s)
        for each in found:
            if each.quiet_s >= quiet_s:
                say(f"{word} {each.path}")


def _say_what_might_live(out: Path, quiet_s: float | None) -> None:
    """On stderr: what was left because nobody here can say whether its process has ended.  `quiet_s`: taken for
    deleted after so long."""
    from marginquake.sim.runs.leftovers import left_behind
    from marginquake.sim.runs.partial_runs import list_interrupted, who_may_hold

    for path in list_interrupted(out):
        if (said := who_may_hold(path)) is not None:
            say(f"left {said}", file=sys.stderr)
    for parent in _folders_of_runs(out):
        for each in left_behind(parent):
            if quiet_s is None or each.quiet_s < quiet_s:
                say(
                    f"left {each.path}: {each.why}; no sign of life for {clock(each.quiet_s)}; "
                    "`marginquake clean --leftovers AGE` deletes what has given none for so long",
                    file=sys.stderr,
                )


def _folders_of_runs(out: Path) -> list[Path]:
    """Where killed processes may have left something."""
    from marginquake.sim.runs.directory import entries
    from marginquake.sim.studies.twin_runs import folder_of

    return [out, folder_of(out), *(sweep / "points" for sweep in entries(out / "sweeps"))]


def _say_what_is_left(out: Path, lonely: int, gone: int) -> None:
    """On stderr: other folders that hold runs.  `lonely`: twins of no run among those left; `gone`: twins to be taken
    for deleted."""
    from marginquake.sim.studies.twin_runs import folder_of, list_twins, unreadable

    for path in unreadable(out):
        say(f"left {path}: it cannot be read; twins are left too, for they might be its own", file=sys.stderr)
    left = len(list_twins(out)) - gone
    if left:
        whose = " of runs that are kept"
        if lonely:
            whose = f", {lonely} of no run that is kept; `marginquake clean --twins` deletes those"
        say(f"left {folder_of(out)}: {left} {plural('twin', left)}{whose}", file=sys.stderr)
    sweeps = out / "sweeps"
    if sweeps.is_dir() and any(sweeps.iterdir()):
        say(f"left {sweeps}: clean deletes no sweep and no comparison", file=sys.stderr)
