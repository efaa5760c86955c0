"""Distributions on few values, and those that a file gives."""

import csv
import io
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, final

import numpy as np
from pydantic import Field, ValidationInfo, model_validator

from marginquake.sim.core.data_files import content_digest, read_content, why_not_text
from marginquake.sim.core.fields import DataFile
from marginquake.sim.core.outside.columns import columns_in_words, plain_number, too_wide
from marginquake.sim.core.problems import closest
from marginquake.sim.core.typing import Floats
from marginquake.sim.scenario.distributions.base import Bound, Distribution, Quantities, Quantity


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
class Empirical(Distribution):
    """Values of a CSV column, drawn with replacement; rows may carry weights.

    Each trait draws rows of its own, independently of all others, also from the same file: who has which leverage *and*
    which collateral is lost.  For whole accounts write `accounts: {file: book.csv}`.
    """

    distribution: Literal["empirical"] = "empirical"
    file: DataFile = Field(description="CSV with a header line, relative to the scenario file")
    column: str
    weight_column: str | None = None
    unit: Quantity = Field(1.0, gt=0, description="What 1 in the file means: 1s, 1%, 1k")
    sha256: str | None = Field(None, description="Of the file's content when it was read: another is refused")

    @model_validator(mode="after")
    def _readable(self, info: ValidationInfo) -> "Empirical":
        if info.context is None:
            return self
        if self.sha256 is None:
            # Frozen for everybody else: from here on the content is part of what this distribution is.
            object.__setattr__(self, "sha256", self._content_now())
        elif Path(self.file).is_file():
            read_content(self.file, self.sha256)
        self._table()
        return self

    def quantile(self, u: Floats) -> Floats:
        """The staircase of the sorted values."""
        values, weights = self._table()
        return staircase(u, values, weights)

    def mean(self) -> float:
        """Weighted mean."""
        values, weights = self._table()
        return float(np.average(values, weights=weights))

    def support(self) -> tuple[float, float]:
        """Extremes of the column."""
        values, _ = self._table()
        return float(values[0]), float(values[-1])

    def _table(self) -> tuple[Floats, Floats]:
        sha256 = self._content_now() if self.sha256 is None else self.sha256
        values, weights = _read_columns(sha256, self.file, self.column, self.weight_column)
        return values * self.unit, weights

    def _content_now(self) -> str:
        try:
            return content_digest(self.file)
        except OSError as error:
            raise ValueError(f"{self.file} cannot be read: {error.strerror}") from None


@lru_cache(maxsize=64)
def _read_columns(sha256: str, file: str, column: str, weight_column: str | None) -> tuple[Floats, Floats]:
    """Sorted values of a CSV column and their weights, of the file as it was with this content.

    ValueError names the line that does not fit, or says that the content is another.
    """
    wanted = [column] if weight_column is None else [column, weight_column]
    rows: list[tuple[float, float]] = []
    try:
        content = read_content(file, sha256)
        if (why := why_not_text(content)) is not None:
            raise ValueError(f"{file} {why}")
        stream = io.StringIO(content.decode("utf-8-sig"), newline="")
        reader = csv.reader(stream)
        names = next((row for row in reader if row), [])
        if (why := too_wide(len(names))) is not None:
            raise ValueError(f"{file} {why}")
        for name in wanted:
            if name not in names:
                raise ValueError(f"{file} has no column {name!r}; {_what_there_is(name, names, reader)}")
        places = [len(names) - 1 - names[::-1].index(name) for name in wanted]
        for row in reader:
            if not row:
                continue
            try:
                numbers = [plain_number(row[place]) for place in places]
            except (IndexError, ValueError):
                raise ValueError(f"{file}:{reader.line_num}: not a number in {' or '.join(wanted)}") from None
            rows.append((numbers[0], numbers[-1] if weight_column else 1.0))
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{file} cannot be read: {error}") from None
    table = np.array(sorted(rows), np.float64).reshape(-1, 2)
    values, weights = np.ascontiguousarray(table[:, 0]), np.ascontiguousarray(table[:, 1])
    if not len(values):
        raise ValueError(f"{file} has no rows")
    if not (np.isfinite(table).all() and (weights >= 0).all() and weights.sum() > 0):
        raise ValueError(f"{file} has values that are not finite, or weights that are negative or all 0")
    return values, weights


def _what_there_is(name: str, names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The column that was meant, or all there are."""
    there_is = columns_in_words(names, rows)
    near = closest(name, names) if there_is.startswith("it has ") else None
    return f"did you mean {near!r}?" if near else there_is


def staircase(u: Floats, values: Floats, weights: Floats) -> Floats:
    """The values at the probabilities `u`, in the order given."""
    steps = np.cumsum(weights)
    last = int(np.flatnonzero(weights)[-1])
    return np.asarray(values[np.minimum(np.searchsorted(steps, u * steps[-1], side="right"), last)], np.float64)
