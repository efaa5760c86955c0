"""A number and how sure it is."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import final


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
