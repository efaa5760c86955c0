"""What is damaged or odd below runs/ is named, and never keeps a command from the rest."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from marginquake.sim.runs import checkpoint, directory
from tests.support.command_line import marginquake
from tests.support.paths import TINY

pytestmark = pytest.mark.model
SHORT = ["--set", "duration=1s", "--set", "warmup=1s", "--set", "index.shocks=[]", "--no-figures", "--quiet"]
RUNS = [["run", "--resume", "wai", "--quiet"], ["run", TINY, *SHORT, "--seed", "9"]]
HEAD = checkpoint.MAGIC


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, a twin of it and an interrupted run."""
    from marginquake.sim.model.model import MarketModel
    from marginquake.sim.studies import run as running

    out = tmp_path_factory.mktemp("whole")
    assert marginquake("run", TINY, *SHORT, "--out", out, "--name", "good").exit_code == 0
    (out / "twins").mkdir()
    shutil.copytree(out / "good", out / "twins" / "twin")

    def stop(model: MarketModel) -> None:
        raise KeyboardInterrupt

    scenario = running.load_scenario(TINY, [word for word in SHORT if "=" in word])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MarketModel, "record", stop)
        with pytest.raises(KeyboardInterrupt):
            running.run(scenario, 5, out, "waits", figures=False, checkpoint_every="1s")
    return out


def bad_checkpoint(content: bytes) -> Callable[[Path], None]:
    def put(out: Path) -> None:
        (out / "bad.partial").mkdir()
        (out / "bad.partial" / "checkpoint").write_bytes(content)

    return put


def bad_manifest(content: bytes) -> Callable[[Path], None]:
    def put(out: Path) -> None:
        (out / "bad").mkdir()
        (out / "bad" / "manifest.json").write_bytes(content)

    return put


def bad_summary(content: bytes) -> Callable[[Path], None]:
    def put(out: Path) -> None:
        shutil.copytree(out / "good", out / "bad")
        (out / "bad" / "summary.json").write_bytes(content)

    return put


def folder_for_a_file(name: str) -> Callable[[Path], None]:
    def put(out: Path) -> None:
        shutil.copytree(out / "good", out / "bad")
        (out / "bad" / name).unlink()
        (out / "bad" / name).mkdir()

    return put


NAMED = {
    "a checkpoint of zeros": bad_checkpoint(b"\0" * 100),
    "an empty checkpoint": bad_checkpoint(b""),
    "a checkpoint with a head and no JSON": bad_checkpoint(HEAD + b"{"),
    "a checkpoint of another kind of JSON": bad_checkpoint(HEAD + b"[1, 2]\n"),
    "a checkpoint without a job": bad_checkpoint(HEAD + b'{"made_with": {}}\n'),
    "a checkpoint with a job of other fields": bad_checkpoint(HEAD + b'{"made_with": {}, "job": {"nome": 1}}\n'),
    "a checkpoint with a job of other types": bad_checkpoint(HEAD + b'{"made_with": {}, "job": null}\n'),
    "a checkpoint that nests without end": bad_checkpoint(HEAD + b"[" * 100_000 + b"\n"),
    "a manifest of zeros": bad_manifest(b"\0" * 100),
    "a manifest cut off": bad_manifest(b'{"status": "comp'),
    "a manifest that is a list": bad_manifest(b"[]"),
    "a manifest that is not text": bad_manifest(b"\xff\xfe\x00"),
    "a manifest that nests without end": bad_manifest(b"[" * 100_000),
    "a manifest of a run that is not complete": bad_manifest(b'{"status": "begun"}'),
    "a summary cut off": bad_summary(b'{"margin_'),
    "a summary without numbers": bad_summary(b"{}"),
    "a summary of other types": bad_summary(b'{"margin_calls": [], "max_drawdown_fraction": "x"}'),
    "a folder for the manifest": folder_for_a_file("manifest.json"),
    "a folder for the summary": folder_for_a_file("summary.json"),
}
"""What a list of runs names as unreadable."""


def file_for_a_folder(name: str) -> Callable[[Path], None]:
    return lambda out: (out / name).write_text("not a folder")


def link_to_nowhere(name: str) -> Callable[[Path], None]:
    return lambda out: (out / name).symlink_to("nowhere")


def link_to_itself(name: str) -> Callable[[Path], None]:
    return lambda out: (out / name).symlink_to(name)


def garbage_among_twins(out: Path) -> None:
    (out / "twins" / "bad").mkdir()
    (out / "twins" / "bad" / "manifest.json").write_bytes(b"\0")
    shutil.copytree(out / "good", out / "twins" / "odd")
    (out / "twins" / "odd" / "manifest.json").write_text(
        '{"schema_version": 1, "status": "complete", "twin_of": {"without": 3}}'
    )


def file_for_twins(out: Path) -> None:
    shutil.rmtree(out / "twins")
    (out / "twins").write_text("not a folder")


def garbage_among_sweeps(out: Path) -> None:
    for name, content in (("bad", b"\0"), ("odd", b'{"schema_version": "x"}')):
        (out / "sweeps" / name / "points" / "p").mkdir(parents=True)
        (out / "sweeps" / name / "sweep.json").write_bytes(content)
        (out / "sweeps" / name / "points" / "p" / "manifest.json").write_bytes(b"\0")
    (out / "sweeps" / "file").write_text("")


UNNAMED = {
    "a file that is named like an interrupted run": file_for_a_folder("bad.partial"),
    "a file that is named like a run": file_for_a_folder("bad-12345678-s1"),
    "a link to nowhere": link_to_nowhere("bad"),
    "a link to nowhere that is named like an interrupted run": link_to_nowhere("bad.partial"),
    "a link to itself": link_to_itself("bad"),
    "a link to itself that is named like an interrupted run": link_to_itself("bad.partial"),
    "a link to nowhere that is named like something left over": link_to_nowhere(".tmp-bad-0123456789ab"),
    "a file that is named like a claim": file_for_a_folder(".lock-0123456789ab"),
    "a folder that is named like a claim": lambda out: (out / ".lock-0123456789ab").mkdir(),
    "a link to itself that is named like a claim": link_to_itself(".lock-0123456789ab"),
    "garbage among twins": garbage_among_twins,
    "a file for twins": file_for_twins,
    "garbage among sweeps": garbage_among_sweeps,
    "a file for sweeps": file_for_a_folder("sweeps"),
}
"""What is no run, nor was."""


@pytest.mark.parametrize("what", [*NAMED, *UNNAMED])
def test_one_damaged_neighbour_stops_no_command(whole: Path, tmp_path: Path, what: str) -> None:
    out = tmp_path / "runs"
    shutil.copytree(whole, out)
    (NAMED | UNNAMED)[what](out)
    listed = marginquake("list", "runs", "--out", out)
    assert listed.exit_code == 0, listed.output
    lines = {line.split()[0]: line for line in listed.stdout.splitlines()}
    assert {str(out / "good"), str(out / "waits.partial")} <= lines.keys()
    assert "unreadable" not in lines[str(out / "good")] + lines[str(out / "waits.partial")]
    bad = [line for line in lines.values() if Path(line.split()[0]).name.startswith("bad")]
    if what in NAMED:
        (line,) = bad
        assert "unreadable: " in line
        assert len(line) < 400
    else:
        assert bad == []
    for command in (
        ["list", "runs", "--twins"],
        ["show", "goo"],
        ["clean", "--keep", "5"],
        ["clean", "--twins", "--dry-run"],
        *(RUNS if "zeros" in what or "named" in what else []),
        ["clean", "--keep", "0", "--twins", "--leftovers", "1h"],
    ):
        done = marginquake(*command, "--out", out)
        assert done.exit_code == 0, f"{command}: {done.output}"
    assert not (out / "good").exists()


@pytest.mark.parametrize("what", [each for each in NAMED if "manifest" in each or each == "an empty checkpoint"])
def test_what_is_damaged_is_refused_in_a_sentence_where_it_is_asked_for(whole: Path, tmp_path: Path, what: str) -> None:
    out = tmp_path / "runs"
    shutil.copytree(whole, out)
    NAMED[what](out)
    for command in (["show", "ba"], ["show", "bad"], ["run", "--resume", "ba"], ["run", "--resume", "bad"]):
        done = marginquake(*command, "--out", out)
        assert done.exit_code == 2, f"{command}: {done.output}"
        assert done.stderr.splitlines()[-1].startswith(("ba: ", "bad: ", "--resume ba", str(out / "bad")))


def test_twins_are_left_while_a_run_that_might_be_theirs_cannot_be_read(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    shutil.copytree(whole, out)
    bad_checkpoint(b"\0")(out)
    done = marginquake("clean", "--twins", "--out", out)
    assert done.exit_code == 0
    assert (out / "twins" / "twin").is_dir()
    assert f"left {out / 'bad.partial'}: it cannot be read" in done.stderr


@pytest.mark.parametrize("name", ["good", "waits.partial"])
def test_a_folder_that_one_may_not_look_into_stops_nobody(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """As root may: what the system answers to others is put in its place."""
    out = tmp_path / "runs"
    shutil.copytree(whole, out)
    closed = str(out / name)

    def closing(call: Callable[..., object]) -> Callable[..., object]:
        def answer(path: object, *arguments: object, **options: object) -> object:
            if isinstance(path, str | os.PathLike) and os.fspath(path).startswith(closed + "/"):
                raise PermissionError(13, "Permission denied", os.fspath(path))
            return call(path, *arguments, **options)

        return answer

    with monkeypatch.context() as patch:
        for module, call in ((os, "stat"), (os, "lstat"), (os, "open"), (os, "listdir")):
            patch.setattr(module, call, closing(getattr(module, call)))
        access, opened = os.access, Path.open
        patch.setattr(os, "access", lambda path, mode: str(path) != closed and access(path, mode))
        patch.setattr(Path, "open", closing(opened))
        listed = marginquake("list", "runs", "--out", out)
        cleaned = marginquake("clean", "--keep", 5, "--out", out)
    assert (listed.exit_code, cleaned.exit_code) == (0, 0), listed.output + cleaned.output
    assert [line.split()[0] for line in listed.stdout.splitlines() if "unreadable" in line] == [closed]
    assert len(directory.entries(out)) == 3
