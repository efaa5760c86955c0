"""`marginquake explain`."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from marginquake.sim.cli.common import RUNS, RunArgument, RunsFolder, UserError, Verbose, one_message, open_console
from marginquake.sim.core.outside.edges import say

if TYPE_CHECKING:
    from marginquake.analysis.explanation import Explanation

app = typer.Typer()


@app.command("explain")
def explain_command(
    run: RunArgument,
    cascade: Annotated[
        int, typer.Option(min=1, metavar="K", help="Which cascade: 1 is the one in which most was closed by force.")
    ] = 1,
    market: Annotated[str | None, typer.Option(metavar="NAME", help="Only of this market; default all.")] = None,
    out: RunsFolder = RUNS,
    verbose: Verbose = False,
) -> None:
    """Why a cascade happened, until its low: what set it off, clusters, who sold and bought, stops and ADL, depth, its
    end, who paid, twins."""
    with one_message(verbose):
        from marginquake.analysis.explanation import NoSuchCascade, explain
        from marginquake.analysis.frames.run_frames import load_run
        from marginquake.sim.runs.directory import find_run

        frames = load_run(find_run(run, out))
        if market is not None and market not in frames.markets:
            raise UserError(f"--market {market}: the run has {', '.join(frames.markets)}")
        chosen = [market] if market else list(frames.markets)
        missing = []
        for name in chosen:
            title = f"Market {name}" if len(frames.markets) > 1 else ""
            try:
                told = explain(frames, frames.markets[name], cascade)
            except NoSuchCascade as error:
                missing.append(f"--cascade {cascade}: {f'{title}: ' if title else ''}{error}")
                continue
            _print(told, title)
        if len(missing) == len(chosen):
            raise UserError("\n".join(missing))
        for line in missing:
            say(line, file=sys.stderr)


def _print(told: "Explanation", title: str) -> None:
    from rich.padding import Padding
    from rich.table import Table

    console = open_console(elsewhere=120)
    if title:
        console.print(title, style="bold")
    console.print(told.headline, style="bold")
    for section in told.sections:
        console.print(f"\n{section.title}", style="bold")
        for sentence in section.sentences:
            console.print(Padding(sentence, (0, 0, 0, 2)))
        if section.rows:
            table = Table(box=None, pad_edge=False)
            for number, heading in enumerate(section.headings):
                table.add_column(heading, justify="right" if number else "left", header_style="dim")
            for row in section.rows:
                table.add_row(*row)
            console.print(Padding(table, (1, 0, 0, 2)))
    if title:
        console.print()
