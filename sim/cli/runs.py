"""`marginquake list` and `clean`: which scenarios, runs and twins there are, and which are deleted."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from marginquake.sim.cli.common import RUNS, SCENARIOS, RunsFolder, UserError, Verbose, one_message

app = typer.Typer()


@app.command("list")
def list_command(
    what: Annotated[str, typer.Argument(metavar="[scenarios|runs]", help="What to list; default both.")] = "all",
    twins: Annotated[
        bool, typer.Option("--twins", help="Only what counterfactual made (runs/twins): whose twin, and what is off.")
    ] = False,
    out: RunsFolder = RUNS,
    verbose: Verbose = False,
) -> None:
    """List the scenarios at hand and the runs made, newest last."""
    with one_message(verbose):
        if what not in ("all", "scenarios", "runs"):
            raise UserError(f"list {what}: say 'scenarios' or 'runs'")
        if twins:
            if what == "scenarios":
                raise UserError("list scenarios --twins: twins are runs; leave out one of the two")
            _list_twins(out)
            return
        if what in ("all", "scenarios"):
            _list_scenarios()
        if what in ("all", "runs"):
            _list_runs(out)


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
            print(f"{word} {path}")
        if twins:
            if not dry_run:
                delete_twins(lonely)
            for twin in lonely:
                print(f"{word} {twin.path}")
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
        print(f"left {folder_of(out)}: {left} {_plural('twin', left)}{whose}", file=sys.stderr)
    sweeps = out / "sweeps"
    if sweeps.is_dir() and any(sweeps.iterdir()):
        print(f"left {sweeps}: clean deletes no sweep and no comparison", file=sys.stderr)


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def _list_scenarios() -> None:
    from marginquake.sim.core.problems import ScenarioError
    from marginquake.sim.studies import run as running

    files = sorted(SCENARIOS.glob("*.yaml")) if SCENARIOS.is_dir() else []
    if not files:
        print("no scenarios/*.yaml here", file=sys.stderr)
    for file in files:
        try:
            question = " ".join(running.load_scenario(file).question.split())
        except ScenarioError as error:
            question = f"(invalid: {str(error).splitlines()[0]})"
        print(f"{file}  {question}")


def _list_runs(out: Path) -> None:
    from marginquake.sim.runs.checkpoint import read_job
    from marginquake.sim.runs.directory import list_runs
    from marginquake.sim.runs.partial_runs import list_interrupted, position
    from marginquake.sim.studies.twin_runs import folder_of, list_twins

    runs, waiting, twins = list_runs(out), list_interrupted(out), list_twins(out)
    if not runs and not waiting:
        print(f"no runs under {out}", file=sys.stderr)
    for path in runs:
        print(f"{path}  {_facts(path)}")
    for path in waiting:
        print(f"{path}  {position(read_job(path))}; `marginquake run --resume {path}` goes on")
    if twins:
        print(
            f"and {len(twins)} {_plural('twin', len(twins))} in {folder_of(out)}: `marginquake list --twins`",
            file=sys.stderr,
        )


def _list_twins(out: Path) -> None:
    from marginquake.sim.studies.twin_runs import folder_of, list_twins, said_off

    twins = list_twins(out)
    if not twins:
        print(f"no twins under {folder_of(out)}; `marginquake counterfactual RUN` makes some", file=sys.stderr)
    for twin in twins:
        whose = f" (of {twin.run})" if twin.run else ""
        print(f"{twin.path}  {said_off(twin.without)}{whose}; {_facts(twin.path, from_start=True)}")


def _facts(path: Path, from_start: bool = False) -> str:
    """Headline numbers of a run.  `from_start`: falls and rises from the first price, as `counterfactual` compares."""
    from marginquake.analysis.measures.scorecard import one_line
    from marginquake.sim.runs.directory import read_summary

    return one_line(read_summary(path), from_start)
