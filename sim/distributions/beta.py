"""Beta, stretched over a range."""

from typing import Literal, final

import numpy as np
from pydantic import Field, model_validator

from sim.distributions.base import Continuous, Floats, Quantity


@final
class Beta(Continuous):
    """Beta(alpha, beta) stretched over `low` to `high`; minimum and maximum cut it."""

    distribution: Literal["beta"] = "beta"
    alpha: float = Field(gt=0)
    beta: float = Field(gt=0)
    low: Quantity = Field(0.0, description="Value at which the beta variable is 0")
    high: Quantity = Field(1.0, description="Value at which the beta variable is 1")

    @model_validator(mode="after")
    def _ends_in_order(self) -> "Beta":
        if not self.low < self.high:
            raise ValueError("low must be below high")
        return self

    def quantile(self, u: Floats) -> Floats:
        """Inverse of the truncated beta CDF."""
        from scipy.special import betainc, betaincinv

        start, end = self._scaled()
        first, last = betainc(self.alpha, self.beta, start), betainc(self.alpha, self.beta, end)
        unit = betaincinv(self.alpha, self.beta, first + u * (last - first))
        low, high = self.support()
        return np.asarray(np.clip(self.low + (self.high - self.low) * unit, low, high), np.float64)

    def mean(self) -> float:
        """Mean of the truncated beta: a ratio of incomplete beta functions."""
        from scipy.special import betainc

        start, end = self._scaled()
        upper = betainc(self.alpha + 1, self.beta, end) - betainc(self.alpha + 1, self.beta, start)
        mass = betainc(self.alpha, self.beta, end) - betainc(self.alpha, self.beta, start)
        return self.low + (self.high - self.low) * self.alpha / (self.alpha + self.beta) * float(upper / mass)

    def natural_support(self) -> tuple[float, float]:
        """Low to high."""
        return self.low, self.high

    def _scaled(self) -> tuple[float, float]:
        start, end = self.support()
        width = self.high - self.low
        return (start - self.low) / width, (end - self.low) / width
