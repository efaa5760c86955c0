"""A number with its interval, and what is raised where there is none."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from marginquake.sim.core.typing import Floats


@final
@dataclass(frozen=True)
class Estimate:
    """A value and the ends of its 95 % interval, in this order; NaN where there is none."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan

    def __iter__(self) -> Iterator[float]:
        return iter((self.value, self.low, self.high))

    def through(self, function: Callable[[float], float]) -> "Estimate":
        """The estimate of an increasing function of it."""
        return Estimate(*map(function, self))

    @property
    def has_interval(self) -> bool:
        """False where there was too little to have one from."""
        return math.isfinite(self.low) and math.isfinite(self.high)


UNKNOWN = Estimate()


def interval(estimate: Estimate, scale: float = 1.0, unit: str = "") -> str:
    """'0.52 [0.28, 0.74]'; the value alone where there is no interval; 'none' where there is nothing."""
    value, low, high = (scale * each for each in (estimate.value, estimate.low, estimate.high))
    digits = 0 if scale > 1 else 2
    if value != value:
        return "none"
    text = f"{value:.{digits}f}{unit}"
    return text if low != low else f"{text} [{low:.{digits}f}, {high:.{digits}f}]"


ROUNDING = 1e-12
"""Spread, as a share of the size, up to which values are alike but for rounding."""


def all_alike(values: Floats, size: float | None = None) -> bool:
    """True for one value over and over, also where arithmetic has left it some last bits apart; true of no value.

    `size`: of the numbers that the values were made from, where that is not their own (a difference of large numbers).
    """
    if not len(values):
        return True
    return float(np.ptp(values)) <= ROUNDING * (float(np.abs(values).max()) if size is None else size)


def measurable(values: Floats, least: int, name: str = "values") -> Floats:
    """The values, if an estimator can be asked: `least` or more, all finite, and not all alike.

    Everything else raises `Unmeasurable`: of a constant, moments and correlations would be rounding noise.
    """
    found = np.asarray(values, np.float64)
    if not np.isfinite(found).all():
        raise Unmeasurable(f"{int((~np.isfinite(found)).sum())} of {len(found)} {name} are no finite numbers")
    if len(found) < least:
        raise Unmeasurable(f"{len(found)} {name}: {least} needed")
    if all_alike(found):
        raise Unmeasurable(f"the series of {name} never changes")
    return found


class Unmeasurable(ValueError):
    """A run cannot answer: it is too short, sampled too coarsely, or what is asked for did not happen in it.

    What would help, where that is known: `share`, how much of the needed length there is (0 to 1); `step_s`, the
    coarsest sampling that would do, seconds.
    """

    def __init__(self, why: str, *, share: float = math.nan, step_s: float = math.nan) -> None:
        super().__init__(why)
        self.share = share
        self.step_s = step_s
