"""`marginquake facts`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from marginquake.sim.cli.common import (
    RUNS,
    RunsFolder,
    UserError,
    Verbose,
    by_market,
    check_output,
    one_message,
    open_console,
)

if TYPE_CHECKING:
    from marginquake.analysis.facts import FactRow
    from marginquake.analysis.frames.run_frames import RunFrames

app = typer.Typer()
VERDICT_STYLES = {"pass": "green", "fail": "red", "n.a.": "dim"}


@app.command()
def facts(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Runs of one scenario, a seed each.")],
    out: RunsFolder = RUNS,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the scoreboard as CSV.")] = None,
    figure: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw tails and memory of returns (Hill k-plot, ACF).")
    ] = None,
    metaorder_gap: Annotated[
        float, typer.Option(metavar="S", help="A pause of a whale that ends its metaorder, seconds.")
    ] = 30.0,
    market: Annotated[str | None, typer.Option(metavar="NAME", help="Only this market; default all.")] = None,
    verbose: Verbose = False,
) -> None:
    """Hold runs against stylised facts of real markets: estimate, interval over seeds, band, verdict."""
    with one_message(verbose):
        from marginquake.analysis.facts import MissingExtra, measure, need_extra, scoreboard, to_csv
        from marginquake.analysis.frames.run_frames import load_run
        from marginquake.sim.runs.directory import find_run

        try:
            need_extra()
        except MissingExtra as error:
            raise UserError(str(error)) from None
        check_output("--csv", csv, "")
        check_output("--figure", figure, ".png")
        if not metaorder_gap > 0:
            raise UserError(f"--metaorder-gap {metaorder_gap:g}: must be positive")
        paths = [find_run(run, out) for run in runs]
        _check_runs_differ(paths)
        loaded = [load_run(path) for path in paths]
        names = _markets(loaded, market)
        if figure is not None and len(names) > 1:
            raise UserError(f"--figure {figure}: the runs have {', '.join(names)}; say --market")
        written = {}
        for name in names:
            measurements = [measure(run, name, metaorder_gap) for run in loaded]
            rows = scoreboard(measurements)
            _print_facts(rows, paths, f"market {name}: " if len(loaded[0].markets) > 1 else "")
            written[name] = to_csv(rows, [path.name for path in paths])
        if csv is not None:
            csv.write_text(by_market(written), encoding="utf-8")
        if figure is not None:
            from marginquake.analysis.figures.draw import plot_facts

            plot_facts(measurements, figure, paths[0].name if len(paths) == 1 else f"{len(paths)} runs")


def _markets(loaded: "list[RunFrames]", market: str | None) -> list[str]:
    """The markets asked for, of which every run has all."""
    there = list(loaded[0].markets)
    if market is not None and market not in there:
        raise UserError(f"--market {market}: the runs have {', '.join(there)}")
    wanted = there if market is None else [market]
    for run in loaded:
        if lacking := [name for name in wanted if name not in run.markets]:
            raise UserError(f"{run.path}: has no market {lacking[0]}; it has {', '.join(run.markets)}: say --market")
    return wanted


def _check_runs_differ(paths: list[Path]) -> None:
    """Refuse the same events twice, which would narrow the interval; mention a mixture of scenarios."""
    from marginquake.sim.runs.directory import read_manifest

    manifests = [read_manifest(path) for path in paths]
    seen: dict[object, Path] = {}
    for path, manifest in zip(paths, manifests, strict=True):
        digest = manifest.get("event_digest", str(path))
        if digest in seen:
            raise UserError(f"{path} holds the same events as {seen[digest]}: each run counts once")
        seen[digest] = path
    if len({manifest.get("scenario_digest") for manifest in manifests}) > 1:
        print("the runs are of different scenarios: the intervals are not over seeds alone", file=sys.stderr)


def _print_facts(rows: "list[FactRow]", paths: list[Path], of: str) -> None:
    """The table.  `of`: whose it is, before its title."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from marginquake.analysis.facts import score_rows as board

    title = paths[0].name if len(paths) == 1 else f"{len(paths)} runs, {paths[0].name} to {paths[-1].name}"
    table = Table(title=f"{of}{title}", title_justify="left", box=None, pad_edge=False)
    for heading in board.HEADINGS:
        table.add_column(heading)
    for row in rows:
        table.add_row(*(escape(cell) for cell in board.cells_of(row)), style=VERDICT_STYLES[row.verdict])
    console = open_console(stderr=False)
    if not console.is_terminal:
        console = Console(width=200, highlight=False)
    console.print(table)
    print(board.in_band_line(rows))
