"""What a user gets: the wheel holds all of it, and it works in an empty folder beside packages of the same names."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.golden import THOROUGH
from tests.support.installed_wheel import ROOT, InstalledWheel, build_wheel, contents

pytestmark = [pytest.mark.slow, pytest.mark.model]

LENGTHS = {"squeeze": ["duration=1min"], "mine": ["duration=90s"], "script": ["duration=20s"], "bybit": ["duration=5s"]}
"""Compiled: kernels are kept by place, and this is a new one."""
SHORT = ["warmup=3s", "step=1s"]
FALL = "index.shocks=[{at: 1s, log_return: -5%, over: 1s}]"
if not THOROUGH:  # interpreted, which is quicker than compiling for a few steps
    LENGTHS = {key: ["duration=4s", *SHORT] for key in LENGTHS} | {"mine": ["duration=6s", *SHORT, FALL]}
SCRIPT = f"""
import marginquake as mq

s = mq.load_scenario("long_squeeze", {LENGTHS["script"]})
print(mq.run(s, seed=1).summary["event_digest"])
"""


@dataclass(frozen=True)
class Folder:
    """An empty folder but for packages named as rooms of ours, in which an installed marginquake is used."""

    path: Path
    wheel: InstalledWheel
    cache: Path

    def does(self, *command: object) -> list[str]:
        """The lines of stdout of a command that succeeds."""
        done = subprocess.run(
            [str(part) for part in command],
            cwd=self.path,
            env=self.wheel.environment(MARGINQUAKE_CACHE=str(self.cache), NUMBA_DISABLE_JIT="" if THOROUGH else "1"),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()

    def marginquake(self, *arguments: object) -> list[str]:
        return self.does(self.wheel.command, *arguments)

    def run(self, scenario: str, key: str, *options: str) -> str:
        """The run's directory."""
        sets = [part for each in LENGTHS[key] for part in ("--set", each)]
        return self.marginquake("run", scenario, *options, *sets)[-1]

    def summary(self, run: str) -> dict[str, object]:
        return dict(json.loads((self.path / run / "summary.json").read_text()))


@pytest.fixture(scope="module")
def folder(installed_wheel: InstalledWheel, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    path = tmp_path_factory.mktemp("users")
    for name in ("sim", "agents", "analysis"):
        (path / name).mkdir()
        (path / name / "__init__.py").write_text(f"raise ImportError('the {name} of the user was imported')\n")
    return Folder(path, installed_wheel, tmp_path_factory.mktemp("kernels"))


def test_the_wheel_holds_every_file_of_the_package_and_no_other_package(installed_wheel: InstalledWheel) -> None:
    held = contents(installed_wheel.wheel)
    assert {name.split("/")[0] for name in held if ".dist-info/" not in name} == {"marginquake"}
    for room in ("sim", "agents", "analysis", "scenarios"):
        files = [path for path in (ROOT / room).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        missing = {f"marginquake/{path.relative_to(ROOT).as_posix()}" for path in files} - held
        assert not missing
    assert "marginquake/py.typed" in held
    assert "marginquake/scenarios/data/btcusdt_2024-08-05.csv" in held
    assert "marginquake/analysis/facts/targets.json" in held


def test_a_wheel_built_from_the_source_archive_is_the_same(installed_wheel: InstalledWheel, tmp_path: Path) -> None:
    make = "import sys, setuptools.build_meta as backend; backend.build_sdist(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", make, str(tmp_path)], cwd=installed_wheel.source, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (archive,) = tmp_path.glob("marginquake-*.tar.gz")
    assert contents(build_wheel(archive, tmp_path)) == contents(installed_wheel.wheel)


def test_the_installed_command_lists_runs_and_begins_scenarios(folder: Folder) -> None:
    names = [line.split()[0] for line in folder.marginquake("list", "scenarios")]
    assert names == sorted(path.stem for path in (ROOT / "scenarios").glob("*.yaml"))
    assert folder.does(folder.wheel.python, "-m", "marginquake", "--version")[0].startswith("marginquake ")

    run = folder.run("long_squeeze", "squeeze")
    assert run.startswith("runs/long_squeeze-")
    assert (folder.path / run / "report.html").is_file()

    assert folder.marginquake("new", "mine")[-1] == "mine.yaml"
    mine = folder.run("mine", "mine", "--no-figures")
    assert int(str(folder.summary(mine)["margin_calls"])) > 0

    (folder.path / "at_bybit.yaml").write_text("extends: [mine.yaml, venues/bybit_linear.yaml]\nduration: 5s\n")
    assert folder.marginquake("validate", "at_bybit.yaml") == ["at_bybit.yaml: ok"]
    folder.run("at_bybit.yaml", "bybit", "--no-figures")

    (folder.path / "script.py").write_text(SCRIPT)
    before = set((folder.path / "runs").glob("long_squeeze-*"))
    (digest,) = folder.does(folder.wheel.python, "script.py")
    scripted = set((folder.path / "runs").glob("long_squeeze-*")) - before or before
    assert digest in [folder.summary(f"runs/{path.name}")["event_digest"] for path in scripted]
