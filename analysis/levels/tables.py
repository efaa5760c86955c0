"""Clusters and maps of one market as tables of words, as plain data for JSON, and bin by bin for CSV."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, final

import numpy as np

from marginquake.analysis.formats import clock, percent, price, short_number
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.levels.came_true import MapForecast, map_forecasts
from marginquake.analysis.levels.entries import EntryMap, entry_map, entry_peaks
from marginquake.analysis.levels.ladder import Ladder, ladder
from marginquake.analysis.levels.outsider_map import MapError, map_error, outsider_errors, outsider_map
from marginquake.analysis.levels.true_map import Concentration, LevelMap, find_clusters, true_map
from marginquake.sim.core.outside.edges import csv_text

SIDES = {1: "long", -1: "short"}
INFINITE = ("-Infinity", "Infinity")
"""JSON has no infinite number: a word that float() and Number() read."""
MOST_CLUSTERS, MOST_PEAKS, MOST_TIMES = 12, 6, 6
"""Rows of the tables: the largest clusters and peaks, moments spread evenly over the run."""


@final
@dataclass(frozen=True)
class Table:
    """A heading, column titles, rows of text (`left` columns are words, the rest numbers) and a remark below."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1
    remark: str = ""


def tables(market: MarketFrames, at_s: float = 0.0, side: int = 0) -> tuple[Table, ...]:
    """Everything that `marginquake clusters` says of a time; `side` +1 longs, -1 shorts, 0 both."""
    truth = true_map(market, at_s)
    if truth.missing:
        return ()
    sides = (1, -1) if side == 0 else (side,)
    found = (
        cluster_table(truth, sides),
        ladder_table(ladder(market, at_s), sides),
        entry_table(entry_map(market, at_s), sides),
        outsider_table(*(outsider_errors(market, knows, most=MOST_TIMES) for knows in ("prints", "entries"))),
        *(forecast_table(each) for each in map_forecasts(market, side=side)),
    )
    return tuple(table for table in found if table.rows)


def cluster_table(truth: LevelMap, sides: Sequence[int]) -> Table:
    """Clusters, the largest first, and how concentrated the map is."""
    found = [each for each in find_clusters(truth) if each.side in sides]
    rows = tuple(
        (
            SIDES[each.side],
            short_number(each.mass),
            percent(each.share, 1),
            percent(each.distance),
            price(each.price),
            percent(each.near) + " - " + percent(each.far),
            short_number(each.peak_mass),
        )
        for each in found[:MOST_CLUSTERS]
    )
    left_out = f"{len(found) - MOST_CLUSTERS} smaller ones are not shown.\n" if len(found) > MOST_CLUSTERS else ""
    return Table(
        "Clusters of liquidation levels",
        ("side", "notional", "of side", "distance", "price", "from - to", "largest bin"),
        rows or (("none", *[""] * 6),),
        remark=left_out + "\n".join(_concentration_line(truth, each) for each in sides) + _called_line(truth),
    )


def ladder_table(rungs: Ladder, sides: Sequence[int]) -> Table:
    """What a move forces, and what the book has against it."""
    rows = tuple(
        (
            f"{'down' if each.side > 0 else 'up'} {each.move:.2%}",
            price(each.price),
            short_number(each.forced),
            f"{each.accounts:,}",
            short_number(each.resting) if math.isfinite(each.resting) else "off the map",
            short_number(each.absorbed),
            "none" if math.isnan(each.pressure) else f"{each.pressure:.2f}",
        )
        for each in rungs.rungs
        if each.side in sides
    )
    book = f"The book as of {clock(rungs.depth_s)}" if math.isfinite(rungs.depth_s) else "No map of the book"
    return Table(
        "Ladder: the price moves, so much is forced, the book holds so much",
        ("move", "to", "forced", "accounts", "resting", "absorbed", "PI"),
        rows,
        remark=f"{book}; PI = forced / resting. What is called already is not counted.",
    )


def entry_table(entries: EntryMap, sides: Sequence[int]) -> Table:
    """Where open interest was opened."""
    rows = tuple(
        (
            SIDES[each.side],
            short_number(each.notional),
            percent(each.share, 1),
            price(each.price),
            percent(each.price / entries.mark - 1),
        )
        for each in [peak for peak in entry_peaks(entries) if peak.side in sides][:MOST_PEAKS]
    )
    return Table(
        "Open interest by entry price: peaks",
        ("side", "notional", "of open interest", "price", "from the mark"),
        rows,
        remark=f"Open interest {short_number(entries.open_interest())}. {_callable_line(entries)}",
    )


def _callable_line(entries: EntryMap) -> str:
    if not math.isfinite(entries.callable_leverage):
        return "Nobody can be called within 20 %."
    return f"Whoever can be called within 20 % holds {entries.callable_leverage:.1f} times its equity."


def outsider_table(prints: Sequence[MapError], entries: Sequence[MapError]) -> Table:
    """How wrong the outsider's map is, from the first snapshot to the last."""
    rows = [
        (
            clock(each.time_s),
            knows,
            _two(each.traded) if knows == "trades" else "",
            percent(each.seeded_share, 0) if knows == "trades" else "",
            _two(each.correlation),
            _two(each.rank_correlation),
            _two(each.mass_ratio),
            percent(each.wasserstein, 1),
        )
        for pair in zip(prints, entries, strict=True)
        for knows, each in zip(("trades", "entries"), pair, strict=True)
    ]
    return Table(
        "The outsider's map against the truth",
        ("at", "from", "traded / OI", "seeded", "correlation", "rank", "mass", "off by"),
        tuple(rows),
        left=2,
        remark=(
            "From trades: each is taken for a long and a short opened there at assumed leverages, until the mark has\n"
            "crossed their levels. From entries: even if entry prices and sizes were public, only leverage assumed.\n"
            "Seeded: forced notional in positions of t = 0, that no trade shows. Rank: order of the five largest\n"
            "clusters. Mass: estimated / true. Off by: Wasserstein distance of the normalised maps."
        ),
    )


def forecast_table(forecast: MapForecast) -> Table:
    """The clusters that an episode ran through, and what became of them."""
    names = ("sold", "taken_over", "deleveraged", "stopped", "closed", "margin_added", "waiting", "other")
    rows = tuple(
        (
            f"{SIDES[each.side]} {_place(each.cluster)}",
            short_number(each.mass),
            percent(each.hit_share, 0),
            *(percent(getattr(each, name) / each.due, 0) for name in names),
            percent(each.slippage),
        )
        for each in forecast.outcomes
        if each.due > 0
    )
    spared = "" if forecast.whole else " Only forced fills were kept: stops and own closes stand under other."
    return Table(
        f"Forecast of {clock(forecast.snapshot_s)} against {clock(forecast.start_s)} - {clock(forecast.end_s)}",
        (
            "levels", "notional", "reached", "sold", "fund", "ADL", "stop", "itself", "margin", "waiting", "other",
            "slippage",
        ),
        rows,
        remark=(
            f"Reached {short_number(forecast.total('due'))}, closed by force {short_number(forecast.total('forced'))} "
            f"(at the levels). Liquidation orders traded {short_number(forecast.realised)},\nof which "
            f"{short_number(forecast.called_before)} of accounts called before and {short_number(forecast.unforeseen)} "
            f"that the map did not have; the fund traded {short_number(forecast.fund_traded)}.{spared}"
        ),
    )  # fmt: skip


def as_plain(market: MarketFrames, at_s: float = 0.0, side: int = 0) -> dict[str, Any]:
    """The same as plain data: numbers as they are, null where there is none, "Infinity" where one is infinite.

    `side` chooses clusters, concentration, ladder, peaks and forecasts; the rest is of the market as a whole.
    """
    truth, entries, rungs = true_map(market, at_s), entry_map(market, at_s), ladder(market, at_s)
    sides = (1, -1) if side == 0 else (side,)
    return {
        "time_s": _plain(truth.time_s),
        "mark": _plain(truth.mark),
        "missing": truth.missing,
        "called": truth.called,
        "clusters": [_plain(each) for each in find_clusters(truth) if each.side in sides],
        "concentration": {SIDES[each]: _plain(truth.concentration(each)) for each in sides},
        "ladder": [_plain(each) | {"pressure": _plain(each.pressure)} for each in rungs.rungs if each.side in sides],
        "open_interest": entries.open_interest(),
        "callable_leverage": _plain(entries.callable_leverage),
        "entry_peaks": [_plain(each) for each in entry_peaks(entries) if each.side in sides],
        "outsider": {
            "prints": _plain(map_error(truth, outsider_map(market, at_s))),
            "entries": _plain(map_error(truth, outsider_map(market, at_s, "entries"))),
        },
        "outsider_over_time": {
            "prints": [_plain(each) for each in outsider_errors(market)],
            "entries": [_plain(each) for each in outsider_errors(market, "entries")],
        },
        "forecasts": [_plain(each) for each in map_forecasts(market, side=side)],
    }


def to_csv(market: MarketFrames, at_s: float = 0.0, side: int = 0) -> str:
    """One line a bin: prices, true notional by leverage band, all together and cumulative, both estimates."""
    truth = true_map(market, at_s)
    prints, entries = outsider_map(market, at_s), outsider_map(market, at_s, "entries")
    table: list[list[object]] = [
        [
            "side",
            "distance",
            "price_near",
            "price_far",
            *(f"true {band.label}" for band in truth.bands),
            "true",
            "true_cumulative",
            "outsider_prints",
            "outsider_entries",
        ]
    ]
    for each in (1, -1) if side == 0 else (side,):
        columns = [
            truth.centers, truth.prices(each)[:-1], truth.prices(each)[1:], *truth.by_band(each), truth.of(each),
            truth.cumulative(each), prints.of(each), entries.of(each),
        ]  # fmt: skip
        table += [[SIDES[each], *(f"{value:.10g}" for value in row)] for row in np.transpose(columns)]
    return csv_text(table)


def _concentration_line(truth: LevelMap, side: int) -> str:
    found: Concentration = truth.concentration(side)
    if not math.isfinite(found.hhi):
        return f"{SIDES[side]}s: nothing waits within 20 %."
    beyond = truth.beyond_long if side > 0 else truth.beyond_short
    return (
        f"{SIDES[side]}s: {short_number(truth.mass(side))} within 20 %, {short_number(beyond)} beyond; HHI "
        f"{found.hhi:.3f} (as if in {found.effective_bins:.1f} of {len(truth.centers)} bins), Gini {found.gini:.2f}."
    )


def _called_line(truth: LevelMap) -> str:
    return f"\nCalled already: {short_number(truth.called)}." if truth.called else ""


def _place(cluster: Any) -> str:
    return "between clusters" if cluster is None else f"{percent(cluster.near)} - {percent(cluster.far)}"


def _two(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "none"


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return None if math.isnan(value) else float(value) if math.isfinite(value) else INFINITE[value > 0]
    return value
