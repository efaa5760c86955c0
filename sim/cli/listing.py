"""`marginquake list`: the scenarios, venues, traders and rules there are, and the runs made."""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from marginquake.sim.cli.common import RUNS, RunsFolder, UserError, Verbose, one_message, plural
from marginquake.sim.core.outside.edges import say

app = typer.Typer()


KINDS = "scenarios|venues|populations|policies|sweeps|agents|rules|runs"


@app.command("list")
def list_command(
    what: Annotated[str, typer.Argument(metavar=f"[{KINDS}]", help="What to list; default scenarios and runs.")] = "",
    twins: Annotated[
        bool, typer.Option("--twins", help="Only what counterfactual made (runs/twins): whose twin, and what is off.")
    ] = False,
    out: RunsFolder = RUNS,
    verbose: Verbose = False,
) -> None:
    """List what can be chosen by name, each with one line, or the runs made, newest last."""
    with one_message(verbose):
        kinds = KINDS.split("|")
        if what and what not in kinds:
            raise UserError(f"list {what}: say {', '.join(kinds[:-1])} or {kinds[-1]}")
        if twins:
            if what not in ("", "runs"):
                raise UserError(f"list {what} --twins: twins are runs; leave out one of the two")
            _list_twins(out)
            return
        if what != "runs":
            _list_names(what or "scenarios")
        if what in ("", "runs"):
            _list_runs(out)


def _list_names(what: str) -> None:
    from marginquake.sim.studies.catalogue import CATALOGUES

    rows = CATALOGUES[what]()
    width = max(len(name) for name, _ in rows)
    for name, line in rows:
        say(f"{name:{width}}  {line}".rstrip())


def _list_runs(out: Path) -> None:
    from marginquake.sim.runs.directory import list_damaged, list_runs
    from marginquake.sim.runs.partial_runs import list_interrupted
    from marginquake.sim.studies.twin_runs import folder_of, list_twins

    runs, waiting, damaged, twins = list_runs(out), list_interrupted(out), list_damaged(out), list_twins(out)
    if not (runs or waiting or damaged):
        say(f"no runs under {out}", file=sys.stderr)
    for path in runs:
        _print_line(path, _facts)
    for path in waiting:
        _print_line(path, _how_to_go_on)
    for path in damaged:
        _print_line(path, _why_damaged)
    if twins:
        say(
            f"and {len(twins)} {plural('twin', len(twins))} in {folder_of(out)}: `marginquake list --twins`",
            file=sys.stderr,
        )


def _list_twins(out: Path) -> None:
    from marginquake.sim.studies.twin_runs import folder_of, list_twins, said_off

    twins = list_twins(out)
    if not twins:
        say(f"no twins under {folder_of(out)}; `marginquake counterfactual RUN` makes some", file=sys.stderr)
    for twin in twins:
        whose = f" (of {twin.run})" if twin.run else ""
        _print_line(twin.path, partial(_twin_line, f"{said_off(twin.without)}{whose}"))


def _twin_line(said: str, path: Path) -> str:
    return f"{said}; {_facts(path, from_start=True)}"


def _print_line(path: Path, tell: Callable[[Path], str]) -> None:
    """One entry; of what cannot be read, why, and nothing of what somebody has deleted meanwhile."""
    try:
        line = tell(path)
    except Exception as error:  # files may hold anything, and the others are to be shown
        if not os.path.lexists(path):
            return
        line = f"unreadable: {str(error).removeprefix(f'{path}: ') or type(error).__name__}"
    say(f"{path}  {' '.join(line.split())}")


def _how_to_go_on(path: Path) -> str:
    from marginquake.sim.runs.checkpoint import read_job
    from marginquake.sim.runs.partial_runs import position

    job = read_job(path)
    leave = " --allow-code" if job.python_path else ""
    return f"{position(job)}; `marginquake run --resume {quote(str(path))}{leave}` goes on"


def _why_damaged(path: Path) -> str:
    from marginquake.sim.runs.directory import read_manifest

    read_manifest(path)
    return "unreadable: its manifest.json does not say that it is complete"


def _facts(path: Path, from_start: bool = False) -> str:
    """Headline numbers of a run.  `from_start`: falls and rises from the first price, as `counterfactual` compares."""
    from marginquake.analysis.measures.scorecard import one_line
    from marginquake.sim.runs.directory import RunDirectoryError, read_summary

    line = one_line(read_summary(path), from_start)
    if not line:
        raise RunDirectoryError(f"{path}: its summary.json has no number of a run")
    return line
