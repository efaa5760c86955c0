"""A new scenario file to begin with: the commented starter, or a file that changes another scenario."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from marginquake.sim.core.outside import disk
from marginquake.sim.core.outside.edges import one_line
from marginquake.sim.core.problems import Place, Problem, ScenarioError
from marginquake.sim.scenario.config import ScenarioHead
from marginquake.sim.scenario.installed import SUFFIXES, installed_folder, scenario_file, written_there
from marginquake.sim.scenario.yaml_tree import dump_inline
from marginquake.sim.studies.run import load_scenario

STARTER: Final = "templates/starter.yaml"
HEAD_FIELDS: Final = ("question", "seed", "duration", "warmup", "step")
MARKET_FIELDS: Final = (
    "depth_1pct",
    "fuel_ratio",
    "index.fundamental.volatility",
    "index.shocks",
    "venue.mark.rule",
    "venue.fees.maker",
    "venue.fees.taker",
    "venue.insurance.initial",
    "liquidation.enabled",
    "liquidation.procedure",
    "liquidation.monitor_period",
)
CROWD_FIELDS: Final = ("accounts", "long_share", "leverage", "stop_share")
"""Of populations that take sides."""


def new_scenario(name: str, source: str | None = None) -> Path:
    """Write `<name>.yaml` in the working folder; its path.

    `source`: the scenario, by path or installed name, that the new file extends; without one it is the starter.
    Raises ScenarioError for a bad name, a file that is there already, or a source that is no scenario.
    """
    stem = name[: -len(Path(name).suffix)] if name.endswith(SUFFIXES) else name
    path = Path(f"{stem}.yaml")
    try:
        ScenarioHead(name=stem, duration=1)
    except ValidationError:
        raise _problem(name, "begins with a letter or digit and holds only letters, digits, '_', '.' and '-'") from None
    text = (installed_folder() / STARTER).read_text(encoding="utf-8") if source is None else _changed(source, path)
    try:
        disk.write_new(path, text)
    except FileExistsError:
        raise _problem(str(path), "is there already; choose another name") from None
    except OSError as error:
        raise _problem(str(path), f"cannot be written: {error.strerror}") from error
    return path


def _changed(source: str, path: Path) -> str:
    """A file that extends `source`, with the fields that are changed most as comments."""
    found = scenario_file(source)
    base = written_there(source, Path()) or written_there(source, installed_folder())
    if base == str(path):
        raise _problem(str(path), "a file cannot extend itself; choose another name")
    data = load_scenario(found).resolved()
    tree = _picked(data, HEAD_FIELDS)
    if "markets" in data:
        tree["markets"] = _Branch({name: _picked(block, MARKET_FIELDS) for name, block in data["markets"].items()})
    else:
        tree |= _picked(data, MARKET_FIELDS)
    crowds = {
        crowd: _picked(block, CROWD_FIELDS) for crowd, block in data["populations"].items() if "long_share" in block
    }
    if crowds:
        tree["populations"] = _Branch(crowds)
    lines = [
        f"# {one_line(found.stem)}, changed.  Below stand the fields that are changed most, with their values there.",
        "# To change one, take the '# ' away from its line and from the lines above that it belongs to.",
        f"# Its populations: {', '.join(data['populations'])}.  `populations: {{NAME: null}}` takes one away.",
        f"extends: {dump_inline(base)}",
        *(f"# {line}" for line in _lines(tree, 0)),
    ]
    return "\n".join(lines) + "\n"


class _Branch(dict[str, Any]):
    """A mapping that is written over several lines; others are values, on one line."""


def _picked(data: Mapping[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    """Those of the fields that have a value, as a tree."""
    tree = _Branch()
    for field in fields:
        *blocks, last = field.split(".")
        block: Any = data
        for key in blocks:
            block = block.get(key)
        if block.get(last) is None:
            continue
        branch = tree
        for key in blocks:
            branch = branch.setdefault(key, _Branch())
        branch[last] = _without_nulls(block[last])
    return tree


def _without_nulls(value: Any) -> Any:
    """A null of a resolved scenario says what leaving it out says."""
    return {key: each for key, each in value.items() if each is not None} if isinstance(value, dict) else value


def _lines(tree: Mapping[str, Any], depth: int) -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, _Branch):
            yield f"{'  ' * depth}{key}:"
            yield from _lines(value, depth + 1)
        else:
            yield f"{'  ' * depth}{key}: {dump_inline(value)}"


def _problem(what: str, message: str) -> ScenarioError:
    return ScenarioError([Problem(Place(what, 0, Path.cwd()), "", message)])
