"""Imports run one way, kernels stay bare, and the command line starts light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
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


@pytest.mark.parametrize("path", sorted((ROOT / "sim").glob("*.py")), ids=lambda path: path.stem)
def test_only_the_composition_root_imports_agents_and_analysis(path: Path) -> None:
    if path.stem in (
        "api",
        "cli",
        "cli_clusters",
        "cli_counterfactual",
        "cli_doctor",
        "cli_explain",
        "cli_first_passage",
        "cli_liquidations",
        "cli_risk",
        "cli_runs",
        "cli_sweeps",
        "cli_watch",
        "counterfactual",
        "tipping",
    ):
        return
    forbidden = {name for name in imports_of(path) if name.split(".")[0] in ("agents", "analysis")}
    assert not forbidden


@pytest.mark.parametrize("path", sorted((ROOT / "sim" / "kernels").glob("*.py")), ids=lambda path: path.stem)
def test_kernels_see_arrays_and_records_only(path: Path) -> None:
    allowed = {"math", "typing", "numpy", "numba"}
    if path.stem == "__init__":  # the decorator and the cache folder
        allowed |= {"hashlib", "os", "warnings", "collections", "pathlib"}
    for name in imports_of(path):
        own = name.startswith(("sim.kernels", "sim.records", "sim.accounts"))
        assert own or name.split(".")[0] in allowed, f"{path.name} imports {name}"


def test_help_imports_nothing_heavy() -> None:
    code = f"""
import sys
from sim import cli
try:
    cli.app(["--help"])
except SystemExit:
    pass
print(",".join(name for name in {HEAVY!r} if name in sys.modules))
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == ""


def test_importing_sim_loads_the_model_only_when_asked() -> None:
    code = "import sys, sim; print('mesa' in sys.modules, callable(sim.run), 'mesa' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "True", "True"]


def test_sim_has_no_other_lazy_names() -> None:
    import sim

    with pytest.raises(AttributeError, match="nothing"):
        _ = sim.nothing


@pytest.mark.parametrize("package", ["sim", "agents", "analysis"])
def test_the_packages_are_ours(package: str) -> None:
    """Another distribution installs a top-level `agents`."""
    module = __import__(package)
    assert module.__file__ is not None
    assert Path(module.__file__).resolve().parent == ROOT / package
