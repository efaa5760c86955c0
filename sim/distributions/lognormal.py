"""exp of a normal."""

import math
from typing import Literal, final

import numpy as np
from pydantic import Field, model_validator

from sim.distributions.base import Continuous, Floats, Quantity
from sim.distributions.standard_normal import normal_between, normal_mass


@final
class Lognormal(Continuous):
    """exp of a normal: `median`, and `sigma`, the standard deviation of the logarithm, before truncation."""

    distribution: Literal["lognormal"] = "lognormal"
    median: Quantity = Field(gt=0)
    sigma: float = Field(ge=0, description="Standard deviation of the logarithm")

    @model_validator(mode="after")
    def _mass_is_left(self) -> "Lognormal":
        if self.sigma > 0 and normal_mass(*self._scaled()) <= 0:
            raise ValueError("no probability is left between minimum and maximum")
        return self

    def quantile(self, u: Floats) -> Floats:
        """Inverse of the truncated lognormal CDF."""
        low, high = self.support()
        return np.clip(self.median * np.exp(self.sigma * normal_between(u, *self._scaled())), low, high)

    def mean(self) -> float:
        """median * exp(sigma**2 / 2) times the share of the mean that truncation leaves."""
        low, high = self._scaled()
        share = normal_mass(low - self.sigma, high - self.sigma) / normal_mass(low, high)
        return self.median * math.exp(self.sigma**2 / 2) * share

    def natural_support(self) -> tuple[float, float]:
        """Everything positive, or one point when sigma is 0."""
        return (math.ulp(0.0), math.inf) if self.sigma > 0 else (self.median, self.median)

    def _scaled(self) -> tuple[float, float]:
        low, high = self.support()
        if self.sigma == 0:
            return -math.inf, math.inf
        return (
            math.log(low / self.median) / self.sigma if low > math.ulp(0.0) else -math.inf,
            math.log(high / self.median) / self.sigma,
        )
