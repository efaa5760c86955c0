"""Accounts of one's own: what became of each account that a user's file stated."""

from marginquake.analysis import formats
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.frames.run_frames import RunFrames
from marginquake.analysis.measures.account_outcomes import HEADINGS, cells, from_a_book, left_out, outcomes
from marginquake.analysis.report.section import Content, Table
from marginquake.analysis.report.thinning import at_most

MOST_LISTED = 2000
"""Accounts that the page lists; all of them are in accounts.parquet."""


def applies(run: RunFrames, market: MarketFrames) -> bool:
    """Only where a population took its accounts from a file."""
    return bool(from_a_book(market).any())


def content(run: RunFrames, market: MarketFrames) -> Content:
    """Every account by its id, the largest loss first; and the rows that could not be opened."""
    gone = left_out(market)
    lines = {line for line, _, _ in gone}
    own = from_a_book(market) & (market.accounts["left_out"].astype(str) == "")
    found = outcomes(market, own)
    shown = found[: at_most(MOST_LISTED)]
    called, liquidated = sum(each.called for each in found), sum(each.liquidated for each in found)
    profit = sum(each.profit for each in found)
    held = sum(each.notional for each in found if each.side)
    lead = (
        f"{formats.plural(len(found), 'account')} from your file held {formats.short_number(held)} at the start: "
        f"{called:,} called, {liquidated:,} closed by force. Together they "
        f"{'gained' if profit >= 0 else 'lost'} {formats.short_number(abs(profit))}."
    )
    caption = "The largest loss first. Forced, by ADL: notional closed by liquidation orders and by auto-deleveraging."
    if len(shown) < len(found):
        caption += f" {len(found) - len(shown):,} more are in accounts.parquet."
    tables = [Table(HEADINGS, [cells(each, with_id=True) for each in shown], caption, words=4)]
    if gone:
        rows = [(str(line), name, why) for line, name, why in gone[: at_most(MOST_LISTED)]]
        text = f"{len(lines):,} rows of the file that could not be at the start, and were left out."
        tables.append(Table(("line", "id", "why"), rows, text, words=3))
    return Content(lead=lead, tables=tables)
