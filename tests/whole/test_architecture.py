"""Imports run one way, kernels stay bare, and the command line starts light."""

import ast
import subprocess
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest

from tests.support.paths import ROOT

HEAVY = ("numba", "mesa", "matplotlib", "pyarrow", "scipy", "pandas", "pydantic", "numpy", "distributed")


def imports_of(path: Path) -> set[str]:
    """Top-level names of everything that a file imports, at any depth of nesting."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def test_the_import_contracts_of_pyproject_hold() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    if not linter.exists():
        pytest.skip("import-linter is not installed")
    result = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "sim" / "kernels").glob("*.py")), ids=lambda path: path.stem)
def test_kernels_see_arrays_and_records_only(path: Path) -> None:
    allowed = {"math", "typing", "numpy", "numba"}
    if path.stem == "compile":  # the decorator and the cache folder
        allowed |= {"hashlib", "os", "warnings", "collections", "pathlib"}
    for name in imports_of(path):
        own = name.startswith(
            ("marginquake.sim.kernels", "marginquake.sim.core.records", "marginquake.sim.core.accounts")
        )
        assert own or name.split(".")[0] in allowed, f"{path.name} imports {name}"


def test_help_imports_nothing_heavy() -> None:
    code = f"""
import sys
from marginquake.sim.cli import main
try:
    main.app(["--help"])
except SystemExit:
    pass
print(",".join(name for name in {HEAVY!r} if name in sys.modules))
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == ""


def test_importing_marginquake_loads_the_model_only_when_asked() -> None:
    code = "import sys, marginquake as mq; print('mesa' in sys.modules, callable(mq.run), 'mesa' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "True", "True"]


FACES = ("marginquake", "marginquake.agents", "marginquake.analysis")


@pytest.mark.parametrize("face", FACES)
def test_every_name_of_a_public_face_is_there(face: str) -> None:
    module = import_module(face)
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = module.nothing


FOLDERS = [
    folder
    for top in ("sim", "agents", "analysis", "tests")
    for folder in (ROOT / top, *(ROOT / top).rglob("*"))
    if folder.is_dir() and any(folder.glob("*.py"))
]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_no_folder_holds_more_than_twenty_modules_of_its_own(folder: Path) -> None:
    assert len([path for path in folder.glob("*.py") if path.stem != "__init__"]) <= 20


def test_no_module_name_occurs_three_times() -> None:
    names = Counter(path.name for folder in FOLDERS for path in folder.glob("*.py"))
    assert {name: count for name, count in names.items() if count > 2 and name not in ("__init__.py",)} == {}


@pytest.mark.parametrize("folder", [f for f in FOLDERS if "tests" not in f.parts], ids=lambda f: f.name)
def test_a_room_says_in_one_line_what_it_is_for(folder: Path) -> None:
    said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
    assert said is not None
    assert said.splitlines()[0].endswith((".", "?"))


@pytest.mark.parametrize("path", [path for folder in FOLDERS for path in folder.glob("*.py")], ids=lambda p: p.stem)
def test_nothing_of_ours_is_imported_as_a_top_level_package(path: Path) -> None:
    """A folder `analysis/` beside a user's script must not be taken for ours, nor ours for it."""
    tops = {name.split(".")[0] for name in imports_of(path)}
    assert not tops & {"sim", "agents", "analysis"}
