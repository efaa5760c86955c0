"""A sweep file: which points of a scenario's parameters are run, on which seeds, and what counts as a cascade.

    scenario: ../long_squeeze.yaml
    design: grid                     # grid, zip, list, latin_hypercube, sobol, saltelli
    axes:
      leverage: {path: populations.longs.leverage.mean, values: [10, 20, 30]}
      depth: {path: depth_1pct, between: [5M, 20M], count: 4, scale: log}
    seeds: 8

Every point is a list of overrides of one scenario; the same seeds run at every point, so that points differ in their
parameters alone.
"""

import hashlib
import itertools
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeVar, final

import numpy as np
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError, model_validator

from marginquake.sim.core.fields import Block
from marginquake.sim.core.problems import Place, Problem, ScenarioError
from marginquake.sim.core.typing import Floats
from marginquake.sim.scenario import extends, yaml_tree
from marginquake.sim.scenario.config import NAME
from marginquake.sim.scenario.installed import find, not_found, scenario_file
from marginquake.sim.scenario.messages import field_names, problems_of
from marginquake.sim.scenario.yaml_tree import Node
from marginquake.sim.studies.axes import Axis, Number, Value, WrittenValue, number_of, problems_of_axes
from marginquake.sim.studies.trust import is_of_a_run

Config = TypeVar("Config", bound=BaseModel)
DRAWN = ("latin_hypercube", "sobol", "saltelli")
"""Designs whose points are drawn from the ranges of the axes, not listed."""
PAIRWISE_DESIGN = "compare"
OUTCOME = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(?:(>=|<=|==|=|>|<)\s*(\S.*?)\s*)?")
MOST_POINTS: Final = 100_000
MOST_SEEDS: Final = 100_000
MOST_RUNS: Final = 1_000_000
"""Of one sweep, at a second each twelve days of one core: listing more alone takes a machine's memory."""
USUAL_THRESHOLD = 0.05
"""Of the usual metric: forced volume over open interest."""


class EventConfig(Block):
    """What counts as a cascade: a number of the summary above (or below) a threshold."""

    metric: str = "forced_fill_fraction_of_open_interest"
    above: Number | None = Field(None, description="A run counts above this; default 5 %")
    below: Number | None = Field(None, description="Or below this")

    @model_validator(mode="after")
    def _one_side(self) -> Self:
        if self.above is not None and self.below is not None:
            raise ValueError("needs either 'above' or 'below', not both")
        if self.above is None and self.below is None:
            object.__setattr__(self, "above", USUAL_THRESHOLD)
        return self


def event_words(event: EventConfig) -> str:
    """'bad_debt above 1e+06'."""
    if event.above is not None:
        return f"{event.metric} above {event.above:g}"
    return f"{event.metric} below {event.below:g}"


def read_outcome(text: str) -> EventConfig:
    """What counts, from `adl_notional>0`, `max_drawdown_fraction > 2.5%`, `insurance_fund_end<1M`, or a metric alone:
    above 0.  ValueError says what to write."""
    found = OUTCOME.fullmatch(text)
    if found is None:
        raise ValueError("write a metric of summary.json and a threshold: adl_notional>0")
    metric, relation, threshold = found.groups()
    if relation in (">=", "<=", "=", "=="):
        raise ValueError(f"only > and < are known; of a whole number {metric}>=5 is {metric}>4")
    number = number_of(threshold) if threshold is not None else 0.0
    if isinstance(number, str):
        raise ValueError(f"{threshold!r} is no number, amount, share or duration")
    side = "below" if relation == "<" else "above"
    return EventConfig.model_validate({"metric": metric, side: number})


def _seeds(value: Any) -> Any:
    """`8` means seeds 1 to 8."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= MOST_SEEDS:
            raise ValueError(f"must be at least 1 and at most {MOST_SEEDS:,}")
        return tuple(range(1, value + 1))
    return value


def _differ(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds) or min(seeds, default=0) < 0:
        raise ValueError("seeds must differ and be at least 0")
    return seeds


Seeds = Annotated[tuple[int, ...], BeforeValidator(_seeds), AfterValidator(_differ)]


class SweepConfig(Block):
    """The content of a sweep file."""

    name: str | None = Field(None, pattern=NAME)
    question: str = ""
    scenario: str = Field(description="Scenario file, relative to this file, or an installed scenario")
    design: Literal["grid", "zip", "list", "latin_hypercube", "sobol", "saltelli"] = "grid"
    axes: Mapping[str, Axis] = Field(min_length=1)
    points: tuple[Mapping[str, WrittenValue], ...] | None = Field(
        None, min_length=1, description="Of the design 'list'"
    )
    samples: int | None = Field(None, ge=2, le=MOST_POINTS, description="Points drawn (of saltelli: base samples N)")
    design_seed: int = Field(0, ge=0, description="Of the points that are drawn")
    seeds: Seeds = Field((1, 2, 3, 4, 5, 6, 7, 8), min_length=1)
    set: tuple[str, ...] = Field((), description="Overrides of every point: path.to.field=value")
    event: EventConfig = EventConfig()

    @model_validator(mode="after")
    def _design_fits(self) -> "SweepConfig":
        if self.design in DRAWN:
            for name, axis in self.axes.items():
                if axis.between is None or axis.count is not None:
                    raise ValueError(
                        f"design {self.design} draws from ranges: give axis {name} 'between', and neither 'values' "
                        "nor 'count'"
                    )
            if self.samples is None:
                raise ValueError(f"design {self.design} needs 'samples'")
        elif self.design == "list":
            if self.points is None:
                raise ValueError("design list needs 'points': a list of {axis: value} mappings")
            for name, axis in self.axes.items():
                if axis.values is not None or axis.between is not None:
                    raise ValueError(f"design list takes its values from 'points': axis {name} has only a path")
            for number, point in enumerate(self.points):
                if point.keys() != self.axes.keys():
                    raise ValueError(f"points.{number} must give a value to each axis: {', '.join(self.axes)}")
        else:
            short = [name for name, axis in self.axes.items() if axis.values is None and axis.count is None]
            if short:
                raise ValueError(f"design {self.design}: axis {short[0]} needs 'values', or 'count' beside 'between'")
            lengths = {name: len(axis.listed()) for name, axis in self.axes.items()}
            points = math.prod(lengths.values()) if self.design == "grid" else min(lengths.values())
            if points * len(self.seeds) > MOST_RUNS:
                raise ValueError(
                    f"{points:.3g} points times {len(self.seeds):,} seeds are {points * len(self.seeds):.3g} runs, at "
                    f"most {MOST_RUNS:,}; give the axes fewer values, or take the design latin_hypercube or sobol"
                )
            if self.design == "zip" and len(set(lengths.values())) > 1:
                said = ", ".join(f"{name} {length}" for name, length in lengths.items())
                raise ValueError(f"design zip needs as many values on every axis, not {said}")
        if self.points is not None and self.design != "list":
            raise ValueError(f"'points' belongs to the design list, not to {self.design}")
        if self.samples is not None and self.design not in DRAWN:
            raise ValueError(f"'samples' belongs to {', '.join(DRAWN)}, not to {self.design}")
        points = self._points()
        if points > MOST_POINTS or points * len(self.seeds) > MOST_RUNS:
            raise ValueError(
                f"{points:,} points on {len(self.seeds):,} seeds; a sweep has at most {MOST_POINTS:,} points and "
                f"{MOST_RUNS:,} runs"
            )
        return self

    def _points(self) -> int:
        """How many points it comes to, before any is listed."""
        samples = self.samples or 0
        if self.design == "grid":
            return math.prod(
                len(axis.values) if axis.values is not None else axis.count or 1 for axis in self.axes.values()
            )
        counted = {"saltelli": samples * (len(self.axes) + 2), "list": len(self.points or ())}
        return counted.get(self.design, samples)


class Alternative(Block):
    """One policy of a comparison."""

    name: str = Field(pattern=NAME)
    set: tuple[str, ...] = ()
    scenario: str | None = Field(None, description="Another scenario than the comparison's")


class CompareConfig(Block):
    """The content of a comparison file: alternatives on the same seeds, the first of which is the baseline."""

    name: str | None = Field(None, pattern=NAME)
    question: str = ""
    scenario: str
    seeds: Seeds = Field(tuple(range(1, 21)), min_length=2)
    set: tuple[str, ...] = ()
    alternatives: tuple[Alternative, ...] = Field(min_length=2)
    event: EventConfig = EventConfig()

    @model_validator(mode="after")
    def _names_differ(self) -> "CompareConfig":
        names = [alternative.name for alternative in self.alternatives]
        if len(set(names)) < len(names):
            raise ValueError("alternatives must have different names")
        return self


@final
@dataclass(frozen=True, slots=True)
class Point:
    """One setting: the values of the axes, and the scenario file and overrides that they come to.

    `of_a_run`: the file that says so lies in a sweep's directory, and may be somebody else's.
    """

    number: int
    values: Mapping[str, Value]
    scenario: Path
    overrides: tuple[str, ...]
    of_a_run: bool = False


@final
@dataclass(frozen=True, slots=True)
class AxisSource:
    """Where an axis is written, and the fields that it sets."""

    place: Place
    path: str
    fields: tuple[str, ...]


@final
@dataclass(frozen=True, slots=True)
class Sweep:
    """What is to be run: every point on every seed.  `text`: the file as the user wrote it.

    `sources`: of the axes of a sweep file; empty where they come from elsewhere.
    """

    name: str
    question: str
    design: str
    axes: tuple[Mapping[str, Any], ...]
    points: tuple[Point, ...]
    seeds: tuple[int, ...]
    event: EventConfig
    text: str
    sources: Mapping[str, AxisSource] = field(default_factory=dict)

    def plan(self) -> dict[str, Any]:
        """Everything but the files' places, as plain data."""
        return {
            "name": self.name,
            "question": self.question,
            "scenario": ", ".join(dict.fromkeys(point.scenario.stem for point in self.points)),
            "design": self.design,
            "axes": [dict(axis) for axis in self.axes],
            "points": [
                {"point": p.number, "values": dict(p.values), "overrides": list(p.overrides)} for p in self.points
            ],
            "seeds": list(self.seeds),
            "event": self.event.model_dump(mode="json", exclude_none=True),
        }


def load_sweep(path: str | Path) -> Sweep:
    """Read a sweep file or an installed one; raises ScenarioError with every problem of it.  Scenarios are not read."""
    path = scenario_file(path)
    config, root, text = _read(path, SweepConfig)
    scenario = _scenario_of(path, config.scenario, root.child("scenario") or root)
    names = list(config.axes)
    points = []
    try:
        drawn = DESIGNS[config.design](config)
    except ImportError:
        node = root.child("design") or root
        message = "needs SALib: pip install 'marginquake[sensitivity]'"
        raise ScenarioError([Problem(node.place, "design", message, repr(config.design))]) from None
    problems = list(problems_of_axes(config.axes, drawn, config.design, root))
    if problems:
        raise ScenarioError(problems)
    for number, values in enumerate(drawn):
        moves = [move for name in names for move in moves_of(config.axes[name].paths, values[name])]
        shown = {name: number_of(value) for name, value in values.items()}
        points.append(Point(number, shown, scenario, (*config.set, *moves), is_of_a_run(path)))
    axes = tuple(_axis_facts(name, axis, points) for name, axis in config.axes.items())
    return Sweep(
        config.name or path.stem, config.question, config.design, axes, tuple(points), config.seeds, config.event, text,
        {name: _source(name, axis, root) for name, axis in config.axes.items()},
    )  # fmt: skip


def moves_of(fields: Sequence[str], value: Value) -> list[str]:
    """The overrides that give these fields the value of an axis."""
    return [f"{path.strip()}={_written(value)}" for path in fields]


def _source(name: str, axis: Axis, root: Node) -> AxisSource:
    node: Node | None = root.child("axes")
    node = node.child(name) if node is not None else None
    return AxisSource((node or root).place, f"axes.{name}", axis.paths)


def load_comparison(path: str | Path, seeds: int | None = None) -> Sweep:
    """Read a comparison file, or an installed one, as a sweep over one axis, `policy`; `seeds`: 1 to this instead of
    the file's."""
    path = scenario_file(path)
    config, root, text = _read(path, CompareConfig)
    points = []
    for number, alternative in enumerate(config.alternatives):
        node = root.child("scenario") or root
        scenario = _scenario_of(path, alternative.scenario or config.scenario, node)
        said = (*config.set, *alternative.set)
        points.append(Point(number, {"policy": alternative.name}, scenario, said, is_of_a_run(path)))
    return comparison(
        config.name or path.stem, config.question, points, config.seeds if seeds is None else _seeds(seeds), text,
        config.event,
    )  # fmt: skip


def comparison(
    name: str, question: str, points: Sequence[Point], seeds: Sequence[int], text: str, event: EventConfig | None = None
) -> Sweep:
    """Alternatives on the same seeds; the first point is the baseline."""
    axis = {"name": "policy", "label": "policy", "scale": "linear", "low": None, "high": None}
    return Sweep(name, question, PAIRWISE_DESIGN, (axis,), tuple(points), tuple(seeds), event or EventConfig(), text)


def compare_arguments(arguments: Sequence[str], overrides: Sequence[str], seeds: int, name: str | None = None) -> Sweep:
    """A comparison given on the command line: a scenario, then other scenarios, or overrides of the first.

    An override is `path.to.field=value`; several of one alternative are joined by ` ; `.
    """
    first = Path(arguments[0])
    points = []
    for number, argument in enumerate(arguments):
        if number == 0 or is_scenario(argument):
            point = Point(number, {"policy": Path(argument).stem}, Path(argument), tuple(overrides))
        else:
            said = tuple(part.strip() for part in argument.split(" ; "))
            point = Point(number, {"policy": argument}, first, (*overrides, *said))
        points.append(point)
    names = [str(point.values["policy"]) for point in points]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        message = "named twice; alternatives must have different names"
        raise ScenarioError([Problem(Place("compare", 0, Path.cwd()), "", message, twice)])
    alternatives = [{"name": p.values["policy"], "scenario": str(p.scenario), "set": list(p.overrides)} for p in points]
    text = yaml_tree.dump({"alternatives": alternatives, "seeds": seeds})
    question = f"{points[0].values['policy']} against {', '.join(str(p.values['policy']) for p in points[1:])}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return comparison(name or f"{first.stem}-{digest}", question, points, range(1, seeds + 1), text)


def comparison_of(alternatives: Sequence[str], seeds: int | None, overrides: Sequence[str], name: str | None) -> Sweep:
    """One comparison file, or a scenario and what it is compared with; `seeds`: 1 to this."""
    if len(alternatives) > 1:
        return compare_arguments(alternatives, overrides, seeds or 20, name)
    wanted = load_comparison(alternatives[0], seeds)
    points = tuple(replace(point, overrides=(*point.overrides, *overrides)) for point in wanted.points)
    return replace(wanted, points=points, name=name or wanted.name)


def is_scenario(argument: str) -> bool:
    """True for the name of a scenario, False for an override `path.to.field=value`."""
    return "=" not in argument or find(argument) is not None


def is_comparison(name: str) -> bool:
    """True for a file that lists alternatives."""
    return extends.read_source(scenario_file(name)).root.child("alternatives") is not None


# ---- designs --------------------------------------------------------------------------------------------------------


def _grid(config: SweepConfig) -> list[dict[str, Value]]:
    """Every combination; the last axis runs fastest."""
    listed = [axis.listed() for axis in config.axes.values()]
    return [dict(zip(config.axes, values, strict=True)) for values in itertools.product(*listed)]


def _zip(config: SweepConfig) -> list[dict[str, Value]]:
    """First values together, second values together, and so on."""
    listed = [axis.listed() for axis in config.axes.values()]
    return [dict(zip(config.axes, values, strict=True)) for values in zip(*listed, strict=True)]


def _list(config: SweepConfig) -> list[dict[str, Value]]:
    """The points as written."""
    return [dict(point) for point in config.points or ()]


def _on_ranges(config: SweepConfig, units: Floats) -> list[dict[str, Value]]:
    axes = config.axes.items()
    return [{name: axis.at(float(u)) for (name, axis), u in zip(axes, row, strict=True)} for row in units]


def _latin_hypercube(config: SweepConfig) -> list[dict[str, Value]]:
    """McKay, Beckman, Conover 1979: one point in each of `samples` strata of every axis."""
    from scipy.stats import qmc

    sampler = qmc.LatinHypercube(d=len(config.axes), rng=np.random.default_rng(config.design_seed))
    return _on_ranges(config, sampler.random(config.samples))


def _sobol(config: SweepConfig) -> list[dict[str, Value]]:
    """Scrambled Sobol points (scipy.stats.qmc); even coverage is best at powers of two."""
    from scipy.stats import qmc

    samples = config.samples or 0
    sampler = qmc.Sobol(d=len(config.axes), rng=np.random.default_rng(config.design_seed))
    whole = sampler.random_base2(max(1, math.ceil(math.log2(samples))))
    return _on_ranges(config, whole[:samples])


def _saltelli(config: SweepConfig) -> list[dict[str, Value]]:
    """Saltelli 2010, for Sobol indices: N (D + 2) points in the order that SALib's analysis expects."""
    from SALib.sample import sobol

    count = len(config.axes)
    problem = {"num_vars": count, "names": list(config.axes), "bounds": [[0.0, 1.0]] * count}
    units = sobol.sample(problem, config.samples, calc_second_order=False, seed=config.design_seed)
    return _on_ranges(config, units)


DESIGNS: Mapping[str, Callable[[SweepConfig], list[dict[str, Value]]]] = {
    "grid": _grid,
    "zip": _zip,
    "list": _list,
    "latin_hypercube": _latin_hypercube,
    "sobol": _sobol,
    "saltelli": _saltelli,
}


# ---- reading --------------------------------------------------------------------------------------------------------


def _read(path: Path, model: type[Config]) -> tuple[Config, Node, str]:
    source = extends.read_source(path)
    if source.problems:
        raise ScenarioError(source.told(source.problems, field_names(model)))
    try:
        return model.model_validate(source.root.plain()), source.root, source.text
    except ValidationError as error:
        raise ScenarioError(source.told(problems_of(error, model, source.root), field_names(model))) from None


def _scenario_of(path: Path, scenario: str, node: Node) -> Path:
    found = find(scenario, path.parent)
    if found is None:
        message, near = not_found(scenario, path.parent)
        raise ScenarioError([Problem(node.place, "scenario", message, repr(scenario), near)])
    return found


def _axis_facts(name: str, axis: Axis, points: Sequence[Point]) -> dict[str, Any]:
    values = [point.values[name] for point in points]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    numeric = len(numbers) == len(values)
    return {
        "name": name,
        "label": axis.label or name,
        "scale": axis.scale,
        "low": float(min(numbers)) if numeric else None,
        "high": float(max(numbers)) if numeric else None,
    }


def _written(value: Value) -> str:
    if isinstance(value, float):
        return f"{value:.12g}"
    return value if isinstance(value, str) else json.dumps(value)
