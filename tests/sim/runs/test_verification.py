"""What is stored is what was written, or is not read: hashes of a run's files, of documents, of checkpoints."""

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from marginquake.sim.core.outside import disk
from marginquake.sim.runs import directory, fingerprints, partial_runs
from marginquake.sim.runs.checkpoint import FILE, check_as_written, read_checkpoint, read_job, write_checkpoint
from marginquake.sim.runs.directory import RunDirectoryError
from marginquake.sim.runs.event_log import ParquetLog, PartChanged
from marginquake.sim.runs.verification import Verdict, verify
from tests.support.command_line import marginquake
from tests.support.faults.commits import JOB, MODEL, NAME, data, plain


def flip(file: Path, bit: int) -> None:
    content = bytearray(file.read_bytes())
    content[bit // 8 % len(content)] ^= 1 << bit % 8
    file.write_bytes(bytes(content))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    plain(tmp_path)
    return tmp_path / NAME


def test_a_run_lists_every_file_but_pictures_and_is_as_written(run: Path) -> None:
    disk.write_whole(run / "report.html", "<p>drawn</p>")
    listed = set(directory.read_manifest(run)[fingerprints.FILES])
    there = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    assert there - listed == {"manifest.json", "report.html"}
    assert {each.verdict for each in verify(run)} == {Verdict.WHOLE}


def test_a_note_in_the_manifest_keeps_it_as_written(run: Path) -> None:
    directory.note_left_out(run, ["a picture"])
    assert {each.verdict for each in verify(run)} == {Verdict.WHOLE}


@pytest.mark.parametrize(
    "name", ["summary.json", "series.parquet", "events/main-00000.parquet", "scenario.resolved.yaml"]
)
def test_a_flipped_bit_is_found_and_nothing_reads_the_file(run: Path, name: str) -> None:
    flip(run / name, 8 * 20 + 3)
    assert [each.file for each in verify(run) if each.is_wrong] == [run / name]
    with pytest.raises(RunDirectoryError, match="has changed since the run was made"):
        directory.checked(run / name)


def test_a_missing_and_a_cut_file_are_found(run: Path) -> None:
    (run / "accounts.parquet").unlink()
    (run / "liquidation_map.npz").write_bytes(b"")
    found = {each.file.name: each.verdict for each in verify(run) if each.is_wrong}
    assert found == {"accounts.parquet": Verdict.MISSING, "liquidation_map.npz": Verdict.CHANGED}


def test_a_file_put_there_since_is_told_and_is_no_fault(run: Path) -> None:
    (run / "notes.txt").write_text("mine")
    (found,) = (each for each in verify(run) if each.verdict is not Verdict.WHOLE)
    assert (found.file.name, found.verdict, found.is_wrong) == ("notes.txt", Verdict.UNKNOWN, False)


@pytest.mark.parametrize("change", ["another value", "a field more", "no hash", "hash of another"])
def test_a_manifest_that_was_edited_is_refused(run: Path, change: str) -> None:
    content = json.loads((run / "manifest.json").read_text())
    if change == "another value":
        content["seed"] = 8
    elif change == "a field more":
        content["more"] = 1
    elif change == "no hash":
        del content[fingerprints.OWN]
    else:
        content[fingerprints.OWN] = "0" * 64
    (run / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(RunDirectoryError, match="has changed since it was written"):
        directory.read_manifest(run)
    assert [each.verdict for each in verify(run)] == [Verdict.CHANGED]
    assert not directory.is_complete(run)


def test_a_run_of_before_there_were_hashes_is_read_and_verify_says_that_it_cannot_tell(run: Path) -> None:
    content = json.loads((run / "manifest.json").read_text())
    del content[fingerprints.OWN], content[fingerprints.FILES]
    (run / "manifest.json").write_text(json.dumps({**content, "schema_version": 1}))
    flip(run / "summary.json", 1)
    directory.checked(run / "summary.json")
    (found,) = verify(run)
    assert found.verdict is Verdict.UNKNOWN
    assert "made before" in found.why


def test_every_flipped_bit_of_a_checkpoint_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, JOB, MODEL)
    whole = (tmp_path / FILE).read_bytes()
    check_as_written(tmp_path)
    draw = random.Random(3)
    header = whole.index(b"\n", whole.index(b"\n", whole.index(b"\n") + 1) + 1)
    bits = [*draw.sample(range(8 * header), 60), *draw.sample(range(8 * header, 8 * len(whole)), 60)]
    for bit in bits:
        flip(tmp_path / FILE, bit)
        with pytest.raises(RunDirectoryError):
            read_checkpoint(tmp_path)
        with pytest.raises(RunDirectoryError):
            check_as_written(tmp_path)
        if bit < 8 * header and whole[: bit // 8].count(b"\n") != 1:  # the line of hashes is of both
            with pytest.raises(RunDirectoryError):
                read_job(tmp_path)
        (tmp_path / FILE).write_bytes(whole)
    for length in (0, 10, 100, len(whole) - 1):
        (tmp_path / FILE).write_bytes(whole[:length])
        with pytest.raises(RunDirectoryError):
            read_checkpoint(tmp_path)


def test_events_that_changed_since_the_checkpoint_are_not_gone_on_with(tmp_path: Path) -> None:
    log = ParquetLog(tmp_path / "events", "main", group_rows=100)
    log.append(data().events["main"])
    log.settle()
    log.move(tmp_path / "events")
    flip(tmp_path / "events" / "main-00000.parquet", 999)
    with pytest.raises(PartChanged, match=r"main-00000\.parquet: has changed since its checkpoint"):
        log.move(tmp_path / "events")
    (tmp_path / "events" / "main-00000.parquet").unlink()
    with pytest.raises(PartChanged, match=r"main-00000\.parquet: is missing"):
        log.move(tmp_path / "events")


def test_a_table_holds_the_hash_of_its_cells(tmp_path: Path) -> None:
    table = fingerprints.table_with_own_hash(pa.table({"a": [1, 2], "b": ["x", None], "c": [float("nan"), 1.5]}))
    pq.write_table(table, tmp_path / "t.parquet")
    read = pq.ParquetFile(tmp_path / "t.parquet").read()
    assert fingerprints.table_is_as_written(read)
    other = read.set_column(0, "a", pa.array([1, 3]))
    assert not fingerprints.table_is_as_written(other)


def test_the_command_says_what_changed_and_exits_with_1(run: Path) -> None:
    assert marginquake("verify", NAME, "--out", str(run.parent)).exit_code == 0
    flip(run / "series.parquet", 900)
    done = marginquake("verify", NAME, "--out", str(run.parent))
    assert done.exit_code == 1
    assert f"{run / 'series.parquet'}: not what was written (has changed since the run was made)" in done.stdout
    assert done.stdout.splitlines()[-1].endswith("files as written, 1 not")


def test_the_command_looks_at_interrupted_runs_too(tmp_path: Path) -> None:
    with partial_runs.begun(tmp_path, NAME, lambda hidden: write_checkpoint(hidden, JOB, MODEL)) as folder:
        pass
    assert marginquake("verify", NAME, "--out", str(tmp_path)).exit_code == 0
    flip(folder / FILE, 5_000)
    done = marginquake("verify", NAME, "--out", str(tmp_path))
    assert done.exit_code == 1
    assert "not what was written" in done.stdout


def some(**changes: Any) -> dict[str, Any]:
    return {"b": 1.5, "a": [1, None, "ü"], **changes}


def test_a_document_is_as_written_whatever_the_order_of_its_fields() -> None:
    written = json.loads(json.dumps(fingerprints.with_own_hash(some())))
    assert fingerprints.is_as_written(dict(reversed(written.items())))
    assert not fingerprints.is_as_written({**written, "b": 1.5000000000000002})
