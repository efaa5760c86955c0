"""No run is written over another one unless that is asked for, whatever made either of them."""

from pathlib import Path
from typing import Any

import pytest

from marginquake.sim.model.model import MarketModel
from marginquake.sim.runs import directory
from marginquake.sim.runs.directory import RunDirectoryError
from marginquake.sim.studies import run as running
from marginquake.sim.studies import sweep as sweeping
from tests.support.command_line import marginquake
from tests.support.paths import TINY

pytestmark = pytest.mark.model
SHORT = ["duration=1s", "warmup=1s", "index.shocks=[]"]


def scenario(*overrides: str) -> Any:
    return running.load_scenario(TINY, [*SHORT, *overrides])


def make(out: Path, seed: int = 3, *overrides: str, **options: Any) -> Path:
    return running.run(scenario(*overrides), seed, out, name="keep", figures=False, **options).path


def interrupt(out: Path, monkeypatch: pytest.MonkeyPatch, seed: int, name: str = "keep") -> Path:
    """A checkpointed run that is cut off: its folder."""

    def stop(model: MarketModel) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(MarketModel, "record", stop)
        with pytest.raises(KeyboardInterrupt):
            running.run(scenario(), seed, out, name=name, figures=False, checkpoint_every="500ms")
    return out / f"{name}.partial"


def never(*_: object, **__: object) -> None:
    raise AssertionError("something was simulated")


@pytest.mark.parametrize("how", [{}, {"checkpoint_every": "500ms"}, {"reuse": True}])
@pytest.mark.parametrize(("seed", "override"), [(4, "step=100ms"), (3, "populations.crowd.accounts=61")])
def test_another_run_of_that_name_is_refused_before_anything_is_simulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, override: str, how: dict[str, Any]
) -> None:
    path = make(tmp_path)
    before = directory.read_manifest(path)
    monkeypatch.setattr(running, "MarketModel", never)
    with pytest.raises(RunDirectoryError, match=r"keep holds another run: .*seed 3.*--replace"):
        make(tmp_path, seed, override, **how)
    assert directory.read_manifest(path) == before
    assert [each.name for each in tmp_path.iterdir()] == ["keep"]


def test_the_command_refuses_with_2_and_replace_does_it(tmp_path: Path) -> None:
    options = [word for override in SHORT for word in ("--set", override)]
    command = ("run", TINY, *options, "--out", tmp_path, "--name", "keep", "--no-figures", "--quiet")
    assert marginquake(*command, "--seed", 3).exit_code == 0
    refused = marginquake(*command, "--seed", 4)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr == (
        f"{tmp_path / 'keep'} holds another run: seed 3, and this is seed 4 of the same scenario; choose another "
        "--name, or --replace (in Python replace=True) does away with it\n"
    )
    assert marginquake(*command, "--seed", 4, "--replace").exit_code == 0
    assert directory.read_manifest(tmp_path / "keep")["seed"] == 4


def test_the_same_run_may_be_made_again(tmp_path: Path) -> None:
    first = directory.read_manifest(make(tmp_path))
    (tmp_path / "keep" / "note.txt").write_text("of the first")
    again = directory.read_manifest(make(tmp_path))
    assert again["event_digest"] == first["event_digest"]
    assert not (tmp_path / "keep" / "note.txt").exists()


def test_a_name_by_content_that_somebody_gave_to_another_run_is_refused_too(tmp_path: Path) -> None:
    usual = directory.run_name("tiny", scenario().digest(running.MODEL_VERSION), 3)
    running.run(scenario(), 4, tmp_path, name=usual, figures=False)
    with pytest.raises(RunDirectoryError, match="holds another run"):
        running.run(scenario(), 3, tmp_path, figures=False)


def test_an_interrupted_run_of_another_seed_keeps_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = interrupt(tmp_path, monkeypatch, seed=3)
    for how in ({}, {"checkpoint_every": "500ms"}):
        with pytest.raises(RunDirectoryError, match=r"keep\.partial holds another run, interrupted: .*--resume"):
            make(tmp_path, 4, **how)
    assert waiting.is_dir()
    make(tmp_path, 4, replace=True)
    assert [each.name for each in tmp_path.iterdir()] == ["keep"]


def test_an_interrupted_run_whose_name_is_taken_meanwhile_does_not_replace_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = interrupt(tmp_path, monkeypatch, seed=3)
    away = waiting.rename(tmp_path / "away")
    make(tmp_path, 4)
    away.rename(waiting)
    with pytest.raises(RunDirectoryError, match="holds another run"):
        running.resume(waiting)
    assert running.resume(waiting, replace=True).path == tmp_path / "keep"
    assert directory.read_manifest(tmp_path / "keep")["seed"] == 3


def test_the_name_is_looked_at_again_at_the_end_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finish, other = MarketModel.finish, make(tmp_path / "elsewhere", 4)

    def slow(model: MarketModel) -> Any:
        other.rename(tmp_path / "keep")  # somebody else is faster
        return finish(model)

    monkeypatch.setattr(MarketModel, "finish", slow)
    path = make(tmp_path, 3)
    assert path.name == directory.run_name("tiny", scenario().digest(running.MODEL_VERSION), 3)
    assert [directory.read_manifest(each)["seed"] for each in (tmp_path / "keep", path)] == [4, 3]
    assert "keep was taken meanwhile by another run" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["sweeps", "twins"])
def test_names_of_folders_that_hold_runs_are_no_names_of_runs(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunDirectoryError, match=f"--name {name}: .* choose another"):
        directory.check_target(tmp_path, name)


# ---- sweeps and comparisons ----------------------------------------------------------------------------------------

SWEEP = """
name: keep
scenario: {scenario}
set: [duration=1s, warmup=1s, "index.shocks=[]"]
axes: {{a: {{path: populations.crowd.accounts, values: [{values}]}}}}
seeds: {seeds}
"""


def write_sweep(folder: Path, values: str, seeds: str = "[1]") -> Path:
    file = folder / "sweep.yaml"
    file.write_text(SWEEP.format(scenario=TINY, values=values, seeds=seeds))
    return file


def test_another_sweep_of_that_name_is_refused_also_with_resume(tmp_path: Path) -> None:
    out = tmp_path / "runs"
    sweeping.sweep(write_sweep(tmp_path, "20, 21"), out, workers=1)
    text = (out / "sweeps" / "keep" / "sweep.json").read_text()
    other = write_sweep(tmp_path, "30")
    for resume in (False, True):
        with pytest.raises(RunDirectoryError, match=r"holds other results.*2 of its 2 finished runs.*--replace"):
            sweeping.sweep(other, out, workers=1, resume=resume)
    assert (out / "sweeps" / "keep" / "sweep.json").read_text() == text
    longer = write_sweep(tmp_path, "20, 21, 22", "[1, 2]")
    assert sweeping.sweep(longer, out, workers=1, resume=True).left == 0, "a sweep that grows is the same one"
    other = write_sweep(tmp_path, "30")
    assert sweeping.sweep(other, out, workers=1, replace=True).made == 1


def test_another_comparison_of_that_name_is_refused(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"overrides": SHORT, "name": "keep", "out": tmp_path, "workers": 1}
    a, b = "populations.crowd.accounts=61", "populations.crowd.accounts=62"
    sweeping.compare(TINY, a, seeds=2, **asked)
    with pytest.raises(RunDirectoryError, match=r"holds other results.*--replace"):
        sweeping.compare(TINY, b, seeds=2, **asked)
    assert not sweeping.compare(TINY, a, seeds=3, **asked).failures, "more seeds are the same comparison"
    assert not sweeping.compare(TINY, b, seeds=2, replace=True, **asked).failures
