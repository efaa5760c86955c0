"""JSON and YAML that runs store: bombs in a folder from somebody else are one error, at once."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from marginquake.sim.core.outside.stored_text import read_json, read_yaml
from marginquake.sim.runs.directory import RunDirectoryError, read_manifest, read_summary
from marginquake.sim.runs.sweep_plan import read_plan
from tests.support.paths import ROOT

MERGES = "a0: &a0 {x: 1, y: 2}\n" + "\n".join(
    f"a{k}: &a{k} {{<<: [{', '.join([f'*a{k - 1}'] * 10)}]}}" for k in range(1, 12)
)
JSON = {
    "brackets": "[" * 200_000,
    "closed brackets": "[" * 900 + "]" * 900,
    "braces": '{"a":' * 900 + "1" + "}" * 900,
    "a number without end": "1" * 1_000_000,
    "no text": b"\xff\xfe\x00",
    "nothing": "",
}
YAML = {
    "brackets": "a: " + "[" * 900 + "]" * 900,
    "open brackets": "[" * 200_000,
    "merges": MERGES,
    "itself": "a: &a [*a]",
    "a well": "a0: &a0 [[[[1]]]]\n" + "\n".join(f"a{k}: &a{k} [[[[*a{k - 1}]]]]" for k in range(1, 60)),
    "an object": "a: !!python/object/apply:os.system [true]",
    "no text": b"\xff\xfe\x00",
}


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("read", "content"),
    [(read_json, text) for text in JSON.values()] + [(read_yaml, text) for text in YAML.values()],
    ids=[f"json {name}" for name in JSON] + [f"yaml {name}" for name in YAML],
)  # fmt: skip
def test_a_bomb_is_a_value_error(read: Callable[[Path], Any], content: str | bytes, tmp_path: Path) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  any: what it says depends on the parser
        read(written(tmp_path / "file", content))


def test_laughs_cost_no_more_than_their_text(tmp_path: Path) -> None:
    """PyYAML shares what an alias stands for, and so does what is read."""
    text = "a0: &a0 [1, 2]\n" + "\n".join(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, 30))
    assert read_yaml(written(tmp_path / "file", text))["a0"] == [1, 2]


@pytest.mark.parametrize("content", JSON.values(), ids=JSON)
def test_a_bomb_in_a_run_is_said_with_its_file(content: str | bytes, tmp_path: Path) -> None:
    for name, read in (("manifest.json", read_manifest), ("summary.json", read_summary), ("sweep.json", read_plan)):
        folder = tmp_path / f"with {name}"
        folder.mkdir()
        written(folder / name, content)
        with pytest.raises(RunDirectoryError, match=rf"with {re.escape(name)}.*{re.escape(name)}"):
            read(folder)


@pytest.mark.parametrize("name", ["manifest.json", "sweep.json"])
def test_a_file_without_end_in_a_run_is_not_read(name: str, tmp_path: Path) -> None:
    (tmp_path / name).symlink_to("/dev/zero")
    with pytest.raises(RunDirectoryError, match=re.escape(name)):
        (read_manifest if name == "manifest.json" else read_plan)(tmp_path)


def test_stored_files_are_read_in_one_place() -> None:
    """Whoever opens a JSON file by `json.loads` forgets the bounds."""
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for top in ("sim", "analysis", "agents")
        for path in sorted((ROOT / top).rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"json\.loads?\(.*(read_text|read_bytes|open\()|json\.load\(", line)
    ]
    assert found == []


def test_nothing_else_is_refused(tmp_path: Path) -> None:
    assert read_json(written(tmp_path / "file", '{"a": [1, {"b": null}]}')) == {"a": [1, {"b": None}]}
