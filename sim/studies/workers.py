"""Runs the missing points of a sweep on dask.distributed and keeps each as soon as it is finished.

One engine and one code path: a LocalCluster of processes on this machine, or any cluster by its scheduler's address.
Workers simulate and send the finished run directory back as bytes; only this process writes, so that no shared file
system is needed, and a killed worker costs only the point it was at.
"""

import contextlib
import logging
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from marginquake.sim.kernels import cache_directory
from marginquake.sim.runs import leftovers
from marginquake.sim.runs.sweep_plan import Failure
from marginquake.sim.studies.sweep_directory import SweepDirectory

LOG = logging.getLogger("marginquake")
TASKS_A_WORKER = 2
"""Sent to each worker at a time: one runs, one waits."""
ATTEMPTS = 3
"""Workers that may die over a point before it is given up."""
CONNECT_S = 15.0
"""How long to try an address."""
PATIENCE_S = 60.0
"""How long to wait for the workers of a cluster."""


@final
@dataclass(frozen=True, slots=True)
class Task:
    """One run to be made: `text` is the resolved scenario, all that a worker needs."""

    point: int
    seed: int
    run: str
    text: str


@final
@dataclass(frozen=True, slots=True)
class SweepProgress:
    """Where a sweep stands.  `left_s`: seconds to go at the present pace."""

    done: int
    failed: int
    total: int
    left_s: float


Execute = Callable[[str, str, int], bytes]
"""(resolved scenario, name of the run, seed) -> the packed run directory.  Must be importable by workers."""


def run_tasks(
    tasks: Sequence[Task],
    directory: SweepDirectory,
    farm: "Farm",
    progress: Callable[[SweepProgress], None] | None = None,
) -> list[Failure]:
    """Run all tasks; each result is kept at once.  Returns those that failed; a failure stops nothing else."""
    failures: list[Failure] = []
    started = time.perf_counter()
    for done, (task, packed) in enumerate(farm.results(tasks), start=1):
        if isinstance(packed, bytes):
            directory.accept(task.run, packed)
        else:
            failures.append(Failure(task.point, task.seed, packed))
            directory.note_failure(failures[-1])
            LOG.info("failed: %s: %s", task.run, packed)
        if progress is not None:
            left = (len(tasks) - done) * (time.perf_counter() - started) / done
            progress(SweepProgress(done, len(failures), len(tasks), left))
    return failures


@contextlib.contextmanager
def open_farm(execute: Execute, workers: int, scheduler: str | None = None) -> Iterator["Farm"]:
    """Workers that stay until the block ends: own processes, or those of the scheduler at this address."""
    with _client(workers, scheduler) as client:
        yield Farm(client, execute)


@final
class Farm:
    """Keeps every worker busy, and no more waiting than each needs."""

    def __init__(self, client: Any, execute: Execute) -> None:
        self._client = client
        self._execute = execute

    def results(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, bytes | str]]:
        """Every task with its result, as they finish: the packed run, or what went wrong."""
        from distributed import as_completed

        waiting = deque(tasks)
        under_way: dict[str, Task] = {}
        queue = as_completed(with_results=False)

        def send(worker: str | None = None) -> None:
            task = waiting.popleft()
            where = {} if worker is None else {"workers": [worker]}
            key = f"{task.run}-{time.monotonic_ns()}"
            future = self._client.submit(self._execute, task.text, task.run, task.seed, key=key, pure=False, **where)
            under_way[future.key] = task
            queue.add(future)

        try:
            # A host without compiled kernels compiles them once, in its first run, before its other workers need them.
            for worker in self._cold_hosts()[: len(waiting)]:
                send(worker)
            compiling = len(under_way)
            while under_way or waiting:
                while waiting and not compiling and len(under_way) < self._room():
                    send()
                future = next(queue)
                task = under_way.pop(future.key)
                compiling = max(0, compiling - 1)
                yield task, _outcome(future)
                future.release()
        finally:
            self._client.cancel(list(queue.futures), force=True)

    def _room(self) -> int:
        return TASKS_A_WORKER * max(1, len(self._workers()))

    def _workers(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._client.scheduler_info(n_workers=-1)["workers"]
        return found

    def _cold_hosts(self) -> list[str]:
        """One worker of every host that has no compiled kernels yet."""
        by_host: dict[str, str] = {}
        for address, facts in self._workers().items():
            by_host.setdefault(facts["host"], address)
        cold = self._client.run(kernels_are_cold, workers=list(by_host.values()))
        return [address for address, is_cold in cold.items() if is_cold]


def kernels_are_cold() -> bool:
    """True while no kernels of this version of the sources have been compiled on this machine."""
    folder = cache_directory()
    return not (folder.is_dir() and any(folder.rglob("*.nbi")))


def _outcome(future: Any) -> bytes | str:
    if future.status == "finished":
        result: bytes = future.result()
        return result
    error = future.exception()
    if type(error).__name__ == "KilledWorker":
        return f"{ATTEMPTS + 1} workers died while they ran it (out of memory?)"
    return f"{type(error).__name__}: {error}"


@contextlib.contextmanager
def _client(workers: int, scheduler: str | None) -> Iterator[Any]:
    """A client of the scheduler at this address, or of a cluster of our own on this machine."""
    import dask
    from distributed import Client, LocalCluster

    settings = {
        "distributed.scheduler.allowed-failures": ATTEMPTS,
        "distributed.comm.timeouts.connect": "15s",
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
        "distributed.worker.memory.terminate": False,
        "distributed.admin.large-graph-warning-threshold": "1 GiB",
    }
    for name in ("distributed", "distributed.nanny", "distributed.worker", "distributed.scheduler"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with dask.config.set(settings):
        if scheduler is not None:
            with _connect(scheduler) as client:
                yield client
            return
        _begin_tracker()
        with leftovers.scratch("workers") as folder:
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address="127.0.0.1:0",
                memory_limit=None,
                silence_logs=logging.CRITICAL,
                local_directory=str(folder),
            )
            try:
                with Client(cluster) as client:
                    yield client
            finally:
                with contextlib.suppress(TimeoutError):  # on a busy machine they may outlast it; they end with it
                    cluster.close(timeout=30)
                leftovers.sweep_leftovers(leftovers.scratch_folder())


def _begin_tracker() -> None:
    """Python's own process that counts semaphores: it ignores Ctrl-C, and is to outlive a hang-up too."""
    from multiprocessing import resource_tracker

    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        resource_tracker.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class ClusterUnreachable(ValueError):
    """No scheduler answers at the address given, or it has no workers."""


@contextlib.contextmanager
def _connect(scheduler: str) -> Iterator[Any]:
    from distributed import Client

    try:
        client = Client(scheduler, timeout=CONNECT_S)
    except (OSError, ValueError, TimeoutError) as error:
        raise ClusterUnreachable(f"--scheduler {scheduler}: no scheduler answers there ({error})") from None
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE_S)
        except TimeoutError:
            raise ClusterUnreachable(f"--scheduler {scheduler}: no worker came within {PATIENCE_S:.0f} s") from None
        yield client
