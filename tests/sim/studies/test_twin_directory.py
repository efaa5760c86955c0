"""`runs/twins/`: names, what is off, what `list` says of it, what `clean` leaves and deletes.  No run is simulated."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from marginquake.sim.studies.twin_runs import Twin, list_twins, orphans, read_twin_run, said_off, twin_name, twin_of
from tests.support.command_line import marginquake

BASE, OTHER = "a" * 64, "b" * 64


def a_run(path: Path, age: int = 0, digest: str = BASE, fall: float = 0.0123, **manifest: object) -> Path:
    path.mkdir(parents=True)
    (path / "manifest.json").write_text(
        json.dumps({"schema_version": 1, "status": "complete", "scenario_digest": digest, **manifest})
    )
    summary = {"margin_calls": 1234, "max_drawdown_fraction": fall, "max_rise_fraction": 0.045}
    summary |= {"fall_from_start_fraction": 0.0111, "rise_from_start_fraction": 0.0}
    (path / "summary.json").write_text(json.dumps(summary))
    os.utime(path / "manifest.json", (1_000_000 - age, 1_000_000 - age))
    return path


def a_twin(runs: Path, without: Sequence[str], base: str = BASE, seed: int = 1) -> Path:
    name = twin_name("squeeze", without, "c" * 64, seed)
    return a_run(runs / "twins" / name, digest="c" * 64, twin_of=twin_of("squeeze-aaaaaaaa-s1", base, without))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two runs of two scenarios, an old and a new one; twins of both, and one that says nothing."""
    folder = tmp_path / "runs"
    a_run(folder / "squeeze-aaaaaaaa-s1")
    a_run(folder / "calm-bbbbbbbb-s1", age=100, digest=OTHER)
    a_twin(folder, ["liquidation"])
    a_twin(folder, [], seed=2)
    a_twin(folder, ["stops", "liquidation"], base=OTHER)
    a_run(folder / "twins" / "squeeze-12345678-s1")
    return folder


def test_a_name_says_what_is_off_in_any_order_and_whose_content_it_has() -> None:
    assert twin_name("long_squeeze", ["liquidation"], "357c92fb77", 1) == "long_squeeze-without-liquidation-357c92fb-s1"
    both = "long_squeeze-without-liquidation-and-stops-357c92fb-s20"
    assert twin_name("long_squeeze", ["stops", "liquidation"], "357c92fb77", 20) == both
    assert twin_name("long_squeeze", ["liquidation", "stops"], "357c92fb77", 20) == both
    assert twin_name("long_squeeze", [], "357c92fb77", 2) == "long_squeeze-357c92fb-s2", "nothing is off: as a run"
    assert twin_name("x", ["hft/desk 2"], "0" * 8, 1) == "x-without-hft_desk_2-00000000-s1", "a name of a folder"


def test_the_manifest_says_whose_twin_it_is_and_what_is_off(runs: Path) -> None:
    path = runs / "twins" / "squeeze-without-liquidation-cccccccc-s1"
    assert read_twin_run(path) == Twin(path, ("liquidation",), "squeeze-aaaaaaaa-s1", BASE)
    assert [twin.without for twin in list_twins(runs)] == [None, (), ("liquidation", "stops"), ("liquidation",)]
    assert said_off(("liquidation", "stops")) == "without liquidation and stops"
    assert (said_off(()), said_off(None)) == ("everything on", "not said what is off")


def test_list_names_the_twins_with_what_is_off(runs: Path) -> None:
    told = marginquake("list", "--twins", "--out", runs)
    assert told.exit_code == 0, told.output
    line = f"{runs}/twins/squeeze-without-liquidation-cccccccc-s1  without liquidation (of squeeze-aaaaaaaa-s1); "
    assert line + "1,234 margin calls, fall from the start 1.11%, rise from the start 0.00%" in told.stdout.splitlines()
    assert len(told.stdout.splitlines()) == 4
    assert marginquake("list", "scenarios", "--twins", "--out", runs).exit_code == 2


def test_list_of_runs_leaves_twins_out_and_says_where_they_are(runs: Path) -> None:
    told = marginquake("list", "runs", "--out", runs)
    assert [line.split()[0] for line in told.stdout.splitlines()] == [
        f"{runs}/calm-bbbbbbbb-s1",
        f"{runs}/squeeze-aaaaaaaa-s1",
    ]
    assert told.stdout.splitlines()[1].endswith("1,234 margin calls, largest rise 4.5%, largest fall 1.2%")
    assert told.stderr == f"and 4 twins in {runs}/twins: `marginquake list --twins`\n"


def test_twins_belong_to_every_run_of_their_scenario_whatever_its_seed(runs: Path) -> None:
    assert [twin.path.name for twin in orphans(runs)] == ["squeeze-12345678-s1"]
    gone = orphans(runs, [runs / "calm-bbbbbbbb-s1"])
    assert [twin.path.name for twin in gone] == [
        "squeeze-12345678-s1",
        "squeeze-without-liquidation-and-stops-cccccccc-s1",
    ]
    a_run(runs / "calm-bbbbbbbb-s7", digest=OTHER)
    assert len(orphans(runs, [runs / "calm-bbbbbbbb-s1"])) == 1


def test_clean_leaves_twins_and_says_so(runs: Path) -> None:
    told = marginquake("clean", "--keep", 1, "--out", runs)
    assert told.stdout == f"deleted {runs}/calm-bbbbbbbb-s1\n"
    assert told.stderr == (
        f"left {runs}/twins: 4 twins, 2 of no run that is kept; `marginquake clean --twins` deletes those\n"
    )
    assert len(list_twins(runs)) == 4


def test_clean_of_twins_deletes_those_of_no_kept_run_and_no_run(runs: Path) -> None:
    told = marginquake("clean", "--twins", "--out", runs)
    assert told.stdout == f"deleted {runs}/twins/squeeze-12345678-s1\n"
    assert told.stderr == f"left {runs}/twins: 3 twins of runs that are kept\n"
    assert sorted(path.name for path in runs.iterdir()) == ["calm-bbbbbbbb-s1", "squeeze-aaaaaaaa-s1", "twins"]


def test_without_runs_all_twins_go_and_their_folder(runs: Path) -> None:
    told = marginquake("clean", "--keep", 0, "--twins", "--out", runs)
    assert (told.exit_code, told.stderr) == (0, "")
    assert len(told.stdout.splitlines()) == 6
    assert list(runs.iterdir()) == []


def test_a_dry_run_says_what_would_go_and_deletes_nothing(runs: Path) -> None:
    before = sorted(runs.rglob("*"))
    said = marginquake("clean", "--keep", 1, "--twins", "--dry-run", "--out", runs)
    assert sorted(runs.rglob("*")) == before
    done = marginquake("clean", "--keep", 1, "--twins", "--out", runs)
    assert said.stdout == done.stdout.replace("deleted", "would delete")
    assert said.stderr == done.stderr
    assert marginquake("clean", "--dry-run", "--out", runs).exit_code == 2


def test_sweeps_are_left_and_said_to_be(runs: Path) -> None:
    (runs / "sweeps" / "depth").mkdir(parents=True)
    assert f"left {runs}/sweeps: " in marginquake("clean", "--keep", 0, "--out", runs).stderr
