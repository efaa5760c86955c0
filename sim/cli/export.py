"""`marginquake export`: a run in the forms of other programs."""

from datetime import date as Date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from marginquake.sim.cli.common import RUNS, RunArgument, RunsFolder, UserError, Verbose, check_output, one_message
from marginquake.sim.core.outside import disk
from marginquake.sim.core.outside.edges import say

if TYPE_CHECKING:
    import numpy as np

    from marginquake.analysis.frames.run_frames import RunFrames

app = typer.Typer()
SUFFIXES = (".parquet", ".csv")


@app.command("export")
def export(
    run: RunArgument,
    lobster: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write LOBSTER message and order-book files, a pair a market.")
    ] = None,
    levels: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="Of --lobster: levels of the book.")] = 10,
    date: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="Of --lobster: the date in file names; default 1970-01-01.")
    ] = None,
    events: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write all events with words for codes: .parquet or .csv.")
    ] = None,
    audit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The same of the audit log: every account's stages.")
    ] = None,
    orders: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The same of stops and take-profits, as they were sent.")
    ] = None,
    market: Annotated[str | None, typer.Option(metavar="NAME", help="Only this market; default all.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Write over LOBSTER files that are there.")] = False,
    out: RunsFolder = RUNS,
    verbose: Verbose = False,
) -> None:
    """Write a run for other programs: LOBSTER files of its book, tables of events with words for codes.

    LOBSTER files need a run with record.events=all. What maps to what: docs/events.md. Prints the files.
    """
    with one_message(verbose):
        tables = {"--events": events, "--audit": audit, "--orders": orders}
        if lobster is None and not any(tables.values()):
            raise UserError("export: say what to write: --lobster DIR, --events FILE, --audit FILE or --orders FILE")
        if lobster is None and date is not None:
            raise UserError(f"--date {date}: belongs to --lobster")
        _check_date(date)
        for option, path in tables.items():
            check_output(option, path, "")
            if path is not None and path.suffix.lower() not in SUFFIXES:
                raise UserError(f"{option} {path}: the name must end in {' or '.join(SUFFIXES)}")
        from marginquake.analysis.frames.run_frames import load_run
        from marginquake.sim.core.records import AUDIT, COMMAND, EVENT
        from marginquake.sim.runs.directory import find_run

        frames = load_run(find_run(run, out))
        if market is not None and market not in frames.markets:
            raise UserError(f"--market {market}: the run has {', '.join(frames.markets)}")
        markets = [market] if market else list(frames.markets)
        for path, records in zip(tables.values(), (EVENT, AUDIT, COMMAND), strict=True):
            if path is not None:
                _write_table(frames, markets, path, records)
        if lobster is not None:
            _write_lobster(frames, markets, lobster, levels, date, replace)


def _check_date(date: str | None) -> None:
    if date is None:
        return
    try:
        Date.fromisoformat(date)
    except ValueError:
        raise UserError(f"--date {date}: write it as 2024-08-05") from None


def _write_table(frames: "RunFrames", markets: list[str], path: Path, records: "np.dtype[np.void]") -> None:
    from marginquake.analysis.exports.labelled_tables import write_labelled

    rows = write_labelled(frames, markets, path, records)
    say(f"{rows:,} rows")
    say(path)


def _write_lobster(
    frames: "RunFrames", markets: list[str], folder: Path, levels: int, date: str | None, replace: bool
) -> None:
    from marginquake.analysis.exports.lobster import DATE, check_recorded, lobster_paths, units, write_lobster

    if folder.exists() and not folder.is_dir():
        raise UserError(f"--lobster {folder}: is no folder")
    if not folder.parent.is_dir():
        raise UserError(f"--lobster {folder}: no folder {folder.parent}")
    chosen = [frames.markets[name] for name in markets]
    for each in chosen:
        check_recorded(frames, each)
        there = [path for path in lobster_paths(frames, each, folder, levels, date or DATE) if path.exists()]
        if there and not replace:
            raise UserError(f"{there[0]} is there already; choose another folder or --date, or --replace it")
    disk.make_folders(folder)
    for each in chosen:
        files = write_lobster(frames, each, folder, levels, date or DATE)
        say(f"{files.rows:,} messages of {units(frames, each, files.scale)}")
        say(files.messages)
        say(files.orderbook)
