"""From the measurements of several runs to the scoreboard: estimates, intervals over seeds, bands, verdicts."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, final

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.facts.fact import Fact, Measurement, targets
from marginquake.analysis.statistics.estimate import Unmeasurable
from marginquake.analysis.statistics.intervals import LEAST_VALUES, bootstrap, interval_over_seeds
from marginquake.sim.core.outside.edges import csv_text, markdown_cell
from marginquake.sim.core.typing import Floats, Ints

SEED = 20_260
"""Of the bootstrap over runs."""
UNBOUNDED = 1e8
"""A band that ends beyond this has no end."""


@final
@dataclass(frozen=True)
class FactRow:
    """One line of the scoreboard.

    `estimate` by `statistic` over the `measured` of `runs` runs that could answer; `low`, `high`: 95 % interval over
    runs (NaN below five); `pooled`: the estimate over all runs together, where there is one.
    `verdict`: is the estimate inside [lo, hi]?  `settled`: the interval is narrower than the band.
    `values`: of each run, in order.  `reason`: why it could not be measured.
    """

    id: str
    label: str
    unit: str
    estimate: float
    statistic: Literal["mean", "median", "pooled", "one run"]
    low: float
    high: float
    pooled: float
    lo: float
    hi: float
    magnitude: bool
    grade: str
    source: str
    verdict: Literal["pass", "fail", "n.a."]
    settled: bool
    measured: int
    runs: int
    values: tuple[float, ...]
    reason: str
    money: bool


def rows_of(facts: Mapping[str, Fact], measurements: Sequence[Mapping[str, Measurement]]) -> list[FactRow]:
    """One row a fact."""
    return [_row(fact, [run[name] for run in measurements]) for name, fact in facts.items()]


def _row(fact: Fact, runs: Sequence[Measurement]) -> FactRow:
    values = np.array([run.value for run in runs])
    known = values[np.isfinite(values)]
    pools = [run.pool for run in runs if run.pool is not None]
    pooled, why = _pooled(fact, pools)
    low = high = math.nan
    statistic: Literal["mean", "median", "pooled", "one run"] = fact.over_runs if len(runs) > 1 else "one run"
    if len(runs) > 1 and len(known) == 0 and math.isfinite(pooled):
        statistic = "pooled"  # no run can answer by itself, all of them together can
    if statistic == "pooled":
        estimate = pooled
        if math.isfinite(pooled) and len(pools) > 1:
            low, high = _pooled_interval(fact, pools)
    elif len(known) == 0:
        estimate = math.nan
    elif statistic == "one run":
        estimate = float(known[0])
    else:
        estimate, low, high = bootstrap(known, "mean" if statistic == "mean" else "median", seed=SEED)
    reason = "" if math.isfinite(estimate) else _main_reason(runs, why)
    target = targets()[fact.target] if fact.target is not None else None
    lo, hi = (target.lo, target.hi) if target is not None else (math.nan, math.nan)
    verdict: Literal["pass", "fail", "n.a."] = "n.a."
    if target is not None and math.isfinite(estimate):
        judged = abs(estimate) if fact.magnitude else estimate
        verdict = "pass" if lo <= judged <= hi else "fail"
    return FactRow(
        id=fact.id, label=fact.label, unit=fact.unit, estimate=estimate, statistic=statistic, low=low, high=high,
        pooled=pooled if len(runs) > 1 else math.nan, lo=lo, hi=hi, magnitude=fact.magnitude,
        grade=target.grade if target else "", source=target.source if target else "", verdict=verdict,
        settled=high - low < (2.0 if fact.magnitude else 1.0) * (hi - lo),
        measured=len(pools) if statistic == "pooled" and math.isfinite(estimate) else len(known), runs=len(runs),
        values=tuple(values.tolist()), reason=reason, money=fact.money,
    )  # fmt: skip


def _pooled(fact: Fact, pools: Sequence[Floats]) -> tuple[float, str]:
    if fact.pooled is None or not pools:
        return math.nan, ""
    try:
        return float(fact.pooled(pools)), ""
    except Unmeasurable as why:
        return math.nan, str(why)


def _pooled_interval(fact: Fact, pools: Sequence[Floats]) -> tuple[float, float]:
    """Whole runs are put together again; none where half of the resamples cannot answer."""

    def pooled(picks: Ints) -> Floats:
        found = np.array([_pooled(fact, [pools[run] for run in runs])[0] for runs in picks])
        return found if np.isfinite(found).sum() >= len(found) // 2 else np.full(len(found), math.nan)

    return interval_over_seeds(len(pools), pooled, resamples=fact.resamples, seed=SEED)


def _main_reason(runs: Sequence[Measurement], pooled_reason: str) -> str:
    if pooled_reason:
        return pooled_reason
    reasons = Counter(run.reason for run in runs if run.reason)
    return reasons.most_common(1)[0][0] if reasons else ""


def in_band_line(rows: Sequence[FactRow]) -> str:
    """How many of the facts that have a band and could be measured are inside it."""
    judged = [row for row in rows if row.verdict != "n.a."]
    passed = [row for row in judged if row.verdict == "pass"]
    line = f"{len(passed)} of {len(judged)} measurable facts in band"
    if any(row.runs > 1 for row in rows):
        settled = sum(row.settled for row in passed)
        line += f", {settled} of them with an interval narrower than the band"
        if not any(math.isfinite(row.low) for row in rows):
            line += f" (there is none below {LEAST_VALUES} runs)"
    silent = sum(row.verdict == "n.a." and not math.isnan(row.lo) for row in rows)
    return line + (f"; {silent} could not be measured" if silent else "")


def show(row: FactRow, value: float) -> str:
    """A number of this row, with three significant digits."""
    if not math.isfinite(value):
        return "n.a."
    if row.money:
        return formats.short_number(value)
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"


def band(row: FactRow) -> str:
    """'0.4 to 0.8', '> 5', '|.| < 0.05', '' without a band."""
    if math.isnan(row.lo):
        return ""
    if row.magnitude:
        return f"|.| < {row.hi:g}"
    return f"> {row.lo:g}" if row.hi > UNBOUNDED else f"{row.lo:g} to {row.hi:g}"


def estimate_text(row: FactRow) -> str:
    """Estimate with its unit."""
    return f"{show(row, row.estimate)} {row.unit}".strip() if math.isfinite(row.estimate) else "n.a."


def interval_text(row: FactRow) -> str:
    """'[low, high]', or n.a. below five runs."""
    return f"[{show(row, row.low)}, {show(row, row.high)}]" if math.isfinite(row.low) else "n.a."


def over_runs_text(row: FactRow) -> str:
    """What was done with several runs: 'mean of 20', 'pooled 18/20' where two could not answer."""
    if row.statistic == "one run":
        return "one run"
    return f"{row.statistic} {row.measured}" + ("" if row.measured == row.runs else f"/{row.runs}")


def verdict_text(row: FactRow) -> str:
    """pass, fail or n.a., with what there is to say about it."""
    if row.verdict == "n.a.":
        return f"n.a.: {row.reason}" if row.reason else "no band"
    if row.runs == 1 or row.settled or row.verdict == "fail":
        return row.verdict
    return "pass (wide)" if math.isfinite(row.low) else "pass (no interval)"


def source_text(row: FactRow) -> str:
    """Grade and source of the band."""
    return ", ".join(part for part in (row.grade, row.source) if part)


HEADINGS = ("id", "fact", "estimate", "95 % interval", "over runs", "pooled", "band", "grade, source", "verdict")


def cells_of(row: FactRow) -> tuple[str, ...]:
    """A row as text, under HEADINGS."""
    pooled = show(row, row.pooled) if math.isfinite(row.pooled) else ""
    return (
        row.id, row.label, estimate_text(row), interval_text(row), over_runs_text(row), pooled, band(row),
        source_text(row), verdict_text(row),
    )  # fmt: skip


def to_markdown(rows: Sequence[FactRow]) -> str:
    """The scoreboard as a table, and the count below it."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|---" * len(HEADINGS) + "|"]
    lines += ["| " + " | ".join(markdown_cell(cell) for cell in cells_of(row)) + " |" for row in rows]
    return "\n".join([*lines, "", in_band_line(rows) + ".", ""])


def to_csv(rows: Sequence[FactRow], runs: Sequence[str]) -> str:
    """The scoreboard with full precision, and a column for every run."""
    fields = (
        "id", "label", "unit", "estimate", "statistic", "low", "high", "pooled", "lo", "hi", "grade", "source",
        "verdict", "settled", "measured", "runs", "reason",
    )  # fmt: skip
    cells = [[*(getattr(row, name) for name in fields), *row.values] for row in rows]
    return csv_text([[*fields, *runs], *([_plain(cell) for cell in row] for row in cells)])


def _plain(cell: object) -> object:
    """An empty cell for a number that is not there."""
    return "" if isinstance(cell, float) and math.isnan(cell) else cell
