"""The shipped comparisons of policies: every alternative loads, and each is another market than the next."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from marginquake.sim.core.version import MODEL_VERSION
from marginquake.sim.scenario.config import NAME
from marginquake.sim.scenario.scenario import Scenario
from marginquake.sim.studies.design import Sweep, load_comparison
from marginquake.sim.studies.run import load_scenario, simulate
from tests.support.paths import SCENARIOS

FOLDER = SCENARIOS / "policies"
FILES = sorted(FOLDER.glob("*.yaml"))

each_policy = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def alternatives(path: Path) -> dict[str, Scenario]:
    return {str(p.values["policy"]): load_scenario(p.scenario, p.overrides) for p in load_comparison(path).points}


def brackets(scenario: Scenario) -> list[tuple[float, float, float]]:
    table = scenario.markets[0].venue.brackets
    return [(bracket.notional_cap, bracket.max_leverage, bracket.maintenance) for bracket in table]


def without(scenario: Scenario, *path: str) -> dict[str, Any]:
    """The resolved scenario, but for one field."""
    resolved = scenario.resolved()
    inner = resolved
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return resolved


def test_six_questions_are_asked() -> None:
    assert [path.stem for path in FILES] == [
        "insurance_size", "leverage_cap", "mark_rule", "monitor_period", "price_band", "sliced_liquidation",
    ]  # fmt: skip


@each_policy
def test_a_policy_begins_with_its_question(path: Path) -> None:
    first_line, second = path.read_text().splitlines()[:2]
    question = yaml.safe_load(second)["question"]
    assert question.endswith("?")
    assert first_line == f"# Question: {question}"


@each_policy
def test_the_readme_lists_a_policy_with_its_question(path: Path) -> None:
    row = next(line for line in (FOLDER / "README.md").read_text().splitlines() if line.startswith(f"| `{path.name}`"))
    assert load_comparison(path).question in row


@each_policy
def test_every_alternative_loads_and_is_another_market(path: Path) -> None:
    loaded = alternatives(path)
    assert len({scenario.digest(MODEL_VERSION) for scenario in loaded.values()}) == len(loaded) >= 2


@each_policy
def test_forty_seeds_and_plain_names(path: Path) -> None:
    sweep: Sweep = load_comparison(path)
    assert sweep.seeds == tuple(range(1, 41))
    assert all(re.match(NAME, str(point.values["policy"])) for point in sweep.points)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("insurance_size", ("venue", "insurance", "initial")),
        ("leverage_cap", ("venue", "brackets")),
        ("mark_rule", ("venue", "mark")),
        ("monitor_period", ("liquidation", "monitor_period")),
        ("price_band", ("venue", "price_band")),
    ],
)
def test_alternatives_differ_in_one_field(name: str, field: tuple[str, ...]) -> None:
    first, *others = (without(scenario, *field) for scenario in alternatives(FOLDER / f"{name}.yaml").values())
    assert all(other == first for other in others)


def test_leverage_caps_lower_the_leverage_of_every_bracket_and_nothing_else() -> None:
    uncapped = brackets(load_scenario(FOLDER.parent / "long_squeeze.yaml"))
    for cap, scenario in zip((125, 50, 25, 20), alternatives(FOLDER / "leverage_cap.yaml").values(), strict=True):
        assert brackets(scenario) == [(notional, min(highest, cap), rate) for notional, highest, rate in uncapped]
        assert scenario.markets[0].fuel_ratio is None


@pytest.mark.model
@pytest.mark.slow
def test_under_a_cap_the_same_deposits_hold_less() -> None:
    sweep = load_comparison(FOLDER / "leverage_cap.yaml")
    short = ("duration=1s", "warmup=30s", "step=500ms", "record.events=none")
    runs = [simulate(load_scenario(point.scenario, (*point.overrides, *short)), seed=1) for point in sweep.points]
    deposits = [np.asarray(run.accounts["deposit"])[_longs(run.accounts)] for run in runs]
    assert all((column == deposits[0]).all() for column in deposits)
    for name in ("open_interest_start", "fuel_ratio_within_5pct"):
        values = [float(run.summary[name] or 0.0) for run in runs]
        assert values == sorted(values, reverse=True)
        assert values[-1] < 0.7 * values[0]


def _longs(accounts: Any) -> Any:
    return np.asarray(accounts["population"]).astype(str) == "longs"
