"""A disk that is full, breaks, writes a part, or loses its power, at every call of everything that is written."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from marginquake.sim.core.outside import disk
from marginquake.sim.core.problems import ScenarioError
from marginquake.sim.runs.directory import RunDirectoryError
from tests.support.faults import commits
from tests.support.faults.commits import COMMITS
from tests.support.faults.disks import Counted, Failing, Fault, Remembering, View, lay_out

THOROUGH = "MARGINQUAKE_THOROUGH" in os.environ
SHARE = 1.0 if THOROUGH else 0.12
"""Of the calls at which something goes wrong."""


def calls_of(name: str, folder: Path) -> int:
    """How many calls of the disk one of the commits takes."""
    folder.mkdir()
    commits.prepare(name, folder)
    counted = Counted()
    with disk.instead(counted):
        COMMITS[name](folder)
    commits.assert_whole(name, folder, done=True)
    return counted.calls


def some(count: int, seed: str) -> Iterator[int]:
    """A share of the numbers below `count`, the last among them."""
    draw = random.Random(seed)
    return (number for number in range(count) if number == count - 1 or draw.random() < SHARE)


@pytest.mark.parametrize("fault", ["full", "broken", "short"])
@pytest.mark.parametrize("name", COMMITS)
def test_a_fault_at_any_call_leaves_what_is_whole_and_the_next_command_works(
    name: str, fault: Fault, tmp_path: Path
) -> None:
    count = calls_of(name, tmp_path / "count")
    for at in some(count, name + fault):
        folder = tmp_path / str(at)
        folder.mkdir()
        commits.prepare(name, folder)
        said = ""
        with disk.instead(Failing(at, fault)):
            try:
                COMMITS[name](folder)
            except (OSError, RunDirectoryError, ScenarioError) as error:
                said = str(error)
        try:
            commits.assert_whole(name, folder, done=not said and name != "clean")
            commits.goes_on(name, folder)
        except (AssertionError, OSError) as error:
            raise AssertionError(f"call {at} of {count}: {error}") from error


@pytest.mark.parametrize("name", COMMITS)
def test_killed_at_any_call_leaves_what_is_whole_and_the_next_command_works(name: str, tmp_path: Path) -> None:
    count = calls_of(name, tmp_path / "count")
    for at in some(count, name):
        folder = tmp_path / str(at)
        folder.mkdir()
        commits.prepare(name, folder)
        child = os.fork()
        if child == 0:
            try:
                with disk.instead(Failing(at, "dies")):
                    COMMITS[name](folder)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 9 << 8, at
        try:
            commits.assert_whole(name, folder)
            commits.goes_on(name, folder)
        except AssertionError as error:
            raise AssertionError(f"call {at} of {count}: {error}") from error


@pytest.mark.parametrize("view", ["all", "names", "kept"])
@pytest.mark.parametrize("name", COMMITS)
def test_a_loss_of_power_at_any_call_leaves_what_is_whole(name: str, view: View, tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    commits.prepare(name, folder)
    remembering = Remembering(folder)
    with disk.instead(remembering):
        COMMITS[name](folder)
    chosen = set(some(len(remembering.notes) + 1, name + view))
    for at, there in remembering.afterwards():
        if at not in chosen:
            continue
        after = tmp_path / f"{at}"
        after.mkdir()
        lay_out(there, view, after)
        try:
            is_last = at == len(remembering.notes)
            commits.assert_whole(name, after, done=is_last and name != "clean")
        except (AssertionError, OSError) as error:
            raise AssertionError(f"after call {at} of {len(remembering.notes)}: {error}") from error


def test_the_tests_would_notice_a_file_that_is_renamed_unsynced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What these tests are worth: without syncs, a run under its name is empty after a loss of power."""
    monkeypatch.setattr(disk, "sync_tree", lambda folder: None)
    folder = tmp_path / "runs"
    folder.mkdir()
    remembering = Remembering(folder)
    with disk.instead(remembering):
        COMMITS["run"](folder)
    *_, (_, there) = remembering.afterwards()
    after = tmp_path / "after"
    after.mkdir()
    lay_out(there, "names", after)
    with pytest.raises(AssertionError):
        commits.assert_whole("run", after, done=True)
