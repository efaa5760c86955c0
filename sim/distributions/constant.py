"""One value."""

from typing import Literal, final

import numpy as np

from sim.distributions.base import Distribution, Floats, Quantity


@final
class Constant(Distribution):
    """The same for all."""

    distribution: Literal["constant"] = "constant"
    value: Quantity

    def quantile(self, u: Floats) -> Floats:
        """The value."""
        return np.full(len(u), self.value)

    def mean(self) -> float:
        """The value."""
        return self.value

    def support(self) -> tuple[float, float]:
        """The value, twice."""
        return self.value, self.value
