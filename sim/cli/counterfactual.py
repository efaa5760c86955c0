"""`marginquake counterfactual`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from marginquake.sim.cli.common import (
    CORES,
    RUNS,
    AllowCode,
    RunsFolder,
    Verbose,
    Workers,
    logging_to,
    one_message,
    open_console,
    print_warnings,
    sweep_bar,
)
from marginquake.sim.core.outside.edges import say
from marginquake.sim.scenario.installed import SUFFIXES, find, scenario_file

if TYPE_CHECKING:
    from marginquake.analysis.studies.twins import TwinResult

app = typer.Typer()


@app.command("counterfactual")
def counterfactual(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run's path or name under runs/; or a scenario, run first.")
    ],
    without: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT",
            help="liquidation, stops, withdrawal, contrarians or the name of a population; repeated: all off at once. "
            "nothing: check that the same events come again.",
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=1, max=100_000, metavar="N", help="The run's seed and the N - 1 after it.")
    ] = 1,
    pair_only: Annotated[
        bool, typer.Option("--pair-only", help="Of liquidation: leave out the twins without stops.")
    ] = False,
    workers: Workers = CORES,
    out: RunsFolder = RUNS,
    no_figures: Annotated[bool, typer.Option("--no-figures", help="Leave out pictures.")] = False,
    allow_code: AllowCode = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only the result's path.")] = False,
    verbose: Verbose = False,
) -> None:
    """Run the twins of a run with one mechanism off: what it did to the fall, paired by seed.

    Same seed, same random streams, one mechanism off; every market is measured. Runs that are there are not made
    again. The result is kept in RUN/counterfactuals, unless a fuller one (more seeds, twins without stops) is there;
    the last line of stdout is its file. Without --without: what this run could do without.
    """
    with one_message(verbose), logging_to(verbose, None):
        from marginquake.analysis.studies.twins import sentences
        from marginquake.sim.studies import counterfactual as twins

        found_run = _run_of(run, without or (), out, quiet, allow_code)
        study = twins.Study(found_run, without or (), seeds, pair_only, allow_code)
        with sweep_bar(f"without {', '.join(study.without)}", shown=not quiet) as progress:
            found = study.carry_out(workers, progress)
        if not quiet:
            for result in found.results:
                last = found.base.markets[result.market].run["last"]
                _print(result, sentences.two_sizes(result.direction, last), several=len(found.results) > 1)
        if found.fuller:
            say(
                f"{found.path} holds more ({found.fuller}): it is left as it is, and its pictures too; ask for as much "
                "to replace it, or delete it",
                file=sys.stderr,
            )
        elif not no_figures and found.result.without != twins.NOTHING:
            from marginquake.analysis.presentation.left_out import LeftOut
            from marginquake.analysis.studies.twins.figure import plot_counterfactual
            from marginquake.sim.studies.mechanisms import described

            left_out = LeftOut()
            for result in found.results:
                with left_out.unless_it_fails(f"figures of {result.market}"):
                    for drawn in plot_counterfactual(result, found.base, found.twin, described):
                        if not quiet:
                            say(drawn)
            left_out.tell()
        say(found.path, flush=True)


def _run_of(run: str, without: Sequence[str], out: Path, quiet: bool, allow_code: bool) -> Path:
    """The run of that name; a scenario is run first, unless that has been done."""
    from marginquake.sim.runs.directory import find_run

    if not _is_scenario(run, out):
        return find_run(run, out)
    scenario_file(run)
    from marginquake.sim.studies import counterfactual
    from marginquake.sim.studies import run as running

    counterfactual.check_without(Path(run), without, allow_code or None)
    loaded = running.load_scenario(run, (), allow_code or None)
    if not quiet:
        print_warnings(loaded)
    return running.run(loaded, out=out, reuse=True, figures=False).path


def _is_scenario(run: str, out: Path) -> bool:
    """A YAML file, or a scenario's name that is no run's, nor the beginning of one."""
    from marginquake.sim.runs.directory import is_complete, list_runs

    if Path(run).suffix in SUFFIXES:
        return True
    if is_complete(Path(run)) or any(path.name.startswith(run) for path in list_runs(out)):
        return False
    return find(run) is not None


def _print(result: "TwinResult", sizes: str, several: bool) -> None:
    from rich.table import Table

    from marginquake.analysis.studies.twins import sentences
    from marginquake.sim.studies.mechanisms import described

    console = open_console(elsewhere=160)
    if several:
        say(f"market {result.market}")
    for headings, rows in (
        (sentences.cell_headings(result), sentences.cell_rows(result, described)),
        (sentences.headings(result, sentences.EFFECT_HEADINGS), sentences.effect_rows(result, described)),
    ):
        table = Table(box=None, pad_edge=False)
        for place, heading in enumerate(headings):
            table.add_column(heading, justify="left" if place == 0 else "right")
        for row in rows:
            table.add_row(*row)
        console.print(table)
        console.print()
    for sentence in sentences.sentences(result, described):
        say(sentence)
    if sizes:
        say(sizes if len(result.seeds) == 1 else f"Seed {result.seeds[0]}: {sizes[0].lower()}{sizes[1:]}")
    if several:
        say()
