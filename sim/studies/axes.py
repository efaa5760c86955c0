"""One axis of a sweep: which fields it sets and which values it takes; what makes an axis one that varies nothing."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, final

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from marginquake.sim.core.fields import Block, parse_amount, parse_duration, parse_fraction
from marginquake.sim.core.problems import Problem, shown_path
from marginquake.sim.runs.sweep_plan import value_text
from marginquake.sim.scenario.scenario import NOT_OF_THE_MARKET
from marginquake.sim.scenario.yaml_tree import Node

NULLS: Final = ("null", "Null", "NULL", "~")
"""Spellings of null in YAML 1.2, which a value in quotes would come to as well."""
SEEDS_DECIDE: Final = "every point runs on the same seeds: this varies nothing; 'seeds' says which they are"


def _written(value: Any) -> Any:
    """A text that a scenario would read as null is null."""
    return None if isinstance(value, str) and value.strip() in NULLS else value


Value = bool | int | float | str | None
WrittenValue = Annotated[Value, BeforeValidator(_written)]
"""What an axis takes, as in a scenario file; null is a point called 'off'."""


def number_of(value: Any) -> Any:
    """`5M` and `2%` as numbers, `300ms` as seconds; other values as they are."""
    if not isinstance(value, str):
        return value
    for read in (parse_fraction, parse_amount, lambda text: parse_duration(text) / 1e9):
        try:
            return read(value)
        except ValueError:
            continue
    return value


def _bound(value: Any) -> Any:
    """An end of a range: durations between two others have no obvious spelling, and are listed instead."""
    if isinstance(value, bool):
        raise ValueError("must be a number")
    try:
        parse_duration(str(value) if isinstance(value, str) else "")
    except ValueError:
        return number_of(value)
    raise ValueError("list durations under 'values'; ranges are for numbers, amounts and fractions")


Number = Annotated[float, BeforeValidator(_bound)]


@final
class Axis(Block):
    """One parameter that is varied: the fields it sets, and its values or its range.

    Whole numbers of a range (`integer`) are those between its ends, each as likely as the next; on a log scale each
    has the weight of the stretch from half below it to half above it.
    """

    path: str | tuple[str, ...] = Field(description="Field of the scenario, or several that get the same value")
    values: tuple[WrittenValue, ...] | None = Field(
        None, min_length=1, description="What it takes, as in a scenario file; null is the point 'off'"
    )
    between: tuple[Number, Number] | None = Field(None, description="Lowest and highest value")
    count: int | None = Field(None, ge=2, le=10_000, description="Values between them, ends included (grid and zip)")
    scale: Literal["linear", "log"] = "linear"
    integer: bool = Field(False, description="Only whole numbers of a range")
    label: str = Field("", description="What figures call it; default the axis's name")

    @model_validator(mode="after")
    def _values_or_range(self) -> "Axis":
        if self.values is not None and self.between is not None:
            raise ValueError("needs either 'values' or 'between', not both")
        if self.between is None and (self.count is not None or self.integer):
            raise ValueError("'count' and 'integer' belong to a range: they go with 'between'")
        if self.between is not None:
            if not self.between[0] < self.between[1]:
                raise ValueError("between: the lowest value must be below the highest")
            if self.scale == "log" and self.between[0] <= 0:
                raise ValueError("a log scale needs values above 0")
            if self.integer:
                self._check_whole_numbers()
        return self

    def _check_whole_numbers(self) -> None:
        assert self.between is not None
        first, last = self._whole()
        between = f"between {self.between[0]:.12g} and {self.between[1]:.12g}"
        if last < first:
            raise ValueError(f"there is no whole number {between}")
        if first == last:
            raise ValueError(f"{first} is the only whole number {between}: this varies nothing; widen the range")
        if self.count is not None and self.count > last - first + 1:
            raise ValueError(f"there are {last - first + 1} whole numbers {between}; 'count' is at most that")

    def _whole(self) -> tuple[int, int]:
        """The first and the last whole number of the range."""
        assert self.between is not None
        return math.ceil(self.between[0]), math.floor(self.between[1])

    @property
    def paths(self) -> tuple[str, ...]:
        """The fields that get its value."""
        return (self.path,) if isinstance(self.path, str) else self.path

    def listed(self) -> tuple[Value, ...]:
        """Its values as they are written, evenly spaced on its scale where it has a range; ends included."""
        if self.values is not None:
            return self.values
        places = [float(u) for u in np.linspace(0.0, 1.0, self.count or 0)]
        if not self.integer:
            return tuple(self.at(u) for u in places)
        low, high = self._whole()
        return _apart([round(_between(low, high, self.scale, u)) for u in places], high)

    def at(self, unit: float) -> Value:
        """The value at a share of the way from its lowest to its highest: all values of a range are as likely."""
        assert self.between is not None
        if self.integer:
            low, high = self._whole()
            # Half a step beyond either end: else the ends would be half as likely as the others.
            return min(max(math.floor(_between(low - 0.5, high + 0.5, self.scale, unit) + 0.5), low), high)
        # Ten digits are enough, and 0.30000000000000004 is nobody's parameter.
        return float(f"{_between(*self.between, self.scale, unit):.10g}")


def problems_of_axes(axes: Mapping[str, Axis], points: Sequence[Mapping[str, Value]], design: str, root: Node) -> (
    Iterator[Problem]
):  # fmt: skip
    """Axes that vary nothing, or undo each other, with the line on which each is written.

    `points`: the values of every point of the design.
    """
    yield from _problems_of_paths(axes, root)
    for name, axis in axes.items():
        node = _node(root, "axes", name)
        if axis.scale == "log":
            yield from _not_on_a_log_scale(name, points, node, root)
        taken = [meaning(point[name]) for point in points]
        repeated = list(_repeated(axis.listed(), node)) if design == "grid" else []
        if repeated:
            yield from repeated
        elif len(points) > 1 and len(set(taken)) == 1:
            message = f"takes one value, {value_text(points[0][name])}: it varies nothing; write it under 'set'"
            yield Problem(node.place, shown_path(node.path), message)
    if design in ("zip", "list"):
        yield from _repeated_points(points, design, root)


def meaning(value: Value) -> tuple[str, Any]:
    """The same for two spellings of one value: `1%` and 0.01, `60s` and `1min`, true and 'true'."""
    number = number_of(value)
    if isinstance(number, bool) or number in ("true", "false"):
        return "truth", str(number).lower()
    if isinstance(number, int | float):
        return "number", float(f"{number:.12g}")
    return "text", number


def _problems_of_paths(axes: Mapping[str, Axis], root: Node) -> Iterator[Problem]:
    seen: list[tuple[list[str], str]] = []
    for name, axis in axes.items():
        for number, path in enumerate(axis.paths):
            node = _node(root, "axes", name, "path", number)
            keys = [key.strip() for key in path.split(".")]
            shown = ".".join(keys)

            def problem(message: str, node: Node = node) -> Problem:
                return Problem(node.place, shown_path(node.path), message, node.shown())

            if not all(keys) or "=" in path:
                yield problem("must be the path of one field: populations.longs.leverage")
            elif keys == ["seed"]:
                yield problem(SEEDS_DECIDE)
            elif keys[0] in NOT_OF_THE_MARKET:
                yield problem(f"nothing that happens depends on {keys[0]}: this varies nothing")
            for others, owner in seen:
                shorter = min(len(keys), len(others))
                if keys[:shorter] != others[:shorter]:
                    continue
                where = "this axis" if owner == name else f"axis {owner}"
                if keys == others:
                    yield problem(f"{where} sets {shown} already; one axis a field")
                else:
                    yield problem(f"{where} sets {'.'.join(others)}: the one would undo the other; one axis a field")
            seen.append((keys, name))


def _not_on_a_log_scale(name: str, points: Sequence[Mapping[str, Value]], node: Node, root: Node) -> Iterator[Problem]:
    bad = [(number, point[name]) for number, point in enumerate(points) if not _is_positive(point[name])]
    if bad:
        number, value = bad[0]
        at = _node(root, "points", number, name) if root.child("points") is not None else _node(node, "values")
        message = "a log scale needs numbers above 0; leave out 'scale'"
        yield Problem(at.place, shown_path(at.path), message, value_text(value))


def _repeated(values: Sequence[Value], node: Node) -> Iterator[Problem]:
    """A value of a grid that says the same as one before it."""
    first: dict[tuple[str, Any], Value] = {}
    for number, value in enumerate(values):
        key = meaning(value)
        if key in first:
            at = _node(node, "values", number)
            again, before = value_text(value), value_text(first[key])
            same = f"{again} is written twice" if again == before else f"{again} is the same as {before}"
            yield Problem(at.place, shown_path(at.path), f"{same}: it would be run twice under two names; remove one")
        first.setdefault(key, value)


def _repeated_points(points: Sequence[Mapping[str, Value]], design: str, root: Node) -> Iterator[Problem]:
    first: dict[tuple[tuple[str, Any], ...], int] = {}
    for number, point in enumerate(points):
        before = first.setdefault(tuple(map(meaning, point.values())), number)
        if before != number:
            node = _node(root, "points", number) if design == "list" else _node(root, "axes")
            yield Problem(node.place, shown_path(node.path), f"point {number} is the same as point {before}")


def _node(root: Node, *path: str | int) -> Node:
    """The node at a path, or the nearest above it that is written."""
    node = root
    for key in path:
        node = node.child(key) or node
    return node


def _between(low: float, high: float, scale: str, unit: float) -> float:
    return low * (high / low) ** unit if scale == "log" else low + unit * (high - low)


def _apart(rising: Sequence[int], last: int) -> tuple[int, ...]:
    """Whole numbers that differ, each as near as may be to the one given; where they crowd they move up."""
    found = [rising[0]]
    for number, value in enumerate(rising[1:], start=1):
        found.append(min(max(value, found[-1] + 1), last - (len(rising) - 1 - number)))
    assert all(a < b for a, b in pairwise(found))
    return tuple(found)


def _is_positive(value: Value) -> bool:
    number = number_of(value)
    return isinstance(number, int | float) and not isinstance(number, bool) and number > 0
