"""Gaussian."""

import math
from typing import Literal, final

import numpy as np
from pydantic import Field, model_validator

from sim.distributions.base import Continuous, Floats, Quantity
from sim.distributions.standard_normal import normal_between, normal_mass, normal_mean_between


@final
class Normal(Continuous):
    """Gaussian; `mean` and `deviation` are those before truncation."""

    distribution: Literal["normal"] = "normal"
    mean_: Quantity = Field(alias="mean")
    deviation: Quantity = Field(ge=0, description="Standard deviation")

    @model_validator(mode="after")
    def _mass_is_left(self) -> "Normal":
        if self.deviation > 0 and normal_mass(*self._scaled()) <= 0:
            raise ValueError("no probability is left between minimum and maximum")
        return self

    def quantile(self, u: Floats) -> Floats:
        """Inverse of the truncated normal CDF."""
        return self._inside(self.mean_ + self.deviation * normal_between(u, *self._scaled()))

    def mean(self) -> float:
        """Mean of the truncated normal."""
        return self.mean_ + self.deviation * normal_mean_between(*self._scaled())

    def natural_support(self) -> tuple[float, float]:
        """The whole line, or one point when the deviation is 0."""
        return (-math.inf, math.inf) if self.deviation > 0 else (self.mean_, self.mean_)

    def _scaled(self) -> tuple[float, float]:
        low, high = self.support()
        if self.deviation == 0:
            return -math.inf, math.inf
        return (low - self.mean_) / self.deviation, (high - self.mean_) / self.deviation

    def _inside(self, values: Floats) -> Floats:
        low, high = self.support()
        return np.clip(values, low, high)
