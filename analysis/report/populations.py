"""Who: what every population held over time, what it is worth, and what it gained or lost."""

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.frames.market import Columns, MarketFrames
from marginquake.analysis.frames.run_frames import RunFrames
from marginquake.analysis.measures.profits import PROFIT_PARTS, PopulationResult, population_label, shown_results
from marginquake.analysis.presentation.page import finite
from marginquake.analysis.report import palette
from marginquake.analysis.report.section import Chart, Content, Table
from marginquake.analysis.report.time_chart import Line, Panel, busy_windows, lines, time_chart
from marginquake.sim.core.typing import Floats

LEAST_SHARE = 0.01
"""Populations that never hold this share of the largest holding have no line."""
LEVERED = 1.0
"""A population that holds more than so many times its equity, at some time, may be called."""


def content(run: RunFrames, market: MarketFrames) -> Content:
    """Open interest, holdings and equity over time; profit and loss at the end."""
    caption = (
        "Those who may be called, because they hold more than their equity, have panels of their own: beside the "
        "positions of hedgers and of those without leverage theirs would be flat lines. Of the others what they bought "
        "or sold since the start is shown, at the mark: whoever rises while the levered fall took their positions."
    )
    charts = [
        Chart(
            "panels", "Open interest, positions and equity over time", time_chart(market, _panels(market)),
            caption if _apart(market) else "",
        )
    ]  # fmt: skip
    results = shown_results(market)
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
        levered = [name for name in _levered(market) if name in tables]
        others = [name for name in tables if name not in levered]
        apart = bool(levered and others)
        net = {name: table["long_notional"] - table["short_notional"] for name, table in tables.items()}
        change = {name: table["equity"] - table["equity"][0] for name, table in tables.items()}
        longs, deposits = "quote notional, longs up", "quote, deposits included"
        if apart:
            moved = {name: _bought(market, tables[name]) for name in others}
            panels += [
                _each("Net position, levered", longs, market, tables, {name: net[name] for name in levered}),
                _each("Bought since the start, the others", "quote notional at the mark", market, tables, moved),
                _each("Change of equity, levered", deposits, market, tables, {name: change[name] for name in levered}),
                _each(
                    "Change of equity, the others", deposits, market, tables, {name: change[name] for name in others}
                ),
            ]
        else:
            panels.append(_each("Net position", longs, market, tables, net))
            panels.append(_each("Change of equity", deposits, market, tables, change))
    if "funding_rate" in run and np.ptp(np.nan_to_num(run["funding_rate"])) > 1e-9:
        bps = np.asarray(run["funding_rate"], np.float64) * 1e4
        panels.append(
            lines("Funding rate", "basis points per interval", "bps", run["time_s"],
                  [Line("funding", "interest", bps, 1.3)], windows, height=110)
        )  # fmt: skip
    return panels


def _look(place: int, values: Floats) -> tuple[str, Floats, float, tuple[int, int] | None]:
    """Colour, values, width and dash of the line of a population; once all colours are taken, again with dashes."""
    return palette.population(place), values, 1.5, (5, 3) if place >= len(palette.POPULATION_COLOURS) else None


def _levered(market: MarketFrames) -> list[str]:
    """Populations that may be called: those that hold more than their equity at some time."""
    found = []
    for name, table in market.populations.items():
        held, equity = table["long_notional"] + table["short_notional"], table["equity"]
        if (held > LEVERED * equity).any():  # with no equity left anything held is too much
            found.append(name)
    return found


def _apart(market: MarketFrames) -> bool:
    """Whether some may be called and some not."""
    return 0 < len(_levered(market)) < len(market.populations)


def _bought(market: MarketFrames, table: Columns) -> Floats:
    """Lots bought less those sold since the first row, as notional at the mark: no change of the price is in it."""
    run = market.run
    known = np.isfinite(run["mark"])
    mark = np.interp(table["time_s"], run["time_s"][known], run["mark"][known]) if known.any() else np.nan
    return market.contract.notional(table["net_lots"] - table["net_lots"][0], mark / market.contract.to_price(1.0))


def _each(
    title: str, unit: str, market: MarketFrames, tables: dict[str, Columns], values: dict[str, Floats]
) -> Panel:  # fmt: skip
    most = max(float(np.nanmax(np.abs(column), initial=0.0)) for column in values.values())
    shown = [name for name, column in values.items() if np.nanmax(np.abs(column), initial=0.0) > LEAST_SHARE * most]
    shown = shown or list(values)
    time_s = tables[shown[0]]["time_s"]
    levered = _levered(market)
    place = levered + [name for name in market.populations if name not in levered]
    each = [Line(name.replace("_", " "), *_look(place.index(name), values[name])) for name in shown]
    return lines(title, unit, "money", time_s, each, busy_windows(market), height=170)


def _live(table: Columns) -> Columns:
    chosen = table["time_s"] >= 0
    return {name: column[chosen] for name, column in table.items()}


def _profits(results: list[PopulationResult]) -> dict[str, object]:
    parts = [part for part in PROFIT_PARTS if any(getattr(result, part) for result in results)]
    return {
        "parts": [{"label": PROFIT_PARTS[part], "colour": part} for part in parts],
        "rows": [
            {
                "label": population_label(result.population),
                "amounts": [finite(getattr(result, name)) for name in parts],
                "sum": finite(result.total),
            }
            for result in results
        ],
        "unit": "quote",
    }


def _table(results: list[PopulationResult]) -> Table:
    rows = [
        (
            population_label(result.population),
            f"{result.accounts:,}",
            f"{result.called:,}",
            f"{result.liquidated:,}",
            *(_signed(getattr(result, name)) for name in PROFIT_PARTS),
            _signed(result.total),
        )
        for result in results
    ]
    headings = ("population", "accounts", "called", "liquidated", *PROFIT_PARTS.values(), "sum")
    return Table(headings, rows)


def _signed(amount: float) -> str:
    return ("+" if amount > 0 else "\u2212" if amount < 0 else "") + formats.short_number(abs(amount))
