"""A run directory is complete or absent, and any data tool reads it."""

import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marginquake.sim.core.records import AUDIT, EVENT, EventKind
from marginquake.sim.runs import directory, leftovers, partial_runs
from marginquake.sim.runs.directory import RunData, RunDirectoryError
from tests.support.paths import ROOT

NAME = "demo-12345678-s7"
MANIFEST = {"seed": 7, "event_digest": "abc"}


@dataclass(frozen=True)
class Text:
    source_text: str = "name: demo  # as written\n"

    def resolved_yaml(self) -> str:
        return "name: demo\nseed: 7\n"


def some_events(count: int) -> np.ndarray[Any, Any]:
    events = np.zeros(count, EVENT)
    events["time_ns"] = np.arange(count) * 1_000_000
    events["kind"] = int(EventKind.FILL)
    events["side"] = -1
    events["money"] = -5
    events["quantity_lots"] = 1 + np.arange(count) % 7
    return events


def some_run(calls: int = 3) -> RunData:
    return RunData(
        events={"main": some_events(1000), "empty": some_events(0)},
        audit={"main": np.zeros(3, AUDIT)},
        series={
            "market": ["main", "main"],
            "time_s": np.array([-1.0, 0.0]),
            "mid": np.array([np.nan, 100_000.5]),
            "margin_calls": np.array([0, calls]),
        },
        accounts={"market": ["main"], "row": np.array([3]), "isolated": np.array([True])},
        maps={"markets": np.array(["main"]), "main/time_s": np.array([0.0, 10.0])},
        summary={"margin_calls": np.int64(calls), "fuel_ratio_within_1pct": math.nan, "scenario": "demo"},  # type: ignore[dict-item]
        populations={
            "market": ["main"],
            "time_s": np.array([0.0]),
            "population": ["retail"],
            "net_lots": np.array([3]),
        },
    )


def write(parent: Path, calls: int = 3, name: str = NAME, **options: Any) -> Path:
    with directory.new_run(parent, name) as folder:
        return directory.write_run(folder, some_run(calls), Text(), MANIFEST, name, **options)


def hidden(parent: Path) -> list[str]:
    return sorted(path.name for path in parent.glob(".*"))


def test_a_run_directory_holds_what_design_says(tmp_path: Path) -> None:
    path = write(tmp_path / "runs")
    files = sorted(str(file.relative_to(path)) for file in path.rglob("*"))
    assert files == [
        "accounts.parquet",
        "audit",
        "audit/main-00000.parquet",
        "events",
        "events/empty-00000.parquet",
        "events/main-00000.parquet",
        "figures",
        "liquidation_map.npz",
        "manifest.json",
        "populations.parquet",
        "scenario.resolved.yaml",
        "scenario.yaml",
        "series.parquet",
        "summary.json",
    ]
    assert (path / "scenario.yaml").read_text() == Text.source_text
    assert directory.is_complete(path)
    assert directory.read_manifest(path)["status"] == "complete"
    assert directory.read_manifest(path)["schema_version"] == 2
    assert hidden(tmp_path / "runs") == []


def test_summary_is_flat_strict_json(tmp_path: Path) -> None:
    path = write(tmp_path)
    text = (path / "summary.json").read_text()
    summary = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert summary == {"margin_calls": 3, "fuel_ratio_within_1pct": None, "scenario": "demo"}
    assert directory.read_summary(path) == summary


def test_a_new_run_replaces_the_old_one(tmp_path: Path) -> None:
    write(tmp_path, calls=1)
    (tmp_path / NAME / "note.txt").write_text("of the old run")
    path = write(tmp_path, calls=2)
    assert directory.read_summary(path)["margin_calls"] == 2
    assert not (path / "note.txt").exists()
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_while_writing_leaves_the_old_run_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    def fail(path: Path) -> None:
        assert (path / "manifest.json").exists()
        raise error

    with pytest.raises(error):
        write(tmp_path, finish=fail)
    assert list(tmp_path.iterdir()) == []
    write(tmp_path, calls=1)
    with pytest.raises(error):
        write(tmp_path, calls=2, finish=fail)
    assert directory.read_summary(tmp_path / NAME)["margin_calls"] == 1
    assert hidden(tmp_path) == []


def test_a_crash_between_the_two_renames_is_mended_by_the_next_run(tmp_path: Path) -> None:
    path = write(tmp_path, calls=1)
    kill_at(tmp_path, "path.rename(hidden)")
    assert not path.exists()
    assert [name.partition("-")[0] for name in hidden(tmp_path)] == [".lock", ".old"]
    leftovers.sweep_leftovers(tmp_path)
    assert directory.read_summary(path)["margin_calls"] == 1
    assert hidden(tmp_path) == []


def test_leftovers_of_the_living_and_other_peoples_dot_files_stay(tmp_path: Path) -> None:
    keep = [".git", ".tmp-without-token", f".tmp-{NAME}-1234", f".tmp-{NAME}-0123456789ab"]
    for name in keep:
        (tmp_path / name).mkdir()
    keep.append(".lock-of-somebody")
    (tmp_path / keep[-1]).touch()
    with leftovers.hidden(tmp_path, "tmp", NAME) as mine:
        mine.mkdir()
        leftovers.sweep_leftovers(tmp_path)
        assert hidden(tmp_path) == sorted([*keep, mine.name, f".lock-{mine.name[-12:]}"])
    assert hidden(tmp_path) == sorted(keep)


def kill_at(parent: Path, statement: str) -> None:
    """A process that has a hidden name for the run, does this and is killed."""
    code = f"""
import os, signal
from pathlib import Path
from marginquake.sim.runs import leftovers
path = Path({str(parent / NAME)!r})
with leftovers.hidden(path.parent, "old", path.name) as hidden:
    {statement}
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", code], cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "-x", "a b", "x" * 201])
def test_odd_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunDirectoryError, match="--name"):
        directory.check_target(tmp_path, name)


def test_a_folder_that_is_not_a_run_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "draft.tex").write_text("years of work")
    with pytest.raises(RunDirectoryError, match="not a run directory"):
        write(tmp_path, name="thesis")
    assert (tmp_path / "thesis" / "draft.tex").exists()


def test_out_must_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunDirectoryError, match="is not a folder"):
        directory.check_target(tmp_path / "file" / "runs", "x")


def test_runs_are_found_by_path_name_and_beginning(tmp_path: Path) -> None:
    path = write(tmp_path)
    other = write(tmp_path, name="demo-other")
    assert directory.find_run(str(path), tmp_path) == path
    assert directory.find_run(NAME, tmp_path) == path
    assert directory.find_run("demo-o", tmp_path) == other
    with pytest.raises(RunDirectoryError, match="several runs"):
        directory.find_run("demo", tmp_path)
    with pytest.raises(RunDirectoryError, match="no such run"):
        directory.find_run("calm", tmp_path)
    with pytest.raises(RunDirectoryError, match="not a run directory"):
        directory.find_run(str(tmp_path), tmp_path)


def test_clean_keeps_the_newest(tmp_path: Path) -> None:
    for number in range(4):
        path = write(tmp_path, name=f"run{number}")
        os.utime(path / "manifest.json", (number, number))
    (tmp_path / "not-a-run").mkdir()
    deleted = partial_runs.clean_runs(tmp_path, keep=1)
    assert [path.name for path in deleted] == ["run0", "run1", "run2"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["not-a-run", "run3"]


def test_a_truncated_manifest_is_not_a_run(tmp_path: Path) -> None:
    path = write(tmp_path)
    (path / "manifest.json").write_text('{"status": "comp')
    assert not directory.is_complete(path)
    assert directory.list_runs(tmp_path) == []


def test_a_run_without_summary_is_refused_with_its_path(tmp_path: Path) -> None:
    path = write(tmp_path)
    (path / "summary.json").unlink()
    with pytest.raises(RunDirectoryError, match=r"summary\.json"):
        directory.read_summary(path)


def test_pyarrow_reads_every_column_back(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    path = write(tmp_path)
    table = pq.read_table(path / "events" / "main-00000.parquet")
    expected = some_events(1000)
    assert table.column_names == list(EVENT.names or ())
    for name in table.column_names:
        assert table[name].to_numpy().dtype == expected[name].dtype
        np.testing.assert_array_equal(table[name].to_numpy(), expected[name])
    meta = pq.ParquetFile(path / "events" / "main-00000.parquet").metadata.row_group(0)
    encodings = {meta.column(i).path_in_schema: meta.column(i).encodings for i in range(meta.num_columns)}
    assert "DELTA_BINARY_PACKED" in encodings["time_ns"]


def test_pandas_reads_a_run(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    path = write(tmp_path)
    events = pandas.read_parquet(path / "events")
    assert len(events) == 1000
    assert int(events["quantity_lots"].sum()) == int(some_events(1000)["quantity_lots"].sum())
    series = pandas.read_parquet(path / "series.parquet")
    assert list(series["market"]) == ["main", "main"]
    assert math.isnan(series["mid"][0])
    assert bool(pandas.read_parquet(path / "accounts.parquet")["isolated"][0]) is True


def test_polars_reads_a_run(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    path = write(tmp_path)
    events = polars.read_parquet(path / "events" / "*.parquet")
    assert events.height == 1000
    assert events["side"].sum() == -1000
    assert polars.read_parquet(path / "series.parquet")["margin_calls"].to_list() == [0, 3]


def test_duckdb_reads_a_run(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    path = write(tmp_path)
    query = f"select count(*), sum(money), min(side) from '{path}/events/*.parquet'"
    assert duckdb.sql(query).fetchall() == [(1000, -5000, -1)]


def test_numpy_reads_the_maps(tmp_path: Path) -> None:
    with np.load(write(tmp_path) / "liquidation_map.npz") as maps:
        assert list(maps["markets"]) == ["main"]
        np.testing.assert_array_equal(maps["main/time_s"], [0.0, 10.0])


def test_run_data_may_be_extended_without_being_changed() -> None:
    data = some_run()
    longer = replace(data, summary={**data.summary, "wall_seconds": 1.0})
    assert "wall_seconds" not in data.summary
    assert longer.summary["wall_seconds"] == 1.0
