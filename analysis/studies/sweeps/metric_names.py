"""How metrics, events and values of axes are called and written in figures and reports."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from marginquake.analysis import formats
from marginquake.analysis.studies.sweeps.load import SweepData, Value

PERCENT, MONEY, TICKS, BPS, COUNT, RATIO = "%", "quote units", "ticks", "bp", "", ""

LABELS: dict[str, tuple[str, str]] = {
    "max_drawdown_fraction": ("largest fall of the last price", PERCENT),
    "max_rise_fraction": ("largest rise of the last price", PERCENT),
    "fall_from_start_fraction": ("fall of the last price from its start", PERCENT),
    "rise_from_start_fraction": ("rise of the last price from its start", PERCENT),
    "fundamental_drawdown_fraction": ("largest fall of the fundamental", PERCENT),
    "fundamental_rise_fraction": ("largest rise of the fundamental", PERCENT),
    "index_drawdown_fraction": ("largest fall of the index", PERCENT),
    "forced_fill_fraction_of_open_interest": ("forced volume / open interest", PERCENT),
    "accounts_called_fraction": ("accounts called", PERCENT),
    "annualised_volatility": ("volatility per year", PERCENT),
    "margin_calls": ("margin calls", COUNT),
    "liquidations": ("liquidations", COUNT),
    "forced_notional": ("forced volume", MONEY),
    "stop_notional": ("stop volume", MONEY),
    "volume": ("volume", MONEY),
    "bad_debt": ("bad debt", MONEY),
    "takeover_notional": ("volume taken over", MONEY),
    "adl_notional": ("auto-deleveraged volume", MONEY),
    "socialised_loss": ("socialised loss", MONEY),
    "insurance_fund_end": ("insurance fund at the end", MONEY),
    "open_interest_start": ("open interest at the start", MONEY),
    "open_interest_end": ("open interest at the end", MONEY),
    "depth_1pct": ("depth D1", MONEY),
    "fuel_ratio_within_1pct": ("fuel ratio within 1 %", RATIO),
    "fuel_ratio_within_5pct": ("fuel ratio within 5 %", RATIO),
}
"""Label and unit of the summary's keys; others are called by their key, with the unit of its suffix."""

SUFFIXES = (("_fraction", PERCENT), ("_ticks", TICKS), ("_bps", BPS), ("_notional", MONEY))


@final
@dataclass(frozen=True)
class MetricWords:
    """How one metric is written; `number` and `text` take it in its own unit, as it stands in the table."""

    name: str
    label: str
    unit: str

    @property
    def factor(self) -> float:
        """From the table's unit to the unit written."""
        return 100.0 if self.unit == PERCENT else 1.0

    @property
    def title(self) -> str:
        """Label with unit: for axes and panels."""
        return f"{self.label}, {self.unit}" if self.unit else self.label

    def number(self, value: float) -> str:
        """Three significant digits without the unit."""
        return formats.short_number(value * self.factor)

    def text(self, value: float) -> str:
        """Three significant digits with the unit."""
        return f"{self.number(value)} {self.unit}".rstrip()


def describe(name: str) -> MetricWords:
    """The words for a metric; `market.key` is that key of a further market."""
    market, _, key = name.rpartition(".")
    label, unit = LABELS.get(key, (None, None))
    if label is None or unit is None:
        suffix, unit = next((pair for pair in SUFFIXES if key.endswith(pair[0])), ("", RATIO))
        label = key.removesuffix(suffix if unit != MONEY else "").replace("_", " ")
    return MetricWords(name, f"{market}: {label}" if market else label, unit)


def short(label: str) -> str:
    """A label without its unit: what stands before the first comma."""
    return label.partition(",")[0]


def clipped(text: str, most: int = 62) -> str:
    """A text that fits where `most` characters do."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def event_words(sweep: SweepData) -> str:
    """'forced volume / open interest > 5 %'."""
    metric = describe(sweep.event.metric)
    return f"{metric.label} > {metric.text(sweep.event.above)}"


def value_texts(values: Sequence[Value]) -> list[str]:
    """Values of one axis, numbers short and with as many digits as tell them apart."""
    numbers = [value for value in values if not isinstance(value, str)]
    digits = next(
        (k for k in range(3, 9) if len({formats.short_number(number, k) for number in numbers}) == len(set(numbers))), 9
    )
    return [value if isinstance(value, str) else formats.short_number(value, digits) for value in values]


def runs_words(sweep: SweepData) -> str:
    """'150 runs: 15 points, 10 seeds each; 2 failed, 3 not finished'."""
    points = formats.plural(len(sweep.points), "point")
    text = f"{formats.plural(len(sweep), 'run')}: {points}, {formats.plural(len(sweep.seeds), 'seed')} each"
    waiting = sweep.planned - len(sweep) - len(sweep.failures)
    parts = [f"{len(sweep.failures)} failed"] if sweep.failures else []
    parts += [f"{waiting} not finished"] if waiting > 0 else []
    return f"{text}; {', '.join(parts)}" if parts else text
