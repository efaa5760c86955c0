"""`marginquake doctor`: what is installed, what is compiled and how fast this machine is."""

import sys
from typing import Annotated

import typer

from marginquake.sim.cli.common import RUNS, RunsFolder, Verbose, one_message
from marginquake.sim.core.outside.edges import say

app = typer.Typer()


@app.command()
def doctor(
    out: RunsFolder = RUNS,
    as_json: Annotated[bool, typer.Option("--json", help="Print facts for a program.")] = False,
    no_speed: Annotated[bool, typer.Option("--no-speed", help="Leave out the measurement.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Delete kernels compiled from other sources.")] = False,
    verbose: Verbose = False,
) -> None:
    """Say what is installed, what is compiled and how fast this machine is; exit 1 if something is wrong."""
    with one_message(verbose):
        from marginquake import agents
        from marginquake.sim import kernels
        from marginquake.sim.studies.diagnosis import delete_old_kernels, diagnose

        if prune:
            say(f"deleted {delete_old_kernels() / 1e6:.0f} MB of old kernels", file=sys.stderr)
        found = diagnose(out, (kernels, agents), speed=not no_speed)
        if as_json:
            import json

            say(json.dumps({"well": found.is_well, **found.facts}, indent=2))
        else:
            for check in found.checks:
                mark = "" if check.level == "ok" else f"{check.level}: "
                way_out = f"; {check.way_out}" if check.way_out else ""
                say(f"{check.name:12}{mark}{check.says}{way_out}")
        for check in found.checks:
            if check.level == "wrong":
                say(f"{check.name}: {check.says}; {check.way_out}", file=sys.stderr)
        if not found.is_well:
            raise typer.Exit(1)
