"""`marginquake clusters`."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from marginquake.sim.cli.common import (
    RUNS,
    RunArgument,
    RunsFolder,
    UserError,
    Verbose,
    by_market,
    check_output,
    clock,
    one_message,
    open_console,
    read_seconds,
)
from marginquake.sim.core.outside import disk
from marginquake.sim.core.outside.edges import say

if TYPE_CHECKING:
    from marginquake.analysis.frames.market import MarketFrames
    from marginquake.analysis.levels.tables import Table

app = typer.Typer()


class SideName(StrEnum):
    """Whose levels."""

    LONG = "long"
    SHORT = "short"


SIGNS = {None: 0, SideName.LONG: 1, SideName.SHORT: -1}


@app.command("clusters")
def clusters(
    run: RunArgument,
    out: RunsFolder = RUNS,
    at: Annotated[
        str, typer.Option(metavar="T", help="Time of the map, such as 5min or 5:00; 0s is the end of warm-up.")
    ] = "0s",
    side: Annotated[SideName | None, typer.Option(help="Only levels of longs, or of shorts; default both.")] = None,
    market: Annotated[str | None, typer.Option(metavar="NAME", help="Only this market; default all.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write truth and estimates by bin.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    verbose: Verbose = False,
) -> None:
    """Where forced sales wait: clusters, the ladder, open interest by entry, the outsider's map, what came true.

    Maps are those of the last snapshot of positions at or before --at (record.positions_every).  In JSON, null is no
    value and the word "Infinity" an infinite one (a PI where nothing rests).  Of several markets, JSON has them by name
    and CSV has a column `market`.
    """
    with one_message(verbose):
        check_output("--csv", csv, "")
        from marginquake.analysis.frames.run_frames import load_run
        from marginquake.analysis.levels.tables import as_plain, tables, to_csv
        from marginquake.sim.runs.directory import find_run

        frames = load_run(find_run(run, out))
        if market is not None and market not in frames.markets:
            raise UserError(f"--market {market}: the run has {', '.join(frames.markets)}")
        chosen = list(frames.markets.values()) if market is None else [frames.markets[market]]
        at_s, sign = _time(at, chosen[0]), SIGNS[side]
        for each in chosen:
            _check_recorded(each, at_s, run)
        if csv is not None:
            disk.write_whole(csv, by_market({each.name: to_csv(each, at_s, sign) for each in chosen}))
        if as_json:
            content = {each.name: as_plain(each, at_s, sign) for each in chosen}
            said = content if len(chosen) > 1 else content[chosen[0].name]
            say(json.dumps(said, indent=2, allow_nan=False))
            return
        for number, each in enumerate(chosen):
            if number:
                say()
            _print(each, at_s, tables(each, at_s, sign))


def _time(text: str, market: "MarketFrames") -> float:
    """Seconds from the end of the warm-up, within the run."""
    at_s = read_seconds("--at", text)
    end_s = float(market.series["time_s"][-1])
    if not 0 <= at_s <= end_s:
        raise UserError(f"--at {text}: the run goes from 0s to {end_s:g}s ({clock(end_s)})")
    return at_s


def _check_recorded(market: "MarketFrames", at_s: float, run: str) -> None:
    """Refuse a time of which nothing is known."""
    from marginquake.analysis.levels import positions_at, snapshot_times

    found = positions_at(market, at_s)
    if found.missing:
        raise UserError(f"{run}: {found.missing}")
    if not market.positions and at_s > 0:
        kept = f"record.events: {market.events_kept}"
        raise UserError(f"{run}: the run recorded no positions ({kept}): only the start is known, --at 0s")
    assert found.time_s in snapshot_times(market)


def _print(market: "MarketFrames", at_s: float, found: "tuple[Table, ...]") -> None:
    from rich.table import Table as RichTable

    from marginquake.analysis.levels import positions_at

    console = open_console(elsewhere=160)
    held = positions_at(market, at_s)
    last = "" if abs(held.time_s - at_s) < 1e-6 else f", the last snapshot before {clock(at_s)}"
    console.print(f"{market.name}: positions of {clock(held.time_s)}{last}, mark {held.mark:,.8g}")
    for each in found:
        table = RichTable(box=None, pad_edge=False)
        for place, heading in enumerate(each.headings):
            table.add_column(heading, justify="left" if place < each.left else "right")
        for row in each.rows:
            table.add_row(*row)
        console.print(f"\n{each.title}", style="bold", soft_wrap=True)
        console.print(table)
        if each.remark:
            console.print(each.remark, style="dim", soft_wrap=True)
