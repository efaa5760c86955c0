"""`marginquake run`, `validate`, `schema` and `replay`: scenario files and the runs made of them."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from marginquake.sim.cli.common import (
    RUNS,
    AllowCode,
    RunArgument,
    RunsFolder,
    Strict,
    UserError,
    Verbose,
    clock,
    logging_to,
    one_message,
    open_console,
    print_run,
    print_warnings,
    refuse_warnings,
)
from marginquake.sim.core.numbers import short_number
from marginquake.sim.core.outside import disk
from marginquake.sim.core.outside.edges import say
from marginquake.sim.scenario.installed import scenario_file

if TYPE_CHECKING:
    from marginquake.sim.scenario.scenario import Scenario
    from marginquake.sim.studies.run import RunProgress

app = typer.Typer()


@app.command()
def run(
    scenario: Annotated[
        Path | None, typer.Argument(metavar="SCENARIO", help="A YAML file, or an installed scenario: long_squeeze")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, metavar="N", help="Instead of the scenario's seed.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="K=V", help="Override a field; may be repeated.")
    ] = None,
    out: RunsFolder = RUNS,
    name: Annotated[str | None, typer.Option(metavar="S", help="Name of the run directory.")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Write over another run of the same name, which is refused otherwise.")
    ] = False,
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
    strict: Strict = False,
    allow_code: AllowCode = False,
    verbose: Verbose = False,
    log_file: Annotated[Path | None, typer.Option(metavar="F", help="Write the log to a file as well.")] = None,
) -> None:
    """Run one scenario; the last line of stdout is the run directory.

    What is valid but hardly meant is said on stderr, and kept with the run. With --strict nothing is simulated then;
    what only the run can tell ends it with exit 2, though it is complete.
    """
    with one_message(verbose), logging_to(verbose, log_file):
        options = seed, overrides or None, name, checkpoint_every, reuse or None, check_invariants or None
        is_described = no_figures or any(value is not None for value in (scenario, *options))
        _check_what_to_run(scenario, resume, is_described)
        from marginquake.sim.studies import run as running

        said: tuple[str, ...] = ()
        if scenario is None:
            with _progress_bar(str(resume), shown=not quiet) as progress:
                result = running.resume(str(resume), out, progress, replace, allow_code)
        else:
            loaded = running.load_scenario(scenario, overrides or (), allow_code or None)
            if strict or not quiet:
                print_warnings(loaded)
            if strict:
                refuse_warnings(len(loaded.warnings), "nothing was simulated")
            said = tuple(map(str, loaded.warnings))
            with _progress_bar(loaded.name, shown=not quiet) as progress:
                result = running.run(
                    loaded,
                    seed,
                    out,
                    name,
                    reuse,
                    check_invariants,
                    progress,
                    not no_figures,
                    checkpoint_every,
                    replace=replace,
                )
        if not quiet:
            if result.reused:
                say("this run was there already; nothing was simulated", file=sys.stderr)
            print_run(result.path)
        measured = [warning for warning in result.warnings if warning not in said]
        if strict or not quiet:
            for warning in measured:
                say(warning, file=sys.stderr)
        say(result.path, flush=True)
        if strict:
            refuse_warnings(len(measured), "the run is complete")


@app.command()
def validate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Scenarios: files, or installed names.")],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="K=V", help="Override a field; may be repeated.")
    ] = None,
    strict: Strict = False,
    no_rehearsal: Annotated[
        bool, typer.Option("--no-rehearsal", help="Do not simulate the first 15 min to see what only a run can tell.")
    ] = False,
    allow_code: Annotated[
        bool,
        typer.Option("--allow-code", help="Import the classes that a file names (module:Class), to check them too."),
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Check scenario files; every problem of every file is shown, and what is valid but hardly meant as a warning.

    If nothing is wrong, small scenarios are rehearsed for their first 15 simulated minutes, which takes some seconds.
    Classes of your own are code: without --allow-code they are not imported, and what only they read is not checked.
    """
    with one_message(verbose):
        from marginquake.sim.core.problems import ScenarioError
        from marginquake.sim.studies import run as running

        problems = warnings = 0
        right: list[tuple[Path, Scenario]] = []
        for file in files:
            try:
                scenario_file(file)
                loaded = (
                    running.load_scenario(file, overrides or (), allow_code=True)
                    if allow_code
                    else running.look_at_scenario(file, overrides or ())
                )
            except (ScenarioError, UserError) as error:
                problems += 1
                say(error, file=sys.stderr)
            else:
                say(f"{file}: ok", flush=True)
                print_warnings(loaded)
                warnings += len(loaded.warnings)
                right.append((file, loaded))
        if problems:
            raise typer.Exit(2)
        if not no_rehearsal:
            warnings += sum(_rehearse(file, loaded) for file, loaded in right if loaded.is_whole)
        if strict:
            refuse_warnings(warnings, "without --strict they stop nothing")


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
            say(text, end="")
        else:
            try:
                disk.write_whole(output, text)
            except OSError as error:
                raise UserError(f"--output {output}: {error.strerror}") from error
            say(output)


@app.command()
def replay(
    run: RunArgument,
    out: RunsFolder = RUNS,
    allow_code: AllowCode = False,
    quiet: bool = False,
    verbose: Verbose = False,
) -> None:
    """Run a run again and compare the event digests; exit 1 if they differ."""
    with one_message(verbose):
        from marginquake.sim.runs.directory import find_run
        from marginquake.sim.studies import run as running

        path = find_run(run, out)
        with _progress_bar(path.name, shown=not quiet) as progress:
            recorded, again = running.replay(path, progress, allow_code)
        say(f"recorded  {recorded}")
        say(f"replayed  {again}")
        if recorded != again:
            say(f"{path}: the replay gave other events", file=sys.stderr)
            raise typer.Exit(1)
        say("same events")


def _rehearse(file: Path, loaded: "Scenario") -> int:
    """Say what the first minutes show; how many warnings that were."""
    from marginquake.sim.studies.rehearsal import rehearse
    from marginquake.sim.studies.workers import kernels_are_cold

    if kernels_are_cold():
        say("compiling for the rehearsal; that takes about a minute, once", file=sys.stderr)
    rehearsal = rehearse(loaded)
    for warning in rehearsal.warnings:
        say(warning, file=sys.stderr)
    if rehearsal.not_done is not None:
        say(f"note: {file}: {rehearsal.not_done}", file=sys.stderr)
    return len(rehearsal.warnings)


def _check_what_to_run(scenario: Path | None, resume: str | None, is_described: bool) -> None:
    """A scenario, or a run to go on with: one of them."""
    if resume is not None and is_described:
        raise UserError(f"--resume {resume}: goes on with what was asked for then; leave out the scenario and options")
    if resume is None:
        if scenario is None:
            raise UserError("run: name a scenario file, or --resume a checkpointed run")
        scenario_file(scenario)


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
