"""What the values of an axis come to in the scenario: whether they change it at all, and whether null means 'off'.

A scenario may ignore a field (each market has its own, another field decides), and two spellings may come to one
value.  Only the resolved scenarios tell.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from marginquake.sim.core.problems import Problem
from marginquake.sim.runs.sweep_plan import OFF, value_text
from marginquake.sim.scenario.scenario import MARKET_FIELDS
from marginquake.sim.scenario.yaml_tree import dump_inline, read_plain
from marginquake.sim.studies.design import AxisSource, Point, Sweep

TRIED = 4
"""Points at which an axis of a drawn design is moved alone: it may matter at some and not at others."""
Digest = Callable[[Point], str | None]
"""What decides all that happens at a point; None where the scenario there is wrong."""


def problems_of_levels(sweep: Sweep, text: Callable[[Point], str], digest: Digest) -> list[Problem]:
    """What is wrong with the axes of a sweep file, each with its line.  `text`: the resolved scenario of a point."""
    problems = []
    for name, source in sweep.sources.items():
        found = next(_false_offs(name, source, sweep.points, text), None)
        found = found or _varies_nothing(name, source, sweep.points, digest)
        if found is not None:
            problems.append(found)
    return problems


def _false_offs(
    name: str, source: AxisSource, points: Sequence[Point], text: Callable[[Point], str]
) -> Iterator[Problem]:
    """Null over a field that cannot be without: there it stands for the default, and 'off' would be a lie."""
    for point in points:
        if point.values[name] is not None:
            continue
        resolved = read_plain(text(point))
        for path in source.fields:
            for value in _values_at(resolved, path.strip().split(".")):
                if value is not None:
                    shown = dump_inline(value)
                    message = f"{path} cannot be {OFF}: null falls back to {shown} there; write that value instead"
                    yield Problem(source.place, source.path, message, "null")


def _varies_nothing(name: str, source: AxisSource, points: Sequence[Point], digest: Digest) -> Problem | None:
    """The axis, or two of its values, give the same scenario wherever that can be compared."""
    message = f"the scenario is the same whatever {' and '.join(source.fields)} is: this varies nothing"
    nothing = Problem(source.place, source.path, f"{message}; something else decides")
    pairs = list(_pairs(name, points))
    if not pairs:
        moved = ((digest(point), digest(other)) for point, other in _moved_alone(name, source, points))
        known = [one == other for one, other in _until_they_differ(moved)]
        return nothing if known and all(known) else None
    same: dict[tuple[str, str], bool] = {}
    for one, other in pairs:
        levels = value_text(one.values[name]), value_text(other.values[name])
        same[levels] = same.get(levels, True) and digest(one) == digest(other)
    if all(same.values()):
        return nothing
    equal = next((levels for levels, are in same.items() if are), None)
    if equal is None:
        return None
    message = f"{equal[0]} and {equal[1]} come to the same scenario: it would be run twice under two names; remove one"
    return Problem(source.place, source.path, message)


def _pairs(name: str, points: Sequence[Point]) -> Iterator[tuple[Point, Point]]:
    """Points of the design that differ in this axis alone."""
    groups: dict[tuple[Any, ...], list[Point]] = {}
    for point in points:
        rest = tuple((key, value_text(value)) for key, value in point.values.items() if key != name)
        groups.setdefault((point.scenario, *rest), []).append(point)
    for group in groups.values():
        for number, other in enumerate(group):
            yield from (
                (one, other) for one in group[:number] if value_text(one.values[name]) != value_text(other.values[name])
            )


def _moved_alone(name: str, source: AxisSource, points: Sequence[Point]) -> Iterator[tuple[Point, Point]]:
    """A few points, each with what it would be if this axis alone had the value that it has elsewhere."""
    for point in points[:TRIED]:
        away = next((p for p in points if value_text(p.values[name]) != value_text(point.values[name])), None)
        if away is not None:
            # As written there: the values that are shown have lost their units.
            fields = {path.strip() for path in source.fields}
            moves = [override for override in away.overrides if override.partition("=")[0].strip() in fields]
            yield point, replace(point, overrides=(*point.overrides, *moves))


def _until_they_differ(pairs: Iterator[tuple[str | None, str | None]]) -> Iterator[tuple[str, str]]:
    """Pairs of digests that are known, up to the first that differs."""
    for one, other in pairs:
        if one is None or other is None:
            continue
        yield one, other
        if one != other:
            return


def _values_at(resolved: Mapping[str, Any], keys: Sequence[str]) -> Iterator[Any]:
    """What stands at a path of a resolved scenario; of every market, if it has several."""
    markets = resolved.get("markets")
    roots = list(markets.values()) if keys[0] in MARKET_FIELDS and isinstance(markets, dict) else [resolved]
    for root in roots:
        found: Any = root
        for key in keys:
            if isinstance(found, list):
                found = found[int(key)] if key.isdigit() and int(key) < len(found) else None
            else:
                found = found.get(key) if isinstance(found, dict) else None
        yield found
