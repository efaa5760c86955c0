"""Clusters of liquidation levels: the truth beside what an outsider would estimate, what came true, and the ladder.

Sentence, table and ladder are of one moment, the one at which the chart opens: the last map before the largest cascade.
"""

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.causes import causal_tree
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.frames.run_frames import RunFrames
from marginquake.analysis.levels import (
    LevelMap,
    MapForecast,
    Rung,
    find_clusters,
    ladder,
    map_error,
    map_forecasts,
    outsider_map,
    true_map,
)
from marginquake.analysis.presentation.page import finite, pack
from marginquake.analysis.report.section import Chart, Content, Table

MOMENTS = 4
"""Maps beside that of the start: the last before each of the largest cascades (or bunches of calls, or episodes)."""
SHOWN = 8
CLUSTER_HEADINGS = ("side", "price", "away", "waiting", "reached", "sold", "taken over", "closed otherwise",
    "not closed",
)  # fmt: skip
LADDER_HEADINGS = ("price moves by", "down: forced", "bids", "ratio", "up: forced", "asks", "ratio")


def applies(run: RunFrames, market: MarketFrames) -> bool:
    """Only where the run kept positions, and somebody may be called."""
    return bool(market.positions) and not true_map(market, 0.0).missing


def content(run: RunFrames, market: MarketFrames) -> Content:
    """Maps at some moments; of the one before the largest cascade clusters, what became of them, and the ladder."""
    found = map_forecasts(market)
    moments = sorted({0.0, *(each.snapshot_s for each in found[:MOMENTS])})
    maps = [(true_map(market, at_s), outsider_map(market, at_s)) for at_s in moments]
    maps = [(truth, guess) for truth, guess in maps if truth.mass(1) + truth.mass(-1) > 0]
    if not maps:
        return Content(lead="No account could have been called within reach of the price.")
    falls = _falls(market)
    opens = _opening(maps, found)
    tables = [_clusters(found[0], f"the largest {falls}")] if found else []
    tables.append(_ladder(market, maps[opens][0].time_s))
    return Content(lead=_lead(*maps[opens]), charts=[_chart(maps, opens, falls)], tables=tables)


def _opening(maps: list[tuple[LevelMap, LevelMap]], found: tuple[MapForecast, ...]) -> int:
    """Which of the maps is the one before the largest cascade; the first where there was none."""
    times = [truth.time_s for truth, _ in maps]
    return times.index(found[0].snapshot_s) if found and found[0].snapshot_s in times else 0


def _lead(truth: LevelMap, guess: LevelMap) -> str:
    error = map_error(truth, guess)
    clusters = len(find_clusters(truth))
    known = (
        "An outsider who sees trades only would have nothing to go by."
        if np.isnan(error.correlation)
        else f"What an outsider would estimate from volume and assumed leverage has a correlation of "
        f"{error.correlation:.2f} with the truth, and {error.mass_ratio:.2f} times its size."
    )
    return f"At {formats.clock(truth.time_s)}: {formats.plural(clusters, 'cluster')} of liquidation levels. {known}"


def _chart(maps: list[tuple[LevelMap, LevelMap]], opens: int, falls: str) -> Chart:
    data = {
        "open": opens,
        "moments": [
            {
                "time": finite(truth.time_s, 8),
                "mark": finite(truth.mark, 8),
                "sides": [
                    {
                        "side": side,
                        "edges": pack(truth.prices(side)),
                        "truth": pack(truth.of(side)),
                        "guess": pack(guess.of(side)) if not guess.missing else None,
                    }
                    for side in (1, -1)
                ],
                "correlation": finite(map_error(truth, guess).correlation, 3),
                "clusters": [
                    {"side": each.side, "near": finite(each.price_near, 8), "far": finite(each.price_far, 8),
                     "mass": finite(each.mass)}
                    for each in find_clusters(truth)[:SHOWN]
                ],
            }
            for truth, guess in maps
        ],
    }  # fmt: skip
    caption = (
        "Bars: forced notional at the true liquidation prices, longs below the mark and shorts above. Line: the map of "
        "somebody who sees trades only and assumes what leverage is used, scaled to the same sum. Grey: clusters, "
        f"the {SHOWN} largest at most."
    )
    if len(maps) > 1:
        caption += f" The moments are the start and the last maps before the largest {PLURALS[falls]}."
    return Chart("levels", "Liquidation levels, true and estimated", data, caption)


PLURALS = {
    "cascade": "cascades",
    "bunch of margin calls": "bunches of margin calls",
    "episode of forced fills": "episodes of forced fills",
}


def _falls(market: MarketFrames) -> str:
    """What the forecasts are for, as `analysis.levels.forecasts` picks them."""
    tree = causal_tree(market)
    if tree.several:
        return "cascade"
    return "bunch of margin calls" if len(tree.calls) else "episode of forced fills"


def _clusters(forecast: MapForecast, before: str) -> Table:
    rows = []
    clusters = sum(each.cluster is not None for each in forecast.outcomes)
    which = f"The {SHOWN} largest of {clusters} clusters" if clusters > SHOWN else "Clusters"
    for outcome in [each for each in forecast.outcomes if each.mass > 0][:SHOWN]:
        cluster = outcome.cluster
        other = outcome.deleveraged + outcome.stopped + outcome.closed
        held = outcome.margin_added + outcome.waiting + outcome.other
        rows.append(
            (
                "longs" if outcome.side > 0 else "shorts",
                _price(cluster.price) if cluster else "between",
                formats.percent(cluster.distance) if cluster else "",
                formats.short_number(outcome.mass),
                formats.percent(outcome.hit_share, 0),
                formats.short_number(outcome.sold),
                formats.short_number(outcome.taken_over),
                formats.short_number(other),
                formats.short_number(held),
            )
        )
    return Table(
        CLUSTER_HEADINGS,
        rows,
        f"{which} on the map of {formats.clock(forecast.snapshot_s)}, before {before}, and what became of "
        f"them until {formats.clock(forecast.end_s)}; quote notional at the levels.",
    )


def _ladder(market: MarketFrames, at_s: float) -> Table:
    found = ladder(market, at_s)
    rows = []
    for down, up in zip(found.of(1), found.of(-1), strict=True):
        move = formats.percent(down.move).replace(" ", "\u00a0")
        rows.append((move, *_rung(down), *_rung(up)))
    return Table(
        LADDER_HEADINGS,
        rows,
        f"The ladder at {formats.clock(found.time_s)}: the mark moves, so much is forced, so much rests on the way.",
    )


def _rung(rung: Rung) -> tuple[str, ...]:
    pressure = f"{rung.pressure:.2f}" if rung.pressure == rung.pressure else "none"
    return formats.short_number(rung.forced), formats.short_number(rung.resting), pressure


def _price(value: float) -> str:
    return f"{value:,.5g}" if value < 1000 else f"{value:,.0f}"
