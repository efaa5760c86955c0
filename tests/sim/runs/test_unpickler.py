"""Reading a checkpoint runs no code of the file's, whatever is in it, and takes no more than the file is large."""

import io
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marginquake.sim.runs import checkpoint, unpickler
from marginquake.sim.runs.admitted import NotAdmitted
from marginquake.sim.runs.checkpoint import read_checkpoint, read_job
from marginquake.sim.runs.directory import RunDirectoryError
from marginquake.sim.runs.model_pickle import ArrayPickler
from marginquake.sim.runs.object_state import Malformed
from tests.golden import THOROUGH
from tests.support.faults.seals import sealed_checkpoint
from tests.support.foreign.pickles import ATTACKS, called, named, text, whole
from tests.support.paths import ROOT

MUTANTS = 20_000 if THOROUGH else 300


def header(**changes: Any) -> bytes:
    job = {
        "name": "tiny", "scenario_digest": "0" * 64, "seed": 1, "every_ns": 10**9, "check_invariants": False,
        "figures": False, "python_path": [], "command": [], "now_ns": 0, "duration_ns": 10**9, "wall_seconds": 0.0,
        "resumed_at_s": [], "twin_of": None,
    }  # fmt: skip
    return json.dumps({"made_with": checkpoint.made_with(), "job": {**job, **changes}}).encode() + b"\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tiny.partial").mkdir()
    return tmp_path / "tiny.partial"


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_checkpoint_that_tries_to_act_is_refused_in_one_sentence(folder: Path, attack: str) -> None:
    (folder / "checkpoint").write_bytes(sealed_checkpoint(header(), whole(ATTACKS[attack])))
    with pytest.raises(RunDirectoryError, match="its checkpoint") as caught:
        read_checkpoint(folder)
    assert str(caught.value).startswith(f"{folder}: ")
    assert len(str(caught.value)) < 700
    assert not Path("/tmp/marginquake-was-here").exists()


def test_no_attack_and_no_mutant_of_a_real_checkpoint_does_anything() -> None:
    """In a process with an audit hook: imports, files, processes, compiled code, and Python's own way of reading."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.foreign.pickles", "18", str(MUTANTS)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    print(found)
    assert found["acted"] == {}
    assert found["let_in"] == []
    assert found["guard_sees"], "the guard is blind"
    assert found["read"] >= MUTANTS // 50, "mutants of which none can be read say little"
    assert found["tried"] == len(ATTACKS) + MUTANTS
    assert found["more_memory_mb"] < 300
    assert found["slowest_s"] < 20


def test_a_function_beside_the_builders_is_not_one() -> None:
    with pytest.raises(NotAdmitted, match=r"model_pickle:_by_name"):
        unpickler.load(whole(called(named("marginquake.sim.runs.model_pickle", "_by_name"), text("x"))))


def test_an_array_of_objects_is_not_stored_for_others_to_read() -> None:
    stored = io.BytesIO()
    ArrayPickler(stored, protocol=5).dump(np.array([None, 1], object))
    with pytest.raises(NotAdmitted, match="numpy"):
        unpickler.load(stored.getvalue())


def test_the_same_bytes_cannot_be_many_arrays() -> None:
    """A small file would become any number of large arrays."""
    module, raw = "marginquake.sim.runs.model_pickle", b"B" + (10**6).to_bytes(4, "little") + b"\0" * 10**6 + b"\x94"
    dtype = called(named(module, "build_dtype"), text("|u1"))
    again = b"h\0J\x40\x42\x0f\0\x85" + dtype + text("C") + b"\x88"
    many = raw + b"0" + b"](" + b"".join(named(module, "build_array") + b"(" + again + b"tR" for _ in range(5)) + b"e"
    with pytest.raises(Malformed, match="larger arrays than its file"):
        unpickler.load(whole(many))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../../elsewhere"},
        {"name": "/tmp/elsewhere"},
        {"name": "twins"},
        {"name": 3},
        {"python_path": "evil"},
        {"now_ns": "x"},
        {"command": [1]},
    ],
    ids=str,
)
def test_a_header_that_leads_elsewhere_is_refused(folder: Path, changes: dict[str, Any]) -> None:
    (folder / "checkpoint").write_bytes(sealed_checkpoint(header(**changes), whole(b"N")))
    for read in (read_job, read_checkpoint):
        with pytest.raises(RunDirectoryError, match="checkpoint: damaged"):
            read(folder)


@pytest.mark.parametrize("line", [b"{", b"[]\n", b"[" * 100_000 + b"\n", b"{}\n", b"\xff\n", b'{"made_with": 3}\n'])
def test_a_header_that_is_no_header_is_refused(folder: Path, line: bytes) -> None:
    (folder / "checkpoint").write_bytes(sealed_checkpoint(line, b""))
    with pytest.raises(RunDirectoryError, match="checkpoint: damaged"):
        read_job(folder)


def test_the_folders_of_a_header_are_searched_only_with_leave(folder: Path) -> None:
    before = list(sys.path)
    (folder / "checkpoint").write_bytes(sealed_checkpoint(header(python_path=[str(folder)]), whole(b"N")))
    assert read_checkpoint(folder)[1] is None
    assert sys.path == before


def test_what_is_written_names_only_what_may_be_read() -> None:
    """Python's own reader still reads it: that is how classes of the user come back, with leave."""
    stored = io.BytesIO()
    ArrayPickler(stored, protocol=5).dump([np.arange(3)[1:], np.float32(2), {"a": np.random.default_rng(1)}])
    view, number, generator = pickle.loads(stored.getvalue())
    assert (view.tolist(), number) == ([1, 2], 2.0)
    assert generator["a"].random() == np.random.default_rng(1).random()
