"""Continuous distributions of traits, each with its YAML block."""

import math
from typing import Literal, final

import numpy as np
from pydantic import Field, model_validator

from marginquake.sim.core.typing import Floats
from marginquake.sim.scenario.distributions.base import Continuous, Quantity


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


def normal_mass(low: float, high: float) -> float:
    """P(low < Z < high), exact in both tails."""
    if low > 0:
        low, high = -high, -low
    return (math.erfc(-high / math.sqrt(2)) - math.erfc(-low / math.sqrt(2))) / 2


def normal_between(u: Floats, low: float, high: float) -> Floats:
    """Quantiles of a standard normal cut to (low, high); the upper tail is mirrored to keep its digits."""
    from scipy.special import ndtr, ndtri

    if low > 0:
        return -normal_between(1 - u, -high, -low)
    first, last = ndtr(low), ndtr(high)
    return np.asarray(ndtri(first + u * (last - first)), np.float64)


def normal_mean_between(low: float, high: float) -> float:
    """Mean of a standard normal cut to (low, high)."""
    if math.isinf(low) and math.isinf(high):
        return 0.0
    density = [math.exp(-x * x / 2) / math.sqrt(2 * math.pi) if math.isfinite(x) else 0.0 for x in (low, high)]
    return (density[0] - density[1]) / normal_mass(low, high)
