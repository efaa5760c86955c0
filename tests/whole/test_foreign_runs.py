"""A folder of runs that somebody sent: every command over it ends, runs nothing of it, and writes nothing elsewhere."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from marginquake.sim.cli.main import ORDER
from marginquake.sim.studies import run as running
from tests.golden import THOROUGH
from tests.support.foreign.runs import CODE, COMMANDS, KINDS, make_home
from tests.support.paths import ROOT, TINY

WAYS = 3 if THOROUGH else 1
"""In which each command is asked."""
pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with everything in it."""
    loaded = running.load_scenario(TINY, ["duration=5s", "warmup=1s", "record.events=all", "record.positions_every=2s"])
    return running.run(loaded, out=tmp_path_factory.mktemp("base"), name="base").path


def test_every_command_is_tried() -> None:
    assert set(COMMANDS) == set(ORDER)


@pytest.fixture(scope="module")
def found(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of every command over every kind of folder."""
    world = tmp_path_factory.mktemp("world")
    make_home(world)
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.foreign.runs", str(base), str(world), str(WAYS), *KINDS],
        cwd=ROOT, env=_environment(world), capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    print(done.stdout)
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("kind", list(KINDS))
def test_no_command_does_what_a_foreign_folder_wants(found: dict[str, Any], kind: str) -> None:
    assert found[kind]["faults"] == []
    assert found[kind]["commands"] >= len(COMMANDS) - 2


def test_no_foreign_folder_takes_much_memory(found: dict[str, Any]) -> None:
    assert found["memory_mb"] < 1_500


@pytest.mark.parametrize(
    "command",
    [
        ["list", "scenarios"],
        ["validate", "evil.yaml", "--no-rehearsal"],
        ["sweep", "sweep.yaml", "--workers", "2", "--quiet"],
    ],
    ids=lambda command: command[0],
)
def test_modules_in_the_current_folder_are_not_taken_for_installed_ones(tmp_path: Path, command: list[str]) -> None:
    """Also by `python -m marginquake`, which puts the current folder first, and by the workers of a sweep."""
    make_home(tmp_path)
    here = tmp_path / "here"
    here.mkdir()
    for name in ("numpy", "yaml", "multiprocessing", "pickle", "socket", "innocent", "pandas", "distributed", "rich"):
        (here / f"{name}.py").write_text(CODE.format(marker=str(tmp_path / "EXECUTED")))
    (here / "evil.yaml").write_text(f"extends: {TINY}\npopulations: {{x: {{type: 'innocent:X', accounts: 1}}}}\n")
    (here / "sweep.yaml").write_text(
        f"name: s\nquestion: is it?\nscenario: {TINY}\nseeds: 1\nset: [duration=1s, warmup=1s]\n"
        "axes:\n  depth: {path: depth_1pct, values: [1M, 2M]}\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "marginquake", *command],
        cwd=here, env=_environment(tmp_path), capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "EXECUTED").exists()


@pytest.mark.parametrize("name", [".numba_config.yaml", "matplotlibrc"])
def test_a_folder_that_configures_our_libraries_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("cache_dir: evil\n" if name.endswith("yaml") else "text.usetex: True\n")
    command = [sys.executable, "-m", "marginquake", "list", "rules"]
    done = subprocess.run(command, cwd=tmp_path, env=_environment(tmp_path), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert name in done.stderr
    assert f"MARGINQUAKE_ALLOW_CODE={name}" in done.stderr
    allowed = _environment(tmp_path) | {"MARGINQUAKE_ALLOW_CODE": name}
    assert subprocess.run(command, cwd=tmp_path, env=allowed, capture_output=True).returncode == 0


def _environment(world: Path) -> dict[str, str]:
    """That of a user whose home is `world/home`; compiled kernels and fonts are where they are for everybody."""
    kept = {key: value for key, value in os.environ.items() if key != "MARGINQUAKE_ALLOW_CODE"}
    cache = kept.get("MARGINQUAKE_CACHE", os.path.expanduser("~/.cache/marginquake"))
    fonts = kept.get("MPLCONFIGDIR", os.path.expanduser("~/.config/matplotlib"))
    return kept | {
        "PYTHONPATH": str(ROOT), "HOME": str(world / "home"), "MARGINQUAKE_CACHE": cache, "MPLCONFIGDIR": fonts,
    }  # fmt: skip
