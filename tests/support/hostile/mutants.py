"""Mutants of scenario files that know what a scenario file is: most can still be parsed, some can still be run."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import yaml

from tests.support.paths import ROOT, TEST_SCENARIOS, TINY

SHIPPED = sorted(
    path for path in (*(ROOT / "scenarios").rglob("*.yaml"), *TEST_SCENARIOS.glob("*.yaml")) if path.is_file()
)
"""Scenarios, presets, fragments, sweeps and comparisons."""
VALUES: Sequence[Any] = (
    None, True, False, 0, 1, -1, 2, 7, 100, 10**6, 10**9, 2**31, 2**53 + 1, 2**63, 2**64, 10**18, 10**39, -(10**30),
    0.0, -0.0, 0.1, 0.5, 0.999999, 1e-9, 1e-300, 5e-324, 1e15, 1e300, -1e300, float("inf"), float("-inf"), float("nan"),
    "", " ", "0", "1%", "60%", "1e9%", "-5%", "5bps", "1s", "100ms", "1ns", "0s", "1d", "146d", "53000d", "1y", "30m",
    "1k", "5M", "1e30bn", "-1M", "\u0661s", "\uff11", "true", "null", "~", "=1+1", "<<", "*a", "&a", "!!x", "{", "[",
    "#", "\x1b[2J", "\u202eabc", "\u2028", "\ud7ff", "a" * 1000, "a\nb", "../../etc/passwd", "/dev/zero", ".",
    "tiny.yaml", "long_squeeze", "venues/bybit_linear", "retail", "market_maker", "main", "normal", [], {},
    [[]], [None], {"": {}}, [1, "a", None], {"type": "retail"},
    {"distribution": "uniform", "minimum": 1, "maximum": 100},
    {"distribution": "lognormal", "mean": 1e300, "sigma": 1e300}, list(range(50)), {"a": {"b": {"c": {"d": 1}}}},
)  # fmt: skip
"""Of every type and magnitude, and some that are more than they look like."""
LINES: Sequence[str] = (
    "extends: tiny.yaml", "extends: [tiny.yaml, tiny.yaml]", "extends: mutant.yaml", "extends: /etc/passwd", "a: *a",
    "a: &a [*a, *a]", "? [a]\n: b", "---", "...", "%YAML 1.1", "\tx: 1", "x: !!int 3", "x: !!python/name:os.system x",
    "<<: {a: 1}", "x: [" + "[" * 60 + "]" * 61, "'", '"', "x: 'a", "x: |\n  a\n b", "\x00", "\ufeff", "\u2028x: 1",
    "# \ud7ff", "x: {{}}", "- 1", "x: 0x" + "f" * 50, "x: 0o7", "x: 1_000", "x: 1:30", "x: .inf", "x: 1e400",
    "seed: 1\nseed: 2",
)  # fmt: skip
Tree = Any
AROUND = {
    "venues": "extends: [{tiny}, part.yaml]\n",
    "populations": "extends: {tiny}\npopulations:\n  others: {{extends: part.yaml}}\n",
}
"""Around what is no scenario by itself, by its folder."""


def read(path: Path) -> Tree:
    """A shipped file as plain data."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def mutant(rng: Random, path: Path) -> str:
    """One to four changes of a shipped file, first of its tree and then of its text."""
    tree = read(path)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        rng.choice(OF_TREES if rng.random() < 0.6 else MILD)(rng, tree)
    text = yaml.dump(tree, sort_keys=False, allow_unicode=rng.random() < 0.5, Dumper=_Dumper)
    while rng.random() < 0.25:
        text = rng.choice(OF_TEXTS)(rng, text)
    return text


def written(rng: Random, path: Path, folder: Path) -> tuple[str, Path]:
    """A mutant in a folder, and what it is read as: a part of a scenario gets one around it."""
    tree = read(path)
    text = mutant(rng, path)
    around = AROUND.get(path.parent.name)
    file = folder / "mutant.yaml"
    (folder / "part.yaml" if around else file).write_text(text, encoding="utf-8", newline="")
    if around:
        file.write_text(around.format(tiny=TINY))
    return "sweep" if "axes" in tree else "comparison" if "alternatives" in tree else "scenario", file


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _places(tree: Tree) -> Iterator[tuple[Any, Any]]:
    """Every block or list and a key or index in it."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield tree, key
            yield from _places(value)
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield tree, index
            yield from _places(value)


def _place(rng: Random, tree: Tree) -> tuple[Any, Any]:
    return rng.choice(list(_places(tree)) or [({"": 0}, "")])


def _value(rng: Random, tree: Tree) -> None:
    block, key = _place(rng, tree)
    block[key] = _copied(rng.choice(VALUES))


def _magnitude(rng: Random, tree: Tree) -> None:
    numbers = [(b, k) for b, k in _places(tree) if isinstance(b[k], int | float) and not isinstance(b[k], bool)]
    if numbers:
        block, key = rng.choice(numbers)
        block[key] *= rng.choice((-1, 0, 2, 0.5, 10, 1000, 10**6, 10**12, 1e-6))


def _little(rng: Random, tree: Tree) -> None:
    """A number somewhat larger or smaller: mostly still a scenario."""
    numbers = [(b, k) for b, k in _places(tree) if isinstance(b[k], int | float) and not isinstance(b[k], bool)]
    if numbers:
        block, key = rng.choice(numbers)
        block[key] = type(block[key])(block[key] * rng.uniform(0.3, 3.0))


def _same_field(rng: Random, tree: Tree) -> None:
    """A value that another shipped file has under the same name."""
    block, key = _place(rng, tree)
    others = [b[k] for b, k in _places(read(rng.choice(SHIPPED))) if k == key]
    if others:
        block[key] = _copied(rng.choice(others))


def _delete(rng: Random, tree: Tree) -> None:
    block, key = _place(rng, tree)
    del block[key]


def _rename(rng: Random, tree: Tree) -> None:
    block, key = _place(rng, tree)
    if isinstance(block, dict):
        others = [str(other) for _, other in _places(tree)]
        name = rng.choice(
            (f"{key}x", str(key)[1:], str(key).upper(), f"{key}\u0301", rng.choice(others), 7, None, True)
        )
        block[name] = block.pop(key)


def _move(rng: Random, tree: Tree) -> None:
    block, key = _place(rng, tree)
    target, where = _place(rng, tree)
    taken = _copied(block[key])
    if isinstance(target[where], dict):
        target[where][key if isinstance(key, str) else "x"] = taken
    else:
        target[where] = taken


def _nest(rng: Random, tree: Tree) -> None:
    block, key = _place(rng, tree)
    for _ in range(rng.choice((1, 2, 60))):
        block[key] = rng.choice(([block[key]], {"type": block[key]}, {str(key): block[key]}))


def _repeat(rng: Random, tree: Tree) -> None:
    lists = [block[key] for block, key in _places(tree) if isinstance(block[key], list) and block[key]]
    if lists:
        chosen = rng.choice(lists)
        chosen += [_copied(rng.choice(chosen)) for _ in range(rng.choice((1, 5, 500)))]


def _splice(rng: Random, tree: Tree) -> None:
    other, name = _place(rng, read(rng.choice(SHIPPED)))
    block, key = _place(rng, tree)
    if isinstance(block, dict) and rng.random() < 0.5:
        block[name if isinstance(name, str) else "x"] = other[name]
    else:
        block[key] = other[name]


def _many(rng: Random, tree: Tree) -> None:
    blocks = [block for block, _ in _places(tree) if isinstance(block, dict)]
    if blocks:
        block = rng.choice(blocks)
        key = rng.choice(list(block))
        block |= {f"{key}{k}": _copied(block[key]) for k in range(rng.choice((1, 3, 200)))}


def _extend(rng: Random, tree: Tree) -> None:
    blocks = [tree, *(b[k] for b, k in _places(tree) if isinstance(b[k], dict))]
    names = [str(path) for path in SHIPPED]
    rng.choice(blocks)["extends"] = rng.choice(
        (rng.choice(names), [rng.choice(names) for _ in range(30)], "mutant.yaml")
    )


def _line_gone(rng: Random, text: str) -> str:
    lines = text.splitlines()
    del lines[rng.randrange(len(lines))]
    return "\n".join(lines)


def _line_twice(rng: Random, text: str) -> str:
    lines = text.splitlines() or [""]
    lines.insert(rng.randrange(len(lines)), rng.choice(lines))
    return "\n".join(lines)


def _line_new(rng: Random, text: str) -> str:
    lines = text.splitlines() or [""]
    lines.insert(rng.randrange(len(lines) + 1), " " * rng.choice((0, 0, 2, 4)) + rng.choice(LINES))
    return "\n".join(lines)


def _indented(rng: Random, text: str) -> str:
    lines = text.splitlines() or [""]
    at = rng.randrange(len(lines))
    lines[at] = rng.choice(("  ", " ", "\t", "- ")) + lines[at]
    return "\n".join(lines)


def _anchored(rng: Random, text: str) -> str:
    """One value becomes an anchor, others aliases of it."""
    lines = [line.partition(": ") for line in text.splitlines()]
    valued = [k for k, (_, colon, value) in enumerate(lines) if colon and value]
    for use, at in enumerate(rng.sample(valued, min(len(valued), 3))):
        key, colon, value = lines[at]
        lines[at] = (key, colon, f"&a {value}" if use == 0 else "*a")
    return "\n".join("".join(parts) for parts in lines)


def _tagged(rng: Random, text: str) -> str:
    return text.replace(
        ": ", rng.choice((": !!str ", ": !!int ", ": !!float ", ": !x ", ": !!set ")), rng.randint(1, 3)
    )


def _cut(rng: Random, text: str) -> str:
    return text[: rng.randrange(len(text) + 1)]


def _character(rng: Random, text: str) -> str:
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice("\0\t\x07\x1b\x85\u2028\u202e\ufeff\U0001f600'\"[]{}:,&*!|>%@`#-?") + text[at + 1 :]


def _laughs(rng: Random, text: str) -> str:
    many = rng.choice((2, 9))
    head = "".join(f"l{k + 1}: &l{k + 1} [{', '.join([f'*l{k}'] * many)}]\n" for k in range(12))
    return f"l0: &l0 [{text[:20]!r}]\n{head}{text}"


OF_TREES: Sequence[Callable[[Random, Tree], None]] = (
    _value, _value, _value, _value, _magnitude, _magnitude, _delete, _rename, _move, _nest, _repeat, _splice, _many,
    _extend,
)  # fmt: skip
MILD: Sequence[Callable[[Random, Tree], None]] = (_little, _little, _same_field, _same_field, _delete)
OF_TEXTS: Sequence[Callable[[Random, str], str]] = (
    _line_gone, _line_twice, _line_new, _indented, _anchored, _tagged, _cut, _character, _laughs,
)  # fmt: skip


def _copied(tree: Tree) -> Tree:
    if isinstance(tree, dict):
        return {key: _copied(value) for key, value in tree.items()}
    return [_copied(value) for value in tree] if isinstance(tree, list) else tree
