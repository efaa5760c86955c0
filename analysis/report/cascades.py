"""Cascades: what caused what, from the causal tree; where a run kept too little for one, episodes of forced flow."""

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.causes import Cascade, CausalTree, Part, Way, causal_tree
from marginquake.analysis.causes.cascade import cascade_move
from marginquake.analysis.causes.episodes import Episode, episodes_of
from marginquake.analysis.explanation.feedback import follows
from marginquake.analysis.explanation.outsider import outsider
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.frames.run_frames import RunFrames
from marginquake.analysis.report.icicle import CAUSES, icicle
from marginquake.analysis.report.section import Chart, Content, Table
from marginquake.analysis.report.time_chart import around
from marginquake.analysis.statistics.estimate import interval

DRAWN, LISTED = 5, 8
HEADINGS = (
    "no.", "begins", "lasts", "calls", "first called", "generations", "forced in the book", "stops", "ADL",
    "price, start to low",
)  # fmt: skip


def content(run: RunFrames, market: MarketFrames) -> Content:
    """Branching, the icicle of the largest cascades, and tables of cascades and generations."""
    tree = causal_tree(market)
    if tree.missing:
        found = episodes_content(run, market)
        why = f"Causes of margin calls: {tree.missing}"
        return Content(found.lead, found.sentences, found.charts, found.tables, found.missing or why)
    if not len(tree.calls):
        if np.nansum(market.run["margin_calls"]) > 0:
            return Content(missing="The events of this run are gone: who was called, and why, cannot be said.")
        return Content(lead="Nobody was called in this run: no position was closed by force.")
    linked = [cascade for cascade in tree.several if cascade.end_s >= 0]
    tables = [_cascades(market, tree, linked)] if linked else []
    charts = [_chart(market, tree, linked[:DRAWN])] if linked else []
    if linked:
        tables.append(_generations(tree, linked[0]))
    return Content(lead=_lead(tree, linked), sentences=[*follows(tree), *outsider(tree)], charts=charts, tables=tables)


def _lead(tree: CausalTree, linked: list[Cascade]) -> str:
    alone = len(tree.calls) - sum(len(cascade.calls) for cascade in linked)
    return (
        f"{formats.plural(len(linked), 'cascade')} of two calls or stops or more; {alone:,} of {len(tree.calls):,} "
        f"margin calls stand alone. Branching ratio {interval(tree.branching)}: the part of the moves that called "
        "accounts which forced orders and what follows from ADL made."
    )


def _chart(market: MarketFrames, tree: CausalTree, drawn: list[Cascade]) -> Chart:
    data = {
        "causes": [{"label": label, "colour": colour} for _, label, colour in CAUSES],
        "cascades": [
            icicle(tree, cascade, market.account_ids) | {"label": str(rank + 1)} for rank, cascade in enumerate(drawn)
        ],
    }
    return Chart(
        "icicle",
        "Who was called because of whom",
        data,
        "Each cell is a margin call, below the call whose forced sale (or ADL, or the stops that it set off) made the "
        "largest part of the move that caused it; the top row was called first. Width: what was closed by force, of "
        "the call and of all below it. Colours: what made the move (what worked against it is left out). Choose a cell "
        "to enlarge it, the top row to go back.",
    )


def _cascades(market: MarketFrames, tree: CausalTree, linked: list[Cascade]) -> Table:
    shown = linked[:LISTED]
    rows = [
        (
            str(rank + 1),
            formats.clock(cascade.start_s),
            f"{cascade.duration_s:,.0f} s",
            f"{len(cascade.calls):,}",
            f"{cascade.generations[0]:,}",
            str(len(cascade.generations)),
            formats.short_number(cascade.notional),
            *(formats.short_number(tree.flows_of(cascade).total(way)) for way in (Way.STOP, Way.ADL)),
            f"{cascade_move(market, cascade).change * 100:+.2f} %".replace("-", "\u2212"),
        )
        for rank, cascade in enumerate(shown)
    ]
    more = f" {len(linked) - LISTED:,} smaller ones are left out." if len(linked) > LISTED else ""
    return Table(
        HEADINGS,
        rows,
        "Cascades: calls and stops joined by their causes. Price: the last one, from the first call or stop to the low "
        "(the high, where shorts were called). Choose a row to see its minutes in every chart." + more,
        [around(max(cascade.start_s, 0.0), cascade.end_s) for cascade in shown],
    )


def _generations(tree: CausalTree, cascade: Cascade) -> Table:
    calls = tree.calls
    forced = np.bincount(tree.forced.call, tree.forced.notional, len(calls))
    rows = []
    for generation, count in enumerate(cascade.generations):
        own = cascade.calls[calls.generation[cascade.calls] == generation]
        # Of all their moves together: the share of a move of next to nothing may be anything.
        weights = np.where(calls.moved, np.abs(calls.move), 0.0)[own]
        whole = weights.sum() or 1.0
        shares = [_percent(float(calls.share(part)[own] @ weights / whole)) for part in _PARTS]
        rows.append(
            (
                "called first" if generation == 0 else str(generation),
                f"{count:,}",
                formats.clock(float(calls.time_s[own].min())),
                formats.clock(float(calls.time_s[own].max())),
                formats.short_number(float(forced[own].sum())),
                *shares,
            )
        )
    headings = ("generation", "calls", "first at", "last at", "closed by force", *(label for _, label, _ in CAUSES))
    caption = "Generations of the largest cascade; what made the moves that called them, taken together."
    return Table(headings, rows, caption)


def _percent(share: float) -> str:
    return f"{round(100 * share)} %".replace("-", "\u2212")


_PARTS: tuple[Part, ...] = tuple(part for part, _, _ in CAUSES)
SHOWN = 8
EPISODE_HEADINGS = (
    "no.", "begins", "lasts", "forced notional", "accounts", "by the fund", "by ADL", "sold", "price, first to last",
    "price range",
)  # fmt: skip


def episodes_content(run: RunFrames, market: MarketFrames) -> Content:
    """The largest episodes, largest first."""
    missing = market.not_recorded("liquidations")
    if missing:
        return Content(missing=f"Forced fills: {missing}")
    found = [episode for episode in episodes_of(market) if episode.end_s >= 0]
    if not found:
        return Content(lead="No position was closed by force in this run.")
    shown = found[:SHOWN]
    rest = f" {len(found) - SHOWN:,} smaller ones are left out." if len(found) > SHOWN else ""
    return Content(
        lead="Forced fills and ADL that follow each other within 30 s, until the low they run into. Closeness in time, "
        "not cause." + rest,
        tables=[
            Table(
                EPISODE_HEADINGS,
                [_cells(rank + 1, episode) for rank, episode in enumerate(shown)],
                "Choose a row to see its minutes in every chart.",
                [around(episode.start_s, episode.end_s) for episode in shown],
            )
        ],
    )


def _cells(rank: int, episode: Episode) -> tuple[str, ...]:
    return (
        str(rank),
        formats.clock(episode.start_s),
        f"{episode.duration_s:,.0f} s",
        formats.short_number(episode.notional),
        f"{episode.accounts:,}",
        formats.percent(episode.fund_fraction, 0),
        formats.percent(episode.adl_fraction, 0),
        formats.percent(episode.sell_fraction, 0),
        f"{(episode.price_last / episode.price_first - 1) * 100:+.2f} %",
        formats.percent(episode.range_fraction),
    )
