"""What there is to choose from: installed scenarios, venues, populations and studies, traders, rules; a line each."""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from marginquake.agents import AGENT_TYPES
from marginquake.sim.core.problems import ScenarioError
from marginquake.sim.scenario import extends
from marginquake.sim.scenario.config import RULE_BLOCKS
from marginquake.sim.scenario.distributions.registry import DISTRIBUTIONS
from marginquake.sim.scenario.installed import installed_folder, installed_names
from marginquake.sim.studies.run import look_at_scenario

Rows = list[tuple[str, str]]
"""Names, each with one line of what it is."""
OWN_FOLDER: Final = Path("scenarios")
"""Of the working folder: scenarios of the user's own."""


def rule_families() -> dict[str, Mapping[str, object]]:
    """Every family of rules by the field of a scenario that chooses one: the rules by name."""
    families: dict[str, Mapping[str, object]] = {
        ".".join(path if family.may_be_a_name else (*path, family.key)): family for path, family in RULE_BLOCKS.items()
    }
    return {**families, "distribution": DISTRIBUTIONS}


def scenarios() -> Rows:
    """Scenarios of the user's own (scenarios/*.yaml of the working folder) by path, then the installed ones by name."""
    own = [] if OWN_FOLDER.resolve() == installed_folder() else sorted(OWN_FOLDER.glob("*.yaml"))
    return [(str(path), _question(path)) for path in own] + _installed("*.yaml", _question)


def venues() -> Rows:
    """Presets of venues' rules."""
    return _installed("venues/*.yaml", _first_comment)


def populations() -> Rows:
    """Presets of a crowd's leverage."""
    return [
        (name, line.removeprefix("Population: ")) for name, line in _installed("populations/*.yaml", _first_comment)
    ]


def policies() -> Rows:
    """Comparisons of rules on the same seeds."""
    return _installed("policies/*.yaml", _study_question)


def sweeps() -> Rows:
    """Sweeps over parameters."""
    return _installed("sweeps/*.yaml", _study_question)


def agents() -> Rows:
    """Types of traders, and the liquidation engine."""
    return [(name, first_sentence(kind)) for name, kind in AGENT_TYPES.items()]


def rules() -> Rows:
    """Every family, by the field that chooses one of it, and its rules below it."""
    rows: Rows = []
    for family, members in rule_families().items():
        rows.append((f"{family}:", ""))
        rows += [(f"  {name}", first_sentence(rule)) for name, rule in members.items()]
    return rows


CATALOGUES: Final[Mapping[str, Callable[[], Rows]]] = {
    "scenarios": scenarios,
    "venues": venues,
    "populations": populations,
    "policies": policies,
    "sweeps": sweeps,
    "agents": agents,
    "rules": rules,
}
"""By what `marginquake list` is asked for."""


def first_sentence(described: object) -> str:
    """Of its docstring."""
    return _first_sentence((inspect.getdoc(described) or "").partition("\n\n")[0].splitlines())


def _first_sentence(lines: Sequence[str]) -> str:
    text = " ".join(line.strip() for line in lines)
    return re.split(r"(?<=[.?!])(?:  | (?=[A-Z`]))", text, maxsplit=1)[0]


def _installed(pattern: str, line: Callable[[Path], str]) -> Rows:
    return [(name.with_suffix("").as_posix(), line(installed_folder() / name)) for name in installed_names(pattern)]


def _question(path: Path) -> str:
    """What a scenario asks, itself or through what it extends."""
    try:
        return " ".join(look_at_scenario(path).question.split())
    except ScenarioError as error:
        return f"(invalid: {str(error).splitlines()[0]})"


def _study_question(path: Path) -> str:
    """What a comparison or a sweep asks."""
    return " ".join(str(extends.read_source(path).root.plain()["question"]).split())


def _first_comment(path: Path) -> str:
    """The first sentence of the comment at the top."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comment = lines[: next((n for n, line in enumerate(lines) if not line.startswith("#")), len(lines))]
    return _first_sentence([line.removeprefix("#") for line in comment])
