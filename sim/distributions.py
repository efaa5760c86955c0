"""A trait of a population: one number for all accounts, or a distribution over them.

    leverage: 20
    deposit: {distribution: lognormal, median: 2k, sigma: 1.2, maximum: 1M}

A new distribution is one class below and one entry in `DISTRIBUTIONS`; `distribution: my_lab.shapes:Bimodal` names
one outside the repository.  Sampling is by inverse CDF from counter-based uniforms: account i keeps its draw however
many others there are, and quantiles move continuously with the parameters (common random numbers).
"""

import csv
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import lru_cache, reduce
from operator import or_
from typing import Annotated, Any, Final, Literal, Protocol, TypeAlias, TypeVar, Union, final, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from sim.imports import import_class
from sim.problems import closest
from sim.units import DataFile

Floats: TypeAlias = NDArray[np.float64]
T = TypeVar("T")


class UniformSource(Protocol):
    """The part of `sim.streams.Stream` that sampling needs."""

    def uniform(self, counter: int, size: int, first: int = 0) -> Floats:
        """`size` uniforms in (0, 1)."""
        ...


class _InTraitUnit:
    """Marks a parameter that is measured in the trait's own unit (and so may be written `2%` or `1s`)."""


IN_TRAIT_UNIT: Final = _InTraitUnit()
Quantity = Annotated[float, IN_TRAIT_UNIT]
Bound = Annotated[float | None, IN_TRAIT_UNIT]
Quantities = Annotated[tuple[float, ...], IN_TRAIT_UNIT]


class Distribution(BaseModel, ABC):
    """Values over accounts, all in the unit of the trait.  Abstract: every subclass is final and frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    distribution: str = Field(description="Name in sim.distributions.DISTRIBUTIONS, or module:Class")

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


@final
class Normal(Continuous):
    """Gaussian; `mean` and `deviation` are those before truncation."""

    distribution: Literal["normal"] = "normal"
    mean_: Quantity = Field(alias="mean")
    deviation: Quantity = Field(ge=0, description="Standard deviation")

    @model_validator(mode="after")
    def _mass_is_left(self) -> "Normal":
        if self.deviation > 0 and _normal_mass(*self._scaled()) <= 0:
            raise ValueError("no probability is left between minimum and maximum")
        return self

    def quantile(self, u: Floats) -> Floats:
        """Inverse of the truncated normal CDF."""
        return self._inside(self.mean_ + self.deviation * _normal_between(u, *self._scaled()))

    def mean(self) -> float:
        """Mean of the truncated normal."""
        return self.mean_ + self.deviation * _normal_mean_between(*self._scaled())

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
class Lognormal(Continuous):
    """exp of a normal: `median`, and `sigma`, the standard deviation of the logarithm, before truncation."""

    distribution: Literal["lognormal"] = "lognormal"
    median: Quantity = Field(gt=0)
    sigma: float = Field(ge=0, description="Standard deviation of the logarithm")

    @model_validator(mode="after")
    def _mass_is_left(self) -> "Lognormal":
        if self.sigma > 0 and _normal_mass(*self._scaled()) <= 0:
            raise ValueError("no probability is left between minimum and maximum")
        return self

    def quantile(self, u: Floats) -> Floats:
        """Inverse of the truncated lognormal CDF."""
        low, high = self.support()
        return np.clip(self.median * np.exp(self.sigma * _normal_between(u, *self._scaled())), low, high)

    def mean(self) -> float:
        """median * exp(sigma**2 / 2) times the share of the mean that truncation leaves."""
        low, high = self._scaled()
        share = _normal_mass(low - self.sigma, high - self.sigma) / _normal_mass(low, high)
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
        return _staircase(u, self._scaled(), self._weights())

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


@final
class Empirical(Distribution):
    """Values of a CSV column, drawn with replacement; rows may carry weights."""

    distribution: Literal["empirical"] = "empirical"
    file: DataFile = Field(description="CSV with a header line, relative to the scenario file")
    column: str
    weight_column: str | None = None
    unit: Quantity = Field(1.0, gt=0, description="What 1 in the file means: 1s, 1%, 1k")

    @model_validator(mode="after")
    def _readable(self, info: ValidationInfo) -> "Empirical":
        if info.context is not None:
            self._table()
        return self

    def quantile(self, u: Floats) -> Floats:
        """The staircase of the sorted values."""
        values, weights = self._table()
        return _staircase(u, values, weights)

    def mean(self) -> float:
        """Weighted mean."""
        values, weights = self._table()
        return float(np.average(values, weights=weights))

    def support(self) -> tuple[float, float]:
        """Extremes of the column."""
        values, _ = self._table()
        return float(values[0]), float(values[-1])

    def _table(self) -> tuple[Floats, Floats]:
        values, weights = _read_columns(self.file, self.column, self.weight_column)
        return values * self.unit, weights


DISTRIBUTIONS: Final[Mapping[str, type[Distribution]]] = {
    "constant": Constant,
    "uniform": Uniform,
    "normal": Normal,
    "lognormal": Lognormal,
    "exponential": Exponential,
    "beta": Beta,
    "pareto": Pareto,
    "buckets": Buckets,
    "empirical": Empirical,
}


def sample(trait: "float | Distribution", stream: UniformSource, size: int, counter: int = 0) -> Floats:
    """One value of `trait` for each of `size` accounts, from `stream` at `counter`; durations are float ns."""
    if isinstance(trait, Distribution):
        return trait.quantile(stream.uniform(counter, size))
    return np.full(size, float(trait))


def mean(trait: "float | Distribution") -> float:
    """Exact mean of a trait."""
    return trait.mean() if isinstance(trait, Distribution) else float(trait)


class _TraitSchema:
    """Tells pydantic to read a trait: a mapping by its `distribution`, anything else as the trait's number type."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Numbers go through T's own schema, alone or inside a distribution; bounds (`Field(gt=0)`) hold for both."""
        number: Any = reduce(or_, (arm for arm in get_args(source) if arm is not Distribution))
        inner = handler.generate_schema(number)
        read = core_schema.with_info_wrap_validator_function(_read_trait, inner)
        bounds = handler(Any)
        dump = core_schema.wrap_serializer_function_ser_schema(_dump_trait, info_arg=True, schema=inner)
        return core_schema.chain_schema([read, bounds], serialization=dump)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """A number or a distribution; `x-trait` lets `scenario_schema` put the parameters in."""
        number = handler(schema["steps"][0])
        names = {"anyOf": [{"enum": list(DISTRIBUTIONS)}, {"type": "string", "pattern": ":"}]}
        mapping = {"type": "object", "properties": {"distribution": names}, "required": ["distribution"]}
        return {"anyOf": [number, mapping], "x-trait": True}


Trait: TypeAlias = Annotated[Union[T, Distribution], _TraitSchema()]  # noqa: UP007
"""`Trait[Amount]`: an amount, or a distribution whose parameters are amounts."""


def trait_fields(distribution: type[Distribution]) -> frozenset[str]:
    """Parameters of a distribution, as written in YAML, that are measured in the trait's unit."""
    fields = distribution.model_fields.items()
    return frozenset(field.alias or name for name, field in fields if IN_TRAIT_UNIT in field.metadata)


def find_distribution(name: object) -> type[Distribution]:
    """The class of a `distribution:` name.  ValueError says which names there are."""
    if isinstance(name, str) and name in DISTRIBUTIONS:
        return DISTRIBUTIONS[name]
    if isinstance(name, str) and ":" in name:
        found = import_class(name)
        if not issubclass(found, Distribution):
            raise ValueError(f"{name!r} is not a subclass of sim.distributions.Distribution")
        return found
    near = closest(name, DISTRIBUTIONS) if isinstance(name, str) else None
    hint = f"; did you mean {near!r}?" if near else ""
    raise ValueError(f"no such distribution; one of {', '.join(DISTRIBUTIONS)}, or module:Class{hint}")


def _read_trait(value: Any, read_number: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    if isinstance(value, Distribution):
        return value
    if not isinstance(value, Mapping):
        if isinstance(value, bool | list | tuple):
            raise PydanticCustomError("trait", "must be a number, or a mapping with 'distribution'")
        return read_number(value)
    if "distribution" not in value:
        names = ", ".join(DISTRIBUTIONS)
        raise PydanticCustomError("trait", "needs 'distribution': one of {names}", {"names": names})
    try:
        kind = find_distribution(value["distribution"])
    except ValueError as error:
        raise _error_at(("distribution",), "trait", str(error), value["distribution"]) from None
    read, errors = _in_trait_unit(kind, value, read_number)
    try:
        distribution = kind.model_validate(read, context=info.context)
    except ValidationError as error:
        fresh = [e for e in error.errors() if e["loc"][:1] not in {e["loc"][:1] for e in errors}]
        errors += [_line(e["loc"], e["type"], e["msg"], e["input"], e.get("ctx")) for e in fresh]
        distribution = None
    if errors:
        raise ValidationError.from_exception_data(kind.__name__, errors)
    return distribution


def _in_trait_unit(
    kind: type[Distribution], value: Mapping[str, Any], read_number: Callable[[Any], Any]
) -> tuple[dict[str, Any], list[InitErrorDetails]]:
    """The parameters with `2%` and the like turned into numbers by the trait's own schema."""
    read, errors = dict(value), list[InitErrorDetails]()

    def number(item: Any, path: tuple[str | int, ...]) -> Any:
        try:
            return read_number(item)
        except ValidationError as error:
            errors.extend(_line((*path, *e["loc"]), e["type"], e["msg"], item, e.get("ctx")) for e in error.errors())
            return item

    for name in trait_fields(kind) & read.keys():
        item = read[name]
        if isinstance(item, list | tuple):
            read[name] = [number(part, (name, position)) for position, part in enumerate(item)]
        elif item is not None:
            read[name] = number(item, (name,))
    return read, errors


def _line(
    path: tuple[str | int, ...], kind: str, message: str, value: Any, context: dict[str, Any] | None = None
) -> InitErrorDetails:
    context = {key: item for key, item in (context or {}).items() if key != "error"}
    error = PydanticCustomError(kind, "{_message}", {**context, "_message": message})
    return InitErrorDetails(type=error, loc=path, input=value)


def _error_at(path: tuple[str | int, ...], kind: str, message: str, value: Any) -> ValidationError:
    return ValidationError.from_exception_data("trait", [_line(path, kind, message, value)])


def _dump_trait(value: Any, dump_number: Callable[[Any], Any], info: Any) -> Any:
    if not isinstance(value, Distribution):
        return dump_number(value)
    dumped = value.model_dump(mode=info.mode, by_alias=True)
    if info.mode != "json":
        return dumped
    for name in trait_fields(type(value)):
        item = dumped[name]
        if isinstance(item, list | tuple):
            dumped[name] = [dump_number(_whole(part)) for part in item]
        elif item is not None:
            dumped[name] = dump_number(_whole(item))
    return dumped


def _whole(number: float) -> float:
    """Parameters are floats; the dump of a duration wants its ints."""
    return int(number) if number.is_integer() else number


def _normal_mass(low: float, high: float) -> float:
    """P(low < Z < high), exact in both tails."""
    if low > 0:
        low, high = -high, -low
    return (math.erfc(-high / math.sqrt(2)) - math.erfc(-low / math.sqrt(2))) / 2


def _normal_between(u: Floats, low: float, high: float) -> Floats:
    """Quantiles of a standard normal cut to (low, high); the upper tail is mirrored to keep its digits."""
    from scipy.special import ndtr, ndtri

    if low > 0:
        return -_normal_between(1 - u, -high, -low)
    first, last = ndtr(low), ndtr(high)
    return np.asarray(ndtri(first + u * (last - first)), np.float64)


def _normal_mean_between(low: float, high: float) -> float:
    """Mean of a standard normal cut to (low, high)."""
    if math.isinf(low) and math.isinf(high):
        return 0.0
    density = [math.exp(-x * x / 2) / math.sqrt(2 * math.pi) if math.isfinite(x) else 0.0 for x in (low, high)]
    return (density[0] - density[1]) / _normal_mass(low, high)


def _staircase(u: Floats, values: Floats, weights: Floats) -> Floats:
    steps = np.cumsum(weights)
    last = int(np.flatnonzero(weights)[-1])
    return np.asarray(values[np.minimum(np.searchsorted(steps, u * steps[-1], side="right"), last)], np.float64)


@lru_cache(maxsize=64)
def _read_columns(file: str, column: str, weight_column: str | None) -> tuple[Floats, Floats]:
    """Sorted values of a CSV column and their weights.  ValueError names the line that does not fit."""
    wanted = [column] if weight_column is None else [column, weight_column]
    rows: list[tuple[float, float]] = []
    try:
        with open(file, newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            names = reader.fieldnames or []
            for name in wanted:
                if name not in names:
                    near = closest(name, names)
                    hint = f"; did you mean {near!r}?" if near else f"; it has {', '.join(names)}"
                    raise ValueError(f"{file} has no column {name!r}{hint}")
            for row in reader:
                try:
                    numbers = [float(row[name]) for name in wanted]
                except (TypeError, ValueError):
                    raise ValueError(f"{file}:{reader.line_num}: not a number in {' or '.join(wanted)}") from None
                rows.append((numbers[0], numbers[-1] if weight_column else 1.0))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} cannot be read: {error}") from None
    table = np.array(sorted(rows), np.float64).reshape(-1, 2)
    values, weights = np.ascontiguousarray(table[:, 0]), np.ascontiguousarray(table[:, 1])
    if not len(values):
        raise ValueError(f"{file} has no rows")
    if not (np.isfinite(table).all() and (weights >= 0).all() and weights.sum() > 0):
        raise ValueError(f"{file} has values that are not finite, or weights that are negative or all 0")
    return values, weights
