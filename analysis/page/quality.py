"""How well margin calls and liquidations worked: the measures of `marginquake liquidations` that a run can answer."""

import math

from analysis.liquidation_quality import TRANSITION_HEADINGS, Result, cells_of, measure, transition_matrix
from analysis.load import MarketFrames, RunFrames
from analysis.page.section import Content, Table


def wanted(run: RunFrames, market: MarketFrames) -> bool:
    """Only where somebody was called, by the audit log."""
    return bool(market.audit) and any(row.name == "margin_calls" and row.value > 0 for row in measure(market))


def content(run: RunFrames, market: MarketFrames) -> Content:
    """Measures, and changes of stage."""
    answered: list[Result] = [row for row in measure(market) if not math.isnan(row.value)]
    transitions = [cells_of(each) for each in transition_matrix(market)]
    tables = [Table(("measure", "value"), [(row.label, row.shown) for row in answered])]
    if transitions:
        tables.append(Table(TRANSITION_HEADINGS, transitions, "Changes of stage", words=2))
    return Content(
        lead="From the audit log. Trigger: the price at which an account was due to be called. Overshoot: how far the "
        "mark was beyond it. Slippage: mean fill against the mark when the forced sale began. "
        "`marginquake liquidations` prints the same, with reasons for what is missing.",
        tables=tables,
    )
