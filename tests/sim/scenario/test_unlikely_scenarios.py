"""Every file under tests/scenarios_unlikely gets exactly the warnings that it expects; what is shipped gets none."""

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from marginquake.agents import AGENT_TYPES
from marginquake.sim.core.fields import Block
from marginquake.sim.core.problems import WARNINGS, ScenarioError, ScenarioWarning
from marginquake.sim.scenario.config import MarketConfig
from marginquake.sim.studies.run import load_scenario, simulate
from tests.support.paths import DOCS, SCENARIOS, TINY
from tests.support.unlikely import UNLIKELY, expected, overrides_of, unmet_and_surplus

USUAL = UNLIKELY[0].parent / "bases" / "usual.yaml"
SHIPPED = [
    path
    for folder in (SCENARIOS, SCENARIOS / "templates", SCENARIOS / "venues_compared")
    for path in sorted(folder.glob("*.yaml"))
    if "alternatives:" not in path.read_text()
]


@pytest.mark.parametrize("path", UNLIKELY, ids=lambda path: path.stem)
def test_an_unlikely_scenario_gets_its_warnings(path: Path) -> None:
    wanted = expected(path, "warn")
    got = [str(warning) for warning in load_scenario(path, overrides_of(path)).warnings]
    assert unmet_and_surplus(wanted, got) == ([], []), "\n".join(["said:", *got])
    assert wanted or expected(path, "measured")


def test_every_kind_of_warning_is_in_the_corpus_and_in_the_docs() -> None:
    corpus = "".join(path.read_text() for path in UNLIKELY)
    page = (DOCS / "warnings.md").read_text()
    for name in WARNINGS:
        assert f"[{name}]" in corpus or name in ("edited_class", "unread_class"), (
            name
        )  # no file edits itself while it is read, and `run` reads all
        assert f"`{name}`" in page, name


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_what_is_shipped_is_likely(path: Path) -> None:
    assert [str(warning) for warning in load_scenario(path).warnings] == []


@pytest.mark.parametrize("venue", sorted((SCENARIOS / "venues").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_venues_preset_adds_no_warning_of_its_own(venue: Path, tmp_path: Path) -> None:
    path = tmp_path / "there.yaml"
    path.write_text(f"extends: [{USUAL}, {venue}]\n")
    assert [str(warning) for warning in load_scenario(path).warnings] == []


def test_a_resolved_scenario_gets_the_same_warnings(tmp_path: Path) -> None:
    """Every default is written there: a default is never blamed for doing nothing."""
    for path in (TINY, SCENARIOS / "everyday_market.yaml", SCENARIOS / "crash_2024_08_05.yaml"):
        again = tmp_path / "again.yaml"
        again.write_text(load_scenario(path).resolved_yaml())
        assert load_scenario(again).warnings == ()


def test_a_warning_says_its_parts(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_text(f"extends: {USUAL}\nindex:\n  shocks:\n    - {{at: 1s, log_return: 2}}\n")
    (warning,) = load_scenario(path).warnings
    assert (warning.name, warning.file, warning.line) == ("implausible_shock", str(path), 4)
    assert (warning.field, warning.value) == ("index.shocks.0.log_return", "2")
    assert "+639 %" in warning.message
    assert "2%" in warning.way_out
    assert warning.plain()["text"] == str(warning)
    assert pickle.loads(pickle.dumps(warning)) == warning
    with pytest.raises(ValueError, match="there is no warning 'odd'"):
        ScenarioWarning("odd", warning.place, "a", "b", "c")


def test_a_warning_that_is_meant_is_not_said_and_does_not_change_the_market(tmp_path: Path) -> None:
    loaded = load_scenario(USUAL, ["index.shocks=[{at: 1s, log_return: -1}]"])
    meant = load_scenario(USUAL, ["index.shocks=[{at: 1s, log_return: -1}]", "meant=[implausible_shock]"])
    assert len(loaded.warnings) == 1
    assert meant.warnings == ()
    assert meant.digest("1") == loaded.digest("1")
    with pytest.raises(ScenarioError, match="there is no warning 'implausible_shok'; did you mean 'implausible_shock'"):
        load_scenario(USUAL, ["meant=[implausible_shok]"])


def test_a_class_of_ones_own_that_says_nothing_may_provide_anything(tmp_path: Path) -> None:
    (tmp_path / "silent_lab.py").write_text(
        "from marginquake.agents import Participant, ParticipantConfig\n"
        "class SilentConfig(ParticipantConfig):\n    pass\n"
        "class Silent(Participant):\n    config_type = SilentConfig\n"
        "    def decide(self, market, orders):\n        pass\n"
    )
    path = tmp_path / "own.yaml"
    path.write_text("duration: 1min\npopulations:\n  mine: {type: silent_lab:Silent}\n")
    assert load_scenario(path).warnings == ()


def _blocks() -> Iterator[type[Block]]:
    """Every block of a scenario that has cases in which a field does nothing."""
    found: list[type[Any]] = [Block]
    for kind in found:
        found += [each for each in kind.__subclasses__() if each not in found]
    yield from (kind for kind in found if kind.__module__.startswith("marginquake.") and vars(kind).get("idle"))


def test_fields_that_do_nothing_are_fields() -> None:
    blocks = list(_blocks())
    assert len(blocks) > 15
    assert MarketConfig in blocks
    assert AGENT_TYPES["retail"].config_type in blocks
    for block in blocks:
        for idle in vars(block)["idle"]:
            for field in idle.fields:
                first = field.split(".")[0]
                assert first in {info.alias or name for name, info in block.model_fields.items()}, (block, field)


@pytest.mark.parametrize(
    "path",
    [path for path in UNLIKELY if "[no_effect]" in path.read_text() and "not read:" not in path.read_text()],
    ids=lambda path: path.stem,
)
def test_what_is_said_to_have_no_effect_has_none(path: Path) -> None:
    """Without the settings that are blamed the same events come."""
    overrides = [*overrides_of(path), "duration=20s"]
    said = [each for each in load_scenario(path, overrides).warnings if each.name == "no_effect"]
    assert said
    without = [f"{each.field}=null" for each in said if not each.field.startswith(("faults.", "index.shocks."))]
    without += ["faults=null"] if any(each.field.startswith("faults.") for each in said) else []
    without += ["index.shocks=null"] if any(each.field.startswith("index.shocks.") for each in said) else []
    digests = [
        simulate(load_scenario(path, each), 1).summary["event_digest"] for each in (overrides, [*overrides, *without])
    ]
    assert digests[0] == digests[1]
