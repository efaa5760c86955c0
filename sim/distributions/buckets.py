"""A few values with weights."""

from typing import Annotated, Literal, final

import numpy as np
from pydantic import Field, model_validator

from sim.distributions.base import Bound, Distribution, Floats, Quantities
from sim.distributions.staircase import staircase


@final
class Buckets(Distribution):
    """A few values with weights (equal if not given): leverage detents, say."""

    distribution: Literal["buckets"] = "buckets"
    values: Quantities = Field(min_length=1)
    weights: tuple[Annotated[float, Field(ge=0)], ...] | None = Field(None, description="Need not sum to 1")
    mean_: Bound = Field(None, alias="mean", description="Values are scaled so that their mean is this; default as is")

    @model_validator(mode="after")
    def _weights_fit(self) -> "Buckets":
        if self.weights is not None:
            if len(self.weights) != len(self.values):
                raise ValueError(f"{len(self.values)} values but {len(self.weights)} weights")
            if sum(self.weights) <= 0:
                raise ValueError("at least one weight must be positive")
        if self.mean_ is not None and self._mean_as_written() == 0.0:
            raise ValueError("values with a mean of 0 cannot be scaled to another mean")
        return self

    def quantile(self, u: Floats) -> Floats:
        """A staircase in the order written."""
        return staircase(u, self._scaled(), self._weights())

    def mean(self) -> float:
        """Weighted mean."""
        return self._mean_as_written() if self.mean_ is None else self.mean_

    def support(self) -> tuple[float, float]:
        """Extremes of the values."""
        values = self._scaled()
        return float(values.min()), float(values.max())

    def _mean_as_written(self) -> float:
        return float(np.average(self.values, weights=self._weights()))

    def _scaled(self) -> Floats:
        values = np.array(self.values, np.float64)
        return values if self.mean_ is None else values * (self.mean_ / self._mean_as_written())

    def _weights(self) -> Floats:
        return np.ones(len(self.values)) if self.weights is None else np.array(self.weights)
