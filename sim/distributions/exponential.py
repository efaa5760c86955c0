"""Waiting times."""

import math
from typing import Literal, final

import numpy as np
from pydantic import Field

from sim.distributions.base import Continuous, Floats, Quantity


@final
class Exponential(Continuous):
    """Waiting times; `mean` is that before truncation."""

    distribution: Literal["exponential"] = "exponential"
    mean_: Quantity = Field(alias="mean", gt=0)

    def quantile(self, u: Floats) -> Floats:
        """Minimum plus an exponential cut at the distance to maximum (it has no memory)."""
        low, high = self.support()
        kept = -math.expm1(-(high - low) / self.mean_)
        return np.clip(low - self.mean_ * np.log1p(-u * kept), low, high)

    def mean(self) -> float:
        """Mean of the truncated exponential."""
        low, high = self.support()
        width = (high - low) / self.mean_
        return low + self.mean_ - ((high - low) / math.expm1(width) if width < 700 else 0.0)

    def natural_support(self) -> tuple[float, float]:
        """Everything positive."""
        return math.ulp(0.0), math.inf
