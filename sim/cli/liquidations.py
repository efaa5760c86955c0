"""`marginquake liquidations`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
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
            csv.write_text(to_csv({name: measure(each) for name, each in chosen.items()}), encoding="utf-8")
        if as_json:
            print(json.dumps({name: as_plain(each) for name, each in chosen.items()}, indent=2, allow_nan=False))
            return
        for name, each in chosen.items():
            _print(name if len(frames) > 1 else "", measure(each), transition_matrix(each))


def _print(title: str, results: "list[Result]", transitions: "list[Transition]") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from marginquake.analysis.measures.quality import HEADINGS, TRANSITION_HEADINGS, cells_of

    console = open_console(stderr=False)
    if not console.is_terminal:
        console = Console(width=160, highlight=False)
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for heading in HEADINGS:
        table.add_column(heading, justify="right" if heading == "value" else "left")
    for row in results:
        table.add_row(escape(row.label), row.shown, escape(row.reason), style="dim" if row.reason else None)
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
