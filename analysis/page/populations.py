"""Who: what every population held over time, what it is worth, and what it gained or lost."""

import numpy as np

from analysis import style
from analysis.figures.losses import SYSTEM_LABELS, PopulationResult, results_by_population
from analysis.load import Columns, Floats, MarketFrames, RunFrames
from analysis.packing import finite
from analysis.page import palette
from analysis.page.panels import Line, Panel, busy_windows, lines, time_chart
from analysis.page.section import Chart, Content, Table

PARTS = (
    ("trading", "trading", "trading"),
    ("forced", "of liquidated accounts", "forced"),
    ("fees", "fees", "fees"),
    ("spot", "spot hedges", "spot"),
)
"""Field of a population's result, words, colour."""
LEAST_SHARE = 0.002
"""Populations that never hold this share of the largest holding have no line."""


def content(run: RunFrames, market: MarketFrames) -> Content:
    """Open interest, holdings and equity over time; profit and loss at the end."""
    charts = [Chart("panels", "Open interest, positions and equity over time", time_chart(market, _panels(market)))]
    results = [
        each for each in results_by_population(market) if each.population != "rounding" or abs(each.total) >= 1.0
    ]
    tables = []
    if results:
        charts.append(
            Chart(
                "profits",
                "Profit and loss by population",
                _profits(results),
                "Profit over the run, quote units; bars by where it comes from, diamonds are sums. Apart from spot "
                "hedges, which are made outside this market, the rows add up to zero.",
            )
        )
        tables.append(_table(results))
    missing = "" if market.populations else "This run did not record what populations held."
    return Content(charts=charts, tables=tables, missing=missing)


def _panels(market: MarketFrames) -> list[Panel]:
    run = market.run
    windows = busy_windows(market)
    panels = [
        lines("Open interest", "quote notional, one side", "money", run["time_s"],
              [Line("open interest", "interest", run["open_interest"], 1.8)], windows, height=140)
    ]  # fmt: skip
    tables = {name: _live(table) for name, table in market.populations.items()}
    tables = {name: table for name, table in tables.items() if len(table["time_s"])}
    if tables:
        colours = {name: palette.population(k) for k, name in enumerate(market.populations)}
        net = {name: table["long_notional"] - table["short_notional"] for name, table in tables.items()}
        panels.append(_each("Net position", "quote notional, longs up", tables, net, colours, windows))
        change = {name: table["equity"] - table["equity"][0] for name, table in tables.items()}
        panels.append(_each("Change of equity", "quote, deposits included", tables, change, colours, windows))
    if "funding_rate" in run and np.ptp(np.nan_to_num(run["funding_rate"])) > 1e-9:
        bps = np.asarray(run["funding_rate"], np.float64) * 1e4
        panels.append(
            lines("Funding rate", "basis points per interval", "bps", run["time_s"],
                  [Line("funding", "interest", bps, 1.3)], windows, height=110)
        )  # fmt: skip
    return panels


def _each(
    title: str, unit: str, tables: dict[str, Columns], values: dict[str, Floats], colours: dict[str, str],
    windows: list[tuple[float, float]],
) -> Panel:  # fmt: skip
    most = max(float(np.nanmax(np.abs(column), initial=0.0)) for column in values.values())
    shown = [name for name, column in values.items() if np.nanmax(np.abs(column), initial=0.0) > LEAST_SHARE * most]
    shown = shown or list(values)
    time_s = tables[shown[0]]["time_s"]
    each = [Line(name.replace("_", " "), colours[name], values[name], 1.5) for name in shown]
    return lines(title, unit, "money", time_s, each, windows, height=190)


def _live(table: Columns) -> Columns:
    chosen = table["time_s"] >= 0
    return {name: column[chosen] for name, column in table.items()}


def _profits(results: list[PopulationResult]) -> dict[str, object]:
    parts = [part for part in PARTS if any(getattr(result, part[0]) for result in results)]
    return {
        "parts": [{"label": label, "colour": colour} for _, label, colour in parts],
        "rows": [
            {
                "label": _label(result),
                "amounts": [finite(getattr(result, name)) for name, _, _ in parts],
                "sum": finite(result.total),
            }
            for result in results
        ],
        "unit": "quote",
    }


def _table(results: list[PopulationResult]) -> Table:
    rows = [
        (
            _label(result),
            f"{result.accounts:,}",
            f"{result.called:,}",
            f"{result.liquidated:,}",
            *(_signed(getattr(result, name)) for name, _, _ in PARTS),
            _signed(result.total),
        )
        for result in results
    ]
    headings = ("population", "accounts", "called", "liquidated", *(label for _, label, _ in PARTS), "sum")
    return Table(headings, rows)


def _label(result: PopulationResult) -> str:
    return SYSTEM_LABELS.get(result.population, result.population.replace("_", " "))


def _signed(amount: float) -> str:
    return ("+" if amount > 0 else "\u2212" if amount < 0 else "") + style.short_number(abs(amount))
