"""`marginquake new`."""

from typing import Annotated

import typer

from marginquake.sim.cli.common import Verbose, one_message
from marginquake.sim.core.outside.edges import say

app = typer.Typer()


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the scenario; its file is NAME.yaml, here.")],
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="SCENARIO", help="Change this one (a file or an installed name) instead."),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Write a commented scenario to begin with, or (--from) one that changes another; prints its path last."""
    with one_message(verbose):
        from marginquake.sim.studies.starter import new_scenario

        path = new_scenario(name, source)
        say(f"run it: marginquake run {path}")
        say(path)
