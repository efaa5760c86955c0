"""What every distribution of a trait is: quantiles, a mean and a support."""

from abc import ABC, abstractmethod
from typing import Annotated, Any, Final, Protocol

from pydantic import BaseModel, ConfigDict, Field, model_validator

from marginquake.sim.core.typing import Floats
from marginquake.sim.rules.registry import Rule


class UniformSource(Protocol):
    """The part of `sim.market.streams.Stream` that sampling needs."""

    def uniform(self, counter: int, size: int, first: int = 0) -> Floats:
        """`size` uniforms in (0, 1)."""
        ...


class _InTraitUnit:
    """Marks a parameter that is measured in the trait's own unit (and so may be written `2%` or `1s`)."""


IN_TRAIT_UNIT: Final = _InTraitUnit()
Quantity = Annotated[float, IN_TRAIT_UNIT]
Bound = Annotated[float | None, IN_TRAIT_UNIT]
Quantities = Annotated[tuple[float, ...], IN_TRAIT_UNIT]


class Distribution(Rule, BaseModel, ABC):
    """Values over accounts, all in the unit of the trait.  Abstract: every subclass is final and frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    distribution: str = Field(
        description="Name in marginquake.sim.scenario.distributions.DISTRIBUTIONS, or module:Class"
    )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.config_type = cls

    @abstractmethod
    def quantile(self, u: Floats) -> Floats:
        """Values at the probabilities `u` in (0, 1)."""

    @abstractmethod
    def mean(self) -> float:
        """Exact mean; inf where it does not exist."""

    @abstractmethod
    def support(self) -> tuple[float, float]:
        """Smallest and largest possible value."""

    # A distribution compares with a number as all of its values do, so that a trait may have bounds: Field(gt=0).
    def __gt__(self, bound: float) -> bool:
        return self.support()[0] > bound

    def __ge__(self, bound: float) -> bool:
        return self.support()[0] >= bound

    def __lt__(self, bound: float) -> bool:
        return self.support()[1] < bound

    def __le__(self, bound: float) -> bool:
        return self.support()[1] <= bound


class Continuous(Distribution):
    """A density, optionally cut off below `minimum` and above `maximum` (not clipped: no mass at the ends)."""

    minimum: Bound = Field(None, description="Truncation from below")
    maximum: Bound = Field(None, description="Truncation from above")

    @model_validator(mode="after")
    def _something_is_left(self) -> "Continuous":
        if self.minimum is not None and self.maximum is not None and not self.minimum < self.maximum:
            raise ValueError("minimum must be below maximum")
        low, high = self.support()
        if low > high or (low == high and self._width() > 0):
            raise ValueError("no values are left between minimum and maximum")
        return self

    @abstractmethod
    def natural_support(self) -> tuple[float, float]:
        """Support without truncation; an open end is the nearest float inside."""

    def support(self) -> tuple[float, float]:
        """Smallest and largest possible value."""
        low, high = self.natural_support()
        return (
            low if self.minimum is None else max(low, self.minimum),
            high if self.maximum is None else min(high, self.maximum),
        )

    def _width(self) -> float:
        low, high = self.natural_support()
        return high - low


def trait_fields(distribution: type[Distribution]) -> frozenset[str]:
    """Parameters of a distribution, as written in YAML, that are measured in the trait's unit."""
    fields = distribution.model_fields.items()
    return frozenset(field.alias or name for name, field in fields if IN_TRAIT_UNIT in field.metadata)
