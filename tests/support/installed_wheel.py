"""marginquake as a user has it: built from the tree as a wheel, installed in an environment of its own."""

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
PACKAGES = ("marginquake", "sim", "agents", "analysis", "scenarios")


@dataclass(frozen=True)
class InstalledWheel:
    """The wheel, the source tree that it was built from, and an environment that holds it and what it needs."""

    wheel: Path
    source: Path
    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def command(self) -> Path:
        return self.folder / "bin" / "marginquake"

    def environment(self, **variables: str) -> dict[str, str]:
        """Nothing of the checkout is on the path."""
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return inherited | variables


def build_wheel(source: Path, folder: Path) -> Path:
    """Of a source tree or an archive of one."""
    build = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("marginquake-*.whl")
    return wheel


def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="session")
def installed_wheel(tmp_path_factory: pytest.TempPathFactory) -> InstalledWheel:
    """Built and installed once; what it needs comes from the environment of this process, not from the network."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # a build leaves things behind
    for name in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    wheel = build_wheel(source, folder)
    made = InstalledWheel(wheel, source, folder / "environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(made.folder)], check=True)
    subprocess.run([*PIP, "--python", str(made.python), "install", "--no-deps", str(wheel)], check=True)
    where = [made.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(where, capture_output=True, text=True, check=True).stdout.strip())
    needed = [path for path in sys.path if path.endswith("-packages")]
    (site / "needed.pth").write_text("\n".join(needed) + "\n")
    return made
