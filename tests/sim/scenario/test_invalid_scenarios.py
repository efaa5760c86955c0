"""Every file under tests/scenarios_invalid gets exactly the messages its first lines expect.

    # expect: 7: index.fundamental.volatility: value x: must be a fraction     a line of this file
    # expect: bases/bad.yaml:5: venue.fees.makr: unknown field                 a line of a file it extends
    # expect: account_book_cells.csv:4: leverage: value NaN: is not ...        a line of a user's own table
    # expect: --set seed.x=3: seed.x: seed is 1                                an override, given by
    # set: seed.x=3

An expectation is the beginning of the message.  `{folder}` stands for the corpus's own folder, `{installed}` for
that of the installed scenarios.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from marginquake.sim.core.problems import ScenarioError
from marginquake.sim.scenario.installed import installed_folder
from marginquake.sim.scenario.loader import load_scenario
from tests.support.fake_participants import FAKE_TYPES
from tests.support.paths import INVALID_SCENARIOS

FILES = sorted(INVALID_SCENARIOS.glob("*.yaml"))
NO_LINE = ("the file is empty", "no such file")


def comments(path: Path, word: str) -> Iterator[str]:
    for line in path.read_bytes().decode("utf-8", "replace").splitlines():
        if line.startswith(f"# {word}: "):
            text = line.removeprefix(f"# {word}: ")
            yield text.replace("{folder}", str(INVALID_SCENARIOS)).replace("{installed}", str(installed_folder()))


def expected(path: Path) -> list[str]:
    """The beginnings of the messages, with the file as the loader shows it."""
    beginnings = []
    for text in comments(path, "expect"):
        if text.startswith("--set "):
            beginnings.append(text)
        elif text.startswith(NO_LINE):
            beginnings.append(f"{path}: {text}")
        elif text.split(":")[0].endswith((".yaml", ".csv")):
            beginnings.append(f"{INVALID_SCENARIOS}/{text}")
        else:
            beginnings.append(f"{path}:{text}")
    return beginnings


def test_the_corpus_is_there() -> None:
    assert len(FILES) >= 45


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_invalid_scenario_gets_its_messages(path: Path) -> None:
    wanted = expected(path)
    assert wanted, f"{path} expects nothing; begin it with '# expect: LINE: field.path: message'"
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path, FAKE_TYPES, list(comments(path, "set")))
    got = [str(problem) for problem in caught.value.problems]
    unmet = [text for text in wanted if not any(message.startswith(text) for message in got)]
    surplus = [message for message in got if not any(message.startswith(text) for text in wanted)]
    assert not unmet, "\n".join(["not said:", *unmet, "said:", *got])
    assert not surplus, "\n".join(["said besides:", *surplus])
    assert str(caught.value) == "\n".join(got)


def test_no_message_shows_the_insides_of_pydantic() -> None:
    for path in FILES:
        with pytest.raises(ScenarioError) as caught:
            load_scenario(path, FAKE_TYPES, list(comments(path, "set")))
        for noise in ("Input should", "pydantic", "function-", "literal[", "union", "Value error", "_config", "Errno"):
            assert noise not in str(caught.value), f"{path}: {caught.value}"


def test_a_file_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "long_squeeze.yaml").write_text("duration: 1min\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ScenarioError) as caught:
        load_scenario("long_sqeeze.yaml", FAKE_TYPES)
    assert str(caught.value) == "long_sqeeze.yaml: no such file; did you mean 'long_squeeze.yaml'?"


def test_a_folder_is_no_scenario(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="is a folder, not a scenario file"):
        load_scenario(tmp_path, FAKE_TYPES)


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("")
    with pytest.raises(ScenarioError, match=r"empty\.yaml: the file is empty"):
        load_scenario(path, FAKE_TYPES)


def test_an_override_of_nothing_is_told(tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    path.write_text("duration: 1min\n")
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path, FAKE_TYPES, ["=3", "a..b=3"])
    assert len(caught.value.problems) == 2
