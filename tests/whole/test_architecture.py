"""Imports run one way, kernels stay bare, folders stay small, and the command line starts light."""

import ast
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.paths import ROOT, TESTS

HEAVY = ("numba", "mesa", "matplotlib", "pyarrow", "scipy", "pandas", "pydantic", "numpy", "distributed")
PRODUCT = [path for top in ("sim", "agents", "analysis") for path in sorted((ROOT / top).rglob("*.py"))]
SUITE = sorted(TESTS.rglob("*.py"))


def module_of(path: Path) -> str:
    """The name that a file of the product is imported by."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("marginquake", *parts)).removesuffix(".__init__")


MODULES = {module_of(path): path for path in PRODUCT}


@cache
def imports_of(path: Path) -> frozenset[str]:
    """Everything that a file imports, at any depth of nesting: modules of ours in full, and other names as written."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            names = [f"{base}.{alias.name}" for alias in node.names]
            found.update(name if name in MODULES else base for name in names)
    return frozenset(found)


def is_in(name: str, rooms: tuple[str, ...]) -> bool:
    """Whether a module is one of these packages or inside one."""
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def folders(*tops: str) -> Iterator[tuple[Path, list[Path]]]:
    """Every folder below these with the Python files that lie in it."""
    for top in tops:
        for folder in (ROOT / top, *sorted((ROOT / top).rglob("*"))):
            if files := sorted(folder.glob("*.py")):
                yield folder, files


# -- who may import whom -----------------------------------------------------------------------------------------------


def test_the_import_contracts_of_pyproject_hold() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    if not linter.exists():
        pytest.skip("import-linter is not installed")
    result = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


MAY_SEE = {
    "agents": ("sim.core", "sim.kernels", "sim.market", "sim.rules", "sim.scenario.distributions"),
    "analysis": ("sim.core", "sim.runs"),
}
"""Of the rooms of others; contracts in pyproject say what is forbidden, this says all that is allowed."""


@pytest.mark.parametrize("top", MAY_SEE)
def test_agents_and_analysis_see_only_the_rooms_they_are_allowed(top: str) -> None:
    allowed = tuple(f"marginquake.{room}" for room in (top, *MAY_SEE[top]))
    beyond = {
        f"{name} -> {imported}"
        for name, path in MODULES.items()
        if is_in(name, (f"marginquake.{top}",))
        for imported in imports_of(path)
        if is_in(imported, ("marginquake",)) and not is_in(imported, allowed)
    }
    assert beyond == set()


def test_kernels_see_arrays_and_records_only() -> None:
    ours = ("marginquake.sim.kernels", "marginquake.sim.core.records", "marginquake.sim.core.accounts")
    arrays = ("math", "typing", "numpy", "numba")
    compiling = (*arrays, "hashlib", "os", "warnings", "collections", "pathlib")
    beyond = {
        f"{path.stem} -> {imported}"
        for path in sorted((ROOT / "sim" / "kernels").glob("*.py"))
        for imported in imports_of(path)
        if not is_in(imported, (*ours, *(compiling if path.stem == "compile" else arrays)))
    }
    assert beyond == set()


def test_no_two_files_import_each_other_not_even_by_way_of_others() -> None:
    graph = {name: imports_of(path) & MODULES.keys() - {name} for name, path in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail(" <- ".join(circle.args[1]))


def test_nothing_of_ours_is_imported_as_a_top_level_package_or_by_a_relative_name() -> None:
    """A folder `analysis/` beside a user's script must not be taken for ours, nor ours for it."""
    relative = {path for path in (*PRODUCT, *SUITE) if any(name.startswith(".") for name in imports_of(path))}
    assert relative == set()
    taken = {
        path for path in (*PRODUCT, *SUITE) if any(is_in(n, ("sim", "agents", "analysis")) for n in imports_of(path))
    }
    assert taken == set()


IMPORTS_A_TEST_FILE = re.compile(r"^\s*(?:import|from) tests\b.*\btest_", re.MULTILINE)


def test_no_test_file_is_imported_not_even_by_a_program_that_a_test_writes() -> None:
    assert [path for path in SUITE if IMPORTS_A_TEST_FILE.search(path.read_text(encoding="utf-8"))] == []


# -- what starts light -------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("face", ["marginquake", "marginquake.agents", "marginquake.analysis"])
def test_every_name_of_a_public_face_is_there(face: str) -> None:
    module = import_module(face)
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = module.nothing


# -- rooms -------------------------------------------------------------------------------------------------------------


def test_no_folder_holds_more_than_twenty_modules_of_its_own() -> None:
    sizes = {
        str(folder.relative_to(ROOT)): len([path for path in files if path.stem != "__init__"])
        for folder, files in folders("sim", "agents", "analysis", "tests")
    }
    assert {folder: size for folder, size in sizes.items() if size > 20} == {}


def test_no_module_name_occurs_three_times() -> None:
    names = Counter(path.name for path in (*PRODUCT, *SUITE) if path.name != "__init__.py")
    assert {name: count for name, count in names.items() if count > 2} == {}


def test_a_room_says_in_one_line_what_it_is_for() -> None:
    silent = []
    for folder, _ in folders("sim", "agents", "analysis"):
        first = folder / "__init__.py"
        said = ast.get_docstring(ast.parse(first.read_text(encoding="utf-8"))) if first.exists() else None
        if said is None or not said.splitlines()[0].endswith((".", "?")):
            silent.append(str(folder.relative_to(ROOT)))
    assert silent == []


def test_tests_mirror_the_rooms() -> None:
    """A folder of tests has the name of what it tests; what belongs to no room is in tests/whole."""
    strange = defaultdict(list)
    for folder, files in folders("tests"):
        room = folder.relative_to(TESTS)
        tests = [path.name for path in files if path.name.startswith("test_")]
        if tests and room.parts[:1] != ("whole",) and not (ROOT / room / "__init__.py").exists():
            strange[str(room)] = tests
    assert strange == {}


def test_benchmarks_and_examples_import_only_names_that_are_there() -> None:
    """mypy does not check them: every name of ours that they import, at any depth, exists."""
    files = [path for folder in ("benchmarks", "examples", "docs") for path in sorted((ROOT / folder).rglob("*.py"))]
    imported = [
        (path.name, node.module, alias.name)
        for path in files
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("marginquake")
        for alias in node.names
    ]
    assert [each for each in imported if not _is_there(*each[1:])] == []


def _is_there(module: str, name: str) -> bool:
    return hasattr(import_module(module), name) or find_spec(f"{module}.{name}") is not None
