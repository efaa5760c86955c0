"""Whole commands at one folder at once, some of them killed: run, resume, clean, list, report, in rounds by seed."""

import os
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from marginquake.sim.runs import directory, leftovers, partial_runs
from tests.support.command_line import marginquake
from tests.support.paths import TINY
from tests.support.processes.stage import Part, Stage

pytestmark = pytest.mark.model
ROUNDS = 150 if "MARGINQUAKE_THOROUGH" in os.environ else 3
AT_ONCE = 5
SHORT = ["--set", "duration=1s", "--set", "warmup=1s", "--set", "index.shocks=[]"]
NAMES = ["one", "two"]
REFUSED = re.compile(
    r"is the same run, interrupted|another process is running it|another process has deleted it|no interrupted run "
    r"there|no such run|holds another run|not a run directory|holds no checkpoint"
)
"""What a command may say instead of doing it, with exit code 2."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    opened = Stage(tmp_path_factory.mktemp("stage"), warm=str(TINY))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def tally() -> Iterator[Counter[str]]:
    """How many commands ended how; pytest shows it with -s."""
    counts: Counter[str] = Counter()
    yield counts
    print(f"\n{ROUNDS} rounds of {AT_ONCE} commands: {dict(sorted(counts.items()))}")


@pytest.fixture(scope="module")
def digest(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of the run that all make."""
    out = tmp_path_factory.mktemp("alone")
    assert marginquake("run", TINY, *SHORT, "--out", out, "--name", "one", "--no-figures", "--quiet").exit_code == 0
    return str(directory.read_manifest(out / "one")["event_digest"])


def some_command(draw: random.Random, out: Path) -> list[str]:
    """What somebody might type."""
    name = draw.choice(NAMES)
    run = ["run", str(TINY), *SHORT, "--name", name, "--no-figures", "--quiet"]
    commands = [
        run,
        run,
        [*run, "--replace"],
        [*run, "--checkpoint-every", "500ms"],
        [*run, "--checkpoint-every", "500ms"],
        ["run", "--resume", name, "--quiet"],
        ["run", "--resume", name, "--quiet"],
        ["clean", "--keep", str(draw.choice((0, 1)))],
        ["list", "runs"],
        ["show", name],
        ["report", name],
    ]
    return [*draw.choice(commands), "--out", str(out)]


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_commands_at_one_folder_at_once_end_well_and_leave_whole_runs(
    tmp_path: Path, stage: Stage, digest: str, seed: int, tally: Counter[str]
) -> None:
    draw = random.Random(seed)
    out = tmp_path / "runs"
    told: Counter[str] = Counter()
    parts: list[tuple[list[str], Part]] = []
    for _ in range(AT_ONCE):
        command = some_command(draw, out)
        parts.append((command, stage.start("command", *command)))
        time.sleep(draw.choice((0.0, 0.05)))
    doomed = [each for each in parts if draw.random() < 0.25]
    for command, part in doomed:
        time.sleep(draw.random() / 3)
        part.kill()
        told[f"killed: {command[0]}"] += 1
    for command, part in parts:
        if (command, part) in doomed:
            continue
        done = part.finish()
        line = f"{' '.join(command)}: {done}"
        assert "Traceback" not in done["said"], line
        assert "unreadable" not in done["said"], line
        assert done["code"] == 0 or (done["code"] == 2 and REFUSED.search(done["said"])), line
        told[f"{command[0]}: {done['code']}"] += 1
    tally.update(told)

    leftovers.sweep_leftovers(out)
    assert [path for path in out.glob(".*") if not path.name.endswith(".partial")] == []
    assert partial_runs.clean_runs(out, keep=9) == []
    assert directory.list_damaged(out) == []
    for waiting in partial_runs.list_interrupted(out):
        resumed = marginquake("run", "--resume", waiting, "--quiet", "--replace")
        assert resumed.exit_code == 0, resumed.output
    for path in out.iterdir() if out.exists() else ():
        if not path.name.startswith("."):
            assert directory.read_manifest(path)["event_digest"] == digest
            assert directory.read_summary(path)["event_digest"] == digest
    assert marginquake("list", "runs", "--out", out).exit_code == 0
