"""Facts about the sweep engine: nothing finished is lost, nothing is done twice, failures stop nothing else."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from marginquake.sim.cli import main
from marginquake.sim.core.version import MODEL_VERSION
from marginquake.sim.runs.directory import RunDirectoryError, run_name
from marginquake.sim.runs.sweep_plan import Failure, is_sweep, read_failures, read_plan
from marginquake.sim.studies import run as running
from marginquake.sim.studies import sweep as sweeping
from marginquake.sim.studies import workers
from marginquake.sim.studies.design import load_sweep
from marginquake.sim.studies.sweep_directory import SweepDirectory
from marginquake.sim.studies.workers import ClusterUnreachable, Execute, SweepProgress, Task, open_farm, run_tasks
from tests.support import sweep_jobs
from tests.support.paths import SCENARIOS, TINY_SWEEP

SWEEP = ("sweep", str(TINY_SWEEP), "--quiet", "--out")


def run(tmp_path: Path, execute: Execute, seeds: int, text: str = "") -> tuple[SweepDirectory, list[Failure]]:
    directory = SweepDirectory(tmp_path / "sweep")
    directory.points.mkdir(parents=True)
    tasks = [Task(0, seed, f"fake-{seed}", text) for seed in range(1, seeds + 1)]
    seen: list[SweepProgress] = []
    with open_farm(execute, workers=2) as farm:
        failures = run_tasks(tasks, directory, farm, seen.append)
    assert [each.done for each in seen] == list(range(1, seeds + 1))
    assert seen[-1].left_s == 0
    return directory, failures


def held(directory: SweepDirectory, seeds: int) -> list[int]:
    return [seed for seed in range(1, seeds + 1) if directory.holds(f"fake-{seed}")]


@pytest.mark.slow
def test_a_run_that_fails_is_reported_and_stops_no_other(tmp_path: Path) -> None:
    directory, failures = run(tmp_path, sweep_jobs.fails_on_odd_seeds, 6)
    assert held(directory, 6) == [2, 4, 6]
    assert sorted(failure.seed for failure in failures) == [1, 3, 5]
    assert "ZeroDivisionError: seed" in failures[0].error
    assert [(kept.seed, kept.point) for kept in read_failures(directory.path)] == [(f.seed, 0) for f in failures]
    directory.forget_failures([(0, 1), (0, 3)])
    assert [kept.seed for kept in read_failures(directory.path)] == [5]
    directory.forget_failures([(0, 5)])
    assert not (directory.path / "failures.json").exists()


@pytest.mark.slow
def test_a_killed_worker_costs_only_its_point_which_is_run_again(tmp_path: Path) -> None:
    directory, failures = run(tmp_path, sweep_jobs.kills_its_first_worker, 6, text=str(tmp_path))
    assert failures == []
    assert (tmp_path / "tried-3").exists()
    assert held(directory, 6) == [1, 2, 3, 4, 5, 6]


def test_nobody_at_the_address_is_the_users_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "CONNECT_S", 1.0)
    with (
        pytest.raises(ClusterUnreachable, match="no scheduler answers there"),
        open_farm(sweep_jobs.finished, 1, scheduler="tcp://127.0.0.1:9"),
    ):
        pass


def test_every_point_is_checked_before_any_is_run(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    tiny = TINY_SWEEP.parent / "tiny.yaml"
    file.write_text(f"scenario: {tiny}\naxes:\n  lev: {{path: populations.crowd.leverage, values: [5, -1]}}\n")
    with pytest.raises(ValueError, match=r"populations.crowd.leverage.*\(point 1: lev = -1\)"):
        sweeping.plan_sweep(load_sweep(file))


def test_a_worker_of_another_version_is_refused() -> None:
    plan = sweeping.plan_sweep(load_sweep(TINY_SWEEP))
    with pytest.raises(RuntimeError, match="another version of marginquake"):
        sweeping.run_point(plan.texts[0], "tiny-00000000-s1", 1)


def test_names_of_runs_do_not_depend_on_the_machine_that_resolved_them(tmp_path: Path) -> None:
    """What `run_point` checks: a scenario read back from its resolved text has the digest it was named by."""
    plan = sweeping.plan_sweep(load_sweep(TINY_SWEEP))
    assert len(set(plan.runs.values())) == 8
    for name in ("long_squeeze", "crash_2024_08_05", "everyday_market"):
        file = tmp_path / f"{name}.yaml"
        scenario = SCENARIOS / f"{name}.yaml"
        file.write_text(
            f"scenario: {scenario}\naxes: {{s: {{path: index.feedback.enabled, values: ['true']}}}}\nseeds: 1"
        )
        one = sweeping.plan_sweep(load_sweep(file))
        text = tmp_path / "resolved.yaml"
        text.write_text(one.texts[0])
        again = running.load_scenario(text)
        assert run_name(again.name, again.digest(MODEL_VERSION), 1) == one.runs[0, 1]


def marginquake(out: Path, *options: str) -> Result:
    return CliRunner().invoke(main.app, [*SWEEP, str(out), *options])


@pytest.mark.slow
@pytest.mark.model
def test_after_kill_9_resume_runs_exactly_what_is_missing_and_the_table_is_the_same(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    sweeping.run_sweep(sweeping.plan_sweep(load_sweep(TINY_SWEEP)), whole, workers=1)
    process = subprocess.Popen(
        [sys.executable, "-m", "marginquake", *SWEEP, str(broken), "--workers", "2"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    points = broken / "sweeps" / "tiny_sweep" / "points"
    deadline = time.monotonic() + 300
    while len(list(points.glob("tiny-*"))) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    made = {path.name: (path / "manifest.json").stat().st_mtime_ns for path in points.glob("tiny-*")}
    assert 2 <= len(made) < 8

    refused = marginquake(broken)
    assert refused.exit_code == 2
    assert f"{len(made)} of 8 runs are finished; --resume" in refused.stderr
    resumed = marginquake(broken, "--resume", "--workers", "1")
    assert resumed.exit_code == 0, resumed.stderr
    assert {name: (points / name / "manifest.json").stat().st_mtime_ns for name in made} == made, "done once"
    tables = [pq.read_table(out / "sweeps" / "tiny_sweep" / "results.parquet") for out in (whole, broken)]
    assert tables[0].num_rows == 8
    assert tables[0].equals(tables[1])
    assert not list(points.glob(".tmp-*")), "what was half written is swept"


@pytest.mark.slow
@pytest.mark.model
def test_a_limit_leaves_the_rest_for_later_and_the_table_can_be_made_anew(tmp_path: Path) -> None:
    plan = sweeping.plan_sweep(load_sweep(TINY_SWEEP))
    first = sweeping.run_sweep(plan, tmp_path, workers=1, limit=1)
    assert (first.made, first.left, first.failures) == (1, 7, ())
    with pytest.raises(RunDirectoryError, match="1 of 8 runs are finished"):
        sweeping.run_sweep(plan, tmp_path)
    assert is_sweep(first.path)
    table = pq.read_table(first.path / "results.parquet")
    assert table.column("point").to_pylist() == [0]
    assert table.column("axis_leverage").to_pylist() == [20]
    assert not {"wall_seconds", "steps_per_second"} & set(table.column_names)
    (first.path / "results.parquet").unlink()
    again = sweeping.run_sweep(plan, tmp_path, limit=0, resume=True)
    assert (again.made, again.left) == (0, 7)
    assert pq.read_table(first.path / "results.parquet").equals(table)
    assert read_plan(first.path).points[0].runs[1] == plan.runs[0, 1]


@pytest.mark.slow
@pytest.mark.model
def test_workers_stay_flat_in_memory() -> None:
    """Mesa 3.3 keeps every model alive unless it is let go: 16 runs would hold 16 markets."""
    code = (
        "import resource; from pathlib import Path; from marginquake.sim.studies import sweep as sweep_api\n"
        "from marginquake.sim.studies.design import load_sweep\n"
        f"plan = sweep_api.plan_sweep(load_sweep(Path({str(TINY_SWEEP)!r})))\n"
        "rss = lambda: int(open('/proc/self/statm').read().split()[1]) * resource.getpagesize() / 2**20\n"
        "text = plan.texts[0].replace('duration: 8s', 'duration: 1s').replace('warmup: 10s', 'warmup: 1s')\n"
        "from marginquake.sim.studies import run as running; from marginquake.sim.runs.directory import run_name\n"
        "from marginquake.sim.core.version import MODEL_VERSION\n"
        "import tempfile; file = Path(tempfile.mkdtemp()) / 's.yaml'; file.write_text(text)\n"
        "name = running.load_scenario(file); digest = name.digest(MODEL_VERSION)\n"
        "one = lambda seed: sweep_api.run_point(text, run_name(name.name, digest, seed), seed)\n"
        "[one(seed) for seed in range(1, 9)]; before = rss()\n"
        "[one(seed) for seed in range(9, 25)]; print(rss() - before)\n"
    )
    if not Path("/proc/self/statm").exists():
        pytest.skip("no /proc")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 8.0, "MB more after 16 runs"
