"""Directories of runs that never ran, for the tests of what analysis makes of a run."""

import shutil
from pathlib import Path

import pytest

from tests.support.synthetic_run import write_synthetic_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty minutes with a cascade: to be read, and to be drawn into, but not to be changed."""
    return write_synthetic_run(tmp_path_factory.mktemp("synthetic") / "run", seconds=1200)


@pytest.fixture(scope="session")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without forced orders."""
    return write_synthetic_run(tmp_path_factory.mktemp("synthetic") / "twin", seconds=1200, forced=False)


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    """A copy of the run to spoil, without figures."""
    return Path(shutil.copytree(run, tmp_path / "copy", ignore=shutil.ignore_patterns("figures", "report.html")))
