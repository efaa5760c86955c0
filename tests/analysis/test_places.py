"""A new summary metric, figure or section of the report: the diffs of docs/extending.md, applied and counted."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.synthetic_run import write_synthetic_run

ROOT = Path(__file__).parents[2]
PLACES = {
    "A new summary metric": ["sim/recording/recorder.py", "analysis/measures/summary_metrics.py"],
    "A new figure": ["analysis/figures/basis.py", "analysis/figures/__init__.py"],
    "A new section of the report": ["analysis/report/widest_spread.py", "analysis/report/sections.py"],
}
"""Every file that each of them touches."""
Hunk = tuple[str, str]
"""Text before, and after."""


def diff_of(heading: str) -> dict[str, list[Hunk]]:
    """Changes of each file in the diff below a heading; a new file has one hunk, with nothing before."""
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    (section,) = [part for part in page.split("\n## ") if part.startswith(f"{heading}\n")]
    (diff,) = re.findall(r"```diff\n(.*?)```", section, re.DOTALL)
    files: dict[str, list[Hunk]] = {}
    for part in re.split(r"^--- .*\n", diff, flags=re.MULTILINE)[1:]:
        name, _, body = part.partition("\n")
        files[name.removeprefix("+++ b/")] = [_hunk(lines) for lines in body.split("@@\n")[1:]]
    return files


def _hunk(text: str) -> Hunk:
    lines = text.splitlines()
    before = [line[1:] for line in lines if line[:1] != "+"]
    after = [line[1:] for line in lines if line[:1] != "-"]
    return "".join(f"{line}\n" for line in before), "".join(f"{line}\n" for line in after)


@pytest.mark.parametrize("heading", PLACES)
def test_a_new_one_is_one_file_or_one_entry(heading: str) -> None:
    diff = diff_of(heading)
    assert list(diff) == PLACES[heading]
    for name, hunks in diff.items():
        assert (ROOT / name).exists() == all(before for before, _ in hunks)
        for before, _ in hunks:
            assert not before or (ROOT / name).read_text(encoding="utf-8").count(before) == 1, f"{name}:\n{before}"


PROGRAM = """
import json, sys
from pathlib import Path
from marginquake.analysis.figures.draw import plot_run
from marginquake.analysis.frames.run_frames import load_run
from marginquake.analysis.measures.scorecard import one_line, scorecard_rows
from marginquake.analysis.measures.summary_metrics import metric_of
from marginquake.analysis.report.run_report import render_report
from marginquake.analysis.studies.comparison.metrics import measure, metric_named
run = load_run(sys.argv[1])
key = "max_spread_ticks"
print(json.dumps({
    "scorecard": [row.value for row in scorecard_rows(run.summary) if row.label == "Widest spread"],
    "comparison": metric_named(key).difference(measure(run)[key]),
    "sweep": metric_of(key).title,
    "list": one_line(run.summary),
    "figures": [path.stem for path in plot_run(run)],
    "report": render_report(run),
}))
"""


def test_each_is_found_everywhere_with_nothing_else_touched(tmp_path: Path) -> None:
    """In a copy of the code, in a process of its own."""
    house = tmp_path / "house"
    for room in ("sim", "agents", "analysis"):
        shutil.copytree(ROOT / room, house / room, ignore=shutil.ignore_patterns("__pycache__", ".numba_cache"))
    shutil.copytree(ROOT / "marginquake", house / "marginquake", symlinks=True)
    for heading in PLACES:
        for name, hunks in diff_of(heading).items():
            text = (house / name).read_text(encoding="utf-8") if (house / name).exists() else ""
            for before, after in hunks:
                text = text.replace(before, after, 1) if before else after
            (house / name).write_text(text, encoding="utf-8")
    run = write_synthetic_run(tmp_path / "run", seconds=300)
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps({**summary, "max_spread_ticks": 17.0}))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(run)], capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(house)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["scorecard"] == ["17 ticks"]
    assert found["comparison"] == "+17 ticks"
    assert found["sweep"] == "widest spread, ticks"
    assert "widest spread 17 ticks" in found["list"]
    assert "basis" in found["figures"]
    assert "Where the line leaves 0 the contract trades apart from its index." in found["report"]
    assert "Widest spread" in found["report"]
    assert "The spread was widest at" in found["report"]
