"""`marginquake first-passage`."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from marginquake.sim.cli.common import UserError, Verbose, check_output, one_message, open_console
from marginquake.sim.core.outside import disk
from marginquake.sim.core.outside.edges import say
from marginquake.sim.scenario.installed import scenario_file

if TYPE_CHECKING:
    from marginquake.sim.core.barriers import Cell
    from marginquake.sim.scenario.config import MarketConfig
    from marginquake.sim.studies.first_passage import Question

app = typer.Typer()
USUAL = "100,50,25,20,10,5,3"
Value = TypeVar("Value")


@app.command("first-passage")
def first_passage(
    scenario: Annotated[
        Path | None,
        typer.Argument(
            metavar="SCENARIO",
            help="Whose contract, brackets and monitoring (venues/hyperliquid); default the usual ones.",
        ),
    ] = None,
    leverage: Annotated[
        str | None,
        typer.Option(metavar="L,L", help=f"Of fresh isolated positions; default what is allowed of {USUAL}."),
    ] = None,
    horizon: Annotated[str, typer.Option(metavar="T,T", help="Within which they may be called.")] = "1h,1d,7d",
    side: Annotated[str, typer.Option(metavar="S", help="long or short.")] = "long",
    notional: Annotated[str, typer.Option(metavar="A", help="Of each position, quote units.")] = "100k",
    volatility: Annotated[str | None, typer.Option(metavar="F", help="Per year; default the scenario's, 60%.")] = None,
    drift: Annotated[str, typer.Option(metavar="F", help="Per year.")] = "0",
    monitor_period: Annotated[
        str | None, typer.Option(metavar="T", help="Default the scenario's liquidation.monitor_period.")
    ] = None,
    paths: Annotated[
        int, typer.Option(min=1, max=10_000_000, metavar="N", help="Accounts a leverage, each on a path of its own.")
    ] = (20_000),
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Root of the paths.")] = 1,
    market: Annotated[str | None, typer.Option(metavar="NAME", help="Of a scenario with several.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="K=V", help="Override a field; may be repeated.")
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the table as CSV.")] = None,
    figure: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw it.")] = None,
    verbose: Verbose = False,
) -> None:
    """Margin-call probabilities without feedback: independent price paths against the closed form.

    Nobody trades: every account watches a geometric Brownian motion of its own, looked at once a monitoring period,
    and is called at the price at which the venue's rules call it. The closed form has its barrier shifted for the looks
    that are missing. SCENARIO may be a venue's preset.
    """
    with one_message(verbose):
        check_output("--csv", csv, "")
        check_output("--figure", figure, ".png")
        from marginquake.sim.assets.fundamentals import GbmConfig
        from marginquake.sim.core.fields import parse_amount, parse_fraction, parse_time
        from marginquake.sim.core.records import Side
        from marginquake.sim.studies.first_passage import Question, simulate, to_csv

        if side not in ("long", "short"):
            raise UserError(f"--side {side}: say 'long' or 'short'")
        asked = _market(scenario, market, overrides or [])
        fundamental = asked.index.fundamental
        usual = fundamental.volatility if isinstance(fundamental, GbmConfig) else GbmConfig().volatility
        period = asked.liquidation.monitor_period
        size = _read("--notional", parse_amount, notional)
        try:
            question = Question(
                market=asked,
                side=Side.BUY if side == "long" else Side.SELL,
                leverages=_allowed(asked, size)
                if leverage is None
                else tuple(_read("--leverage", _leverage, part) for part in leverage.split(",")),
                horizons=tuple(_read("--horizon", parse_time, part) for part in horizon.split(",")),
                notional=size,
                volatility=usual if volatility is None else _read("--volatility", parse_fraction, volatility),
                drift=_read("--drift", parse_fraction, drift),
                monitor_period=period
                if monitor_period is None
                else _read("--monitor-period", parse_time, monitor_period),
                paths=paths,
                seed=seed,
            )
            cells = simulate(question)
        except ValueError as error:
            raise UserError(str(error)) from None
        _print_cells(question, cells)
        if csv is not None:
            disk.write_whole(csv, to_csv(cells))
            say(csv)
        if figure is not None:
            from marginquake.analysis.figures.draw import plot_first_passage

            say(plot_first_passage(cells, figure, _small_print(question)))


def _market(scenario: Path | None, name: str | None, overrides: list[str]) -> "MarketConfig":
    """The market of a scenario or of a venue's preset, which has no duration of its own."""
    from marginquake.sim.scenario import extends
    from marginquake.sim.scenario.config import MarketConfig
    from marginquake.sim.studies import run as running

    if scenario is None:
        if overrides or name is not None:
            raise UserError("--set, --market: belong to a scenario; name one")
        return MarketConfig(name="main")
    timed = extends.read_source(scenario_file(scenario)).root.child("duration") is not None
    loaded = running.load_scenario(scenario, overrides if timed else ["duration=1h", *overrides])
    names = [market.name for market in loaded.markets]
    if name is None:
        return loaded.markets[0]
    if name not in names:
        raise UserError(f"--market {name}: {scenario} has {', '.join(names)}")
    return loaded.market(name)


def _allowed(market: "MarketConfig", notional: float) -> tuple[float, ...]:
    """The usual leverages, as far as the venue allows them for positions of this size."""
    venue = market.venue
    bracket = next((b for b in venue.brackets if notional <= b.notional_cap), venue.brackets[-1])
    most = min(bracket.max_leverage, venue.max_leverage or bracket.max_leverage)
    return tuple(each for each in map(float, USUAL.split(",")) if each <= most)


def _leverage(text: str) -> float:
    try:
        value = float(text.removesuffix("x"))
    except ValueError:
        raise ValueError("write numbers, such as 20 or 20x, with commas between them") from None
    if not value >= 1:
        raise ValueError("leverage is at least 1")
    return value


def _read(option: str, parse: Callable[[str], Value], text: str) -> Value:
    try:
        return parse(text.strip())
    except ValueError as error:
        raise UserError(f"{option} {text}: {error}") from None


def _small_print(question: "Question") -> str:
    from marginquake.sim.core.fields import format_duration

    side = "long" if question.side > 0 else "short"
    return (
        f"{side}, {question.volatility:.3g} a year, looked at every {format_duration(question.monitor_period)}, "
        f"{question.paths:,} paths, seed {question.seed}"
    )


def _print_cells(question: "Question", cells: "list[Cell]") -> None:
    from rich.table import Table

    from marginquake.analysis.formats import duration
    from marginquake.sim.studies.first_passage import mean_overshoot

    table = Table(title=_small_print(question), title_justify="left", box=None, pad_edge=False, padding=(0, 1))
    for head in ("leverage", "called at", "distance", "horizon", "always", "shifted", "simulated", "error, SE"):
        table.add_column(head, justify="right", no_wrap=True)
    for cell in cells:
        never = math.isnan(cell.liquidation_price)
        called_at = ("never", "") if never else (f"{cell.liquidation_price:.6g}", f"{cell.distance:.3%}")
        table.add_row(
            f"{cell.leverage:g}x", *called_at, duration(cell.horizon_s),
            f"{cell.continuous:.4f}", f"{cell.closed_form:.4f}", f"{cell.simulated:.4f}",
            f"{cell.error:+.2f}" if cell.is_checked else "",
        )  # fmt: skip
    open_console().print(table)
    checked = [cell for cell in cells if cell.is_checked]
    say(
        f"{sum(cell.agrees for cell in checked)} of {len(checked)} cells with a closed form between 0.001 and 0.999 "
        "are within 3 standard errors plus 0.002"
    )
    overshoot = mean_overshoot(cells)
    if overshoot == overshoot:
        say(f"mean overshoot {1e4 * overshoot:.3f} bp, expected {1e4 * cells[0].expected_overshoot:.3f} bp")
