"""Names of scenarios: beside the file first, then the installed ones; from any folder the same scenario."""

import os
from pathlib import Path

import pytest

from marginquake.sim.core.problems import ScenarioError
from marginquake.sim.core.version import MODEL_VERSION
from marginquake.sim.scenario import installed
from marginquake.sim.scenario.installed import installed_folder
from marginquake.sim.studies.design import load_comparison, load_sweep
from marginquake.sim.studies.run import load_scenario
from marginquake.sim.studies.sweep import plan_sweep

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, text: str) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_installed_folder_is_a_real_one_that_holds_the_scenarios() -> None:
    assert installed_folder() == ROOT / "scenarios"
    assert (installed_folder() / "long_squeeze.yaml").is_file()


@pytest.mark.parametrize("name", ["long_squeeze", "long_squeeze.yaml", ROOT / "scenarios" / "long_squeeze.yaml"])
def test_name_and_digest_do_not_depend_on_how_a_scenario_is_named(name: str | Path) -> None:
    there = load_scenario(name)
    copy = write("copied/long_squeeze.yaml", (installed_folder() / "long_squeeze.yaml").read_text())
    assert there.name == load_scenario(copy).name == "long_squeeze"
    assert there.digest(MODEL_VERSION) == load_scenario(copy).digest(MODEL_VERSION)


def test_the_digest_of_a_scenario_with_a_data_file_does_not_depend_on_its_place() -> None:
    write("data/btcusdt_2024-08-05.csv", (installed_folder() / "data" / "btcusdt_2024-08-05.csv").read_text())
    write("crash_2024_08_05.yaml", (installed_folder() / "crash_2024_08_05.yaml").read_text())
    copied = load_scenario("crash_2024_08_05")
    assert copied.path == Path("crash_2024_08_05.yaml")
    theirs = load_scenario(installed_folder() / "crash_2024_08_05.yaml")
    assert copied.digest(MODEL_VERSION) == theirs.digest(MODEL_VERSION)


@pytest.mark.parametrize("name", ["long_squeeze", "long_squeeze.yaml"])
def test_a_file_of_the_users_own_comes_first_and_a_folder_is_none(name: str) -> None:
    Path("long_squeeze").mkdir()
    assert load_scenario(name).duration == 720 * 10**9
    write("long_squeeze.yaml", "duration: 7s\n")
    assert load_scenario(name).duration == 7 * 10**9


def test_extends_takes_installed_venues_and_scenarios_with_or_without_ending() -> None:
    long_squeeze = load_scenario("long_squeeze")
    for names in ("[venues/bybit_linear.yaml, long_squeeze.yaml]", "[long_squeeze, venues/bybit_linear]"):
        scenario = load_scenario(write("deep/down/mine.yaml", f"extends: {names}\n"))
        (market,) = scenario.markets
        assert market.liquidation.procedure == "tier_reduction"
        assert scenario.populations.keys() == long_squeeze.populations.keys()
    alone = load_scenario(write("alone.yaml", "extends: venues/bybit_linear.yaml\nduration: 1min\n"))
    assert alone.markets[0].venue.adl.trigger == "fund_drawdown"


def test_a_file_beside_the_one_that_extends_comes_before_an_installed_one_and_not_one_of_the_working_folder() -> None:
    write("long_squeeze.yaml", "duration: 7s\n")
    write("deep/venues/bybit_linear.yaml", "venue: {fees: {taker: 9bps}}\n")
    deep = load_scenario(write("deep/mine.yaml", "extends: [long_squeeze, venues/bybit_linear]\n"))
    assert deep.duration == 720 * 10**9
    assert deep.markets[0].venue.fees.taker == pytest.approx(0.0009)
    # what is installed extends what is installed beside it
    assert load_scenario("dispersed_control").duration == 720 * 10**9


def test_a_population_takes_an_installed_fragment() -> None:
    text = (
        "duration: 1min\npopulations:\n  hedgers: {type: hedger}\n  crowd: {extends: populations/hl_2026_effective}\n"
    )
    crowd = load_scenario(write("mine.yaml", text)).populations["crowd"].config
    assert (crowd.type, crowd.margin_mode) == ("retail", "cross")
    other = ["populations.crowd.extends=populations/retail_detents.yaml"]
    assert load_scenario("mine", other).populations["crowd"].config.margin_mode == "isolated"


def test_an_error_in_an_extended_installed_file_names_that_file_and_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path("site/scenarios").absolute()
    write("site/scenarios/wrong.yaml", "duration: 1min\n\nsede: 3\n")
    monkeypatch.setattr(installed, "installed_folder", lambda: folder)
    for name in ("wrong", write("mine.yaml", "extends: wrong\n")):
        with pytest.raises(ScenarioError) as caught:
            load_scenario(name)
        assert str(caught.value) == f"{folder}/wrong.yaml:3: sede: unknown field; did you mean 'seed'?"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("long_sqeeze", "long_squeeze"),
        ("long_sqeeze.yaml", "long_squeeze.yaml"),
        ("scenarios/long_squeeze.yaml", "long_squeeze.yaml"),
        ("bybit_linear", "venues/bybit_linear"),
        ("venue/bybit_linear.yaml", "venues/bybit_linear.yaml"),
        ("venues_compared/hyperliqid", "venues_compared/hyperliquid"),
        ("../venues/dydx_v4.yaml", "venues/dydx_v4.yaml"),
        ("min", "mine.yaml"),
        ("zzz", None),
    ],
)
def test_a_name_that_is_nowhere_gives_both_places_and_the_nearest_name(name: str, near: str | None) -> None:
    write("mine.yaml", "duration: 1min\n")
    with pytest.raises(ScenarioError) as caught:
        load_scenario(name)
    hint = f"; did you mean {near!r}?" if near else ""
    assert str(caught.value) == f"{name}: no such file in {os.getcwd()} or in {installed_folder()}{hint}"
    with pytest.raises(ScenarioError) as caught:
        load_scenario(write("mine.yaml", f"extends: {name}\nduration: 1min\n"))
    assert f"mine.yaml:1: extends: value {name}: no such file in {os.getcwd()} or in " in str(caught.value)


def test_an_absolute_path_is_looked_for_where_it_says() -> None:
    with pytest.raises(ScenarioError) as caught:
        load_scenario("/nowhere/long_squeeze.yaml")
    assert str(caught.value).startswith("/nowhere/long_squeeze.yaml: no such file; did you mean")


def test_sweeps_and_comparisons_find_files_and_scenarios_by_name() -> None:
    assert load_sweep("sweeps/leverage_depth").name == "leverage_depth"
    assert load_comparison("policies/mark_rule.yaml").name == "mark_rule"
    text = "scenario: long_squeeze\naxes: {depth: {path: depth_1pct, values: [6M, 12M]}}\nseeds: 1\n"
    plan = plan_sweep(load_sweep(write("mine/depth.yaml", text)))
    assert all(run.startswith("long_squeeze-") for run in plan.runs.values())
    write("mine/long_squeeze.yaml", "duration: 7s\n")
    assert load_sweep(Path("mine/depth.yaml")).points[0].scenario == Path("mine/long_squeeze.yaml")
    text = "scenario: thin_book\nalternatives: [{name: a}, {name: b, scenario: ../long_sqeeze.yaml}]\n"
    with pytest.raises(
        ScenarioError, match=r"scenario: value '\.\./long_sqeeze\.yaml': no such file in .* did you mean"
    ):
        load_comparison(write("mine/pair.yaml", text))
