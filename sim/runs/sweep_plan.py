"""Read the plan of a sweep on disk (sweep.json) and what failed of it (failures.json).

For whoever goes on with a sweep, and for analysis, which may come to it on another machine.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, final

from marginquake.sim.core.outside.stored_text import read_json
from marginquake.sim.runs.directory import RunDirectoryError, check_plain, is_run_name
from marginquake.sim.runs.fingerprints import is_as_written

PLAN_FILE = "sweep.json"
FAILURES_FILE = "failures.json"
PLAN_VERSION = 2
"""Layout of sweep.json; the newest that is understood."""

AxisValue = int | float | str | bool | None
OFF = "off"
"""What null is called among the values of an axis."""


def value_text(value: AxisValue) -> str:
    """A value of an axis as it is called: null is 'off'."""
    if value is None:
        return OFF
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.12g}" if isinstance(value, float) else str(value)


@final
@dataclass(frozen=True)
class Axis:
    """One thing that the sweep varies.  `low` and `high`: the range drawn from; None where values were listed."""

    name: str
    label: str
    scale: Literal["linear", "log"] = "linear"
    low: float | None = None
    high: float | None = None


@final
@dataclass(frozen=True)
class PlannedPoint:
    """One place of the design: a value on every axis, the overrides that put the scenario there, and its runs.

    `runs`: names of run directories below points/, by seed.
    """

    point: int
    values: Mapping[str, AxisValue]
    overrides: tuple[str, ...] = ()
    runs: Mapping[int, str] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class Event:
    """What counts as the event (a cascade, say) in this sweep: `metric` of a run above the threshold `above`, or below
    the threshold `below`; one of the two is None."""

    metric: str
    above: float | None
    below: float | None = None


@final
@dataclass(frozen=True)
class Failure:
    """A point and seed that could not be run, and why."""

    point: int
    seed: int
    error: str


@final
@dataclass(frozen=True)
class StoredPlan:
    """What sweep.json says.  `scenario`: None where the plan does not name one."""

    name: str
    question: str
    scenario: str | None
    model_version: str
    design: str
    axes: tuple[Axis, ...]
    points: tuple[PlannedPoint, ...]
    seeds: tuple[int, ...]
    event: Event


def is_sweep(path: Path) -> bool:
    """True for the directory of a sweep."""
    return (path / PLAN_FILE).is_file()


def read_plan(path: Path) -> StoredPlan:
    """The plan of the sweep directory `path`; `RunDirectoryError` with one message where it cannot be read."""
    if not is_sweep(path):
        raise RunDirectoryError(f"{path}: not a sweep directory: {PLAN_FILE} missing")
    check_plain(path, deepest=1)
    content = _json(path, PLAN_FILE)
    try:
        if int(content["schema_version"]) > PLAN_VERSION:
            raise RunDirectoryError(f"{path}: written by a newer marginquake; this one cannot read it")
        if not is_as_written(content):
            raise RunDirectoryError(
                f"{path}: {PLAN_FILE} has changed since it was written; begin the sweep again under another --name"
            )
        return _plan(content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, RunDirectoryError):
            raise
        raise RunDirectoryError(f"{path}: {PLAN_FILE} cannot be read: {type(error).__name__}: {error}") from error


def read_failures(path: Path) -> tuple[Failure, ...]:
    """What failed the last time it was tried; empty where nothing did."""
    if not (path / FAILURES_FILE).is_file():
        return ()
    content = _json(path, FAILURES_FILE)
    try:
        return tuple(Failure(int(each["point"]), int(each["seed"]), str(each["error"])) for each in content)
    except (ValueError, KeyError, TypeError) as error:
        raise RunDirectoryError(f"{path}: {FAILURES_FILE} cannot be read: {type(error).__name__}: {error}") from error


def _plan(content: Mapping[str, Any]) -> StoredPlan:
    return StoredPlan(
        name=str(content["name"]),
        question=" ".join(str(content.get("question") or "").split()),
        scenario=str(content["scenario"]) if "scenario" in content else None,
        model_version=str(content["model_version"]),
        design=str(content["design"]),
        axes=tuple(map(_axis, content["axes"])),
        points=tuple(map(_point, content["points"])),
        seeds=tuple(int(seed) for seed in content["seeds"]),
        event=_event(content["event"]),
    )


def _axis(content: Mapping[str, Any]) -> Axis:
    low, high = (None if content.get(end) is None else float(content[end]) for end in ("low", "high"))
    return Axis(
        name=str(content["name"]),
        label=str(content.get("label") or content["name"]),
        scale="log" if content.get("scale") == "log" else "linear",
        low=low,
        high=high,
    )


def _event(content: Mapping[str, Any]) -> Event:
    if "below" in content:
        return Event(str(content["metric"]), None, float(content["below"]))
    return Event(str(content["metric"]), float(content["above"]))


def _point(content: Mapping[str, Any]) -> PlannedPoint:
    for run in content.get("runs", {}).values():
        if not is_run_name(str(run)):
            raise ValueError(f"{str(run)[:80]!r} is no name of a run")
    return PlannedPoint(
        point=int(content["point"]),
        values=dict(content["values"]),
        overrides=tuple(map(str, content.get("overrides", ()))),
        runs={int(seed): str(run) for seed, run in content.get("runs", {}).items()},
    )


def _json(path: Path, name: str) -> Any:
    try:
        return read_json(path / name)
    except (OSError, ValueError) as error:
        raise RunDirectoryError(f"{path}: {name} cannot be read: {error}") from error
