"""Reads a sweep directory: what was asked at which points, and the tidy table of every finished run.

Like a run directory it may come from another machine; nothing of the model is imported.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from marginquake.analysis import formats
from marginquake.analysis.frames.market import Columns
from marginquake.analysis.measures.summary_metrics import SummaryMetric, metric_of, of_market
from marginquake.sim.core.typing import Floats
from marginquake.sim.runs.directory import RunDirectoryError
from marginquake.sim.runs.fingerprints import table_is_as_written
from marginquake.sim.runs.sweep_plan import (
    Axis,
    AxisValue,
    Event,
    Failure,
    is_sweep,
    read_failures,
    read_plan,
    value_text,
)

Value = float | str
"""A value of an axis: a number, or the name of a policy."""
Rows = NDArray[np.int64]
"""Positions in the table."""

DEFAULT_METRIC = "max_drawdown_fraction"
LABEL_DIGITS = 9
"""Of a number that stands among words, on an axis with the point 'off': enough to tell any two apart."""
NO_METRICS = ("point", "seed", "event")
"""Numeric columns of the table that say which run it was, and not what came out."""


@final
@dataclass(frozen=True)
class Point:
    """One place of the design: a value on every axis, and the overrides that put the scenario there."""

    point: int
    values: Mapping[str, Value]
    overrides: tuple[str, ...] = ()


@final
@dataclass(frozen=True)
class SweepData:
    """One sweep directory.

    `table`: columns of `results.parquet`, one row a finished run, sorted by point and seed; null is NaN in numbers
    and "" in words.  `points` holds every point of the design, those without a finished run included.  `scenario`:
    as the plan names it, or else those that the runs name.
    """

    path: Path
    name: str
    question: str
    scenario: str
    model_version: str
    design: str
    axes: tuple[Axis, ...]
    points: tuple[Point, ...]
    seeds: tuple[int, ...]
    event: Event
    table: Columns
    failures: tuple[Failure, ...] = ()

    def __len__(self) -> int:
        """How many runs have finished."""
        return len(self.table["point"])

    def described(self, metric: str) -> SummaryMetric:
        """How a metric is called and written; the first market is named where the runs have several."""
        found = metric_of(metric)
        if "." in metric or "market" not in self.table or not any("." in key for key in self.table):
            return found
        return of_market(found, str(self.table["market"][0])) if len(self) else found

    @property
    def planned(self) -> int:
        """How many runs the design has."""
        return len(self.points) * len(self.seeds)

    @property
    def numeric_axes(self) -> tuple[Axis, ...]:
        """Axes whose values are all numbers, in the order of the design."""
        return tuple(axis for axis in self.axes if all(isinstance(p.values[axis.name], float) for p in self.points))

    def levels(self, axis: Axis) -> list[Value]:
        """Distinct values of an axis: numbers in rising order, words in the order of the design."""
        found = list(dict.fromkeys(point.values[axis.name] for point in self.points))
        return sorted(found) if axis in self.numeric_axes else found

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Columns of the table that are outcomes in numbers."""
        axes = {f"axis_{axis.name}" for axis in self.axes}
        return tuple(
            name
            for name, column in self.table.items()
            if column.dtype.kind in "iufb" and name not in NO_METRICS and name not in axes
        )

    def metric(self, name: str) -> Floats:
        """One outcome of every finished run; `RunDirectoryError` names the outcomes there are."""
        if name not in self.metrics:
            raise RunDirectoryError(f"{self.path}: no metric {name!r}; there are: {', '.join(self.metrics)}")
        return self.table[name].astype(np.float64)

    def column(self, axis: Axis) -> NDArray[Any]:
        """Value of an axis in every row of the table."""
        by_point = {point.point: point.values[axis.name] for point in self.points}
        return np.array([by_point[point] for point in self.table["point"].tolist()])

    def rows(self, values: Mapping[str, Value]) -> Rows:
        """Rows of all points that have these values; axes not named are pooled."""
        chosen = [p.point for p in self.points if all(p.values[name] == value for name, value in values.items())]
        return np.flatnonzero(np.isin(self.table["point"], chosen))


@final
@dataclass(frozen=True)
class PooledRuns:
    """What some finished runs gave.

    `values`: the metric of each run that has it, in its own unit.  `events`: in how many of `runs` the event happened.
    """

    runs: int
    events: int
    values: Floats

    @property
    def share(self) -> float:
        """Share of runs with the event; NaN without runs."""
        return self.events / self.runs if self.runs else math.nan

    @property
    def median(self) -> float:
        """Median of the metric over runs; NaN where no run has it."""
        return float(np.median(self.values)) if len(self.values) else math.nan


def pooled(sweep: SweepData, metric: str, rows: Rows) -> PooledRuns:
    """Put the runs in `rows` together."""
    values = sweep.metric(metric)[rows]
    return PooledRuns(len(rows), int(sweep.table["event"][rows].sum()), values[np.isfinite(values)])


def by_point(sweep: SweepData, metric: str = DEFAULT_METRIC) -> dict[int, PooledRuns]:
    """Outcome over seeds of every point of the design, points without a finished run included."""
    return {
        point.point: pooled(sweep, metric, np.flatnonzero(sweep.table["point"] == point.point))
        for point in sweep.points
    }


def load_sweep(path: str | Path) -> SweepData:
    """Read a sweep directory; raises `RunDirectoryError` with one message when that cannot be done."""
    directory = Path(path)
    if not directory.exists():
        raise RunDirectoryError(f"{directory}: no such sweep")
    if not is_sweep(directory):
        raise RunDirectoryError(f"{directory}: not a sweep directory: sweep.json missing")
    if not (directory / "results.parquet").is_file():
        raise RunDirectoryError(
            f"{directory}: results.parquet missing: no run has finished yet; `marginquake sweep --resume` goes on"
        )
    try:
        sweep = _load(directory)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, RunDirectoryError):
            raise
        raise RunDirectoryError(f"{directory}: cannot be read: {type(error).__name__}: {error}") from error
    _check(sweep)
    return sweep


def _load(directory: Path) -> SweepData:
    plan = read_plan(directory)
    words = {axis.name for axis in plan.axes if not all(_is_number(p.values[axis.name]) for p in plan.points)}
    points = tuple(
        Point(p.point, {a.name: _value(p.values[a.name], a.name in words) for a in plan.axes}, p.overrides)
        for p in plan.points
    )
    table = _read_table(directory / "results.parquet")
    named = [plan.scenario] if plan.scenario is not None else table.get("scenario", np.zeros(0, np.str_)).tolist()
    return SweepData(
        path=directory,
        name=plan.name,
        question=plan.question,
        scenario=", ".join(dict.fromkeys(map(str, named))),
        model_version=plan.model_version,
        design=plan.design,
        axes=plan.axes,
        points=points,
        seeds=plan.seeds,
        event=plan.event,
        table=table,
        failures=read_failures(directory),
    )


def _check(sweep: SweepData) -> None:
    """Refuse what every figure would stumble over."""
    if not any(map(len, sweep.table.values())):
        first = sweep.failures[0] if sweep.failures else None
        why = f"; point {first.point} seed {first.seed}: {first.error}" if first else ""
        raise RunDirectoryError(f"{sweep.path}: no finished run ({len(sweep.failures)} failed{why})")
    missing = [name for name in NO_METRICS if name not in sweep.table]
    if missing:
        raise RunDirectoryError(f"{sweep.path}: results.parquet has no column {', '.join(missing)}")
    pairs = np.stack([sweep.table["point"], sweep.table["seed"]])
    if np.unique(pairs, axis=1).shape[1] != len(sweep):
        raise RunDirectoryError(f"{sweep.path}: results.parquet holds a point and seed twice; rebuild it from points/")
    unknown = sorted(set(sweep.table["point"].tolist()) - {point.point for point in sweep.points})
    if unknown:
        raise RunDirectoryError(
            f"{sweep.path}: results.parquet holds point {unknown[0]}, which sweep.json does not know; "
            "the two files are from different sweeps"
        )
    for axis in sweep.axes:
        values = [point.values[axis.name] for point in sweep.points]
        bad = [value for value in values if axis.scale == "log" and not (isinstance(value, float) and value > 0)]
        if bad:
            raise RunDirectoryError(f"{sweep.path}: axis {axis.name} is log, but {bad[0]!r} is not a positive number")


def _read_table(path: Path) -> Columns:
    import pyarrow.parquet as pq

    table = pq.ParquetFile(path).read()
    if not table_is_as_written(table):
        raise RunDirectoryError(f"{path}: has changed since it was written; `sweep --resume` makes it again")
    return {name: _column(table.column(name)) for name in table.column_names}


def _column(column: Any) -> NDArray[Any]:
    """A pyarrow column as numpy.  By way of lists: tables are small, and `to_numpy` imports pandas where it is."""
    import pyarrow as pa

    kind = column.type
    values = column.to_pylist()
    if pa.types.is_boolean(kind) and not column.null_count:
        return np.array(values, np.bool_)
    if pa.types.is_integer(kind) and not column.null_count:
        return np.array(values, np.int64)
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind):
        return np.array([math.nan if value is None else value for value in values], np.float64)
    return np.array(["" if value is None else str(value) for value in values], np.str_)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _value(value: AxisValue, word: bool) -> Value:
    if not _is_number(value):
        return value_text(value)
    assert isinstance(value, int | float)
    return formats.short_number(float(value), LABEL_DIGITS) if word else float(value)
