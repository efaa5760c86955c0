"""Mutation score: small changes to a module, each of which some test should notice.

    python -m benchmarks.mutation core/margin --sample 60 --seed 1

Changes are made in a copy of the sources, one at a time: comparisons, arithmetic, numbers, conditions, results.  The
tests of the module run until the first fails, without the compiler.  Printed: the score, and what nobody noticed.
"""

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
SOURCES: Final = ("sim", "agents", "analysis", "marginquake", "scenarios", "tests", "benchmarks", "pyproject.toml")
ADL: Final = ("tests/sim/rules/test_adl.py", "tests/sim/venue/test_waterfall.py")
SUITES: Final = {
    "core/margin": ("tests/sim/core/test_margin.py", *ADL, "tests/sim/rules/test_venue_vectors.py"),
    "rules/margin": ("tests/sim/rules/test_venue_formulas.py", "tests/sim/rules/test_margin_rules.py"),
    "rules/adl_ranking": ADL,
    "rules/adl_allocation": ADL,
    "venue/waterfall": ADL[::-1],
}
"""Tests by module of `sim`; the fast ones first."""
TIMEOUT_S: Final = 240.0
COMPARED: Final = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
}  # fmt: skip
CALCULATED: Final = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult, ast.Mod: ast.Add,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
OTHER_CALLS: Final = {
    "max": "min", "min": "max", "maximum": "minimum", "minimum": "maximum", "any": "all", "all": "any",
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change: where, what it was, what it is, and the whole text with it."""

    line: int
    before: str
    after: str
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.before}  ->  {self.after}"


def mutants_of(text: str) -> Iterator[Mutant]:
    """Every mutant of a module, in the order of its text; docstrings and annotations stay."""
    count = sum(1 for _ in _places(ast.parse(text)))
    for number in range(count):
        tree = ast.parse(text)
        node = list(_places(tree))[number]
        before = ast.unparse(node)
        _change(node)
        yield Mutant(node.lineno, before, ast.unparse(node), ast.unparse(tree))


def _places(tree: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            if isinstance(node, ast.arg | ast.AnnAssign) and child is node.annotation:
                child._is_note = True  # type: ignore[attr-defined]
            if isinstance(node, ast.FunctionDef) and child is node.returns:
                child._is_note = True  # type: ignore[attr-defined]
            if getattr(node, "_is_note", False):
                child._is_note = True  # type: ignore[attr-defined]
        if isinstance(node, ast.expr) and not getattr(node, "_is_note", False) and _can_change(node):
            yield node


def _can_change(node: ast.expr) -> bool:
    match node:
        case ast.Compare(ops=[only]):
            return type(only) in COMPARED
        case ast.BinOp(op=op):
            return type(op) in CALCULATED
        case ast.BoolOp() | ast.UnaryOp(op=ast.Not() | ast.Invert() | ast.USub()):
            return True
        case ast.Constant(value=int() | float()):
            return True
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name in OTHER_CALLS
    return False


def _change(node: ast.expr) -> None:
    match node:
        case ast.Compare(ops=[only]):
            node.ops = [COMPARED[type(only)]()]
        case ast.BinOp(op=op):
            node.op = CALCULATED[type(op)]()
        case ast.BoolOp(op=op):
            node.op = ast.Or() if isinstance(op, ast.And) else ast.And()
        case ast.UnaryOp():
            node.op = ast.UAdd() if isinstance(node.op, ast.USub) else node.op
            if not isinstance(node.op, ast.UAdd):
                node.operand = ast.UnaryOp(type(node.op)(), node.operand)
        case ast.Constant(value=bool(value)):
            node.value = not value
        case ast.Constant(value=value):
            node.value = value + 1  # type: ignore[operator]
        case ast.Call(func=ast.Name() as name):
            name.id = OTHER_CALLS[name.id]
        case ast.Call(func=ast.Attribute() as attribute):
            attribute.attr = OTHER_CALLS[attribute.attr]


def is_noticed(copy: Path, tests: tuple[str, ...]) -> bool:
    """Whether a test fails, or hangs."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0


def score(module: str, sample: int, seed: int, tests: tuple[str, ...]) -> tuple[int, list[Mutant]]:
    """How many mutants were tried, and those that no test noticed."""
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        copy = Path(folder)
        for name in SOURCES:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, copy / name)
        file = copy / "sim" / f"{module}.py"
        text = file.read_text(encoding="utf-8")
        if is_noticed(copy, tests):
            raise SystemExit("the tests fail without any change")
        mutants = list(mutants_of(text))
        chosen = random.Random(seed).sample(mutants, min(sample, len(mutants)))
        missed = []
        for mutant in chosen:
            file.write_text(mutant.text, encoding="utf-8")
            if not is_noticed(copy, tests):
                missed.append(mutant)
                print(f"not noticed: {module} {mutant}", flush=True)
        return len(chosen), missed


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", default=list(SUITES), help="below sim: core/margin, venue/waterfall, ...")
    parser.add_argument("--sample", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    for module in given.modules:
        tried, missed = score(module, given.sample, given.seed, SUITES[module])
        print(f"{module}: {tried - len(missed)} of {tried} noticed, {(tried - len(missed)) / tried:.0%}", flush=True)


if __name__ == "__main__":
    main()
