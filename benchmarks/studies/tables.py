"""Numbers as text: intervals over seeds, verdicts, markdown tables."""

import math
import statistics
from collections.abc import Callable, Sequence

import numpy as np

RESAMPLES = 4000


def interval(values: Sequence[float]) -> str:
    """Median [least, largest]."""
    return f"{statistics.median(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


def verdict(good: bool) -> str:
    """Met or not, in words."""
    return "**met**" if good else "**not met**"


def bootstrap(values: Sequence[float], statistic: Callable[..., np.ndarray] = np.mean) -> tuple[float, float, float]:
    """Estimate and 95 % percentile interval over seeds (Efron and Tibshirani 1993, chapter 13); NaNs are left out.

    With fewer than three values there is no interval: (estimate, nan, nan).
    """
    clean = np.array([v for v in values if math.isfinite(v)])
    if len(clean) == 0:
        return math.nan, math.nan, math.nan
    estimate = float(statistic(clean))
    if len(clean) < 3:
        return estimate, math.nan, math.nan
    picks = np.random.default_rng(1).integers(0, len(clean), (RESAMPLES, len(clean)))
    low, high = np.quantile(statistic(clean[picks], axis=1), (0.025, 0.975))
    return estimate, float(low), float(high)


def shown(values: Sequence[float], form: str = ".2f", statistic: Callable[..., np.ndarray] = np.mean) -> str:
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
