"""How well a market's margin calls and liquidations worked: one line a measure, with the reason where there is none.

docs/model.md, eq. 7c, says what each is.  A measure is a function of `Liquidations` and one entry in `MEASURES`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, final

from marginquake.analysis import formats
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.measures import call_accuracy, costs, stages
from marginquake.analysis.measures.cases import Liquidations
from marginquake.analysis.measures.stages import Transition
from marginquake.analysis.statistics.estimate import Unmeasurable
from marginquake.sim.core.outside.edges import csv_text
from marginquake.sim.core.records import AuditCause, Stage
from marginquake.sim.runs.directory import plain


@final
@dataclass(frozen=True)
class Measure:
    """One line: a name for machines, a label for people, what its value is measured in, how it is estimated."""

    name: str
    label: str
    unit: str
    estimate: Callable[[Liquidations], float]


@final
@dataclass(frozen=True)
class Result:
    """What one run says: `value` is nan where it cannot, and `reason` says why."""

    name: str
    label: str
    unit: str
    value: float
    reason: str = ""

    @property
    def shown(self) -> str:
        """The value in words."""
        return "n.a." if math.isnan(self.value) else SHOWN[self.unit](self.value)


SHOWN: dict[str, Callable[[float], str]] = {
    "": lambda value: f"{value:.3g}",
    "count": lambda value: f"{value:,.0f}",
    "share": lambda value: formats.percent(value),
    "bp": lambda value: f"{value:.2f} bp",
    "s": lambda value: f"{value:,.1f} s",
    "amount": lambda value: formats.short_number(value),
}

HEADINGS = ("measure", "value", "why not")
TRANSITION_HEADINGS = ("from", "to", "accounts", "of those leaving", "stayed, median", "stayed, 95 %")


def _calls(seen: Liquidations) -> float:
    return float((seen.audit["to_stage"] == Stage.CALLED).sum())


def _warnings(seen: Liquidations) -> float:
    risen = (seen.audit["from_stage"] == Stage.OK) & (seen.audit["to_stage"] == Stage.WARNED)
    return float(risen.sum())


def _started(seen: Liquidations) -> float:
    return float((seen.audit["to_stage"] == Stage.LIQUIDATING).sum())


MEASURES: tuple[Measure, ...] = (
    Measure("warnings", "warnings", "count", _warnings),
    Measure("margin_calls", "margin calls", "count", _calls),
    Measure("liquidations", "forced sales begun", "count", _started),
    Measure("mark_error_p50", "mark error, median", "bp", partial(call_accuracy.mark_error_bps, quantile=0.5)),
    Measure("mark_error_p95", "mark error, 95 %", "bp", partial(call_accuracy.mark_error_bps, quantile=0.95)),
    Measure("mark_error_p99", "mark error, 99 %", "bp", partial(call_accuracy.mark_error_bps, quantile=0.99)),
    Measure("false_call_rate", "false calls", "share", call_accuracy.false_call_rate),
    Measure("miss_rate", "missed crossings", "share", call_accuracy.miss_rate),
    Measure("transient_share", "transient liquidations", "share", call_accuracy.transient_share),
    Measure("overshoot_mean", "overshoot at the call, mean", "bp", partial(costs.overshoot_bps, quantile=None)),
    Measure("overshoot_p95", "overshoot at the call, 95 %", "bp", partial(costs.overshoot_bps, quantile=0.95)),
    Measure("overshoot_at_start", "mark beyond the trigger when sold, mean", "bp", costs.drift_bps),
    Measure(
        "queue_wait_p50",
        "wait from call to forced sale, median",
        "s",
        partial(costs.queue_wait_s, quantile=0.5),
    ),
    Measure(
        "queue_wait_p95",
        "wait from call to forced sale, 95 %",
        "s",
        partial(costs.queue_wait_s, quantile=0.95),
    ),
    Measure("time_to_flat_p50", "time to flat, median", "s", partial(costs.time_to_flat_s, quantile=0.5)),
    Measure("time_to_flat_p95", "time to flat, 95 %", "s", partial(costs.time_to_flat_s, quantile=0.95)),
    Measure("filled_share", "closed in the book", "share", partial(costs.share_of_lots, column="filled_lots")),
    Measure(
        "taken_over_share",
        "taken over by the fund",
        "share",
        partial(costs.share_of_lots, column="taken_over_lots"),
    ),
    Measure(
        "deleveraged_share",
        "closed by ADL",
        "share",
        partial(costs.share_of_lots, column="deleveraged_lots"),
    ),
    Measure("slippage_mean", "slippage against the mark, mean", "bp", partial(costs.slippage_bps, quantile=None)),
    Measure("slippage_p95", "slippage against the mark, 95 %", "bp", partial(costs.slippage_bps, quantile=0.95)),
    Measure("fund_change_mean", "change of the fund by a liquidation, mean", "amount", costs.fund_change_mean),
    Measure("fees", "liquidation fees", "amount", partial(costs.total, column="fee")),
    Measure("fund_paid", "paid by the fund", "amount", partial(costs.total, column="fund_paid")),
    Measure("winners_paid", "paid by those deleveraged", "amount", partial(costs.total, column="winners_paid")),
    Measure("unpaid", "paid by nobody", "amount", partial(costs.total, column="unpaid")),
    Measure("bad_debt", "bad debt of those liquidated", "amount", costs.bad_debt),
    Measure("cured_share", "calls cured", "share", stages.cured_share),
    Measure(
        "topped_up_share",
        "calls cured by the account",
        "share",
        partial(stages.cured_share, causes=(AuditCause.TOPPED_UP, AuditCause.REDUCED, AuditCause.FLAT)),
    ),
    Measure("escalation_ratio", "liquidations that others paid for", "share", stages.escalation_ratio),
    Measure("adl_top_1pct", "ADL borne by the most-hit 1 %", "share", partial(costs.top_share, fraction=0.01)),
    Measure("adl_top_10pct", "ADL borne by the most-hit 10 %", "share", partial(costs.top_share, fraction=0.1)),
    Measure("adl_gini", "Gini of ADL over those deleveraged", "", costs.gini),
    Measure("adl_overshoot", "profit closed by ADL over deficit", "", costs.overshoot),
)
"""In the order in which they are shown."""


def measure(market: MarketFrames) -> list[Result]:
    """Every measure of one market of a run."""
    seen = Liquidations(market)
    return [_result(each, seen) for each in MEASURES]


def transition_matrix(market: MarketFrames) -> list[Transition]:
    """Changes of stage that occurred; none where there is no audit log."""
    try:
        return stages.transitions(Liquidations(market))
    except Unmeasurable:
        return []


def cells_of(each: Transition) -> tuple[str, ...]:
    """One line of the table of transitions, in the order of `TRANSITION_HEADINGS`."""
    stays = ["" if math.isnan(value) else f"{value:,.1f} s" for value in (each.dwell_median_s, each.dwell_p95_s)]
    names = [stage.replace("_", " ").lower() for stage in (each.from_stage, each.to_stage)]
    return (*names, f"{each.count:,}", formats.percent(each.share, 1), *stays)


def to_csv(results: dict[str, Sequence[Result]]) -> str:
    """One line a market and measure."""
    table: list[tuple[object, ...]] = [("market", "measure", "value", "unit", "reason")]
    for market, rows in results.items():
        for row in rows:
            value = "" if math.isnan(row.value) else repr(row.value)
            table.append((market, row.name, value, row.unit, row.reason))
    return csv_text(table)


def as_plain(market: MarketFrames) -> dict[str, Any]:
    """Measures and transitions of a market as JSON can say them: null where there is none."""
    results = measure(market)
    return {
        "measures": {row.name: plain(row.value) for row in results},
        "reasons": {row.name: row.reason for row in results if row.reason},
        "transitions": [plain(each) for each in transition_matrix(market)],
    }


def _result(what: Measure, seen: Liquidations) -> Result:
    try:
        value = what.estimate(seen)
    except Unmeasurable as error:
        return Result(what.name, what.label, what.unit, math.nan, str(error))
    return Result(what.name, what.label, what.unit, value)
