"""Whatever the product writes goes through `sim/core/outside/disk.py`: there it is synced, renamed, and tested."""

import ast
from pathlib import Path

import pytest

from tests.support.paths import ROOT

ALLOWED = {
    "sim/core/outside/disk.py": "the place itself",
    "sim/runs/locks.py": "claims: files that mean something while they are open",
    "sim/runs/interrupts.py": "/dev/null in place of a terminal that is gone",
}
METHODS = {
    "write_text", "write_bytes", "rename", "unlink", "mkdir", "touch", "symlink_to", "hardlink_to",
    "savefig", "print_png", "to_parquet", "to_json", "tofile", "extractall", "extract",
    "rmtree", "copy", "copy2", "copyfile", "copytree", "makedirs", "fsync",
}  # fmt: skip
"""Names of methods and functions that change a disk, whoever has them."""
OF_MODULES = {"os": {"replace", "remove", "rename", "link", "symlink"}, "np": {"save", "savetxt"}}
WITH_A_PATH = {"write_table", "ParquetWriter", "savez", "savez_compressed", "CSVWriter"}
"""What may write to an open file, and opens one where it is given a path."""
OURS = {"disk", "_disk", "array", "values", "copy"}
"""Names before a dot that are no disk of the system's."""


def product() -> list[Path]:
    return [path for top in ("sim", "analysis", "agents", "marginquake") for path in sorted((ROOT / top).rglob("*.py"))
            if not any(part.is_symlink() for part in path.parents if part != ROOT)]  # fmt: skip


def writes_in(source: str) -> list[tuple[int, str]]:
    """Line and name of each call that changes a disk."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        owner = (
            function.value.id if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) else ""
        )
        if name == "open" and owner != "tarfile" and _opens_to_write(node):  # archives are made in memory
            found.append((node.lineno, "open"))
        elif (
            name in METHODS and isinstance(function, ast.Attribute) and owner not in OURS and _is_of_a_disk(name, node)
        ):
            found.append((node.lineno, name))
        elif name in OF_MODULES.get(owner, ()):
            found.append((node.lineno, f"{owner}.{name}"))
        elif name in WITH_A_PATH and any(_looks_like_a_path(each) for each in node.args[:2]):
            found.append((node.lineno, name))
    return found


def _opens_to_write(node: ast.Call) -> bool:
    given = [*node.args, *(word.value for word in node.keywords if word.arg == "mode")]
    return any(
        isinstance(each, ast.Constant) and isinstance(each.value, str) and set(each.value) <= set("rwaxbt+")
        and set(each.value) & set("wax+")
        for each in given
    )  # fmt: skip


def _is_of_a_disk(name: str, node: ast.Call) -> bool:
    """`copy` of an array or a dict takes no path."""
    return name not in ("copy", "extract", "rename") or bool(node.args)


def _looks_like_a_path(node: ast.expr) -> bool:
    text = ast.unparse(node)
    return text in ("path", "target", "aside", "hidden") or "/" in text or "Path" in text


@pytest.mark.parametrize("path", product(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_else_changes_a_disk(path: Path) -> None:
    if path.relative_to(ROOT).as_posix() in ALLOWED:
        return
    assert writes_in(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "path.write_text('x')", "open(path, 'w')", "path.open('wb')", "Path('a').open(mode='a')", "os.replace(a, b)",
        "shutil.rmtree(path)", "figure.savefig(path)", "pq.write_table(table, path)", "np.savez(folder / 'a', x=1)",
        "hidden.rename(target)", "archive.extractall(folder)", "path.mkdir()",
    ],
)  # fmt: skip
def test_the_test_would_notice(line: str) -> None:
    assert writes_in(line)


@pytest.mark.parametrize("line", ["open(path)", "values.copy()", "disk.rename(a, b)", "pq.write_table(table, file)"])
def test_and_lets_the_rest_be(line: str) -> None:
    assert not writes_in(line)
