"""`marginquake liquidations`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from marginquake.sim.cli.common import (
    RUNS,
    RunArgument,
    RunsFolder,
    UserError,
    Verbose,
    check_output,
    one_message,
    open_console,
)
from marginquake.sim.core.outside import disk
from marginquake.sim.core.outside.edges import say

if TYPE_CHECKING:
    from marginquake.analysis.frames.market import MarketFrames
    from marginquake.analysis.measures.quality import Result
    from marginquake.analysis.measures.stages import Transition

app = typer.Typer()


@app.command("liquidations")
def liquidations(
    run: RunArgument,
    out: RunsFolder = RUNS,
    market: Annotated[str | None, typer.Option(metavar="NAME", help="Only this market; default all.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the measures as CSV.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: measures, reasons, transitions.")] = False,
    accounts: Annotated[
        bool, typer.Option("--accounts", help="List every account called, sold or closed by ADL, with your ids.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """How well margin calls and liquidations worked: accuracy, waits, costs, who paid, stages."""
    with one_message(verbose):
        check_output("--csv", csv, "")
        from marginquake.analysis.frames.run_frames import load_run
        from marginquake.analysis.measures.quality import as_plain, measure, to_csv, transition_matrix
        from marginquake.sim.runs.directory import find_run

        frames = load_run(find_run(run, out)).markets
        if market is not None and market not in frames:
            raise UserError(f"--market {market}: the run has {', '.join(frames)}")
        chosen = {name: each for name, each in frames.items() if market in (None, name)}
        if csv is not None:
            disk.write_whole(csv, to_csv({name: measure(each) for name, each in chosen.items()}))
        if as_json:
            plain = {name: as_plain(each) | (_accounts(each) if accounts else {}) for name, each in chosen.items()}
            say(json.dumps(plain, indent=2, allow_nan=False))
            return
        for name, each in chosen.items():
            _print(name if len(frames) > 1 else "", measure(each), transition_matrix(each))
            if accounts:
                _print_accounts(each)


def _accounts(market: "MarketFrames") -> dict[str, Any]:
    """The accounts that something was done to, as JSON can say them."""
    from marginquake.analysis.measures.account_outcomes import outcomes, were_touched
    from marginquake.sim.runs.directory import plain

    return {"accounts": [plain(each) for each in outcomes(market, were_touched(market))]}


def _print_accounts(market: "MarketFrames") -> None:
    from rich.table import Table

    from marginquake.analysis.measures.account_outcomes import HEADINGS, NO_IDS, cells, outcomes, were_touched

    with_id = bool(market.account_ids)
    found = outcomes(market, were_touched(market))
    console = open_console(elsewhere=160)
    console.print()
    if not found:
        console.print("No account was called, sold by force or closed by ADL.")
        return
    table = Table(box=None, pad_edge=False)
    words = ("id", "population", "side")
    for heading in HEADINGS if with_id else NO_IDS:
        table.add_column(heading, justify="left" if heading in words else "right", overflow="fold")
    for each in found:
        table.add_row(*cells(each, with_id))
    console.print(table)


def _print(title: str, results: "list[Result]", transitions: "list[Transition]") -> None:
    from rich.table import Table

    from marginquake.analysis.measures.quality import HEADINGS, TRANSITION_HEADINGS, cells_of

    console = open_console(elsewhere=160)
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for heading in HEADINGS:
        table.add_column(heading, justify="right" if heading == "value" else "left")
    for row in results:
        table.add_row(row.label, row.shown, row.reason, style="dim" if row.reason else None)
    console.print(table)
    if not transitions:
        return
    stages = Table(box=None, pad_edge=False)
    for heading in TRANSITION_HEADINGS:
        stages.add_column(heading, justify="left" if heading in ("from", "to") else "right")
    for each in transitions:
        stages.add_row(*cells_of(each))
    console.print()
    console.print(stages)
