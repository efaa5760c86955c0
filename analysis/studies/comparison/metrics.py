"""What a rule is judged by: numbers of one run, with unit, wording and the direction that is better, if any.

Amplification is not among them: it needs the twin run without forced orders, which a comparison does not have.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, final

import numpy as np

from marginquake.analysis import formats
from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.frames.run_frames import RunFrames
from marginquake.analysis.measures.profits import SYSTEM_LABELS, results_by_population
from marginquake.analysis.measures.scorecard import number
from marginquake.analysis.statistics.market_quality import spread_bps

PROFIT: Final = "profit."
"""Keys of profits: `profit.<population>`."""
NOT_PROFITS: Final = ("insurance", "rounding")
"""Rows of the ledger that are no population: the fund is a metric of its own, rounding of no size."""


@final
class Better(Enum):
    """The direction that is better.  `NEITHER`: what one gains another loses, or it is a fact about the market."""

    LOWER = -1
    HIGHER = 1
    NEITHER = 0


@final
@dataclass(frozen=True)
class Notation:
    """How a quantity is written: stored value times `scale`, then `level` (a value) or `difference` (of two values)."""

    level: str
    difference: str
    scale: float = 1.0
    money: bool = False


PERCENT = Notation("%", "points", scale=100.0)
QUOTE = Notation("", "", money=True)
COUNT = Notation("", "")
TICKS = Notation("ticks", "ticks")
BASIS_POINTS = Notation("bp", "bp")


@final
@dataclass(frozen=True)
class Metric:
    """One number of a run.  `note`: what it is, in a line."""

    key: str
    label: str
    unit: Notation
    better: Better
    note: str

    def level(self, value: float) -> str:
        """A value with its unit: '3.44 %'."""
        return _with_unit(_written([value], self.unit, "")[0], self.unit.level)

    def difference(self, mean: float, low: float = math.nan, high: float = math.nan) -> str:
        """A difference with its interval: '-0.42 points [-0.61, -0.25]'; without one where there is none."""
        texts = _written([mean, low, high], self.unit, "+")
        shown = _with_unit(texts[0], self.unit.difference)
        return shown if math.isnan(low) or math.isnan(high) else f"{shown} [{texts[1]}, {texts[2]}]"


METRICS: Final = (
    Metric("largest_fall", "largest fall", PERCENT, Better.LOWER, "of the last price from its running peak"),
    Metric("forced_volume", "forced volume", QUOTE, Better.LOWER,
           "quote notional that liquidation orders and the insurance fund traded"),
    Metric("forced_share", "forced share of open interest", PERCENT, Better.LOWER,
           "forced volume over the open interest at the start"),
    Metric("liquidations", "liquidations", COUNT, Better.LOWER, "forced sales begun, of a position or a part of it"),
    Metric("margin_calls", "margin calls", COUNT, Better.LOWER, "times that an account fell below maintenance margin"),
    Metric("bad_debt", "bad debt", QUOTE, Better.LOWER, "what bankrupt accounts could not pay"),
    Metric("insurance_change", "change of the insurance fund", QUOTE, Better.HIGHER,
           "equity of the fund, end less start"),
    Metric("adl_notional", "auto-deleveraged", QUOTE, Better.LOWER, "closed against profitable accounts"),
    Metric("socialised_loss", "socialised loss", QUOTE, Better.LOWER, "profit that winners gave up for the fund"),
    Metric("median_spread", "median spread", TICKS, Better.LOWER, "best ask - best bid, median over the samples"),
    Metric("mean_spread", "mean spread", BASIS_POINTS, Better.LOWER, "of the mid, mean over the samples"),
    Metric("least_depth", "smallest depth within 1 %", PERCENT, Better.HIGHER,
           "least of the thinner side, over the depth measured at the end of the warm-up"),
    Metric("open_interest_start", "open interest at the start", QUOTE, Better.NEITHER, "quote notional of one side"),
)  # fmt: skip
"""All but the profits, in the order of tables and figures."""

_SUMMARY_KEYS: Final[Mapping[str, str]] = {
    "largest_fall": "max_drawdown_fraction",
    "forced_volume": "forced_notional",
    "forced_share": "forced_fill_fraction_of_open_interest",
    "liquidations": "liquidations",
    "margin_calls": "margin_calls",
    "bad_debt": "bad_debt",
    "adl_notional": "adl_notional",
    "socialised_loss": "socialised_loss",
    "median_spread": "median_spread_ticks",
    "open_interest_start": "open_interest_start",
}
_NAMED: Final = {metric.key: metric for metric in METRICS}


def metric_named(key: str) -> Metric:
    """The metric of a key, `profit.<population>` included."""
    if not key.startswith(PROFIT):
        return _NAMED[key]
    population = key.removeprefix(PROFIT)
    label = SYSTEM_LABELS.get(population, population.replace("_", " "))
    return Metric(key, f"profit of {label}", QUOTE, Better.NEITHER, "equity and spot hedges, without money paid in")


def measure(run: RunFrames) -> dict[str, float]:
    """All metrics of a run's first market by key; NaN where the run cannot answer (no two-sided book, say)."""
    summary, market = run.summary, run.first
    values = {key: _value(summary, name) for key, name in _SUMMARY_KEYS.items()}
    values["insurance_change"] = _value(summary, "insurance_fund_end") - _value(summary, "insurance_fund_start")
    values["mean_spread"] = _mean_spread(market)
    values["least_depth"] = _least_depth(market, _value(summary, "depth_1pct"))
    ordered = {metric.key: values[metric.key] for metric in METRICS}
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


def _written(values: Sequence[float], unit: Notation, sign: str) -> list[str]:
    """Numbers that stand together: as many decimals as give the largest three digits."""
    scaled = [value * unit.scale for value in values]
    if unit.money:
        return [_signed_money(value, sign) for value in scaled]
    largest = max((abs(value) for value in scaled if math.isfinite(value)), default=0.0)
    decimals = 0 if largest == 0 else min(max(2 - math.floor(math.log10(largest)), 0), 6)
    if all(math.isnan(value) or value == round(value) for value in scaled):
        decimals = 0
    # Adding 0.0 to the rounded number turns -0.0 into 0.0.
    return [f"{round(value, decimals) + 0.0:{sign}.{decimals}f}" for value in scaled]


def _signed_money(value: float, sign: str) -> str:
    return ("+" if sign and value > 0 else "") + formats.short_number(value)


def _with_unit(text: str, unit: str) -> str:
    return f"{text} {unit}" if unit else text
