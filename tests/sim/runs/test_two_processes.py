"""Several processes at one folder, also in containers: nothing that lives is deleted, and all end well."""

import errno
import itertools
import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path

import pytest

from marginquake.sim.runs import directory, leftovers, locks, partial_runs
from marginquake.sim.runs.directory import RunDirectoryError
from marginquake.sim.runs.locks import State
from tests.support.command_line import marginquake
from tests.support.processes.stage import NEW_NAMESPACE, Stage, can_unshare, orders

NAME = "demo"
THOROUGH = "MARGINQUAKE_THOROUGH" in os.environ


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    opened = Stage(tmp_path_factory.mktemp("stage"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage that counts its processes from 1."""
    if not can_unshare():
        pytest.skip("this user may not make a PID namespace")
    opened = Stage(tmp_path_factory.mktemp("container"), NEW_NAMESPACE)
    yield opened
    opened.close()


def hidden(parent: Path) -> list[str]:
    return sorted(path.name for path in parent.iterdir() if path.name.startswith("."))


def visible(parent: Path) -> list[str]:
    return sorted(path.name for path in parent.iterdir() if not path.name.startswith("."))


def seed_of(path: Path) -> object:
    return directory.read_manifest(path)["seed"]


# ---- two PID namespaces --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inside", [True, False], ids=["the run in the container", "the sweeper in the container"])
@pytest.mark.parametrize("part", ["sweep", "clean"])
def test_a_process_of_another_pid_namespace_leaves_a_live_run_alone(
    tmp_path: Path, stage: Stage, container: Stage, inside: bool, part: str
) -> None:
    runs_at, sweeps_at = (container, stage) if inside else (stage, container)
    run = runs_at.start("finish", tmp_path, NAME, 1, False, stops=["begun"])
    assert run.next() == "begun"
    before = hidden(tmp_path)
    assert len(before) == 2, "folder and claim"
    sweeps_at.start(part, tmp_path, *([0] if part == "clean" else [])).finish()
    assert hidden(tmp_path) == before
    assert leftovers.left_behind(tmp_path) == []
    assert not run.step()
    assert (run.result, visible(tmp_path), hidden(tmp_path)) == (NAME, [NAME], [])


@pytest.mark.parametrize("inside", [True, False], ids=["the run in the container", "the sweeper in the container"])
def test_what_was_killed_in_another_pid_namespace_is_swept(
    tmp_path: Path, stage: Stage, container: Stage, inside: bool
) -> None:
    runs_at, sweeps_at = (container, stage) if inside else (stage, container)
    run = runs_at.start("finish", tmp_path, NAME, 1, False, stops=["begun"])
    run.next()
    run.kill()
    assert len(hidden(tmp_path)) == 2
    sweeps_at.start("sweep", tmp_path).finish()
    assert hidden(tmp_path) == []


def test_a_run_that_is_gone_on_with_in_a_container_is_held_outside(
    tmp_path: Path, stage: Stage, container: Stage
) -> None:
    waiting = tmp_path / "demo.partial"
    waiting.mkdir()
    (waiting / "checkpoint").write_text("")
    run = container.start("hold", waiting, stops=["held"])
    run.next()
    with pytest.raises(RunDirectoryError, match="another process is running it"), partial_runs.held(waiting):
        pass
    assert stage.start("clean", tmp_path, 0).finish() == []
    run.kill()
    assert stage.start("clean", tmp_path, 0).finish() == ["demo.partial"]
    assert list(tmp_path.iterdir()) == []


# ---- hosts that do not see each other ------------------------------------------------------------------------------


def left_by(parent: Path, what: str = "tmp", quiet_s: float = 0.0, **changes: object) -> tuple[Path, Path]:
    """What a process has left that is described by its claim alone; the folder and the claim."""
    token = "0123456789ab"
    folder, claim = parent / f".{what}-{NAME}-{token}", parent / f".lock-{token}"
    folder.mkdir(parents=True)
    owner = {
        "host": "far",
        "boot": "another",
        "namespace": 5,
        "pid": 1,
        "started": 7,
        "device": os.stat(parent).st_dev,
        "locks": True,
    }
    claim.write_text(json.dumps(owner | changes))
    for path in (folder, claim):
        then = path.stat().st_mtime - quiet_s
        os.utime(path, (then, then))
    return folder, claim


BOOT = locks._boot()
NAMESPACE = locks._namespace()
linux = pytest.mark.skipif(not (BOOT and NAMESPACE), reason="the system does not say boot and PID namespace")


def gone() -> int:
    """The number of a process that has ended."""
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)
    return pid


@linux
@pytest.mark.parametrize(
    ("owner", "kind", "works", "swept"),
    [
        ({}, "ext4", True, True),
        ({}, "nfs4", True, False),
        ({}, "fuse.sshfs", True, False),
        ({}, "", True, False),
        ({"locks": False}, "ext4", True, False),
        ({}, "ext4", False, False),
        ({"boot": BOOT}, "nfs4", True, True),
        ({"boot": BOOT, "device": -1}, "nfs4", True, False),
        ({"boot": BOOT, "locks": False}, "nfs4", True, False),
        ({"boot": BOOT}, "nfs4", False, False),
        ({"boot": BOOT, "namespace": NAMESPACE, "locks": False, "pid": "gone"}, "nfs4", False, True),
        ({"boot": BOOT, "namespace": NAMESPACE, "locks": False, "pid": "ours", "started": 7}, "nfs4", False, True),
        ({"boot": BOOT, "namespace": NAMESPACE, "locks": False, "pid": "ours", "started": 0}, "nfs4", False, False),
        ({"boot": "", "namespace": NAMESPACE, "locks": False, "pid": "gone"}, "nfs4", False, False),
    ],
)
def test_only_what_is_surely_dead_is_swept(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: dict[str, object],
    kind: str,
    works: bool,
    swept: bool,
) -> None:
    """`kind`: of the file system; `works`: flock does, here."""
    numbers = {"gone": gone(), "ours": os.getpid()}
    owner = {key: numbers.get(value, value) if key == "pid" else value for key, value in owner.items()}  # type: ignore[call-overload]
    folder, claim = left_by(tmp_path, **owner)
    monkeypatch.setattr(locks, "_file_system", lambda file: kind)
    if not works:
        monkeypatch.setattr(locks, "_lock", lambda handle: None)
    leftovers.sweep_leftovers(tmp_path)
    assert (folder.exists(), claim.exists()) == (not swept, not swept)


def test_what_cannot_be_judged_is_named_by_clean_and_goes_only_when_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_file_system", lambda file: "nfs4")
    folder, claim = left_by(tmp_path, quiet_s=7200.0)
    for arguments in (["--keep", "1"], ["--twins"], ["--leftovers", "3h"], ["--leftovers", "1h", "--dry-run"]):
        said = marginquake("clean", *arguments, "--out", tmp_path)
        assert said.exit_code == 0
        assert folder.is_dir()
        if "--dry-run" not in arguments:
            assert f"left {folder}: of process 1 on far, which cannot be seen from here" in said.stderr
            assert "no sign of life for 2:00:0" in said.stderr
            assert "clean --leftovers" in said.stderr
    assert f"would delete {folder}" in said.stdout
    done = marginquake("clean", "--leftovers", "1h", "--out", tmp_path)
    assert (done.exit_code, done.stdout) == (0, f"deleted {folder}\n")
    assert list(tmp_path.iterdir()) == []
    assert not claim.exists()
    short = marginquake("clean", "--leftovers", "1min", "--out", tmp_path)
    assert (short.exit_code, "at least 10min" in short.stderr) == (2, True)


def test_an_old_run_that_was_moved_away_by_who_cannot_be_judged_comes_back_when_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_file_system", lambda file: "nfs4")
    left_by(tmp_path, what="old", quiet_s=7200.0)
    assert marginquake("clean", "--leftovers", "1h", "--out", tmp_path).exit_code == 0
    assert (visible(tmp_path), hidden(tmp_path)) == ([NAME], [])


def test_an_interrupted_run_that_another_host_may_be_at_is_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_file_system", lambda file: "nfs4")
    waiting = tmp_path / "demo.partial"
    waiting.mkdir()
    (waiting / "checkpoint").write_text("")
    _, claim = left_by(tmp_path / "made")
    claim = claim.rename(tmp_path / ".lock-demo.partial")
    with pytest.raises(RunDirectoryError, match=r"process 1 on far was running it.*if it has ended, delete"):
        partial_runs.held(waiting).__enter__()
    said = marginquake("clean", "--keep", 0, "--out", tmp_path)
    assert waiting.is_dir()
    assert f"left {waiting}: process 1 on far was running it" in said.stderr
    claim.unlink()
    with partial_runs.held(waiting):
        assert partial_runs.is_held(waiting)


@linux
def test_a_claim_says_who_has_it_and_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with locks.claim(tmp_path / "claim") as mine:
        state, owner = locks.look(mine.file)
        assert state is State.LIVES
        assert owner is not None
        assert (owner.host, owner.boot, owner.pid) == (platform.node(), BOOT, os.getpid())
        os.utime(mine.file, (0, 0))
        locks._HEART.beat()
        assert mine.file.stat().st_mtime > 0
    assert locks.look(mine.file)[0] is State.FREE
    assert not mine.file.exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"host": 3}', b"[" * 100_000, b"\xff\x00"])
def test_a_claim_that_says_nothing_breaks_nothing(tmp_path: Path, content: bytes) -> None:
    folder, claim = left_by(tmp_path)
    claim.write_bytes(content)
    leftovers.sweep_leftovers(tmp_path)
    assert folder.exists() == (content != b""), "an empty one is of somebody who has claimed nothing by it"
    assert marginquake("clean", "--keep", 0, "--out", tmp_path).exit_code == 0


# ---- one name ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("there", [False, True], ids=["a new name", "in place of an older one"])
def test_three_processes_that_complete_one_run_all_end_well_with_one_result(
    tmp_path: Path, stage: Stage, there: bool
) -> None:
    for number, order in enumerate(itertools.permutations(range(3))):
        parent = tmp_path / str(number)
        if there:
            stage.start("finish", parent, NAME, 1, False).finish()
        runs = [stage.start("finish", parent, NAME, 1, False, stops=["begun"]) for _ in range(3)]
        for run in runs:
            assert run.next() == "begun"
        for place in order:
            runs[place].go()
        assert [run.finish() for run in runs] == [NAME] * 3
        assert (visible(parent), hidden(parent)) == ([NAME], [])
        assert directory.is_complete(parent / NAME)


@pytest.mark.parametrize("locked", [True, False], ids=["with flock", "without"])
@pytest.mark.parametrize(
    ("other", "replace", "there"),
    [(1, False, False), (1, False, True), (1, True, True), (2, True, True), (2, False, False)],
    ids=["the same run", "the same again", "the same, replaced", "another, replaced", "another"],
)
def test_in_every_order_of_their_steps_two_that_want_one_name_end_well(
    tmp_path: Path, stage: Stage, other: int, replace: bool, there: bool, locked: bool
) -> None:
    """Each waits before every rename.  With flock only one is at it, so the orders are those of who comes first."""
    tried = set()
    every = list(orders(4, 4)) if THOROUGH else list(orders(3, 3))[::2]
    for number, order in enumerate(every if not locked else ("a", "b")):
        parent = tmp_path / str(number)
        if there:
            stage.start("finish", parent, NAME, 1, False).finish()
        stops = ["rename"] if not locked else ["begun"]
        both = {
            who: stage.start("finish", parent, NAME, seed, replace, stops=stops, locks=locked)
            for who, seed in (("a", 1), ("b", other))
        }
        live = {who for who, run in both.items() if run.next()}
        taken = ""
        for who in order:
            if who in live:
                taken += who
                if not both[who].step():
                    live.discard(who)
        for who in live:
            both[who].go()
            both[who].finish()
        tried.add(taken)
        results = {run.result for run in both.values()}
        kept = {name: seed_of(parent / name) for name in visible(parent)}
        assert hidden(parent) == []
        assert results <= kept.keys()
        if other == 1:
            assert kept == {NAME: 1}
        elif replace:
            assert kept in ({NAME: 1}, {NAME: 2})
        else:
            assert sorted(map(str, kept.values())) == ["1", "2"], "nothing that was simulated is lost"
    assert len(tried) > 1


@pytest.mark.parametrize("there", ["nothing", "the run", "half a run"])
def test_two_sweeps_that_put_one_run_in_its_place_leave_it_whole(tmp_path: Path, stage: Stage, there: str) -> None:
    for number, order in enumerate(orders(2, 2)):
        parent = tmp_path / str(number)
        parent.mkdir()
        if there != "nothing":
            stage.start("finish", parent, NAME, 1, False).finish()
        if there == "half a run":
            (parent / NAME / "manifest.json").unlink()
        both = {who: stage.start("place", parent, NAME, locks=False) for who in "ab"}
        live = {who for who, run in both.items() if run.next()}
        for who in order:
            if who in live and not both[who].step():
                live.discard(who)
        for who in live:
            both[who].go()
            both[who].finish()
        assert {run.result for run in both.values()} == {NAME}
        assert (visible(parent), hidden(parent)) == ([NAME], [])
        assert directory.is_complete(parent / NAME)


def test_clean_makes_room_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / NAME
    path.mkdir()
    (path / "manifest.json").write_text('{"schema_version": 1, "status": "complete"}')
    waiting = tmp_path / f"{NAME}.partial"
    waiting.mkdir()
    (waiting / "checkpoint").write_text("")

    def full(handle: int, locked: bool) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(locks, "_write", full)
    assert partial_runs.clean_runs(tmp_path, keep=0) == [path, waiting]
    monkeypatch.undo()
    leftovers.sweep_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("at", [1, 2, 3])
def test_whoever_is_killed_while_names_change_the_name_is_whole_afterwards(
    tmp_path: Path, stage: Stage, at: int
) -> None:
    """The renames of a run that replaces another: an attempt, the older one away, the new one in."""
    stage.start("finish", tmp_path, NAME, 1, False).finish()
    run = stage.start("finish", tmp_path, NAME, 2, True, stops=["rename"])
    for _ in range(at - 1):
        run.next()
        run.go()
    assert run.next() == "rename"
    run.kill()
    stage.start("sweep", tmp_path).finish()
    assert (visible(tmp_path), hidden(tmp_path)) == ([NAME], [])
    assert seed_of(tmp_path / NAME) == 1


def test_of_two_that_begin_a_checkpointed_run_one_is_refused_and_one_completes_it(tmp_path: Path, stage: Stage) -> None:
    first = stage.start("begin", tmp_path, NAME, stops=["rename", "begun"])
    assert first.next() == "rename", "claimed, and not yet there"
    with pytest.raises(AssertionError, match="another process is running it"):
        stage.start("begin", tmp_path, NAME).finish()
    first.go()
    assert first.next() == "begun"
    with pytest.raises(AssertionError, match=r"--resume|another process is running it"):
        stage.start("begin", tmp_path, NAME).finish()
    first.go()
    first.finish()
    assert (visible(tmp_path), hidden(tmp_path)) == ([NAME], [])


def test_clean_while_a_run_is_completed_and_while_another_cleans(tmp_path: Path, stage: Stage) -> None:
    for name in ("one", "two"):
        stage.start("finish", tmp_path, name, 1, False).finish()
    run = stage.start("finish", tmp_path, "three", 1, False, stops=["rename"])
    assert run.next() == "rename"
    first, second = (stage.start("clean", tmp_path, 0, stops=["rename"]) for _ in range(2))
    assert (first.next(), second.next()) == ("rename", "rename"), "both want the same run"
    first.go()
    second.go()
    deleted = [first.finish(), second.finish()]
    assert sorted(itertools.chain(*deleted)) == ["one", "two"], "each once"
    run.go()
    assert run.finish() == "three"
    assert (visible(tmp_path), hidden(tmp_path)) == (["three"], [])


def test_a_run_that_goes_while_it_is_listed_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from marginquake.sim.cli import listing

    path = tmp_path / NAME
    path.mkdir()
    (path / "manifest.json").write_text('{"schema_version": 1, "status": "complete"}')

    def deleted(path: Path) -> str:
        leftovers.delete(path)
        raise RunDirectoryError("gone")

    monkeypatch.setattr(listing, "_facts", deleted)
    said = marginquake("list", "runs", "--out", tmp_path)
    assert (said.exit_code, said.output) == (0, "")
