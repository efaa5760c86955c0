"""The scorecard: every headline number of the summary, with what it means."""

from analysis.load import MarketFrames, RunFrames
from analysis.page.section import Content, Table
from analysis.scorecard import scorecard_rows


def content(run: RunFrames, market: MarketFrames) -> Content:
    """One line a number."""
    rows = [(row.label, row.value, row.note) for row in scorecard_rows(run.summary, market.name)]
    return Content(tables=[Table(("number", "value", "meaning"), rows)])
