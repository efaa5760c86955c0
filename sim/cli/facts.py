"""`marginquake facts`."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

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
    read_seconds,
)
from marginquake.sim.core.outside import disk
from marginquake.sim.core.outside.edges import say

if TYPE_CHECKING:
    from marginquake.analysis.facts import FactRow, PriceSeries
    from marginquake.analysis.frames.run_frames import RunFrames

app = typer.Typer()


class PriceColumns(NamedTuple):
    """What the user says of a file of prices: its form, and names or numbers of columns."""

    form: str | None
    time: str | None
    price: str | None
    volume: str | None


METAORDER_GAP_S = 30.0
TABLE_WIDTH = 220
"""Of a table that goes to a file or a pipe."""
VERDICT_STYLES = {"pass": "green", "fail": "red", "n.a.": "dim"}


@app.command()
def facts(
    runs: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN...]", help="Runs of one scenario, a seed each.")
    ] = None,
    out: RunsFolder = RUNS,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the scoreboard as CSV.")] = None,
    figure: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw tails and memory of returns (Hill k-plot, ACF).")
    ] = None,
    metaorder_gap: Annotated[
        float, typer.Option(metavar="S", help="A pause of a whale that ends its metaorder, seconds.")
    ] = METAORDER_GAP_S,
    against: Annotated[
        Path | None,
        typer.Option(metavar="PRICES.csv", help="Lay the runs beside these real prices or candles; alone without RUN."),
    ] = None,
    bar: Annotated[
        str | None, typer.Option(metavar="TIME", help="With --against: sample both at bars this long, 15min.")
    ] = None,
    fill_gaps: Annotated[
        str | None, typer.Option(metavar="TIME", help="With --against: a gap up to this long is bars without trades.")
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", metavar="FORM", help="Of PRICES.csv: candles, points, binance, ..., ms.")
    ] = None,
    time_column: Annotated[str | None, typer.Option(metavar="NAME", help="Of PRICES.csv, or its number.")] = None,
    price_column: Annotated[str | None, typer.Option(metavar="NAME", help="The same for the price.")] = None,
    volume_column: Annotated[str | None, typer.Option(metavar="NAME", help="The same for the volume.")] = None,
    market: Annotated[str | None, typer.Option(metavar="NAME", help="Only this market; default all.")] = None,
    verbose: Verbose = False,
) -> None:
    """Hold runs against stylised facts of real markets: estimate, interval over seeds, band, verdict.

    With --against, beside a price series of your own: the same estimators at the same bars, and their difference.
    """
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
        if not runs and against is None:
            raise UserError("no run: name one or more, or a file of prices with --against FILE")
        columns = PriceColumns(form, time_column, price_column, volume_column)
        paths = [find_run(run, out) for run in runs or ()]
        _check_runs_differ(paths)
        if against is not None:
            if metaorder_gap != METAORDER_GAP_S:
                raise UserError("--metaorder-gap is about orders, of which --against compares none: leave it out")
            _beside(paths, against, columns, bar, fill_gaps, csv, figure, market)
            return
        if (bar, fill_gaps, *columns) != (None,) * 6:
            raise UserError("--bar, --fill-gaps, --format and columns are of a price file: name one by --against FILE")
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
            disk.write_whole(csv, by_market(written))
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


def _beside(
    paths: list[Path],
    file: Path,
    columns: PriceColumns,
    bar: str | None,
    fill_gaps: str | None,
    csv: Path | None,
    figure: Path | None,
    market: str | None,
) -> None:
    """Runs beside a file of prices: table, sentences, CSV and figure; of each market."""
    from marginquake.analysis.facts import NotBars, against, beside_tables
    from marginquake.analysis.frames.run_frames import load_run
    from marginquake.analysis.statistics.estimate import Unmeasurable

    bar_s = None if bar is None else read_seconds("--bar", bar)
    fill_s = 0.0 if fill_gaps is None else read_seconds("--fill-gaps", fill_gaps)
    if bar_s is not None and not bar_s > 0:
        raise UserError(f"--bar {bar}: must be positive")
    if fill_s < 0:
        raise UserError(f"--fill-gaps {fill_gaps}: must not be negative")
    series, what = _read_prices(file, columns)
    loaded = [load_run(path) for path in paths]
    if market is not None and not loaded:
        raise UserError(f"--market {market}: is about runs, and none is named")
    names = _markets(loaded, market) if loaded else [""]
    if figure is not None and len(names) > 1:
        raise UserError(f"--figure {figure}: the runs have {', '.join(names)}; say --market")
    written = {}
    for name in names:
        of = f"market {name}: " if loaded and len(loaded[0].markets) > 1 else ""
        try:
            beside = against(loaded, series, bar_s, fill_s, name or None)
        except NotBars as error:
            raise UserError(f"{file}: {error}") from None
        except Unmeasurable as error:
            raise UserError(f"{of}{_title(paths)}: {error}") from None
        title = f"{of}{_title(paths)} beside {file.name}" if paths else file.name
        styles = {"agree": "green", "differ": "red", "n.a.": "dim"}
        rows = [(beside_tables.cells_of(row), styles.get(row.verdict, "")) for row in beside.rows]
        _print_table(title, beside_tables.headings(beside.rows), rows)
        for line in (f"{file.name}: {what}", *beside.remarks, *beside.details):
            say(line)
        say(beside.summary)
        written[name] = beside_tables.to_csv(beside.rows)
    if csv is not None:
        disk.write_whole(csv, by_market(written))
    if figure is not None:
        from marginquake.analysis.figures.draw import plot_beside

        plot_beside(beside, figure, f"{len(paths)} runs beside {file.name}" if len(paths) > 1 else title)


def _read_prices(file: Path, columns: "PriceColumns") -> "tuple[PriceSeries, str]":
    """The file as arrays, and which columns were read."""
    import numpy as np

    from marginquake.analysis.facts import PriceSeries
    from marginquake.sim.assets.price_path import PricePathError
    from marginquake.sim.assets.price_series import read_price_series

    try:
        found = read_price_series(file, columns.form, columns.time, columns.price, columns.volume)
    except PricePathError as error:
        way_out = f"; did you mean {error.suggestion!r}?" if error.suggestion else ""
        if error.field != "file":
            way_out += f"  (--{error.field.replace('_', '-')} says which)"
        raise UserError(f"{error}{way_out}") from None
    volumes = None if found.volumes is None else np.array(found.volumes)
    what = f"price: {found.price_name}; volume: {found.volume_name or 'none'}"
    return PriceSeries(np.array(found.times_ns, np.int64), np.array(found.prices), volumes), what


def _title(paths: list[Path]) -> str:
    return paths[0].name if len(paths) == 1 else f"{len(paths)} runs, {paths[0].name} to {paths[-1].name}"


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
        say("the runs are of different scenarios: the intervals are not over seeds alone", file=sys.stderr)


def _print_facts(rows: "list[FactRow]", paths: list[Path], of: str) -> None:
    """The table.  `of`: whose it is, before its title."""
    from marginquake.analysis.facts import score_rows as board

    cells = [(board.cells_of(row), VERDICT_STYLES[row.verdict]) for row in rows]
    _print_table(f"{of}{_title(paths)}", board.HEADINGS, cells)
    say(board.in_band_line(rows))


def _print_table(title: str, headings: Iterable[str], rows: Iterable[tuple[tuple[str, ...], str]]) -> None:
    """A table without lines; each row with its style."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading)
    for cells, style in rows:
        table.add_row(*cells, style=style)
    open_console(elsewhere=TABLE_WIDTH).print(table)
