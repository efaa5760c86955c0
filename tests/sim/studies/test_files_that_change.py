"""A run is filed under the content that it was drawn from, whatever happens to files while a process lives."""

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from marginquake.sim.assets import price_path
from marginquake.sim.core.data_files import DataFileChanged
from marginquake.sim.core.problems import ScenarioError
from marginquake.sim.core.version import MODEL_VERSION
from marginquake.sim.runs.directory import read_manifest
from marginquake.sim.runs.event_log import NoLog
from marginquake.sim.scenario.distributions import discrete
from marginquake.sim.studies import run as running
from marginquake.sim.studies import sweep as sweeping
from marginquake.sim.studies.design import load_sweep
from tests.support.command_line import marginquake
from tests.support.paths import TINY

pytestmark = pytest.mark.model

LEVERAGE = "{distribution: empirical, file: leverage.csv, column: leverage}"
SCENARIO = f"""\
extends: {TINY}
duration: 4s
warmup: 1s
index: {{fundamental: {{type: replay, file: path.csv, bridge_volatility: 0}}, shocks: null}}
populations: {{crowd: {{leverage: {LEVERAGE}}}}}
"""
FILES = {"leverage.csv": ("leverage\n5\n", "leverage\n50\n"), "path.csv": ("time,price\n0,10\n5,10\n", "0,10\n5,9\n")}
"""Each as it is first, and as somebody edits it."""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    for name, (first, _) in FILES.items():
        (tmp_path / name).write_text(first)
    file = tmp_path / "s.yaml"
    file.write_text(SCENARIO)
    return file


def filed(path: Path) -> tuple[str, str]:
    """Digest of the scenario and of the events of a run."""
    manifest = read_manifest(path)
    return manifest["scenario_digest"], manifest["event_digest"]


def edit(scenario: Path, name: str, version: int) -> None:
    (scenario.parent / name).write_text(FILES[name][version])


@pytest.mark.parametrize("name", FILES)
def test_an_edited_file_is_read_again_in_the_same_process(scenario: Path, tmp_path: Path, name: str) -> None:
    def make(out: str) -> tuple[str, str]:
        return filed(running.run(scenario, out=tmp_path / out, figures=False).path)

    first = make("first")
    edit(scenario, name, 1)
    second = make("second")
    edit(scenario, name, 0)
    assert make("third") == first
    assert second[0] != first[0]
    assert second[1] != first[1]
    discrete._read_columns.cache_clear()
    price_path._read_path.cache_clear()
    edit(scenario, name, 1)
    assert make("fresh") == second


@pytest.mark.parametrize("name", FILES)
def test_a_scenario_read_before_the_edit_is_run_on_the_file_as_it_is(scenario: Path, tmp_path: Path, name: str) -> None:
    loaded = running.load_scenario(scenario)
    first = filed(running.run(loaded, out=tmp_path / "first", figures=False).path)
    edit(scenario, name, 1)
    assert loaded.changed_files() == [str(tmp_path / name)]
    second = filed(running.run(loaded, out=tmp_path / "second", figures=False).path)
    assert second == filed(running.run(scenario, out=tmp_path / "read again", figures=False).path)
    assert second[0] != first[0]
    assert second[1] != first[1]
    (tmp_path / name).write_text("nothing,useful\n")
    with pytest.raises(ScenarioError, match=rf"s.yaml: .*{name}"):
        running.run(loaded, out=tmp_path / "third", figures=False)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_changes_between_reading_and_drawing_is_never_drawn_under_the_old_digest(
    scenario: Path, tmp_path: Path, name: str
) -> None:
    first = filed(running.run(scenario, out=tmp_path, figures=False).path)
    loaded = running.load_scenario(scenario)
    edit(scenario, name, 1)
    assert loaded.digest_as_read(MODEL_VERSION) == first[0] != loaded.digest(MODEL_VERSION)
    again = running.simulate(loaded, loaded.seed, open_log=NoLog)
    assert again.summary["event_digest"] == first[1]
    discrete._read_columns.cache_clear()
    price_path._read_path.cache_clear()
    with pytest.raises(DataFileChanged, match=rf"{name} has changed since the scenario was read: its sha256 was"):
        running.simulate(loaded, loaded.seed, open_log=NoLog)


@pytest.mark.parametrize("name", FILES)
def test_a_run_whose_file_has_changed_is_not_replayed_as_if_it_had_not(
    scenario: Path, tmp_path: Path, name: str
) -> None:
    run = running.run(scenario, out=tmp_path / "runs", figures=False).path
    edit(scenario, name, 1)
    result = marginquake("replay", run, "--quiet")
    assert result.exit_code == 2
    assert f"{name} has changed since the scenario was read" in result.stderr
    assert "take out `sha256`" in result.stderr
    edit(scenario, name, 0)
    assert marginquake("replay", run, "--quiet").exit_code == 0


def test_another_file_over_a_resolved_scenario_is_a_new_scenario(scenario: Path, tmp_path: Path) -> None:
    run = running.run(scenario, out=tmp_path / "runs", figures=False).path
    (tmp_path / "other.csv").write_text("time,price\n0,10\n3,10\n9,9\n")
    resolved = run / "scenario.resolved.yaml"
    other = f"index.fundamental.file={tmp_path / 'other.csv'}"
    (replayed,) = running.load_scenario(resolved, [other]).markets
    assert (replayed.index.fundamental.points, replayed.index.fundamental.span) == (3, 9 * 10**9)
    with pytest.raises(ScenarioError, match=r"points: value 2: .*other.csv holds 3"):
        running.load_scenario(resolved, [other, "index.fundamental.points=2"])
    (cut,) = running.load_scenario(resolved, ["index.fundamental.start=1"]).markets
    assert cut.index.fundamental.span == 4 * 10**9
    child = tmp_path / "child.yaml"
    child.write_text(f"extends: {resolved}\nindex: {{fundamental: {{file: other.csv}}}}\n")
    assert running.load_scenario(child).markets == (replayed,)
    with pytest.raises(ScenarioError, match=r"points: value 4: .*path.csv holds 2; take out `points`"):
        running.load_scenario(scenario, ["index.fundamental.points=4"])
    with pytest.raises(ScenarioError, match=r"span: value 7s: .*path.csv spans 5s; take out `span`"):
        running.load_scenario(scenario, ["index.fundamental.span=7s"])


def test_a_class_edited_after_its_import_is_filed_under_the_text_that_runs(
    scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    module = tmp_path / "lab_that_changes.py"
    text = "from marginquake.agents import AGENT_TYPES\n\n\nclass Quiet(AGENT_TYPES['background']):\n    odd = {}\n"
    module.write_text(text.format(1))
    overrides = ["populations.flow.type=lab_that_changes:Quiet"]
    before = running.load_scenario(scenario, overrides)
    assert not any("has been edited" in remark for remark in map(str, before.warnings))
    module.write_text(text.format(2222))
    after = running.load_scenario(scenario, overrides)
    assert after.digest_as_read("1") == before.digest_as_read("1") != after.digest("1")
    (said,) = [remark for remark in map(str, after.warnings) if "has been edited" in remark]
    assert "populations.flow.type: value lab_that_changes:Quiet" in said
    assert "start Python again" in said
    importlib.reload(importlib.import_module("lab_that_changes"))
    fresh = running.load_scenario(scenario, overrides)
    assert fresh.digest_as_read("1") == fresh.digest("1") == after.digest("1")
    assert not any("has been edited" in remark for remark in map(str, fresh.warnings))


@pytest.fixture
def scheduler() -> Iterator[str]:
    """A cluster of two workers that outlives each sweep."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        yield cluster.scheduler_address


@pytest.mark.slow
def test_workers_that_stay_read_an_edited_file_again(scenario: Path, tmp_path: Path, scheduler: str) -> None:
    file = tmp_path / "sweep.yaml"
    axis = "{path: populations.makers.accounts, values: [2, 3]}"
    file.write_text(f"name: changing\nscenario: {scenario}\naxes: {{makers: {axis}}}\nseeds: 2\n")

    def sweep(out: str) -> dict[tuple[int, int], tuple[str, str]]:
        plan = sweeping.plan_sweep(load_sweep(file))
        made = sweeping.run_sweep(plan, tmp_path / out, workers=2, scheduler=scheduler)
        assert made.failures == ()
        return {key: filed(made.path / "points" / run) for key, run in plan.runs.items()}

    first = sweep("first")
    for name in FILES:
        edit(scenario, name, 1)
    second = sweep("second")
    for name in FILES:
        edit(scenario, name, 0)
    assert sweep("third") == first
    for key, (digest, events) in second.items():
        assert digest != first[key][0]
        assert events != first[key][1]
    for name in FILES:
        edit(scenario, name, 1)
    loaded = running.load_scenario(scenario, ["record.events=none", "populations.makers.accounts=3"])
    here = running.run(loaded, seed=2, out=tmp_path / "here", figures=False)
    assert filed(here.path) == second[1, 2]
