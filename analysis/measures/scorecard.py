"""The headline numbers of a run in plain words, shared by the report and the command line."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from marginquake.analysis import formats
from marginquake.analysis.frames.market import Columns, MarketFrames, market_summary
from marginquake.analysis.measures import summary_metrics
from marginquake.analysis.measures.summary_metrics import COUNT, MONEY, PERCENT, InScorecard, SummaryMetric
from marginquake.sim.core.price_moves import largest_fall, largest_rise

Summary = Mapping[str, Any]

HEADLINES = (
    "max_drawdown_fraction", "margin_calls", "forced_notional", "bad_debt", "fuel_ratio_within_5pct", "depth_1pct",
    "index_feedback_depth_1pct", "insurance_fund_end",
)  # fmt: skip
"""What the report shows as tiles, in this order; where the largest rise is larger, it stands for the fall."""
WHOLE_RUN = ("wall_seconds",)
"""Numbers of the scorecard that are the run's, not a market's."""
FROM_START = {
    "max_drawdown_fraction": "fall_from_start_fraction",
    "max_rise_fraction": "rise_from_start_fraction",
}


class ScoreRow(NamedTuple):
    """One line: what it is, its value with unit, and what it means."""

    label: str
    value: str
    note: str


def headline_rows(summary: Summary, market: str | None = None) -> list[ScoreRow]:
    """The few rows that a reader should see first."""
    rows = _rows_by_key(market_summary(summary, market))
    first = "max_rise_fraction" if rose_more(market_summary(summary, market)) else HEADLINES[0]
    return [rows[key] for key in (first, *HEADLINES[1:]) if key in rows]


def scorecard_rows(summary: Summary, market: str | None = None) -> list[ScoreRow]:
    """Rows for one market: the first unless `market` names another.  Keys that a summary lacks are left out; a quantity
    that does not exist in this run (null) reads 'none'.  The larger of fall and rise comes first.
    """
    return list(_rows_by_key(market_summary(summary, market)).values())


def markets_of(summary: Summary) -> tuple[str, ...]:
    """The markets that a summary is about: the first, then those whose keys have their name before them."""
    others = dict.fromkeys(key.partition(".")[0] for key in summary if "." in key)
    return (str(summary.get("market", "main")), *others)


class Scorecard(NamedTuple):
    """The scorecard of a run as a table: one column a market.  `headings` are empty where there is one market."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def scorecard(summary: Summary) -> Scorecard:
    """Label, value in each market, note.  Rows stand as in the first market.

    A number of the whole run, such as computing time, is the same in every column.  A note with numbers of its own in
    it is left to the reports where markets differ in it: there the plain meaning stands.
    """
    markets = markets_of(summary)
    if len(markets) == 1:
        return Scorecard((), tuple(scorecard_rows(summary)))
    columns = [_rows_by_key(market_summary(summary, market)) for market in markets]
    plain = {metric.key: metric.note for metric in summary_metrics.SUMMARY_METRICS}
    rows = []
    for key in dict.fromkeys(key for column in columns for key in column):
        found = [column.get(key, columns[0].get(key) if key in WHOLE_RUN else None) for column in columns]
        known = [row for row in found if row is not None]
        notes = {row.note for row in known}
        values = ("0" if row is None else row.value for row in found)
        rows.append((known[0].label, *values, notes.pop() if len(notes) == 1 else plain[key]))
    return Scorecard(("", *markets, ""), tuple(rows))


def one_line(summary: Summary, from_start: bool = False) -> str:
    """'12 margin calls, largest fall 3.4%, largest rise 0.8%': what `list` says of a run, the larger move first.

    Numbers that an old run lacks are left out.  `from_start`: falls and rises from the first price, as
    `counterfactual` compares them; else from a peak or low.  Of several markets: `main: ...; b: ...`.
    """
    markets = markets_of(summary)
    if len(markets) > 1:
        said = ((market, _one_line(market_summary(summary, market), from_start)) for market in markets)
        return "; ".join(f"{market}: {line}" for market, line in said)
    return _one_line(summary, from_start)


def _one_line(summary: Summary, from_start: bool) -> str:
    known = summary_metrics.registered()
    listed = [metric for metric in known.values() if metric.listed]
    if from_start:
        listed = [known[FROM_START.get(metric.key, metric.key)] for metric in listed]
    found = [(metric, value) for metric in listed if (value := number(summary, metric.key)) is not None]
    # Fractions last, the largest of them first.
    found.sort(key=lambda each: (True, -each[1]) if each[0].unit is PERCENT else (False, 0.0))
    return ", ".join(_in_words(metric, value, 2 if from_start else 1) for metric, value in found)


def _in_words(metric: SummaryMetric, value: float, digits: int) -> str:
    if metric.unit is COUNT:
        return f"{value:,.0f} {metric.short}"
    return f"{metric.short} {f'{value:.{digits}%}' if metric.unit is PERCENT else metric.unit.written(value)}"


def rose_more(own: Summary) -> bool:
    """True where the largest rise of a market is larger than its largest fall: it comes first then."""
    return (number(own, "max_rise_fraction") or 0.0) > (number(own, "max_drawdown_fraction") or 0.0)


def number(summary: Summary, key: str) -> float | None:
    """A finite number of the summary, or None."""
    value = summary.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def market_moves(series: Columns) -> str:
    """`Largest fall of the last price 3.59 %, of the fundamental 1.37 %`; the rise comes first where it is larger.

    `series`: of one market, from t = 0 on.
    """
    falls = [largest_fall(series[name]).fraction for name in ("last", "fundamental")]
    rises = [largest_rise(series[name]).fraction for name in ("last", "fundamental")]
    fall, fall_outside, rise, rise_outside = map(formats.percent, (*falls, *rises))
    if rises[0] <= falls[0]:
        return f"Largest fall of the last price {fall}, of the fundamental {fall_outside}"
    return (
        f"Largest rise of the last price {rise}, of the fundamental {rise_outside}; largest fall {fall} and "
        f"{fall_outside}"
    )


def what_happened(market: MarketFrames) -> str:
    """`market_moves`, how many were called, and how much was forced to trade."""
    return (
        f"{market_moves(market.run)}. {market.total('margin_calls'):,.0f} margin calls; "
        f"{formats.short_number(market.total('forced_volume'))} traded by force."
    )


def _rows_by_key(own: Summary) -> dict[str, ScoreRow]:
    """The rows of one market's summary by key, in their order."""
    rows = {metric.key: row for metric in summary_metrics.SUMMARY_METRICS if (row := _row(metric, own)) is not None}
    if rose_more(own) and "max_rise_fraction" in rows:
        return {"max_rise_fraction": rows.pop("max_rise_fraction"), **rows}
    return rows


def _row(metric: SummaryMetric, own: Summary) -> ScoreRow | None:
    if metric.scorecard is InScorecard.NEVER or metric.key not in own:
        return None
    value = number(own, metric.key)
    if metric.scorecard is InScorecard.UNLESS_ZERO and not value:
        return None
    if metric.key == "index_feedback_depth_1pct" and own.get("index_feedback_enabled") is False:
        value = None
    note = _NOTES[metric.key](own, metric.note) if metric.key in _NOTES else metric.note
    return ScoreRow(metric.heading, "none" if value is None else metric.unit.written(value), note)


Note = Callable[[Summary, str], str]
"""The summary of a market, and the note of the metric -> the note with the run's own numbers in it."""


def _with_fraction(key: str, words: str) -> Note:
    """The note and `words` with a fraction of the summary in place of {}; the note alone where that is missing."""

    def note(summary: Summary, plain: str) -> str:
        value = number(summary, key)
        return plain if value is None else f"{plain}; {words.format(formats.percent(value))}"

    return note


def _calls_note(summary: Summary, plain: str) -> str:
    share = number(summary, "accounts_called_fraction")
    return plain if share is None else f"{formats.percent(share)} of all accounts were called"


def _liquidations_note(summary: Summary, plain: str) -> str:
    under_way = number(summary, "accounts_in_liquidation_end")
    return f"{plain}; {under_way:,.0f} of them had not ended with the run" if under_way else plain


def _interest_note(summary: Summary, plain: str) -> str:
    start, end = number(summary, "open_interest_start"), number(summary, "open_interest_end")
    if start is None or end is None or start <= 0:
        return plain
    return f"from {MONEY.written(start)} at the start ({(end / start - 1) * 100:+.1f} %); {plain}"


def _fund_note(summary: Summary, plain: str) -> str:
    start, end = number(summary, "insurance_fund_start"), number(summary, "insurance_fund_end")
    if start is None or end is None:
        return plain
    sign = "+" if end >= start else "-"
    return f"{sign}{MONEY.written(abs(end - start))} over the run; {plain}"


def _pauses_note(summary: Summary, plain: str) -> str:
    return f"{number(summary, 'paused_seconds') or 0.0:.1f} s in all, {plain}"


def _feedback_note(summary: Summary, plain: str) -> str:
    if summary.get("index_feedback_enabled") is False:
        return "switched off in this run: the index follows the fundamental alone"
    depth = number(summary, "depth_1pct")
    strength = number(summary, "index_feedback_depth_1pct")
    what, _, meaning = plain.partition(";")
    return f"{what} ({strength / depth:.2f} D1);{meaning}" if depth and strength else plain


def _speed_note(summary: Summary, plain: str) -> str:
    steps, rate = number(summary, "steps"), number(summary, "steps_per_second")
    return f"{steps:,.0f} steps, {rate:,.0f} a second" if steps is not None and rate is not None else plain


_NOTES: Mapping[str, Note] = {
    "max_drawdown_fraction": _with_fraction("fundamental_drawdown_fraction", "the fundamental's own: {}"),
    "max_rise_fraction": _with_fraction("fundamental_rise_fraction", "the fundamental's own: {}"),
    "margin_calls": _calls_note,
    "liquidations": _liquidations_note,
    "forced_notional": _with_fraction("forced_fill_fraction_of_open_interest", "{} of open interest"),
    "insurance_fund_end": _fund_note,
    "pauses": _pauses_note,
    "open_interest_end": _interest_note,
    "index_feedback_depth_1pct": _feedback_note,
    "wall_seconds": _speed_note,
}
"""Notes with numbers of the run beside the metric's own."""
