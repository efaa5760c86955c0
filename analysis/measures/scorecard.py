"""The headline numbers of a run in plain words, shared by the report and the command line."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, final

from marginquake.analysis import formats
from marginquake.analysis.frames.market import Columns
from marginquake.sim.core.price_moves import largest_fall, largest_rise

Summary = Mapping[str, Any]


class ScoreRow(NamedTuple):
    """One line: what it is, its value with unit, and what it means."""

    label: str
    value: str
    note: str


@final
@dataclass(frozen=True)
class _Entry:
    """How one key of `summary.json` is shown."""

    key: str
    label: str
    show: Callable[[float], str]
    note: str | Callable[[Summary], str]
    always: bool = True
    """False: only where the value is not 0."""


def _money(value: float) -> str:
    return formats.short_number(value)


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _ratio(value: float) -> str:
    return f"{value:.2f}"


def _ticks(value: float) -> str:
    return formats.plural(value, "tick")


def _bps(value: float) -> str:
    return f"{value:.2f} bp"


def _percent_note(key: str, words: str) -> Callable[[Summary], str]:
    """`words` with a fraction of the summary in place of {}; nothing where it is missing."""

    def note(summary: Summary) -> str:
        value = number(summary, key)
        return words.format(formats.percent(value)) if value is not None else ""

    return note


def _interest_note(summary: Summary) -> str:
    start, end = number(summary, "open_interest_start"), number(summary, "open_interest_end")
    if start is None or end is None or start <= 0:
        return "quote notional of one side"
    return f"from {_money(start)} at the start ({(end / start - 1) * 100:+.1f} %); quote notional of one side"


def _fund_note(summary: Summary) -> str:
    start, end = number(summary, "insurance_fund_start"), number(summary, "insurance_fund_end")
    if start is None or end is None:
        return "equity of the fund behind bankrupt positions"
    sign = "+" if end >= start else "-"
    return f"{sign}{_money(abs(end - start))} over the run; equity of the fund behind bankrupt positions"


def _liquidations_note(summary: Summary) -> str:
    under_way = number(summary, "accounts_in_liquidation_end")
    rest = f"; {under_way:,.0f} of them had not ended with the run" if under_way else ""
    return f"forced sales that began, of a position or a part of it; an account may have several{rest}"


def _pauses_note(summary: Summary) -> str:
    return f"{number(summary, 'paused_seconds') or 0.0:.1f} s in all, by the circuit breaker; orders waited"


def _feedback_note(summary: Summary) -> str:
    if summary.get("index_feedback_enabled") is False:
        return "switched off in this run: the index follows the fundamental alone"
    depth = number(summary, "depth_1pct")
    strength = number(summary, "index_feedback_depth_1pct")
    relative = f" ({strength / depth:.2f} D1)" if depth and strength else ""
    return f"spot hedging that moves the index 1 % before decay{relative}; less means stronger feedback"


ENTRIES = (
    _Entry("max_drawdown_fraction", "Largest fall", formats.percent, _percent_note(
        "fundamental_drawdown_fraction", "of the last price in the series from its peak; the fundamental's own: {}")),
    _Entry("max_rise_fraction", "Largest rise", formats.percent, _percent_note(
        "fundamental_rise_fraction", "of the last price in the series from its low; the fundamental's own: {}")),
    _Entry("margin_calls", "Margin calls", _count, _percent_note(
        "accounts_called_fraction", "{} of all accounts were called")),
    _Entry("liquidations", "Liquidations", _count, _liquidations_note),
    _Entry("forced_notional", "Forced volume", _money, _percent_note(
        "forced_fill_fraction_of_open_interest", "traded by liquidation orders and the fund; {} of open interest")),
    _Entry("stop_notional", "Stop volume", _money, "quote notional that triggered stop orders traded"),
    _Entry("bad_debt", "Bad debt", _money, "what bankrupt accounts could not pay; the insurance fund pays first"),
    _Entry("takeover_notional", "Taken over", _money, "positions the insurance fund took, valued at the mark"),
    _Entry("adl_notional", "Auto-deleveraged", _money, "closed against profitable accounts when the fund was empty"),
    _Entry("socialised_loss", "Socialised loss", _money, "unrealised profit that winners gave up for the fund"),
    _Entry("insurance_fund_end", "Insurance fund", _money, _fund_note),
    _Entry("pauses", "Pauses of matching", _count, _pauses_note, always=False),
    _Entry("accounts_leverage_capped", "Leverage cut", _count,
        "accounts that wanted more leverage than the venue allows", always=False),
    _Entry("accounts_called_end", "Still called", _count, "accounts whose forced sale has not begun at the end",
        always=False),
    _Entry("accounts_in_liquidation_end", "Still in liquidation", _count, "accounts under forced sale at the end",
        always=False),
    _Entry("open_interest_end", "Open interest", _money, _interest_note),
    _Entry("fuel_ratio_within_1pct", "Fuel ratio Λ, 1 %", _ratio,
        "forced notional waiting within 1 % of the start price, longs below or shorts above (the more), over D1"),
    _Entry("fuel_ratio_within_5pct", "Fuel ratio Λ, 5 %", _ratio,
        "forced notional waiting within 5 % of the start price, a fifth of it, over D1; above 1 more waits than rests"),
    _Entry("depth_1pct", "Depth D1", _money,
        "quote notional resting within 1 % of mid, mean of bids and asks, over the last 30 s of the warm-up"),
    _Entry("index_feedback_depth_1pct", "Index feedback", _money, _feedback_note),
    _Entry("median_spread_ticks", "Spread", _ticks, "median of best ask - best bid"),
    _Entry("median_basis_bps", "Basis", _bps, "median distance of mid from the index"),
    _Entry("annualised_volatility", "Volatility", lambda value: formats.percent(value, 0), "realised, per year"),
    _Entry("volume", "Volume", _money, "quote notional traded"),
    _Entry("fills", "Fills", _count, "matches of two orders"),
    _Entry("events", "Events", _count, "facts recorded by the venue"),
    _Entry("wall_seconds", "Computing time", lambda value: f"{value:.1f} s", lambda summary: _speed(summary)),
)  # fmt: skip
HEADLINES = (
    "Largest fall", "Margin calls", "Forced volume", "Bad debt", "Fuel ratio Λ, 5 %", "Depth D1", "Index feedback",
    "Insurance fund",
)  # fmt: skip
"""Labels that the report shows as tiles, in this order; where the largest rise is larger, it stands for the fall."""


def headline_rows(summary: Summary, market: str | None = None) -> list[ScoreRow]:
    """The few rows that a reader should see first."""
    rows = {row.label: row for row in scorecard_rows(summary, market)}
    first = "Largest rise" if rose_more(market_summary(summary, market)) else HEADLINES[0]
    return [rows[name] for name in (first, *HEADLINES[1:]) if name in rows]


def scorecard_rows(summary: Summary, market: str | None = None) -> list[ScoreRow]:
    """Rows for one market: the first unless `market` names another.  Keys that a summary lacks are left out; a quantity
    that does not exist in this run (null) reads 'none'.  The larger of fall and rise comes first.
    """
    own = market_summary(summary, market)
    rows = []
    for entry in ENTRIES:
        if entry.key not in own:
            continue
        value = number(own, entry.key)
        if not entry.always and not value:
            continue
        note = entry.note if isinstance(entry.note, str) else entry.note(own)
        if entry.key == "index_feedback_depth_1pct" and own.get("index_feedback_enabled") is False:
            value = None
        rows.append(ScoreRow(entry.label, "none" if value is None else entry.show(value), note))
    if rose_more(own):
        rows.sort(key=lambda row: row.label != "Largest rise")
    return rows


def rose_more(own: Summary) -> bool:
    """True where the largest rise of a market is larger than its largest fall: it is told first then."""
    return (number(own, "max_rise_fraction") or 0.0) > (number(own, "max_drawdown_fraction") or 0.0)


def number(summary: Summary, key: str) -> float | None:
    """A finite number of the summary, or None."""
    value = summary.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def market_summary(summary: Summary, market: str | None) -> Summary:
    """The summary of one market: values of another than the first are stored under `<market>.<key>`."""
    if market is None or market == summary.get("market"):
        return {key: value for key, value in summary.items() if "." not in key}
    prefix = f"{market}."
    return {key[len(prefix) :]: value for key, value in summary.items() if key.startswith(prefix)}


def _speed(summary: Summary) -> str:
    steps, rate = number(summary, "steps"), number(summary, "steps_per_second")
    return f"{steps:,.0f} steps, {rate:,.0f} a second" if steps is not None and rate is not None else ""


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
