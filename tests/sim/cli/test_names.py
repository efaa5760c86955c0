"""Scenarios by name on the command line: `list` shows the names, every command takes them, `new` makes one more."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from marginquake.agents import AGENT_TYPES
from marginquake.sim.cli import main
from marginquake.sim.core.version import MODEL_VERSION
from marginquake.sim.scenario.installed import installed_folder
from marginquake.sim.studies.catalogue import CATALOGUES, rule_families
from marginquake.sim.studies.run import load_scenario

ROOT = Path(__file__).resolve().parents[3]
TINY = ROOT / "tests" / "scenarios" / "tiny.yaml"


def marginquake(*arguments: object) -> Result:
    return CliRunner().invoke(main.app, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# ---- list -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", [kind for kind in CATALOGUES if kind not in ("agents", "rules")])
def test_list_gives_names_that_exist_and_a_line_each(what: str) -> None:
    result = marginquake("list", what)
    assert result.exit_code == 0, result.output
    rows = [line.split("  ", 1) for line in result.stdout.splitlines()]
    folder = installed_folder() if what == "scenarios" else installed_folder() / what
    assert len(rows) == len(list(folder.glob("*.yaml")))
    for name, line in rows:
        assert (installed_folder() / f"{name}.yaml").is_file()
        assert len(line.strip()) > 20


def test_list_scenarios_shows_own_ones_by_path_and_installed_ones_by_name(tmp_path: Path) -> None:
    (tmp_path / "scenarios").mkdir()
    shutil.copy(TINY, tmp_path / "scenarios")
    (tmp_path / "scenarios" / "wrong.yaml").write_text("duration: 1min\nsede: 3\n")
    own, wrong, *installed = marginquake("list", "scenarios").stdout.splitlines()
    assert own.split("  ", 1)[0] == "scenarios/tiny.yaml"
    assert own.endswith("  Does the machinery run from end to end?")
    assert "(invalid: scenarios/wrong.yaml:2: sede: unknown field" in wrong
    assert any(line.startswith("long_squeeze ") for line in installed)


def test_list_agents_and_rules_name_every_one_with_its_first_sentence() -> None:
    agents = marginquake("list", "agents").stdout
    assert [line.split()[0] for line in agents.splitlines()] == list(AGENT_TYPES)
    told = marginquake("list", "rules").stdout.splitlines()
    families = [line.removesuffix(":") for line in told if not line.startswith(" ")]
    assert families == list(rule_families())
    members = [line.split(maxsplit=1) for line in told if line.startswith(" ")]
    assert [name for name, _ in members] == [name for family in rule_families().values() for name in family]
    assert all(len(line) > 10 for _, line in members)


def test_list_without_a_word_shows_scenarios_and_runs() -> None:
    result = marginquake("list")
    assert result.stdout.startswith("adl_stress ")
    assert result.stderr == "no runs under runs\n"
    assert marginquake("list", "runs").stdout == ""


# ---- names as arguments ---------------------------------------------------------------------------------------------


def test_every_command_that_takes_a_scenario_takes_a_name(tmp_path: Path) -> None:
    (tmp_path / "long_squeeze").mkdir()  # a folder is no file: the name still means the installed scenario
    assert (
        marginquake("validate", "long_squeeze", "calm_market.yaml").stdout == "long_squeeze: ok\ncalm_market.yaml: ok\n"
    )
    first = marginquake("first-passage", "venues/hyperliquid", "--leverage", "20", "--horizon", "1h", "--paths", "10")
    assert first.exit_code == 0, first.output
    sweep = marginquake("sweep", "sweeps/leverage_depth", "--dry-run")
    assert sweep.stdout.endswith("175 runs, 175 to be made; every point is valid\n")
    asked = marginquake("counterfactual", "long_squeeze", "--without", "everything")
    assert asked.exit_code == 2
    assert "neither a mechanism nor a population of long_squeeze" in asked.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "long_sqeeze"),
        ("watch", "long_sqeeze"),
        ("validate", "long_sqeeze"),
        ("first-passage", "long_sqeeze"),
        ("tipping", "long_sqeeze", "--parameter", "depth_1pct", "--between", "1", "2"),
        ("sweep", "long_sqeeze"),
        ("sensitivity", "long_sqeeze"),
        ("compare", "long_sqeeze", "depth_1pct=1M"),
        ("compare", "thin_book", "long_sqeeze"),
        ("new", "mine", "--from", "long_sqeeze"),
    ],
    ids=" ".join,
)
def test_a_name_that_is_nowhere_is_one_message_with_both_places_and_a_near_name(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    result = marginquake(*arguments)
    assert result.exit_code == 2
    places = f"long_sqeeze: no such file in {tmp_path} or in {installed_folder()}; did you mean 'long_squeeze'?"
    assert result.stderr.startswith(places)
    assert len(result.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


# ---- new ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mine", "mine.yaml"])
def test_new_writes_a_valid_commented_file_and_says_how_to_run_it(name: str, tmp_path: Path) -> None:
    result = marginquake("new", name)
    assert result.exit_code == 0, result.output
    assert result.stdout == "run it: marginquake run mine.yaml\nmine.yaml\n"
    assert marginquake("validate", "mine").stdout == "mine: ok\n"
    scenario = load_scenario("mine")
    assert scenario.name == "mine"
    kinds = {population.type for population in scenario.populations.values()}
    assert kinds >= {"retail", "market_maker", "background", "fundamentalist", "arbitrageur", "hedger"}
    text = (tmp_path / "mine.yaml").read_text()
    assert text.count("#") > 25
    again = marginquake("new", "mine")
    assert again.exit_code == 2
    assert again.stderr == "mine.yaml: is there already; choose another name\n"
    assert (tmp_path / "mine.yaml").read_text() == text


@pytest.mark.model
def test_the_starter_runs_as_it_is_and_calls_margin() -> None:
    marginquake("new", "mine")
    result = marginquake("run", "mine", "--no-figures")
    assert result.exit_code == 0, result.output
    summary = json.loads(Path(result.stdout.splitlines()[-1], "summary.json").read_text())
    assert summary["margin_calls"] >= 100


def uncommented(text: str) -> str:
    """What a file of `new --from` says with every field that it offers."""
    introduction, fields = text.split("\nextends: ")
    assert all(line.startswith("# ") for line in introduction.splitlines())
    return f"extends: {fields}".replace("\n# ", "\n")


@pytest.mark.parametrize("source", ["long_squeeze", "everyday_market.yaml", "crash_2024_08_05", "coin_margined"])
def test_new_from_a_scenario_is_that_scenario_and_its_comments_are_its_values(source: str, tmp_path: Path) -> None:
    assert marginquake("new", "mine", "--from", source).stdout.splitlines()[-1] == "mine.yaml"
    original = load_scenario(source).digest(MODEL_VERSION)
    assert load_scenario("mine").digest(MODEL_VERSION) == original
    fields = uncommented((tmp_path / "mine.yaml").read_text())
    assert len(yaml.safe_load(fields)) >= 10
    assert yaml.safe_load(fields)["extends"] == source.removesuffix(".yaml") + ".yaml"
    (tmp_path / "all.yaml").write_text(fields)
    assert load_scenario("all").digest(MODEL_VERSION) == original


def test_new_from_a_file_of_two_markets_has_the_fields_of_both(tmp_path: Path) -> None:
    shutil.copy(ROOT / "tests" / "golden" / "two_markets.yaml", tmp_path)
    assert marginquake("new", "mine", "--from", "two_markets.yaml").exit_code == 0
    tree = yaml.safe_load(uncommented((tmp_path / "mine.yaml").read_text()))
    assert tree["extends"] == "two_markets.yaml"
    assert list(tree["markets"]) == ["main", "b"]
    assert list(tree["populations"]) == ["crowd", "crowd_b"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("long_squeeze", "--from", "long_squeeze"), "long_squeeze.yaml: a file cannot extend itself"),
        (("folder/mine",), "folder/mine: begins with a letter or digit and holds only"),
        (("",), "begins with a letter or digit"),
        (("mine", "--from", "populations/retail_detents"), "is a population fragment, no scenario"),
        (("mine", "--from", "venues/bybit_linear"), "duration: missing"),
    ],
    ids=str,
)
def test_new_refuses_what_would_not_run(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    result = marginquake("new", *arguments)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []
