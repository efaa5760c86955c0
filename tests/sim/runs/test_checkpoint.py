"""A run that is cut off and gone on with is the run that nobody touched."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.checkpoint_kills import differences, kill_at_random
from marginquake.sim.model.model import MarketModel
from marginquake.sim.runs import checkpoint, directory, leftovers, partial_runs
from marginquake.sim.runs.directory import RunDirectoryError
from marginquake.sim.studies import run as running
from tests.support.command_line import marginquake
from tests.support.faults.seals import sealed_checkpoint
from tests.support.paths import ROOT, TINY
from tests.support.whole_market import EVERYTHING

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return running.run(TINY, out=tmp_path_factory.mktemp("untouched"), name="tiny", figures=False).path


def cut_off(
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
    every: str = "3s",
    figures: bool = False,
    scenario: Any = TINY,
) -> Path:
    """A checkpointed run that was interrupted after so many steps."""
    record = MarketModel.record

    def stop(model: MarketModel) -> None:
        record(model)
        if model.steps_done == step:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(MarketModel, "record", stop)
        with pytest.raises(KeyboardInterrupt, match="marginquake run --resume"):
            running.run(scenario, out=out, name="tiny", figures=figures, checkpoint_every=every)
    return out / "tiny.partial"


@pytest.mark.parametrize("step", [1, 30, 100, 101, 299, 300])
def test_an_interrupted_run_ends_as_if_nothing_had_happened(
    untouched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    folder = cut_off(tmp_path, monkeypatch, step)
    assert not directory.is_complete(folder)
    result = running.resume(folder)
    assert result.path == tmp_path / "tiny"
    assert differences(untouched, result.path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]
    assert sorted(path.name for path in result.path.iterdir()) == sorted(path.name for path in untouched.iterdir())


@pytest.mark.parametrize("step", [47, 63])
def test_rules_that_remember_go_on_where_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Averages of the mark, reports on their way to the venue, margins that have moved, a pause."""
    scenario = running.load_scenario(TINY, [*EVERYTHING, "record.positions_every=2s"])
    whole = running.run(scenario, out=tmp_path / "whole", name="tiny", figures=False)
    folder = cut_off(tmp_path / "cut", monkeypatch, step, every="1s", scenario=scenario)
    assert differences(whole.path, running.resume(folder).path) == []


def test_a_run_may_be_interrupted_again_and_again(
    untouched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = cut_off(tmp_path, monkeypatch, 100)
    record, stops = MarketModel.record, iter((170, 230))
    stop_at = next(stops)

    def stop(model: MarketModel) -> None:
        nonlocal stop_at
        record(model)
        if model.steps_done == stop_at:
            stop_at = next(stops, 0)
            raise KeyboardInterrupt

    monkeypatch.setattr(MarketModel, "record", stop)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            running.resume("tiny", tmp_path)
    result = running.resume("tiny", tmp_path)
    assert differences(untouched, result.path) == []
    assert directory.read_manifest(result.path)["resumed_at_s"] == [-3.0, 6.0, 12.0]
    assert not folder.exists()


def test_runs_killed_with_9_end_as_if_nothing_had_happened() -> None:
    [kill] = kill_at_random(TINY, 1, "1s", ("record.events=all",))
    assert kill.differences == ()


@pytest.mark.parametrize(("end", "half_left"), [(SystemExit, True), (KeyboardInterrupt, False)])
def test_a_checkpoint_that_is_cut_off_while_written_leaves_the_one_before(
    untouched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: type[BaseException], half_left: bool
) -> None:
    """`SystemExit` stands for a kill: nobody tidies up."""
    dump, written = checkpoint.ArrayPickler.dump, []

    def half(pickler: Any, model: MarketModel) -> None:
        written.append(model.steps_done)
        if len(written) == 4:
            raise end
        dump(pickler, model)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.ArrayPickler, "dump", half)
        with pytest.raises(end):
            running.run(TINY, out=tmp_path, name="tiny", figures=False, checkpoint_every="4s")
    folder = tmp_path / "tiny.partial"
    assert (folder / "checkpoint.new").exists() is half_left
    assert checkpoint.read_job(folder).now_ns == -4_000_000_000
    assert differences(untouched, running.resume(folder).path) == []


@pytest.mark.parametrize("moment", ["_draw", "strip", "give_name"])
def test_a_run_that_dies_at_its_very_end_can_be_gone_on_with(
    untouched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    class Died(BaseException):
        pass

    def die(*_: object) -> None:
        raise Died

    home: Any = {"_draw": running, "strip": partial_runs, "give_name": directory}[moment]
    with monkeypatch.context() as patch:
        patch.setattr(home, moment, die)
        with pytest.raises(Died):
            running.run(TINY, out=tmp_path, name="tiny", figures=moment == "_draw", checkpoint_every="3s")
    monkeypatch.setattr(running, "_draw", lambda path, left_out: None)
    assert differences(untouched, running.resume(tmp_path / "tiny").path) == []


def test_a_complete_run_is_given_back_when_it_is_resumed(untouched: Path) -> None:
    assert running.resume(untouched).reused
    assert running.resume("tiny", untouched.parent).path == untouched
    assert running.resume(f"{untouched}.partial").path == untouched, "as the message of an interruption named it"


# ---- what a user sees ----------------------------------------------------------------------------------------------


def test_the_command_line_resumes_by_any_name_and_lists_and_cleans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cut_off(Path("runs"), monkeypatch, 200)
    listed = marginquake("list", "runs").stdout
    assert (
        listed
        == "runs/tiny.partial  0:00:09 of 0:00:20 simulated; `marginquake run --resume runs/tiny.partial` goes on\n"
    )
    again = marginquake("run", TINY, "--name", "tiny", "--checkpoint-every", "3s")
    assert again.exit_code == 2
    assert "marginquake run --resume runs/tiny.partial" in again.stderr
    resumed = marginquake("run", "--resume", "tin", "--quiet")
    assert (resumed.exit_code, resumed.stdout) == (0, "runs/tiny\n"), resumed.stderr
    cut_off(Path("runs"), monkeypatch, 200)
    assert marginquake("clean", "--keep", 1).stdout == "deleted runs/tiny\n", "it is the older one"
    assert marginquake("clean", "--keep", 0).stdout == "deleted runs/tiny.partial\n"


def test_ctrl_c_names_the_command_that_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(model: MarketModel) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(MarketModel, "record", stop)
    options = ("--name", "tiny", "--out", tmp_path, "--checkpoint-every", "3s", "--quiet")
    result = marginquake("run", TINY, *options)
    assert result.exit_code == 130
    assert result.stderr == f"interrupted; go on with: marginquake run --resume {tmp_path / 'tiny.partial'}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", TINY, "--checkpoint-every", "soon"), "--checkpoint-every soon"),
        (("run", TINY, "--checkpoint-every", "150ms"), "multiple of the scenario's step, 100ms"),
        (("run", TINY, "--checkpoint-every", "0s"), "multiple of the scenario's step"),
        (("run", TINY, "--name", "x.partial"), "kept for runs that are not complete"),
        (("run", "--resume", "absent"), "no interrupted run there"),
        (("run", "--resume", "absent", TINY), "leave out the scenario"),
        (("run", "--resume", "absent", "--seed", 0), "leave out the scenario"),
        (("run",), "name a scenario file"),
    ],
)
def test_a_mistake_has_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: Any, said: str) -> None:
    monkeypatch.chdir(tmp_path)
    result = marginquake(*arguments, "--quiet")
    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return cut_off(tmp_path, monkeypatch, 50)


@pytest.mark.parametrize("what", ["model version", "python", "numpy", "sources of sim and agents"])
def test_a_checkpoint_made_with_anything_else_is_refused(waiting: Path, what: str) -> None:
    _, _, header, rest = (waiting / checkpoint.FILE).read_bytes().split(b"\n", 3)
    changed = json.loads(header)
    changed["made_with"][what] = "0.0"
    (waiting / checkpoint.FILE).write_bytes(sealed_checkpoint(json.dumps(changed).encode() + b"\n", rest))
    with pytest.raises(RunDirectoryError, match=rf"made with {what} 0\.0 \(here .*\); go on with the same"):
        running.resume(waiting)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"marginquake checkpoint 9\n{}\n"])
def test_a_file_that_is_no_checkpoint_is_refused(waiting: Path, content: bytes) -> None:
    (waiting / checkpoint.FILE).write_bytes(content)
    with pytest.raises(RunDirectoryError, match="not a checkpoint"):
        running.resume(waiting)


def test_a_truncated_checkpoint_is_refused(waiting: Path) -> None:
    whole = (waiting / checkpoint.FILE).read_bytes()
    (waiting / checkpoint.FILE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RunDirectoryError, match="has changed since it was written"):
        running.resume(waiting)


def test_two_processes_cannot_go_on_with_one_run(waiting: Path) -> None:
    code = f"""
from pathlib import Path
from marginquake.sim.runs.partial_runs import held
with held(Path({str(waiting)!r})):
    print("held", flush=True)
    input()
"""
    other = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    with pytest.raises(RunDirectoryError, match="another process"):
        running.resume(waiting)
    assert partial_runs.clean_runs(waiting.parent, 0) == []
    other.kill()
    other.communicate()
    assert not partial_runs.is_held(waiting), "the claim ends with the process"


def test_nothing_that_sweeps_touches_a_run_that_waits(waiting: Path) -> None:
    before = sorted(os.listdir(waiting))
    leftovers.sweep_leftovers(waiting.parent)
    running.run(TINY, out=waiting.parent, name="other", figures=False)
    assert sorted(os.listdir(waiting)) == before
    assert directory.list_runs(waiting.parent) == [waiting.parent / "other"]


def test_a_participant_that_cannot_be_stored_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from marginquake.agents.hedger import Hedger

    made = Hedger.__init__

    def with_a_closure(self: Any, *arguments: Any) -> None:
        made(self, *arguments)
        self.habit = lambda: 1

    monkeypatch.setattr(Hedger, "__init__", with_a_closure)
    with pytest.raises(RunDirectoryError, match="cannot be checkpointed"):
        running.run(TINY, out=tmp_path, checkpoint_every="3s")
    assert list(tmp_path.iterdir()) == []
