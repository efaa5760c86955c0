"""`marginquake risk` and `marginquake early-warning`."""

from collections.abc import Iterable
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
    clock,
    one_message,
    open_console,
    read_seconds,
)
from marginquake.sim.core.outside import disk
from marginquake.sim.core.outside.edges import say

if TYPE_CHECKING:
    from marginquake.analysis.early_warning import Trial
    from marginquake.analysis.frames.run_frames import RunFrames
    from marginquake.analysis.risk import Assessment, ForecastPlan

MOST_VOLATILITY = 20.0
"""A year; whoever says more has forgotten the percent sign."""

app = typer.Typer()
SeveralRuns = Annotated[
    list[str], typer.Argument(metavar="RUN...", help="Runs of one scenario, a seed each, with their twins or without.")
]
MarketName = Annotated[str | None, typer.Option(metavar="NAME", help="Only this market; default all.")]
SHARES_OF_RUN = (12, 3, 1)
"""Horizons that are asked for if nobody says: parts of the run after the moment of the forecast, about."""
ROUND = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 45, 50)
ROUND_S = (*ROUND, *(60 * n for n in ROUND), *(3600 * n for n in (1, 1.5, 2, 3, 4, 6, 8, 12, 18, 24, 36)))
"""Lengths of time that people use, seconds."""


@app.command("risk")
def risk(
    runs: SeveralRuns,
    out: RunsFolder = RUNS,
    horizon: Annotated[
        str | None, typer.Option(metavar="T,T", help="Within which accounts may be called; default parts of the run.")
    ] = None,
    at: Annotated[str, typer.Option(metavar="T,T", help="When the forecast is made; 0s is the end of warm-up.")] = "0s",
    volatility: Annotated[
        str, typer.Option(metavar="V,V", help="trailing, fundamental, realised, or a number a year such as 60%.")
    ] = "trailing,fundamental",
    window: Annotated[
        str | None, typer.Option(metavar="T", help="How far back volatility looks; default all there is.")
    ] = None,
    population: Annotated[str | None, typer.Option(metavar="NAME", help="Only its accounts.")] = None,
    market: MarketName = None,
    bins: Annotated[bool, typer.Option("--bins", help="Print the reliability diagram as a table.")] = False,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the measures as CSV.")] = None,
    accounts: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write every account's probability and outcome as CSV.")
    ] = None,
    pressure: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write margin-call pressure over time of the first run as CSV.")
    ] = None,
    figure: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw reliability and excess.")] = None,
    verbose: Verbose = False,
) -> None:
    """Margin-call probabilities against what came: reliability, Brier score, excess; pressure, volatility clusters.

    Every account's chance of a call by the closed form of first passage, from its state at --at, over runs of one
    scenario. Runs with liquidation.enabled=false are taken for the twins of those with the same seed: they tell what
    the outside price did from what forced sales added. Where none is given, those that `counterfactual RUN --without
    liquidation` made (runs/twins) are found.
    """
    with one_message(verbose):
        for option, path in (("--csv", csv), ("--accounts", accounts), ("--pressure", pressure)):
            check_output(option, path, "")
        check_output("--figure", figure, ".png")
        from marginquake.analysis.risk import accounts_csv, assess, columns, table_csv, to_csv
        from marginquake.analysis.statistics.estimate import Unmeasurable

        given = _load(runs, out)
        beside = _twins_beside(given)
        loaded = given + beside
        assessed, pressures = {}, {}
        for name in _markets(loaded, market, population):
            try:
                assessed[name] = assess(
                    loaded, _asked(loaded[0], name, horizon, at, volatility, window, population), name
                )
                pressures[name] = table_csv(columns(loaded[0].markets[name])) if pressure else ""
            except Unmeasurable as why:
                raise UserError(f"{_of(loaded, name)}{why}") from None
            _print_risk(assessed[name], loaded, bins)
        if beside:
            say(f"Twins without forced orders, found in {beside[0].path.parent}: {len(beside)} of {len(given)}.")
        written = {csv: to_csv, accounts: accounts_csv}
        for path, text in written.items():
            if path is not None:
                disk.write_whole(path, by_market({name: text(each) for name, each in assessed.items()}))
        if pressure is not None:
            disk.write_whole(pressure, by_market(pressures))
        if figure is not None:
            from marginquake.analysis.figures.draw import plot_reliability

            cases = [(f"{_of(loaded, name)}{loaded[0].name}", each) for name, each in assessed.items()]
            plot_reliability(cases, figure, f"{len(loaded)} runs")


@app.command("early-warning")
def early_warning(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Runs of one scenario, a seed each; many.")],
    out: RunsFolder = RUNS,
    horizon: Annotated[
        str | None, typer.Option(metavar="T", help="Within which forced sales are to come; default a 48th of the run.")
    ] = None,
    window: Annotated[
        str | None, typer.Option(metavar="T", help="How far back signals look; default twelve horizons.")
    ] = None,
    every: Annotated[str | None, typer.Option(metavar="T", help="Between samples; default a quarter horizon.")] = None,
    quantile: Annotated[
        float, typer.Option(metavar="Q", help="An event forces more than this quantile of the training samples.")
    ] = 0.99,
    false_alarms: Annotated[
        float, typer.Option(metavar="F", help="Share of quiet samples that may raise an alarm.")
    ] = 0.05,
    market: MarketName = None,
    figure: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw ROC and precision-recall.")] = None,
    verbose: Verbose = False,
) -> None:
    """Can bursts of forced sales be foreseen? Models on ex-ante signals, judged on seeds that they never saw.

    Beside a model that knows volatility alone: one that knows how far the price has moved, one with everything public,
    and one that also knows the true map of liquidations. Says so where a model does not beat volatility alone.
    """
    with one_message(verbose):
        check_output("--figure", figure, ".png")
        for option, value in (("--quantile", quantile), ("--false-alarms", false_alarms)):
            if not 0 < value < 1:
                raise UserError(f"{option} {value:g}: must lie between 0 and 1")
        loaded = _load(runs, out)
        names = _markets(loaded, market)
        if figure is not None and len(names) > 1:
            raise UserError(f"--figure {figure}: the runs have {', '.join(names)}; say --market")
        for name in names:
            _warn(loaded, name, horizon, window, every, quantile, false_alarms, figure)


def _warn(
    loaded: "list[RunFrames]",
    name: str,
    horizon: str | None,
    window: str | None,
    every: str | None,
    quantile: float,
    false_alarms: float,
    figure: Path | None,
) -> None:
    """Judge the models on one market and print it."""
    from dataclasses import replace

    from marginquake.analysis.early_warning import usual, warn
    from marginquake.analysis.early_warning.tables import pressure_line
    from marginquake.analysis.statistics.estimate import Unmeasurable

    try:
        asked = replace(usual(loaded[0], name), quantile=quantile, false_alarms=false_alarms)
        if horizon is not None:
            horizon_s = _seconds("--horizon", horizon)
            asked = replace(asked, horizon_s=horizon_s, window_s=12.0 * horizon_s, every_s=horizon_s / 4.0)
        for field, option, text in (("window_s", "--window", window), ("every_s", "--every", every)):
            if text is not None:
                asked = replace(asked, **{field: _seconds(option, text)})
        trial = warn(loaded, asked, name)
    except Unmeasurable as why:
        raise UserError(f"{_of(loaded, name)}{why}") from None
    _print_trial(trial, f"{_of(loaded, name)}{loaded[0].name}")
    say(pressure_line(loaded, name))
    if figure is not None:
        from marginquake.analysis.figures.draw import plot_early_warning

        plot_early_warning(trial, figure, f"{_of(loaded, name)}{loaded[0].name}  {trial.seeds} seeds")


def _load(names: Iterable[str], out: Path) -> "list[RunFrames]":
    from marginquake.analysis.frames.run_frames import load_run
    from marginquake.sim.runs.directory import find_run

    return [load_run(find_run(name, out)) for name in names]


def _twins_beside(given: "list[RunFrames]") -> "list[RunFrames]":
    """What `counterfactual` made of these runs without liquidation; nothing where a twin is among them already."""
    from marginquake.analysis.frames.pairing import not_twins, sells_by_force
    from marginquake.analysis.frames.run_frames import load_run
    from marginquake.sim.studies.twin_runs import twin_beside

    if not all(map(sells_by_force, given)):
        return []
    found = ((run, twin_beside(run.path, ("liquidation",))) for run in {run.path: run for run in given}.values())
    twins = [(run, load_run(path)) for run, path in found if path is not None]
    return [twin for run, twin in twins if not_twins(run, twin) is None]


def _markets(loaded: "list[RunFrames]", market: str | None, population: str | None = None) -> list[str]:
    """The markets that are asked for: all of the runs unless one is named, or a population that is in one."""
    there = loaded[0].markets
    if market is not None and market not in there:
        raise UserError(f"--market {market}: the runs have {', '.join(there)}")
    if market is not None:
        return [market]
    if population is not None:
        return [name for name, each in there.items() if population in each.accounts["population"]] or list(there)
    return list(there)


def _of(loaded: "list[RunFrames]", market: str) -> str:
    """What says whose a line is where there are several markets: `market b: `."""
    return f"market {market}: " if len(loaded[0].markets) > 1 else ""


def _asked(
    run: "RunFrames",
    market: str,
    horizon: str | None,
    at: str,
    volatility: str,
    window: str | None,
    population: str | None,
) -> "ForecastPlan":
    import numpy as np

    from marginquake.analysis.risk import SOURCES, ForecastPlan
    from marginquake.sim.core.fields import parse_fraction

    frames = run.markets[market]
    if population is not None and population not in frames.accounts["population"]:
        there = dict.fromkeys(np.asarray(frames.accounts["population"]).tolist())
        raise UserError(f"--population {population}: the runs have {', '.join(map(str, there))}")
    moments = tuple(_seconds("--at", part, least=0.0) for part in at.split(","))
    left_s = float(frames.series["time_s"][-1]) - max(moments)
    if left_s <= 0:
        raise UserError(f"--at {at}: the runs end at {clock(float(frames.series['time_s'][-1]))}")
    if horizon is None:
        horizons = tuple(dict.fromkeys(_round(left_s / part) for part in SHARES_OF_RUN))
    else:
        horizons = tuple(_seconds("--horizon", part) for part in horizon.split(","))
    sources: list[object] = []
    for part in volatility.split(","):
        if part in SOURCES:
            sources.append(part)
            continue
        try:
            number = float(parse_fraction(part))
        except ValueError:
            raise UserError(f"--volatility {part}: say {', '.join(SOURCES)}, or a number a year such as 60%") from None
        if not number > 0:
            raise UserError(f"--volatility {part}: must be positive")
        if number > MOST_VOLATILITY:
            raise UserError(f"--volatility {part}: {number:.0%} a year; write 60 % as 60% or 0.6")
        sources.append(number)
    looks_back = float("inf") if window is None else _seconds("--window", window)
    return ForecastPlan(horizons, tuple(sources), moments, looks_back, population)  # type: ignore[arg-type]


def _round(seconds: float) -> float:
    """The next round length of time below; whole days beyond two."""
    if seconds >= 2 * 86_400:
        return 86_400.0 * (seconds // 86_400)
    return float(max((each for each in ROUND_S if each <= seconds), default=seconds))


def _seconds(option: str, text: str, least: float = 1e-9) -> float:
    seconds = read_seconds(option, text)
    if seconds < least:
        raise UserError(f"{option} {text}: must {'be positive' if least > 0 else 'not be negative'}")
    return seconds


def _print_risk(found: "Assessment", loaded: "list[RunFrames]", bins: bool) -> None:
    from marginquake.analysis.frames.pairing import pair_with_twins
    from marginquake.analysis.risk import assessment
    from marginquake.analysis.risk.summary import pressure_lines, volatility_lines

    of = _of(loaded, found.market)
    title = f"{of}Margin calls of {loaded[0].name}, share of accounts that some price would liquidate"
    _print_table(title, assessment.CALL_HEADINGS, map(assessment.call_cells, found.groups))
    _print_table(f"{of}Scores of the forecasts", assessment.SCORE_HEADINGS, map(assessment.score_cells, found.groups))
    if bins:
        rows = (cells for group in found.groups for cells in assessment.bin_cells(group))
        _print_table(f"{of}Reliability", assessment.BIN_HEADINGS, rows)
    own = [run for run, _ in pair_with_twins(loaded)]
    for line in (*assessment.remarks(found), *pressure_lines(own, found.market), *volatility_lines(own, found.market)):
        say(line)


def _print_trial(trial: "Trial", name: str) -> None:
    from marginquake.analysis.early_warning import BASELINE, tables

    say(tables.summary(trial))
    say()
    _print_table(f"Early warning in {name}, out of sample by seed", tables.HEADINGS, map(tables.cells, trial.models))
    models = tuple(model.name for model in trial.models)
    _print_table("Mean weights of standardised signals", (*tables.WEIGHT_HEADINGS, *models), tables.weight_rows(trial))
    for line in (
        *tables.remarks(trial),
        *(tables.verdict(model) for model in trial.models if model.name != BASELINE),
    ):
        say(line)


def _print_table(title: str, headings: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    from rich.table import Table

    console = open_console(elsewhere=200)
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    console.print()
