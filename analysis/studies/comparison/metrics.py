"""What a rule is judged by: numbers of one run.  Those of its summary are in the registry; here are the others.

Amplification is not among them: it needs the twin run without forced orders, which a comparison does not have.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from marginquake.analysis.frames.market import MarketFrames, market_summary
from marginquake.analysis.frames.run_frames import RunFrames
from marginquake.analysis.measures import summary_metrics
from marginquake.analysis.measures.profits import FUND, ROUNDING, population_label, results_by_population
from marginquake.analysis.measures.scorecard import number
from marginquake.analysis.measures.summary_metrics import BASIS_POINTS, MONEY, PERCENT, Better, SummaryMetric
from marginquake.analysis.statistics.market_quality import spread_bps

PROFIT: Final = "profit."
"""Keys of profits: `profit.<population>`."""
NOT_PROFITS: Final = (FUND, ROUNDING)
"""Rows of the ledger that are no population: the fund is a metric of its own, rounding of no size."""


DERIVED: Final = (
    SummaryMetric("insurance_change", "change of the insurance fund", MONEY, Better.HIGHER,
                  "equity of the fund, end less start"),
    SummaryMetric("mean_spread", "mean spread", BASIS_POINTS, Better.LOWER, "of the mid, mean over the samples"),
    SummaryMetric("least_depth", "smallest depth within 1 %", PERCENT, Better.HIGHER,
                  "least of the thinner side, over the depth measured at the end of the warm-up"),
)  # fmt: skip
"""What `measure` calculates from a run, because its summary does not hold it."""
ORDER: Final = (
    "max_drawdown_fraction", "forced_notional", "forced_fill_fraction_of_open_interest", "liquidations",
    "margin_calls", "bad_debt", "insurance_change", "adl_notional", "socialised_loss", "median_spread_ticks",
    "mean_spread", "least_depth", "open_interest_start",
)  # fmt: skip
"""What stands first in tables and figures; others follow in the order of the registry, profits last."""


def compared_metrics() -> tuple[SummaryMetric, ...]:
    """All that a comparison looks at but the profits, in the order of tables and figures."""
    found = [metric for metric in summary_metrics.SUMMARY_METRICS if metric.compared] + list(DERIVED)
    place = {key: number for number, key in enumerate(ORDER)}
    return tuple(sorted(found, key=lambda metric: place.get(metric.key, len(ORDER))))


def metric_named(key: str) -> SummaryMetric:
    """The metric of a key: `profit.<population>` is one, and `<market>.<key>` that of a further market."""
    market, dot, own = key.partition(".")
    if dot and not key.startswith(PROFIT):
        return replace(summary_metrics.of_market(metric_named(own), market), key=key)
    if key.startswith(PROFIT):
        population = key.removeprefix(PROFIT)
        note = "equity and spot hedges, without money paid in"
        return SummaryMetric(key, f"profit of {population_label(population)}", MONEY, Better.NEITHER, note)
    return next((metric for metric in DERIVED if metric.key == key), None) or summary_metrics.registered()[key]


def measure(run: RunFrames) -> dict[str, float]:
    """All metrics of a run by key; NaN where the run cannot answer (no two-sided book, say).

    Keys of markets after the first have the market's name before them.
    """
    found = _of_market(run.summary, run.first)
    for market in list(run.markets.values())[1:]:
        own = _of_market(market_summary(run.summary, market.name), market)
        found |= {f"{market.name}.{key}": value for key, value in own.items()}
    return found


def _of_market(summary: Mapping[str, object], market: MarketFrames) -> dict[str, float]:
    derived = {
        "insurance_change": _value(summary, "insurance_fund_end") - _value(summary, "insurance_fund_start"),
        "mean_spread": _mean_spread(market),
        "least_depth": _least_depth(market, _value(summary, "depth_1pct")),
    }
    keys = [metric.key for metric in compared_metrics()]
    ordered = {key: derived[key] if key in derived else _value(summary, key) for key in keys}
    kept = {name: profit for name, profit in profits(market).items() if name not in NOT_PROFITS}
    return ordered | {PROFIT + name: profit for name, profit in kept.items()}


def profits(market: MarketFrames, spot: bool = True) -> dict[str, float]:
    """Profit of every population of the ledger (fund, fees and rounding included), quote units, by name.

    Equity at the end less equity at t = 0, where seeded positions are already held, less money paid in, plus what spot
    hedges earned.  Without `spot` they add up to zero: what one gains in this market another loses.
    """
    results = sorted(results_by_population(market), key=lambda result: result.population)
    return {result.population: result.total - (0.0 if spot else result.spot) for result in results}


def _value(summary: Mapping[str, object], key: str) -> float:
    value = number(summary, key)
    return math.nan if value is None else value


def _mean_spread(market: MarketFrames) -> float:
    bps = spread_bps(market.run["best_bid"], market.run["best_ask"])
    seen = bps[np.isfinite(bps)]
    return float(seen.mean()) if len(seen) else math.nan


def _least_depth(market: MarketFrames, start: float) -> float:
    thinner = np.minimum(market.run["bid_depth_1pct"], market.run["ask_depth_1pct"])
    seen = thinner[np.isfinite(thinner)]
    return float(seen.min()) / start if len(seen) and start > 0 else math.nan
