"""Sections of the report that are one table or one sentence."""

import math

from marginquake.analysis.causes import causal_tree
from marginquake.analysis.explanation import sentences
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.frames.run_frames import RunFrames
from marginquake.analysis.measures.quality import TRANSITION_HEADINGS, Result, cells_of, measure, transition_matrix
from marginquake.analysis.measures.scorecard import scorecard_rows
from marginquake.analysis.report.section import Content, Table


def quality_applies(run: RunFrames, market: MarketFrames) -> bool:
    """Only where somebody was called, by the audit log."""
    return bool(market.audit) and any(row.name == "margin_calls" and row.value > 0 for row in measure(market))


def quality_content(run: RunFrames, market: MarketFrames) -> Content:
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


def scorecard_content(run: RunFrames, market: MarketFrames) -> Content:
    """One line a number."""
    rows = [(row.label, row.value, row.note) for row in scorecard_rows(run.summary, market.name)]
    return Content(tables=[Table(("number", "value", "meaning"), rows)])


def in_words_applies(run: RunFrames, market: MarketFrames) -> bool:
    """Only where somebody was called, and it is known why."""
    return bool(causal_tree(market).cascades)


def in_words_content(run: RunFrames, market: MarketFrames) -> Content:
    """The headline of the largest cascade, and the first sentence of every part of its explanation."""
    headline, *rest = (each.removesuffix(":") + "." if each.endswith(":") else each for each in sentences(run, market))
    aside = "`marginquake explain` says more, about any cascade of the run."
    return Content(lead=headline, sentences=rest, aside=aside)
