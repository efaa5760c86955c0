"""Facts about sweeps on a cluster: scheduler and workers are other processes, reached over TCP, and may die."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support.installed_wheel import InstalledWheel
from tests.support.paths import TINY_SWEEP

WHERE = "import marginquake, marginquake.sim, marginquake.agents as a; print(marginquake.__file__); print(a.__file__)"


@pytest.fixture
def environment(installed_wheel: InstalledWheel, tmp_path: Path) -> dict[str, str]:
    """Processes start elsewhere, with the installed code; compiling it for seconds of market does not pay."""
    env = installed_wheel.environment(NUMBA_DISABLE_JIT="1")
    where = [installed_wheel.python, "-c", WHERE]
    found = subprocess.run(where, env=env, cwd=tmp_path, capture_output=True, text=True)
    assert found.stdout.count(str(installed_wheel.folder)) == 2, found.stdout + found.stderr
    return env


def wait_for(path: Path, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.model
def test_two_workers_over_tcp_make_every_point_though_one_is_killed(
    installed_wheel: InstalledWheel, environment: dict[str, str], tmp_path: Path
) -> None:
    python = str(installed_wheel.python)
    address_file, out = tmp_path / "scheduler.json", tmp_path / "runs"
    quiet = {"env": environment, "cwd": tmp_path, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    dask = [python, "-m", "dask"]
    scheduler = subprocess.Popen(
        [*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file",
         str(address_file)], **quiet)  # fmt: skip
    processes = [scheduler]
    try:
        wait_for(address_file, scheduler)
        address = json.loads(address_file.read_text())["address"]
        assert address.startswith("tcp://127.0.0.1:")
        for name in ("first", "second"):
            worker = [*dask, "worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--name", name]
            processes.append(subprocess.Popen(worker, **quiet))
        short = TINY_SWEEP.read_text().replace("tiny.yaml", str(TINY_SWEEP.parent / "tiny.yaml"))
        file = tmp_path / "tiny_sweep.yaml"
        file.write_text(short.replace("duration=8s", "duration=2s, warmup=1s"))
        command = [python, "-m", "marginquake", "sweep", str(file), "--scheduler", address, "--out", str(out)]
        sweep = subprocess.Popen([*command, "--quiet"], env=environment, cwd=tmp_path, stderr=subprocess.PIPE)
        processes.append(sweep)
        points = out / "sweeps" / "tiny_sweep" / "points"
        deadline = time.monotonic() + 300
        while len(list(points.glob("tiny-*"))) < 2:
            assert sweep.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        processes[1].send_signal(signal.SIGKILL)
        _, errors = sweep.communicate(timeout=300)
        assert sweep.returncode == 0, errors
    finally:
        for process in processes[::-1]:
            process.kill()
            process.wait()
    table = pq.read_table(out / "sweeps" / "tiny_sweep" / "results.parquet")
    assert table.num_rows == 8
    assert len(list(points.glob("tiny-*"))) == 8
