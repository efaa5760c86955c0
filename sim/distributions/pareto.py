"""A power law."""

import math
from typing import Literal, final

import numpy as np
from pydantic import Field

from sim.distributions.base import Continuous, Floats, Quantity


@final
class Pareto(Continuous):
    """P(X > x) = (minimum / x)**exponent, optionally cut at maximum."""

    distribution: Literal["pareto"] = "pareto"
    minimum: Quantity = Field(gt=0, description="Smallest value")
    exponent: float = Field(gt=0, description="Tail exponent; the untruncated mean exists above 1")

    def quantile(self, u: Floats) -> Floats:
        """Inverse of the truncated Pareto CDF."""
        low, high = self.support()
        kept = 1 - (low / high) ** self.exponent
        return np.asarray(np.clip(low * np.exp(-np.log1p(-u * kept) / self.exponent), low, high), np.float64)

    def mean(self) -> float:
        """Mean of the truncated Pareto; infinite without maximum for exponents up to 1."""
        low, high = self.support()
        ratio, exponent = low / high, self.exponent
        excess = exponent - 1
        if ratio == 0:
            return low * exponent / excess if excess > 0 else math.inf
        integral = -math.expm1(excess * math.log(ratio)) / excess if excess else -math.log(ratio)
        return low * exponent * integral / -math.expm1(exponent * math.log(ratio))

    def natural_support(self) -> tuple[float, float]:
        """From minimum on."""
        return self.minimum, math.inf
