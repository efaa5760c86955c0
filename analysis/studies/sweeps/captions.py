"""How events, runs and values of axes are written in figures and reports."""

import math
from collections.abc import Sequence

from marginquake.analysis import formats
from marginquake.analysis.measures.summary_metrics import SummaryMetric
from marginquake.analysis.studies.sweeps.load import SweepData, Value
from marginquake.sim.runs.sweep_plan import Event


def short(label: str) -> str:
    """A label without its unit: what stands before the first comma."""
    return label.partition(",")[0]


def clipped(text: str, most: int = 62) -> str:
    """A text that fits where `most` characters do."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def event_words(sweep: SweepData) -> str:
    """'forced volume / open interest > 5 %'."""
    return threshold_words(sweep.event, sweep.described(sweep.event.metric))


def threshold_words(event: Event, metric: SummaryMetric) -> str:
    """The metric and its threshold."""
    if event.above is not None:
        return f"{metric.label} > {metric.text(event.above)}"
    return f"{metric.label} < {metric.text(math.nan if event.below is None else event.below)}"


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
