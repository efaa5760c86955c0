"""Whose code runs: classes of the user are imported from files of their own, and from runs only with leave."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from marginquake.sim.core import plugins
from marginquake.sim.core.problems import ScenarioError
from marginquake.sim.runs.directory import RunDirectoryError
from marginquake.sim.studies import run as running
from marginquake.sim.studies.counterfactual import counterfactual
from tests.support.command_line import marginquake
from tests.support.paths import TINY

MODULE = """\
from marginquake.agents import MarketView, OrderEntry, Participant, ParticipantConfig
from marginquake.sim.rules import MarkConfig, MarkInputs, MarkRule
open({marker!r}, "w").close()


class Idle(Participant):
    config_type = ParticipantConfig

    def decide(self, view: MarketView, orders: OrderEntry) -> None:
        pass


class AtIndex(MarkRule):
    class Config(MarkConfig):
        own: int = 3

    def update(self, inputs: MarkInputs) -> float:
        return inputs.index_ticks
"""
SCENARIO = """\
extends: {tiny}
duration: 2s
warmup: 1s
question: What does a class of one's own do?
venue: {{mark: {{rule: 'own_lab:AtIndex', own: 4}}}}
populations:
  idle: {{type: 'own_lab:Idle', accounts: 2}}
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a scenario and its module, in a process that has seen neither."""
    (tmp_path / "own_lab.py").write_text(MODULE.format(marker=str(tmp_path / "EXECUTED")))
    (tmp_path / "mine.yaml").write_text(SCENARIO.format(tiny=TINY))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(plugins.ALLOW_VARIABLE, raising=False)
    before = list(sys.path)
    forget()
    yield tmp_path
    forget()
    sys.path[:] = before


def forget() -> None:
    """As a new process would not know it."""
    sys.modules.pop("own_lab", None)
    plugins._ADMITTED.discard("own_lab")


def executed(lab: Path) -> bool:
    return (lab / "EXECUTED").exists()


def own_run(lab: Path, **options: object) -> Path:
    """A run of one's own, after which the process is like a new one."""
    path = running.run("mine.yaml", out=lab / "runs", figures=False, name="mine", **options).path  # type: ignore[arg-type]
    forget()
    sys.path[:] = [each for each in sys.path if each != str(lab)]
    (lab / "EXECUTED").unlink()
    return path


@pytest.mark.model
def test_a_file_of_ones_own_is_run_and_its_modules_are_named_once(lab: Path) -> None:
    done = marginquake("run", "mine.yaml", "--no-figures")
    assert done.exit_code == 0, done.output
    assert done.stderr.count("note: runs the code of own_lab, which the scenario names\n") == 1
    assert executed(lab)


@pytest.mark.model
def test_a_run_with_classes_is_gone_over_again_only_with_leave(lab: Path) -> None:
    run = own_run(lab)
    for command in (
        ("replay", run),
        ("counterfactual", run, "--without", "nothing", "--workers", "1"),
        ("run", run / "scenario.resolved.yaml", "--no-figures"),
        ("watch", run / "scenario.resolved.yaml", "--plain"),
        ("first-passage", run / "scenario.resolved.yaml"),
        ("tipping", run / "scenario.resolved.yaml", "--parameter", "depth_1pct", "--between", "1M", "2M", "--dry-run"),
    ):
        refused = marginquake(*command)
        assert refused.exit_code == 2, refused.output
        assert "scenario.resolved.yaml:" in refused.stderr
        assert "'own_lab:Idle' is code, and this file may be somebody else's; if you trust it, --allow-code" in (
            refused.stderr
        )
        assert "MARGINQUAKE_ALLOW_CODE=own_lab" in refused.stderr
        assert "unknown field" not in refused.stderr
    assert not executed(lab)
    assert str(run) not in sys.path
    allowed = marginquake("replay", run, "--allow-code")
    assert allowed.exit_code == 0, allowed.output
    assert "same events" in allowed.output
    assert executed(lab)


@pytest.mark.model
def test_python_asks_for_leave_as_the_commands_do(lab: Path) -> None:
    run = own_run(lab)
    for ask in (
        lambda: running.replay(run),
        lambda: counterfactual(run, ["nothing"]),
        lambda: running.load_scenario(run / "scenario.resolved.yaml"),
        lambda: running.load_scenario("mine.yaml", allow_code=False),
    ):
        with pytest.raises(ScenarioError, match="is code"):
            ask()
    assert not executed(lab)
    recorded, again = running.replay(run, allow_code=True)
    assert recorded == again
    assert running.load_scenario(run / "scenario.resolved.yaml", allow_code=True).is_whole


@pytest.mark.model
def test_a_module_that_the_environment_allows_is_taken_from_where_python_looks_and_from_nowhere_else(
    lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = own_run(lab)
    (run / "own_lab.py").write_text("raise SystemExit('not this one')")
    monkeypatch.setenv(plugins.ALLOW_VARIABLE, "other, own_lab")
    with pytest.raises(ScenarioError, match="no module named 'own_lab'"):
        running.replay(run)
    monkeypatch.syspath_prepend(str(lab))
    recorded, again = running.replay(run)
    assert recorded == again
    assert str(run) not in sys.path


@pytest.mark.parametrize(("name", "listed"), [("a", True), ("a.b", True), ("ab", False), ("b", False), ("b.c", True)])
def test_a_package_that_is_listed_stands_for_its_modules(
    monkeypatch: pytest.MonkeyPatch, name: str, listed: bool
) -> None:
    monkeypatch.setenv(plugins.ALLOW_VARIABLE, " a ,b.c")
    assert plugins.is_listed(name) is listed


@pytest.mark.model
def test_a_checkpoint_with_classes_is_read_only_with_leave(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = own_run(lab)
    from marginquake.sim.model.model import MarketModel

    record = MarketModel.record

    def stop(model: MarketModel) -> None:
        record(model)
        if model.steps_done == 20:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(MarketModel, "record", stop)
        with pytest.raises(KeyboardInterrupt, match=r"run --resume .*held\.partial --allow-code"):
            running.run("mine.yaml", out=lab / "cut", name="held", figures=False, checkpoint_every="1s")
    forget()
    (lab / "EXECUTED").unlink()
    sys.path[:] = [each for each in sys.path if each != str(lab)]
    listed = marginquake("list", "runs", "--out", lab / "cut")
    assert "held.partial --allow-code` goes on" in listed.output
    with pytest.raises(RunDirectoryError, match=r"names 'own_lab:.*--allow-code reads it"):
        running.resume(lab / "cut" / "held.partial")
    assert not executed(lab)
    done = running.resume(lab / "cut" / "held.partial", allow_code=True)
    assert done.summary["event_digest"] == running.directory.read_summary(whole)["event_digest"]


def test_validate_and_list_import_nothing_and_check_all_the_rest(lab: Path) -> None:
    (lab / "scenarios").mkdir()
    (lab / "scenarios" / "mine.yaml").write_text((lab / "mine.yaml").read_text())
    assert "What does a class of one's own do?" in marginquake("list", "scenarios").output
    done = marginquake("validate", "mine.yaml", "--no-rehearsal")
    assert done.exit_code == 0
    assert done.stdout == "mine.yaml: ok\n"
    assert done.stderr.count("[unread_class]") == 2
    assert (
        "mine.yaml:5: warning: venue.mark.rule: value own_lab:AtIndex: is code, which was not imported" in done.stderr
    )
    assert marginquake("validate", "mine.yaml", "--no-rehearsal", "--strict").exit_code == 2
    silenced = ("--set", "meant=[unread_class]")
    assert marginquake("validate", "mine.yaml", "--no-rehearsal", "--strict", *silenced).exit_code == 2
    wrong = marginquake("validate", "mine.yaml", "--no-rehearsal", "--set", "depth_1pct=-3", "--set", "venue.marc=1")
    assert wrong.exit_code == 2
    assert "depth_1pct" in wrong.stderr
    assert "venue.marc: unknown field" in wrong.stderr
    assert not executed(lab)
    whole = marginquake("validate", "mine.yaml", "--no-rehearsal", "--allow-code", "--set", "venue.mark.own=x")
    assert executed(lab)
    assert whole.exit_code == 2
    assert "venue.mark.own: value x" in whole.stderr


def test_a_scenario_whose_classes_were_left_unread_says_so(lab: Path) -> None:
    looked_at = running.look_at_scenario("mine.yaml")
    assert not looked_at.is_whole
    assert "idle" not in looked_at.populations
    assert not executed(lab)


def test_a_sweep_file_in_a_sweeps_directory_is_somebody_elses_and_one_of_ones_own_is_not(lab: Path) -> None:
    text = (
        f"question: is it?\nscenario: {lab / 'mine.yaml'}\nseeds: 1\naxes: {{d: {{path: depth_1pct, values: [1M]}}}}\n"
    )
    for folder in ("own", "sent"):
        (lab / folder).mkdir()
        (lab / folder / "sweep.yaml").write_text(text)
    (lab / "sent" / "sweep.json").write_text("{}")
    refused = marginquake("sweep", lab / "sent" / "sweep.yaml", "--dry-run")
    assert refused.exit_code == 2
    assert "is code" in refused.stderr
    assert not executed(lab)
    own = marginquake("sweep", lab / "own" / "sweep.yaml", "--dry-run")
    assert own.exit_code == 0, own.output
    assert own.stderr.count("note: runs the code of own_lab") == 1


@pytest.mark.parametrize("beside", ["manifest.json", "checkpoint", "sweep.json"])
def test_a_file_in_the_folder_of_a_run_is_a_runs_also_through_a_link(lab: Path, beside: str) -> None:
    foreign = lab / "foreign"
    foreign.mkdir()
    (foreign / "mine.yaml").write_text((lab / "mine.yaml").read_text())
    (foreign / beside).write_text("{}")
    (lab / "link.yaml").symlink_to(foreign / "mine.yaml")
    for file in (foreign / "mine.yaml", lab / "link.yaml"):
        with pytest.raises(ScenarioError, match="is code"):
            running.load_scenario(file)
    assert not executed(lab)
