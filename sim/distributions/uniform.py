"""Flat between two ends."""

from typing import Literal, final

from sim.distributions.base import Continuous, Floats, Quantity


@final
class Uniform(Continuous):
    """Flat between minimum and maximum."""

    distribution: Literal["uniform"] = "uniform"
    minimum: Quantity
    maximum: Quantity

    def quantile(self, u: Floats) -> Floats:
        """A straight line."""
        return self.minimum + (self.maximum - self.minimum) * u

    def mean(self) -> float:
        """The middle."""
        return (self.minimum + self.maximum) / 2

    def natural_support(self) -> tuple[float, float]:
        """Minimum to maximum."""
        return self.minimum, self.maximum
