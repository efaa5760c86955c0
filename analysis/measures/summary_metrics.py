"""The numbers of `summary.json`: how each is called, written and judged, in one entry each.

Scorecard, comparison, sweeps, `list` and the reports read this registry.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, final

from marginquake.analysis import formats


@final
class Better(Enum):
    """The direction that is better.  `NEITHER`: what one gains another loses, or it is a fact about the market."""

    LOWER = -1
    HIGHER = 1
    NEITHER = 0


@final
class InScorecard(Enum):
    """Whether a metric has a line in the scorecard."""

    ALWAYS = "always"
    UNLESS_ZERO = "where it is not 0"
    NEVER = "never"


@final
@dataclass(frozen=True)
class Unit:
    """How a quantity is written: the stored value times `scale`.

    `level` stands behind a value, `difference` behind the difference of two, `axis` behind the name of an axis.
    `written`: one stored value with its unit.  `money`: quote units, shortened as 1.2M.
    """

    level: str
    difference: str
    axis: str
    written: Callable[[float], str]
    scale: float = 1.0
    money: bool = False


PERCENT: Final = Unit("%", "points", "%", formats.percent, scale=100.0)
WHOLE_PERCENT: Final = Unit("%", "points", "%", lambda value: formats.percent(value, 0), scale=100.0)
MONEY: Final = Unit("", "", "quote units", formats.short_number, money=True)
COUNT: Final = Unit("", "", "", lambda value: f"{value:,.0f}")
RATIO: Final = Unit("", "", "", lambda value: f"{value:.2f}")
TICKS: Final = Unit("ticks", "ticks", "ticks", lambda value: formats.plural(value, "tick"))
BASIS_POINTS: Final = Unit("bp", "bp", "bp", lambda value: f"{value:.2f} bp")
SECONDS: Final = Unit("s", "s", "s", lambda value: f"{value:.1f} s")

SUFFIXES: Final = (("_fraction", PERCENT), ("_ticks", TICKS), ("_bps", BASIS_POINTS), ("_notional", MONEY))
"""Units of keys that have no entry: columns that a user's own program adds to a sweep, say."""


@final
@dataclass(frozen=True)
class SummaryMetric:
    """One number of a run.

    `key`: in `summary.json`.  `label`: where it stands alone, on an axis; `short`: where a note or a table is with it,
    the label itself unless given.  `note`: what it is, in a line.  `scorecard`, `compared`, `listed`: whether the
    scorecard, a comparison, and `marginquake list` show it; a sweep can be asked for any.
    """

    key: str
    label: str
    unit: Unit
    better: Better
    note: str
    short: str = ""
    scorecard: InScorecard = InScorecard.NEVER
    compared: bool = False
    listed: bool = False

    def __post_init__(self) -> None:
        if not self.short:
            object.__setattr__(self, "short", self.label)

    @property
    def heading(self) -> str:
        """The short label with a capital: 'Largest fall'."""
        return self.short[:1].upper() + self.short[1:]

    @property
    def title(self) -> str:
        """Label with unit, for axes and panels: 'largest fall of the last price, %'."""
        return f"{self.label}, {self.unit.axis}" if self.unit.axis else self.label

    def number(self, value: float) -> str:
        """A stored value with three significant digits, without the unit."""
        return formats.short_number(value * self.unit.scale)

    def text(self, value: float) -> str:
        """A stored value with three significant digits and the unit."""
        return _with_unit(self.number(value), self.unit.axis)

    def level(self, value: float) -> str:
        """A stored value as tables have it: '3.44 %'."""
        return _with_unit(_written([value], self.unit, "")[0], self.unit.level)

    def difference(self, mean: float, low: float = math.nan, high: float = math.nan) -> str:
        """A difference with its interval: '-0.42 points [-0.61, -0.25]'; without one where there is none."""
        texts = _written([mean, low, high], self.unit, "+")
        shown = _with_unit(texts[0], self.unit.difference)
        return shown if math.isnan(low) or math.isnan(high) else f"{shown} [{texts[1]}, {texts[2]}]"


def _margin_swings(which: str) -> tuple[SummaryMetric, ...]:
    """How far the margin rate of a venue moved; only of runs in which it may."""
    unit, times = (RATIO, ", times that of its brackets") if which == "maintenance" else (PERCENT, "")
    return tuple(
        SummaryMetric(f"{which}_margin_{key}", f"{label} {which} margin", unit, Better.LOWER, note)
        for key, label, unit, note in (
            ("peak", "highest", unit, f"most that the venue asked for{times}"),
            ("trough", "lowest", unit, f"least that the venue asked for{times}"),
            ("peak_to_trough", "peak to trough of the", RATIO, "the most over the least"),
            ("rise_1h", "rise within an hour of the", PERCENT, "largest, over the least of the hour before"),
            ("rise_1d", "rise within a day of the", PERCENT, "largest, over the least of the day before"),
        )
    )


_ALWAYS, _UNLESS_ZERO = InScorecard.ALWAYS, InScorecard.UNLESS_ZERO
SUMMARY_METRICS: tuple[SummaryMetric, ...] = (
    SummaryMetric(
        "max_drawdown_fraction", "largest fall of the last price", PERCENT, Better.LOWER,
        "of the last price in the series from its peak",
        short="largest fall", scorecard=_ALWAYS, compared=True, listed=True,
    ),
    SummaryMetric(
        "max_rise_fraction", "largest rise of the last price", PERCENT, Better.LOWER,
        "of the last price in the series from its low",
        short="largest rise", scorecard=_ALWAYS, listed=True,
    ),
    SummaryMetric(
        "fall_from_start_fraction", "fall of the last price from its start", PERCENT, Better.LOWER,
        "of the last price in the series, from the first to the lowest", short="fall from the start",
    ),
    SummaryMetric(
        "rise_from_start_fraction", "rise of the last price from its start", PERCENT, Better.LOWER,
        "of the last price in the series, from the first to the highest", short="rise from the start",
    ),
    SummaryMetric(
        "fundamental_drawdown_fraction", "largest fall of the fundamental", PERCENT, Better.NEITHER,
        "of the price outside the market from its peak",
    ),
    SummaryMetric(
        "fundamental_rise_fraction", "largest rise of the fundamental", PERCENT, Better.NEITHER,
        "of the price outside the market from its low",
    ),
    SummaryMetric(
        "index_drawdown_fraction", "largest fall of the index", PERCENT, Better.LOWER, "of the index from its peak"
    ),
    SummaryMetric(
        "margin_calls", "margin calls", COUNT, Better.LOWER, "times that an account fell below maintenance margin",
        scorecard=_ALWAYS, compared=True, listed=True,
    ),
    SummaryMetric(
        "accounts_called", "number of accounts called", COUNT, Better.LOWER, "accounts with at least one margin call"
    ),
    SummaryMetric(
        "accounts_called_fraction", "accounts called", PERCENT, Better.LOWER,
        "of all accounts, those with at least one margin call",
    ),
    SummaryMetric(
        "liquidations", "liquidations", COUNT, Better.LOWER,
        "forced sales that began, of a position or a part of it; an account may have several",
        scorecard=_ALWAYS, compared=True,
    ),
    SummaryMetric(
        "forced_notional", "forced volume", MONEY, Better.LOWER, "traded by liquidation orders and the fund",
        scorecard=_ALWAYS, compared=True,
    ),
    SummaryMetric(
        "forced_fill_fraction_of_open_interest", "forced volume / open interest", PERCENT, Better.LOWER,
        "forced volume over the open interest at the start", short="forced share of open interest", compared=True,
    ),
    SummaryMetric(
        "stop_notional", "stop volume", MONEY, Better.NEITHER, "quote notional that triggered stop orders traded",
        scorecard=_ALWAYS,
    ),
    SummaryMetric(
        "bad_debt", "bad debt", MONEY, Better.LOWER,
        "what bankrupt accounts could not pay; the insurance fund pays first", scorecard=_ALWAYS, compared=True,
    ),
    SummaryMetric(
        "takeover_notional", "volume taken over", MONEY, Better.LOWER,
        "positions the insurance fund took, valued at the mark", short="taken over", scorecard=_ALWAYS,
    ),
    SummaryMetric(
        "adl_notional", "auto-deleveraged volume", MONEY, Better.LOWER,
        "closed against profitable accounts when the fund was empty",
        short="auto-deleveraged", scorecard=_ALWAYS, compared=True,
    ),
    SummaryMetric(
        "socialised_loss", "socialised loss", MONEY, Better.LOWER,
        "unrealised profit that winners gave up for the fund", scorecard=_ALWAYS, compared=True,
    ),
    SummaryMetric(
        "insurance_fund_start", "insurance fund at the start", MONEY, Better.NEITHER,
        "equity of the fund behind bankrupt positions",
    ),
    SummaryMetric(
        "insurance_fund_end", "insurance fund at the end", MONEY, Better.HIGHER,
        "equity of the fund behind bankrupt positions", short="insurance fund", scorecard=_ALWAYS,
    ),
    SummaryMetric(
        "pauses", "pauses of matching", COUNT, Better.LOWER, "by the circuit breaker; orders waited",
        scorecard=_UNLESS_ZERO,
    ),
    SummaryMetric(
        "paused_seconds", "time without matching", SECONDS, Better.LOWER, "by the circuit breaker; orders waited"
    ),
    SummaryMetric(
        "seconds_at_ladder_end", "time at an end of the ladder", SECONDS, Better.LOWER,
        "the mark stood still there and one side of the book was empty: contract.max_price_multiple is too small",
        scorecard=_UNLESS_ZERO,
    ),
    SummaryMetric(
        "accounts_leverage_capped", "leverage cut", COUNT, Better.NEITHER,
        "accounts that wanted more leverage than the venue allows", scorecard=_UNLESS_ZERO,
    ),
    SummaryMetric(
        "accounts_left_out", "accounts left out", COUNT, Better.NEITHER,
        "rows of an account book that could not be at the start", scorecard=_UNLESS_ZERO,
    ),
    SummaryMetric(
        "accounts_called_end", "accounts called at the end", COUNT, Better.LOWER,
        "accounts whose forced sale has not begun at the end", short="still called", scorecard=_UNLESS_ZERO,
    ),
    SummaryMetric(
        "accounts_in_liquidation_end", "accounts in liquidation at the end", COUNT, Better.LOWER,
        "accounts under forced sale at the end", short="still in liquidation", scorecard=_UNLESS_ZERO,
    ),
    SummaryMetric(
        "open_interest_start", "open interest at the start", MONEY, Better.NEITHER, "quote notional of one side",
        compared=True,
    ),
    SummaryMetric(
        "open_interest_end", "open interest at the end", MONEY, Better.NEITHER, "quote notional of one side",
        short="open interest", scorecard=_ALWAYS,
    ),
    SummaryMetric(
        "fuel_ratio_within_1pct", "fuel ratio within 1 %", RATIO, Better.NEITHER,
        "forced notional waiting within 1 % of the start price, longs below or shorts above (the more), over D1",
        short="fuel ratio Λ, 1 %", scorecard=_ALWAYS,
    ),
    SummaryMetric(
        "fuel_ratio_within_5pct", "fuel ratio within 5 %", RATIO, Better.NEITHER,
        "forced notional waiting within 5 % of the start price, a fifth of it, over D1; above 1 more waits than rests",
        short="fuel ratio Λ, 5 %", scorecard=_ALWAYS,
    ),
    SummaryMetric(
        "position_scale", "scale of the first positions", RATIO, Better.NEITHER,
        "by which sizes of positions at the start were multiplied, to meet the fuel ratio asked for",
    ),
    SummaryMetric(
        "depth_1pct", "depth D1", MONEY, Better.HIGHER,
        "quote notional resting within 1 % of mid, mean of bids and asks, over the last 30 s of the warm-up",
        scorecard=_ALWAYS,
    ),
    SummaryMetric(
        "index_feedback_depth_1pct", "index feedback", MONEY, Better.NEITHER,
        "spot hedging that moves the index 1 % before decay; less means stronger feedback", scorecard=_ALWAYS,
    ),
    SummaryMetric(
        "median_spread_ticks", "median spread", TICKS, Better.LOWER, "best ask - best bid, median over the samples",
        scorecard=_ALWAYS, compared=True,
    ),
    SummaryMetric(
        "median_basis_bps", "median basis", BASIS_POINTS, Better.LOWER, "median distance of mid from the index",
        short="basis", scorecard=_ALWAYS,
    ),
    SummaryMetric(
        "annualised_volatility", "volatility per year", WHOLE_PERCENT, Better.LOWER, "realised, per year",
        short="volatility", scorecard=_ALWAYS,
    ),
    *_margin_swings("maintenance"),
    *_margin_swings("initial"),
    SummaryMetric("volume", "volume", MONEY, Better.NEITHER, "quote notional traded", scorecard=_ALWAYS),
    SummaryMetric("fills", "fills", COUNT, Better.NEITHER, "matches of two orders", scorecard=_ALWAYS),
    SummaryMetric("events", "events", COUNT, Better.NEITHER, "facts recorded by the venue", scorecard=_ALWAYS),
    SummaryMetric("wall_seconds", "computing time", SECONDS, Better.NEITHER, "of the machine", scorecard=_ALWAYS),
    SummaryMetric("steps_per_second", "steps a second", COUNT, Better.NEITHER, "of computing time"),
)  # fmt: skip
"""In the order of the scorecard."""

NOT_METRICS: Final = frozenset({"scenario", "name", "market", "seed", "steps", "event_digest",
                                "index_feedback_enabled"})  # fmt: skip
"""Keys of `summary.json` that say which run it is, or how it was set up, and not what came out."""


def registered() -> dict[str, SummaryMetric]:
    """The registry by key."""
    return {metric.key: metric for metric in SUMMARY_METRICS}


def metric_of(name: str) -> SummaryMetric:
    """The metric of a key; `market.key` is that key of a further market.

    A key without an entry is called by its words, with the unit of its suffix.
    """
    market, _, key = name.rpartition(".")
    metric = registered().get(key) or _unregistered(key)
    return replace(of_market(metric, market), key=name) if market else metric


def of_market(metric: SummaryMetric, market: str) -> SummaryMetric:
    """The metric with its market named, for runs that have several."""
    return replace(metric, label=f"{market}: {metric.label}", short=f"{market}: {metric.short}")


def _unregistered(key: str) -> SummaryMetric:
    suffix, unit = next((pair for pair in SUFFIXES if key.endswith(pair[0])), ("", RATIO))
    label = key.removesuffix("" if unit.money else suffix).replace("_", " ")
    return SummaryMetric(key, label, unit, Better.NEITHER, "")


def _written(values: Sequence[float], unit: Unit, sign: str) -> list[str]:
    """Numbers that stand together: as many decimals as give the largest three digits."""
    scaled = [value * unit.scale for value in values]
    if unit.money:
        return [("+" if sign and value > 0 else "") + formats.short_number(value) for value in scaled]
    largest = max((abs(value) for value in scaled if math.isfinite(value)), default=0.0)
    decimals = 0 if largest == 0 else min(max(2 - math.floor(math.log10(largest)), 0), 6)
    if all(math.isnan(value) or value == round(value) for value in scaled):
        decimals = 0
    # Adding 0.0 to the rounded number turns -0.0 into 0.0.
    return [f"{round(value, decimals) + 0.0:{sign}.{decimals}f}" for value in scaled]


def _with_unit(text: str, unit: str) -> str:
    return f"{text} {unit}" if unit else text
