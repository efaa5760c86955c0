"""`marginquake doctor`: what it finds, and that it fails where something is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from marginquake import agents
from marginquake.sim import kernels
from marginquake.sim.studies import diagnosis
from tests.support.paths import ROOT


def run_doctor(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "marginquake", "doctor", "--no-speed", *options],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


def test_json_holds_the_facts_and_nothing_else(tmp_path: Path) -> None:
    done = run_doctor("--json", "--out", str(tmp_path))
    facts = json.loads(done.stdout)
    assert done.returncode == (0 if facts["well"] else 1)
    assert facts["packages"].keys() >= {"numpy", "numba", "mesa"}
    assert facts["free_bytes"] > 0
    assert "marginquake.sim.kernels.rulebook.process" in facts["kernels"] or not facts["jit"]


def test_interpreted_kernels_are_wrong_and_the_way_out_is_said(tmp_path: Path) -> None:
    done = run_doctor("--out", str(tmp_path), NUMBA_DISABLE_JIT="1")
    assert done.returncode == 1
    assert "unset NUMBA_DISABLE_JIT" in done.stderr


def test_a_runs_folder_that_cannot_be_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run_doctor("--out", str(tmp_path / "file" / "runs"))
    assert done.returncode == 1
    assert f"runs: {tmp_path / 'file'}: cannot be written; name another folder with --out" in done.stderr


def test_a_cache_folder_that_cannot_be_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run_doctor("--out", str(tmp_path), MARGINQUAKE_CACHE=str(tmp_path / "file" / "cache"))
    assert done.returncode == 1
    assert "set MARGINQUAKE_CACHE" in done.stderr


def test_nothing_is_compiled_in_an_empty_cache(tmp_path: Path) -> None:
    done = run_doctor("--json", "--out", str(tmp_path), MARGINQUAKE_CACHE=str(tmp_path / "cache"))
    assert done.returncode == (0 if kernels.JIT else 1)
    assert not any(json.loads(done.stdout)["kernels"].values())


def test_prune_deletes_other_versions_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARGINQUAKE_CACHE", str(tmp_path))
    present = kernels.cache_directory()
    for folder in (present, present.with_name(present.name + "-checked"), tmp_path / "kernels-0123"):
        folder.mkdir()
        (folder / "kernel.nbc").write_bytes(bytes(1000))
    assert diagnosis.other_versions() == [tmp_path / "kernels-0123"]
    assert diagnosis.delete_old_kernels() == 1000
    assert present.is_dir()
    assert not (tmp_path / "kernels-0123").exists()


@pytest.mark.skipif(not kernels.JIT, reason="nothing is compiled")
def test_every_kernel_is_found_by_its_name() -> None:
    found = diagnosis.compiled_kernels((kernels, agents))
    assert "marginquake.agents.toolbox.flow_kernels.draw_orders" in found
    assert "marginquake.sim.kernels.draws.fill_units" in found
