"""Which clusters it ran through: the map before it, and what became of it."""

from marginquake.analysis import formats
from marginquake.analysis.explanation.cascade_view import CascadeView, Section
from marginquake.analysis.formats import short_number as short
from marginquake.analysis.levels import ClusterOutcome, MapForecast, map_forecasts

TITLE = "Which clusters it ran through"
DUST = 0.005
"""Smaller parts of what was reached are left out."""


def route(view: CascadeView) -> Section:
    """Clusters of liquidation levels that the mark reached, in the order in which it came to them."""
    found = map_forecasts(view.market, [(view.cascade.start_s, view.cascade.end_s)])
    if not found:
        why = view.market.not_recorded("liquidations") or "the run kept no positions before it (positions.parquet)"
        return Section(TITLE, (f"Not known: {why}.",))
    forecast = found[0]
    clusters = [each for each in forecast.outcomes if each.cluster is not None and each.side == view.cascade.side]
    hit = [each for each in clusters if each.due > 0]
    side = "longs" if view.falls else "shorts"
    sentences = [
        f"On the map of {formats.clock(forecast.snapshot_s)} {side} had {formats.plural(len(clusters), 'cluster')} of "
        f"liquidation levels; the mark, which went {'down' if view.falls else 'up'} to "
        f"{forecast.mark_low if view.falls else forecast.mark_high:,.6g}, reached {len(hit) or 'none'} of them.",
        _came_true(forecast, view),
    ]
    if not hit:
        return Section(TITLE, tuple(sentences))
    hit.sort(key=lambda each: each.cluster.near if each.cluster else 0.0)
    rows = tuple(_row(forecast, each) for each in hit)
    headings = (
        "levels", "distance", "waiting", "reached", view.forced_word, "taken over", "ADL",
        "stopped or closed", "margin added",
    )  # fmt: skip
    return Section(TITLE, tuple(sentences), headings, rows)


def _row(forecast: MapForecast, outcome: ClusterOutcome) -> tuple[str, ...]:
    cluster = outcome.cluster
    assert cluster is not None
    return (
        f"{cluster.price_near:,.6g} to {cluster.price_far:,.6g}",
        f"{cluster.near * 100:.2f} to {cluster.far * 100:.2f} %",
        short(outcome.mass),
        formats.percent(outcome.hit_share, 0),
        short(outcome.sold),
        short(outcome.taken_over),
        short(outcome.deleveraged),
        short(outcome.stopped + outcome.closed),
        short(outcome.margin_added),
    )


def _came_true(forecast: MapForecast, view: CascadeView) -> str:
    """What became of what was due, in the words of the other sections; amounts at the levels."""
    own = [each for each in forecast.outcomes if each.side == view.cascade.side]
    due, forced = sum(each.due for each in own), sum(each.forced for each in own)
    inside = sum(each.forced for each in own if each.cluster is not None)
    if not due:
        return "No level that stood on that map was reached."
    by_force = {
        f"{view.forced_word} in the book by liquidation orders": sum(each.sold for each in own),
        "taken over by the insurance fund": sum(each.taken_over for each in own),
        "closed by auto-deleveraging": sum(each.deleveraged for each in own),
    }
    rest = {
        "stopped out": sum(each.stopped for each in own),
        "closed by the accounts themselves": sum(each.closed for each in own),
        "saved by more margin": sum(each.margin_added for each in own),
        "still waiting for it": sum(each.waiting for each in own),
        "held on, and not called": sum(each.other for each in own),
    }
    text = f"Of {short(due)} on that map whose levels were reached, valued there: {_listed(by_force | rest, due)}."
    return f"{text} Of what was closed by force {inside / forced * 100:.0f} % lay inside clusters." if forced else text


def _listed(amounts: dict[str, float], whole: float) -> str:
    """Those large enough to be told, as a list."""
    return ", ".join(f"{short(amount)} {name}" for name, amount in amounts.items() if amount > DUST * whole)
