"""Episodes of forced flow: forced fills close to each other in time, as a table that moves the charts."""

from analysis import style
from analysis.cascades import Episode, episodes
from analysis.load import MarketFrames, RunFrames
from analysis.page.panels import around
from analysis.page.section import Content, Table

SHOWN = 8
HEADINGS = (
    "no.", "begins", "lasts", "forced notional", "accounts", "by the fund", "sold", "price, first to last",
    "price range",
)  # fmt: skip


def content(run: RunFrames, market: MarketFrames) -> Content:
    """The largest episodes, largest first."""
    missing = market.not_recorded("liquidations")
    if missing:
        return Content(missing=f"Forced fills: {missing}")
    found = [episode for episode in episodes(market.forced_fills) if episode.end_s >= 0]
    if not found:
        return Content(lead="No position was closed by force in this run.")
    shown = found[:SHOWN]
    rest = f" {len(found) - SHOWN:,} smaller ones are left out." if len(found) > SHOWN else ""
    return Content(
        lead="Forced fills that follow each other within 30 s. Closeness in time, not cause." + rest,
        tables=[
            Table(
                HEADINGS,
                [_cells(rank + 1, episode) for rank, episode in enumerate(shown)],
                "Choose a row to see its minutes in every chart.",
                [around(episode.start_s, episode.end_s) for episode in shown],
            )
        ],
    )


def _cells(rank: int, episode: Episode) -> tuple[str, ...]:
    return (
        str(rank),
        style.clock(episode.start_s),
        f"{episode.duration_s:,.0f} s",
        style.short_number(episode.notional),
        f"{episode.accounts:,}",
        style.percent(episode.fund_fraction, 0),
        style.percent(episode.sell_fraction, 0),
        f"{(episode.price_last / episode.price_first - 1) * 100:+.2f} %",
        style.percent(episode.range_fraction),
    )
