"""The command line: exit codes, the last line of stdout, and nothing half-written whatever happens."""

import gc
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from marginquake.sim.core.version import __version__
from marginquake.sim.runs import directory
from tests.support.command_line import marginquake
from tests.support.faults.seals import seal_run
from tests.support.paths import ROOT, TINY

COMMAND = [sys.executable, "-m", "marginquake"]
LONG = ["--set", "duration=10h", "--set", "record.events=none"]

pytestmark = pytest.mark.model


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test has an empty working folder of its own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One tiny run with figures and report."""
    parent = tmp_path_factory.mktemp("runs")
    result = marginquake("run", TINY, "--out", parent, "--seed", 0)
    assert result.exit_code == 0, result.output
    return Path(result.stdout.splitlines()[-1])


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run that a test may spoil."""
    return Path(shutil.copytree(finished, tmp_path / "runs" / finished.name))


def leftovers(parent: Path) -> list[str]:
    return sorted(path.name for path in parent.iterdir()) if parent.exists() else []


# ---- what a user sees --------------------------------------------------------------------------------------------


def test_version() -> None:
    result = marginquake("--version")
    assert (result.exit_code, result.stdout) == (0, f"marginquake {__version__}\n")


def test_help_names_every_command() -> None:
    result = marginquake("--help")
    assert result.exit_code == 0
    for command in ("run", "validate", "schema", "list", "show", "plot", "report", "facts", "replay", "clean"):
        assert f"  {command} " in result.stdout
        assert marginquake(command, "--help").exit_code == 0


def test_a_run_ends_with_its_directory_and_holds_everything(finished: Path) -> None:
    assert finished.name.startswith("tiny-")
    assert finished.name.endswith("-s0"), "seed 0 is a seed"
    assert directory.is_complete(finished)
    for name in ("scenario.yaml", "scenario.resolved.yaml", "summary.json", "report.html", "liquidation_map.npz"):
        assert (finished / name).stat().st_size > 0
    assert (finished / "scenario.yaml").read_text() == TINY.read_text()
    assert list((finished / "figures").glob("*.png"))
    assert leftovers(finished.parent) == [finished.name]


def test_the_summary_holds_what_was_promised(finished: Path) -> None:
    summary = json.loads((finished / "summary.json").read_text())
    promised = (
        "seed steps events fills margin_calls liquidations forced_notional max_drawdown_fraction bad_debt "
        "insurance_fund_start insurance_fund_end adl_notional open_interest_start open_interest_end event_digest "
        "max_rise_fraction fall_from_start_fraction rise_from_start_fraction fundamental_rise_fraction"
    )
    assert set(promised.split()) <= summary.keys()
    assert not any(isinstance(value, dict | list) for value in summary.values()), "flat"
    assert summary["seed"] == 0
    assert summary["steps"] == 300
    assert summary["events"] > 0
    assert 0 <= summary["fall_from_start_fraction"] <= summary["max_drawdown_fraction"], "a peak is no lower"
    assert 0 <= summary["rise_from_start_fraction"] <= summary["max_rise_fraction"]


def test_the_manifest_says_how_to_make_the_run_again(finished: Path) -> None:
    manifest = directory.read_manifest(finished)
    assert manifest["status"] == "complete"
    assert manifest["seed"] == 0
    assert manifest["overrides"] == []
    assert set(manifest["packages"]) == {"numpy", "numba", "mesa", "pyarrow", "pydantic"}
    assert manifest["event_digest"] == directory.read_summary(finished)["event_digest"]
    assert manifest["wall_seconds"] > 0


def test_quiet_prints_only_the_directory(tmp_path: Path) -> None:
    result = marginquake("run", TINY, "--out", tmp_path / "out", "--name", "mine", "--quiet", "--no-figures")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{tmp_path / 'out' / 'mine'}\n"
    assert result.stderr == ""
    assert not (tmp_path / "out" / "mine" / "report.html").exists()


def test_reuse_takes_the_same_run_and_only_that(finished: Path) -> None:
    written = (finished / "manifest.json").stat().st_mtime_ns
    again = marginquake("run", TINY, "--out", finished.parent, "--seed", 0, "--reuse", "--quiet")
    assert again.stdout == f"{finished}\n"
    assert (finished / "manifest.json").stat().st_mtime_ns == written
    options = ("--out", finished.parent, "--name", "named", "--no-figures", "--quiet", "--reuse")
    marginquake("run", TINY, *options, "--seed", 1)
    refused = marginquake("run", TINY, *options, "--seed", 2)
    assert (refused.exit_code, refused.stdout) == (2, ""), "another seed is another run"
    marginquake("run", TINY, *options, "--seed", 2, "--replace")
    assert directory.read_manifest(finished.parent / "named")["seed"] == 2
    shutil.rmtree(finished.parent / "named")


def test_overrides_change_the_name_and_are_recorded(tmp_path: Path) -> None:
    options = ("--out", tmp_path, "--no-figures", "--quiet")
    result = marginquake("run", TINY, *options, "--set", "liquidation.enabled=false", "--set", "duration=5s")
    path = Path(result.stdout.splitlines()[-1])
    assert directory.read_manifest(path)["overrides"] == ["liquidation.enabled=false", "duration=5s"]
    assert directory.read_summary(path)["liquidations"] == 0


def test_liquidation_switched_off_leaves_positions_open(finished: Path, tmp_path: Path) -> None:
    options = ("--out", tmp_path, "--no-figures", "--quiet", "--seed", 0)
    marginquake("run", TINY, *options, "--name", "off", "--set", "liquidation.enabled=false")
    on, off = directory.read_summary(finished), directory.read_summary(tmp_path / "off")
    assert on["liquidations"] > 0  # type: ignore[operator]
    assert (off["liquidations"], off["forced_notional"]) == (0, 0)


def test_replay_gives_the_same_events(finished: Path) -> None:
    result = marginquake("replay", finished, "--quiet")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "same events"


def test_replay_of_another_past_exits_1_with_both_digests(copied: Path) -> None:
    manifest = directory.read_manifest(copied)
    real = manifest["event_digest"]
    seal_run(copied, event_digest="f" * 16)
    result = marginquake("replay", copied, "--quiet")
    assert result.exit_code == 1
    assert "f" * 16 in result.stdout
    assert real in result.stdout


def test_show_plot_report_and_list_find_a_run_by_name(copied: Path) -> None:
    shown = marginquake("show", copied.name)
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.splitlines()[-1] == f"runs/{copied.name}"
    (copied / "report.html").unlink()
    assert marginquake("report", copied.name).exit_code == 0
    assert (copied / "report.html").exists()
    drawn = marginquake("plot", copied.name)
    assert drawn.exit_code == 0, drawn.output
    assert all(Path(line).exists() for line in drawn.stdout.splitlines())
    over_itself = marginquake("plot", copied.name, "--against", copied.name)
    assert over_itself.exit_code == 2
    assert "no twins: liquidation.enabled is not false in the second" in over_itself.output
    twin = copied.with_name("twin")
    shutil.copytree(copied, twin)
    resolved = twin / "scenario.resolved.yaml"
    off = re.sub(r"(liquidation:\n\s+enabled:) true", r"\1 false", resolved.read_text())
    assert off != resolved.read_text()
    resolved.write_text(off)
    seal_run(twin)
    over_twin = marginquake("plot", copied.name, "--against", "twin")
    assert over_twin.exit_code == 0, over_twin.output
    assert Path(over_twin.stdout.strip()).name == "twin.png"
    shutil.rmtree(twin)
    listed = marginquake("list", "runs")
    assert listed.stdout.startswith(f"runs/{copied.name}")


def test_validate_says_ok_or_everything_that_is_wrong(tmp_path: Path) -> None:
    assert marginquake("validate", TINY).stdout == f"{TINY}: ok\n"
    bad = tmp_path / "bad.yaml"
    bad.write_text(TINY.read_text().replace("accounts: 60", "acounts: 60").replace("seed: 1", "seed: one"))
    result = marginquake("validate", TINY, bad, tmp_path / "absent.yaml")
    assert result.exit_code == 2
    assert result.stdout == f"{TINY}: ok\n"
    assert len(result.stderr.splitlines()) == 3
    assert "did you mean 'accounts'" in result.stderr
    assert "absent.yaml: no such file" in result.stderr


def test_a_misspelt_field_of_set_is_likened_to_fields_that_the_file_has(tmp_path: Path) -> None:
    result = marginquake("run", TINY, "--set", "durration=4min", "--out", tmp_path)
    assert result.exit_code == 2
    assert result.stderr == "--set durration=4min: durration: unknown field; did you mean 'duration'?\n"


def test_schema_is_json_and_can_be_written_to_a_file(tmp_path: Path) -> None:
    printed = marginquake("schema")
    assert json.loads(printed.stdout)["type"] == "object"
    assert marginquake("schema", "--output", tmp_path / "schema.json").exit_code == 0
    assert (tmp_path / "schema.json").read_text() == printed.stdout


def test_clean_keeps_the_newest(copied: Path) -> None:
    result = marginquake("clean", "--keep", 0)
    assert result.exit_code == 0
    assert result.stdout == f"deleted runs/{copied.name}\n"
    assert leftovers(copied.parent) == []


def test_the_log_goes_to_a_file(tmp_path: Path) -> None:
    options = ("--out", tmp_path, "--quiet", "--no-figures", "--set", "duration=2s")
    result = marginquake("run", TINY, *options, "--log-file", tmp_path / "log.txt")
    assert result.exit_code == 0, result.output
    assert "simulated" in (tmp_path / "log.txt").read_text()
    assert result.stderr == ""


# ---- mistakes ----------------------------------------------------------------------------------------------------

MISTAKES = [
    ("run",),
    ("run", "absent.yaml"),
    ("run", "."),
    ("run", TINY, "--seed", "one"),
    ("run", TINY, "--seed", -1),
    ("run", TINY, "--sede", 1),
    ("run", TINY, "--set", "duration"),
    ("run", TINY, "--set", "duration=long"),
    ("run", TINY, "--set", "populations.crowd.acounts=5"),
    ("run", TINY, "--set", "venue.mark.rule=median"),
    ("run", TINY, "--set", "populations.carry=null"),
    ("run", TINY, "--name", "a/b"),
    ("run", TINY, "--name", ".."),
    ("run", TINY, "--out", TINY),
    ("run", TINY, "--log-file", "absent/folder/log.txt"),
    ("validate",),
    ("validate", "absent.yaml"),
    ("list", "everything"),
    ("show", "absent"),
    ("plot", "absent"),
    ("report", "absent"),
    ("replay", "absent"),
    ("clean",),
    ("clean", "--keep", -1),
    ("schema", "--output", "absent/folder/schema.json"),
    ("frobnicate",),
]


@pytest.mark.parametrize("arguments", MISTAKES, ids=lambda arguments: " ".join(map(str, arguments))[-40:])
def test_a_mistake_exits_2_with_a_message_and_writes_nothing(arguments: tuple[Any, ...], tmp_path: Path) -> None:
    result = marginquake(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.strip()
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_figure_that_does_not_exist_is_a_mistake(copied: Path) -> None:
    result = marginquake("plot", copied.name, "--figure", "nonsense")
    assert result.exit_code == 2
    assert "nonsense" in result.stderr


def test_a_failing_simulation_exits_1_with_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from marginquake.sim.model.model import MarketModel

    def explode(model: MarketModel) -> None:
        raise RuntimeError("the market caught fire")

    monkeypatch.setattr(MarketModel, "step", explode)
    result = marginquake("run", TINY, "--out", tmp_path / "out", "--quiet")
    assert result.exit_code == 1
    assert result.stderr == "failed: RuntimeError: the market caught fire  (-v shows where)\n"
    assert not (tmp_path / "out").exists()
    verbose = marginquake("run", TINY, "--out", tmp_path / "out", "--quiet", "-v")
    assert verbose.exit_code == 1
    assert "Traceback" in verbose.stderr


# ---- killed and interrupted ----------------------------------------------------------------------------------------


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A long run in another process, well into its simulation."""
    log = tmp_path / "log.txt"
    process = subprocess.Popen(
        [*COMMAND, "run", str(TINY), *LONG, "--out", str(tmp_path / "out"), "--quiet", "--log-file", str(log)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # even if ours is ignored
    )
    try:
        deadline = time.monotonic() + 120
        while not (log.exists() and "simulating" in log.read_text()):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.communicate()


def test_ctrl_c_exits_130_and_leaves_nothing(running: subprocess.Popen[str], tmp_path: Path) -> None:
    running.send_signal(signal.SIGINT)
    stdout, stderr = running.communicate(timeout=60)
    assert running.returncode == 130
    assert (stdout, stderr) == ("", "interrupted\n")
    assert leftovers(tmp_path / "out") == []


def test_kill_9_leaves_no_run_and_the_next_one_works(running: subprocess.Popen[str], tmp_path: Path) -> None:
    running.kill()
    running.communicate(timeout=60)
    out = tmp_path / "out"
    claim, left = leftovers(out)
    assert claim.startswith(".lock-")
    assert left.startswith(".tmp-tiny-")
    result = marginquake("run", TINY, "--out", out, "--quiet", "--no-figures")
    assert result.exit_code == 0, result.output
    assert len(leftovers(out)) == 1


def test_kill_9_while_writing_leaves_no_run_and_the_next_one_sweeps(tmp_path: Path) -> None:
    code = f"""
import os, signal
from marginquake.sim.runs import directory
from marginquake.sim.studies import run as running
directory._takes = lambda folder, target: os.kill(os.getpid(), signal.SIGKILL)
running.run({str(TINY)!r}, out={str(tmp_path / "out")!r}, name="tiny", figures=False)
"""
    killed = subprocess.run([sys.executable, "-c", code], cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
    _, left = leftovers(tmp_path / "out")
    assert left.startswith(".tmp-tiny-")
    result = marginquake("run", TINY, "--out", tmp_path / "out", "--name", "tiny", "--quiet", "--no-figures")
    assert result.exit_code == 0, result.output
    assert leftovers(tmp_path / "out") == ["tiny"]


def test_a_real_process_prints_only_the_directory(tmp_path: Path) -> None:
    arguments = ["run", str(TINY), "--out", str(tmp_path / "out"), "--name", "tiny", "--no-figures", "--set"]
    command = [*COMMAND, *arguments, "duration=2s"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == str(tmp_path / "out" / "tiny")
    assert "margin calls" in result.stdout.lower()
    assert os.path.isdir(result.stdout.splitlines()[-1])


# ---- from Python ---------------------------------------------------------------------------------------------------


def test_the_python_api_runs_a_scenario(finished: Path, tmp_path: Path) -> None:
    from marginquake import load_scenario, run

    seen: list[int] = []
    scenario = load_scenario(TINY)
    result = run(
        scenario, seed=0, out=tmp_path, figures=False, check_invariants=True, progress=lambda p: seen.append(p.step)
    )
    assert result.path.name == finished.name
    assert result.summary["event_digest"] == directory.read_summary(finished)["event_digest"]
    assert seen[-1] == 300
    assert seen == sorted(seen)


def test_many_runs_in_one_process_keep_no_model_alive(tmp_path: Path) -> None:
    """Mesa 3.3 keeps every model as a key of `Agent._ids`."""
    import mesa

    from marginquake import load_scenario, run

    def alive() -> int:
        gc.collect()
        return sum(isinstance(thing, mesa.Model) for thing in gc.get_objects())

    scenario = load_scenario(TINY, ["duration=1s", "warmup=1s", "record.events=none"])
    others = alive()  # models that other tests built by hand
    for seed in range(8):
        run(scenario, seed=seed, out=tmp_path, name="again", figures=False, replace=True)
    assert alive() <= others
