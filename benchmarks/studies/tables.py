"""Numbers as text: intervals over seeds, verdicts, markdown tables."""

import math
import statistics
from collections.abc import Sequence
from typing import Literal

from marginquake.analysis.statistics.intervals import bootstrap


def interval(values: Sequence[float]) -> str:
    """Median [least, largest]."""
    return f"{statistics.median(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


def verdict(good: bool) -> str:
    """Met or not, in words."""
    return "**met**" if good else "**not met**"


def shown(values: Sequence[float], form: str = ".2f", statistic: Literal["mean", "median"] = "mean") -> str:
    """Estimate [95 % interval] of seeds' values."""
    estimate, low, high = bootstrap(values, statistic)
    if math.isnan(estimate):
        return "n.a."
    if math.isnan(low):
        return f"{estimate:{form}}"
    return f"{estimate:{form}} [{low:{form}}, {high:{form}}]"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)
