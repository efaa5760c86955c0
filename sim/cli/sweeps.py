"""The commands over many runs: `sweep`, `compare`, `sensitivity`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from marginquake.sim.cli.common import (
    CORES,
    RUNS,
    Replace,
    RunsFolder,
    Scheduler,
    UserError,
    Verbose,
    Workers,
    logging_to,
    one_message,
    open_console,
    print_plan_warnings,
    sweep_bar,
)
from marginquake.sim.core.outside.edges import say
from marginquake.sim.core.problems import ScenarioError
from marginquake.sim.scenario.installed import scenario_file

if TYPE_CHECKING:
    from marginquake.sim.studies.sweep import SweepPlan, SweepResult

app = typer.Typer()


@app.command()
def sweep(
    file: Annotated[
        Path, typer.Argument(metavar="SWEEP", help="A YAML file, or an installed sweep: sweeps/leverage_depth")
    ],
    workers: Workers = CORES,
    scheduler: Scheduler = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an earlier call has stopped.")] = False,
    replace: Replace = False,
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
        scenario_file(file)
        from marginquake.sim.studies import sweep as sweeping
        from marginquake.sim.studies.design import load_sweep

        plan = sweeping.plan_sweep(load_sweep(file))
        if not quiet:
            print_plan_warnings(plan)
        if dry_run:
            print_plan(plan, out)
            return
        run_sweep(plan, out, workers, scheduler, resume, limit, quiet, replace)


@app.command()
def compare(
    alternatives: Annotated[
        list[str],
        typer.Argument(
            metavar="A [B...]",
            help="One comparison (a YAML file, or an installed one: policies/mark_rule), or a scenario and what to "
            "compare it with: other scenarios, or overrides K=V (several joined by ' ; ').",
        ),
    ],
    seeds: Annotated[
        int | None, typer.Option(min=2, max=100_000, metavar="N", help="Seeds 1 to N; default the file's, or 20.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="K=V", help="Override of all alternatives; may be repeated.")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="S", help="Name of the directory.")] = None,
    replace: Replace = False,
    workers: Workers = CORES,
    scheduler: Scheduler = None,
    out: RunsFolder = RUNS,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only the report's path.")] = False,
    verbose: Verbose = False,
) -> None:
    """Compare rules on the same seeds: paired differences, intervals, a verdict in words; the first is the baseline.

    Runs that are finished already are not made again. The last line of stdout is the report.
    """
    with one_message(verbose), logging_to(verbose, None):
        from marginquake.sim.studies import sweep as sweeping
        from marginquake.sim.studies.design import comparison_of, is_comparison, is_scenario

        scenario_file(alternatives[0])
        for argument in alternatives[1:]:
            if is_scenario(argument):
                _check_alternative(argument)
        if len(alternatives) == 1 and not is_comparison(alternatives[0]):
            raise UserError(f"{alternatives[0]}: compare it with what? Name another scenario, or an override K=V")
        wanted = comparison_of(alternatives, seeds, overrides or (), name)
        plan = sweeping.plan_sweep(wanted)
        if not quiet:
            print_plan_warnings(plan)
        for point, before in plan.twins():
            first = plan.sweep.points[0]
            other = "the baseline" if before is first else f"policy {before.values['policy']}"
            say(f"note: policy {point.values['policy']}: same rule as {other}", file=sys.stderr)
        with sweep_bar(wanted.name, shown=not quiet) as progress:
            result = sweeping.run_sweep(plan, out, workers, scheduler, True, None, progress, replace)
        tell_failures(result)
        report = report_sweep(result.path)
        if not quiet:
            from marginquake.analysis.studies.comparison import compare as pairs_of
            from marginquake.analysis.studies.comparison import load_comparison as read

            for pair in pairs_of(read(result.path)):
                say(pair.sentence)
        say(report, flush=True)
        if result.failures:
            raise typer.Exit(1)


def _check_alternative(argument: str) -> None:
    """Refuse what is neither a scenario nor an override."""
    try:
        scenario_file(argument)
    except ScenarioError as error:
        raise UserError(f"{error} (an override is written path.to.field=value)") from None


@app.command()
def sensitivity(
    file: Annotated[Path, typer.Argument(metavar="SWEEP", help="A sweep file of design saltelli.")],
    metric: Annotated[
        str, typer.Option(metavar="M", help="A number of summary.json, or event.")
    ] = "max_drawdown_fraction",
    replace: Replace = False,
    workers: Workers = CORES,
    scheduler: Scheduler = None,
    out: RunsFolder = RUNS,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only the figure's path.")] = False,
    verbose: Verbose = False,
) -> None:
    """Sobol indices with intervals: which parameters drive an outcome, alone and with their interactions.

    Runs what is missing of the sweep. Needs the extra `sensitivity` (SALib).
    """
    with one_message(verbose), logging_to(verbose, None):
        scenario_file(file)
        from marginquake.analysis.facts import MissingExtra
        from marginquake.analysis.studies.sweeps import load_sweep as read
        from marginquake.analysis.studies.sweeps import plot_sweep, sobol_indices
        from marginquake.analysis.studies.sweeps.sensitivity import need_extra
        from marginquake.sim.studies import sweep as sweeping
        from marginquake.sim.studies.design import load_sweep

        try:
            need_extra()
        except MissingExtra as error:
            raise UserError(str(error)) from None
        wanted = load_sweep(file)
        if wanted.design != "saltelli":
            raise UserError(f"{file}: design {wanted.design}; Sobol indices need 'design: saltelli'")
        plan = sweeping.plan_sweep(wanted)
        if not quiet:
            print_plan_warnings(plan)
        with sweep_bar(wanted.name, shown=not quiet) as progress:
            result = sweeping.run_sweep(plan, out, workers, scheduler, True, None, progress, replace)
        tell_failures(result)
        if result.failures:
            raise typer.Exit(1)
        found = sobol_indices(read(result.path), metric)
        if not quiet:
            say(f"{'axis':24}{'first order':>20}{'total':>20}")
            for row in zip(found.axes, found.first, found.first_half, found.total, found.total_half, strict=True):
                axis, first, first_half, total, total_half = row
                say(f"{axis:24}{f'{first:.2f} +- {first_half:.2f}':>20}{f'{total:.2f} +- {total_half:.2f}':>20}")
        for drawn in plot_sweep(result.path, "sensitivity", metric):
            say(drawn, flush=True)


def tell_failures(result: "SweepResult") -> None:
    """Every run that failed, on stderr."""
    for failure in result.failures:
        say(f"failed: point {failure.point}, seed {failure.seed}: {failure.error}", file=sys.stderr)


def run_sweep(
    plan: "SweepPlan",
    out: Path,
    workers: int,
    scheduler: str | None,
    resume: bool,
    limit: int | None,
    quiet: bool,
    replace: bool,
) -> None:
    """Run what is missing, with a bar; exit 1 if anything failed."""
    from marginquake.sim.studies import sweep as sweeping

    with sweep_bar(plan.sweep.name, shown=not quiet) as progress:
        result = sweeping.run_sweep(plan, out, workers, scheduler, resume, limit, progress, replace)
    if not quiet:
        say(f"{result.made} runs made, {len(plan.runs) - result.made - result.left - len(result.failures)} were there")
        if result.left:
            say(f"{result.left} are left: --resume goes on")
    tell_failures(result)
    say(result.path, flush=True)
    if result.failures:
        raise typer.Exit(1)


def draw_sweep(path: Path, figure: str | None, metric: str | None) -> None:
    """Draw the figures of a sweep; prints their paths."""
    from marginquake.analysis.facts import MissingExtra
    from marginquake.analysis.studies.sweeps import plot_sweep

    try:
        for drawn in plot_sweep(path, figure, metric):
            say(drawn)
    except MissingExtra as error:
        raise UserError(str(error)) from None


def report_sweep(path: Path) -> Path:
    """Write the report of a sweep, or of a comparison."""
    from marginquake.sim.runs.sweep_plan import read_plan

    if read_plan(path).design == "compare":
        from marginquake.analysis.studies.comparison import write_comparison

        return write_comparison(path)
    from marginquake.analysis.studies.sweeps import write_sweep_report

    return write_sweep_report(path)


def print_plan(plan: "SweepPlan", out: Path) -> None:
    """What a sweep would do."""
    from rich.table import Table

    from marginquake.sim.runs.sweep_plan import value_text
    from marginquake.sim.studies.sweep import sweep_path
    from marginquake.sim.studies.sweep_directory import SweepDirectory

    path = sweep_path(out, plan.sweep.name)
    directory = SweepDirectory(path)
    table = Table(title=path.name, title_justify="left", box=None, pad_edge=False)
    for heading in ("point", *(str(axis["name"]) for axis in plan.sweep.axes), "finished"):
        table.add_column(heading, justify="right")
    for point in plan.sweep.points:
        done = sum(directory.holds(plan.runs[point.number, seed]) for seed in plan.sweep.seeds)
        table.add_row(str(point.number), *map(value_text, point.values.values()), f"{done}/{len(plan.sweep.seeds)}")
    open_console().print(table)
    missing = len(plan.missing(directory))
    say(f"{len(plan.runs)} runs, {missing} to be made; every point is valid")
