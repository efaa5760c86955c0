"""The commands over many runs: `sweep`, and what it shares with `compare`, `tipping` and `sensitivity`."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sim.cli_common import (
    RUNS,
    RunsFolder,
    UserError,
    Verbose,
    check_scenario_file,
    clock,
    logging_to,
    one_message,
    open_console,
)

if TYPE_CHECKING:
    from sim.sweep import SweepProgress
    from sim.sweep_api import SweepPlan

app = typer.Typer()


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
    with one_message(verbose), logging_to(verbose, None):
        check_scenario_file(file)
        from sim import sweep_api
        from sim.sweep_file import load_sweep

        plan = sweep_api.plan_sweep(load_sweep(file))
        if dry_run:
            print_plan(plan, out)
            return
        run_sweep(plan, out, workers, scheduler, resume, limit, quiet)


def run_sweep(
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

    with sweep_bar(plan.sweep.name, shown=not quiet) as progress:
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


def draw_sweep(path: Path, figure: str | None, metric: str | None) -> None:
    """Draw the figures of a sweep; prints their paths."""
    from analysis.facts import MissingExtra
    from analysis.sweeps import plot_sweep

    try:
        for drawn in plot_sweep(path, figure, metric):
            print(drawn)
    except MissingExtra as error:
        raise UserError(str(error)) from None


def report_sweep(path: Path) -> Path:
    """Write the report of a sweep, or of a comparison."""
    from sim.sweep_directory import read_plan

    if read_plan(path)["design"] == "compare":
        from analysis.comparison import write_comparison

        return write_comparison(path)
    from analysis.sweeps import write_sweep_report

    return write_sweep_report(path)


def print_plan(plan: "SweepPlan", out: Path) -> None:
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
    open_console(stderr=False).print(table)
    missing = len(plan.missing(directory))
    print(f"{len(plan.runs)} runs, {missing} to be made; every point is valid")


@contextlib.contextmanager
def sweep_bar(title: str, shown: bool) -> Iterator["Callable[[SweepProgress], None] | None"]:
    """A bar on stderr: runs done, failures, time left."""
    if not shown:
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[facts]}"))
    with Progress(*columns, console=open_console(stderr=True)) as bar:
        task = bar.add_task(title, total=None, facts="starting workers")

        def update(seen: "SweepProgress") -> None:
            left = "" if seen.left_s is None else f", {clock(seen.left_s)} left"
            facts = f"{seen.done}/{seen.total} runs, {seen.failed} failed{left}"
            bar.update(task, total=seen.total, completed=seen.done, facts=facts)

        yield update
