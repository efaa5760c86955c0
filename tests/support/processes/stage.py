"""Processes that are led by a test: each does one thing and stops where the test wants it to.

A stage is a process of its own (in another PID namespace, if asked for) that has imported what is needed and forks for
every part, so that a part costs milliseconds.  A part waits before each call that it was told to stop at, until the
test says go; so two of them can be led through every order of their steps.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT

NEW_NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc")


def can_unshare() -> bool:
    """Whether this user may make a PID namespace."""
    try:
        return subprocess.run([*NEW_NAMESPACE, "true"], capture_output=True).returncode == 0
    except OSError:
        return False


# ---- the test's side -----------------------------------------------------------------------------------------------


class Stage:
    """Where parts are played; `start` begins one."""

    def __init__(self, folder: Path, prefix: Sequence[str] = (), warm: str = "") -> None:
        self._folder = folder
        self._count = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "tests.support.processes.stage", str(folder), warm],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def start(self, part: str, *arguments: object, stops: Sequence[str] = (), locks: bool = True) -> "Part":
        """Begin a part: a name of `PARTS`.  `stops`: of `STOPS`.  `locks`: False where flock is to have no effect."""
        self._count += 1
        pipes = [self._folder / f"{self._count}.{way}" for way in ("in", "out")]
        for pipe in pipes:
            os.mkfifo(pipe)
        job = {
            "part": part,
            "arguments": [str(each) if isinstance(each, Path) else each for each in arguments],
            "stops": list(stops),
            "locks": locks,
            "pipes": [str(pipe) for pipe in pipes],
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return Part(*pipes, self)

    def kill(self, pid: int) -> None:
        """SIGKILL to a part, by its number in the stage's own namespace."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"kill": pid}) + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "killed\n"

    def close(self) -> None:
        """End it and every part."""
        self._process.kill()
        self._process.communicate()


class Part:
    """One process on a stage."""

    def __init__(self, into: Path, out: Path, stage: Stage) -> None:
        self._into = into.open("w", encoding="utf-8")
        self._out = out.open(encoding="utf-8")
        self._stage = stage
        self.pid = int(self._out.readline())
        self.result: Any = None

    def next(self) -> str:
        """Wait until it stops: where, or "" when it is done; raises AssertionError with its traceback if it failed."""
        line = self._out.readline()
        assert line, "it was killed"
        said: dict[str, Any] = json.loads(line)
        if "failed" in said:
            raise AssertionError(said["failed"])
        self.result = said.get("done")
        return str(said.get("at", ""))

    def go(self) -> None:
        """Let it go on from where it stopped."""
        self._into.write("go\n")
        self._into.flush()

    def step(self) -> bool:
        """Go on, and wait until it stops again; False when it is done."""
        self.go()
        return self.next() != ""

    def finish(self) -> Any:
        """Let it go on to its end, wherever it stops; what came of it."""
        while self.next():
            self.go()
        return self.result

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._stage.kill(self.pid)


def orders(first: int, second: int) -> Iterator[str]:
    """Every order of so many steps of `a` and so many of `b`."""
    if first + second == 0:
        yield ""
    if first:
        yield from ("a" + rest for rest in orders(first - 1, second))
    if second:
        yield from ("b" + rest for rest in orders(first, second - 1))


# ---- what is played ------------------------------------------------------------------------------------------------


def finish(parent: str, name: str, seed: int, replace: bool) -> str:
    """Make a small run; returns the name that it has."""
    from marginquake.sim.runs import directory
    from marginquake.sim.runs.directory import RunData

    class Text:
        source_text = "name: demo\n"

        def resolved_yaml(self) -> str:
            return "name: demo\n"

    manifest = {"scenario": "demo", "scenario_digest": "12345678", "seed": seed, "pid": os.getpid()}
    before = directory.holder(Path(parent) / name)
    with directory.new_run(Path(parent), name) as folder:
        stop("begun")
        data = RunData({}, {"time_s": [0.0]}, {"account": [0]}, {}, {"seed": seed})
        return directory.write_run(folder, data, Text(), manifest, name, None, replace, before).name


def place(parent: str, name: str) -> str:
    """Put a run that a worker has sent into a sweep."""
    from marginquake.sim.studies.sweep_directory import pack, unpack

    with tempfile.TemporaryDirectory() as folder:
        finish(folder, name, 1, False)
        packed = pack(Path(folder) / name)
    _stops.update(("rename",))
    return unpack(packed, Path(parent) / name).name


def begin(parent: str, name: str) -> str:
    """Begin a checkpointed run and complete it."""
    from marginquake.sim.runs import directory, partial_runs

    def first_checkpoint(folder: Path) -> None:
        (folder / "checkpoint").write_text("not read here")

    before = directory.holder(Path(parent) / name)
    with partial_runs.begun(Path(parent), name, first_checkpoint) as folder:
        stop("begun")
        manifest = {
            "schema_version": 1,
            "status": "complete",
            "scenario": "demo",
            "scenario_digest": "12345678",
            "seed": 1,
        }
        (folder / "manifest.json").write_text(json.dumps(manifest))
        partial_runs.strip(folder)
        return directory.give_name(folder, name, False, before).name


def hold(folder: str) -> None:
    """Be at an interrupted run."""
    from marginquake.sim.runs import partial_runs

    with partial_runs.held(Path(folder)):
        stop("held")


def sweep(parent: str) -> None:
    """What every run does first."""
    from marginquake.sim.runs import leftovers

    leftovers.sweep_leftovers(Path(parent))


def clean(parent: str, keep: int) -> list[str]:
    """Delete runs; the names of those that went."""
    from marginquake.sim.runs import partial_runs

    return [path.name for path in partial_runs.clean_runs(Path(parent), keep)]


def delete(path: str) -> bool:
    """Delete one run."""
    from marginquake.sim.runs import leftovers

    return leftovers.delete(Path(path))


def command(*arguments: str) -> dict[str, Any]:
    """A whole command of `marginquake`: its exit code and what it said."""
    from tests.support.command_line import marginquake

    done = marginquake(*arguments)
    return {"code": done.exit_code, "said": done.output}


PARTS: Mapping[str, Callable[..., Any]] = {
    each.__name__: each for each in (finish, place, begin, hold, sweep, clean, delete, command)
}
STOPS = ("begun", "held", "rename")
"""Points of the parts above, and every rename of a folder."""
_pipes: list[Any] = []
_stops: set[str] = set()


def stop(point: str) -> None:
    """Wait here for the test, if it wants that."""
    if point in _stops:
        _say({"at": point})
        _pipes[0].readline()


def _say(what: Mapping[str, Any]) -> None:
    _pipes[1].write(json.dumps(what) + "\n")
    _pipes[1].flush()


@contextmanager
def _stopping(stops: Sequence[str], locks: bool) -> Iterator[None]:
    from marginquake.sim.core.outside.disk import Disk
    from marginquake.sim.runs import locks as module

    _stops.update(stops)
    rename = Disk.rename

    def rename_and_stop(self: Disk, source: Path, target: Path) -> None:
        if source.is_dir():
            stop("rename")
        rename(self, source, target)

    Disk.rename = rename_and_stop  # type: ignore[method-assign]
    if not locks:
        module._lock = lambda handle: None  # type: ignore[assignment]
    yield


def _play(job: Mapping[str, Any]) -> None:
    into, out = job["pipes"]
    _pipes[:] = [open(into, encoding="utf-8"), open(out, "w", encoding="utf-8")]  # noqa: SIM115
    _pipes[1].write(f"{os.getpid()}\n")
    _pipes[1].flush()
    try:
        with _stopping(job["stops"], job["locks"]):
            _say({"done": PARTS[job["part"]](*job["arguments"])})
    except BaseException:
        _say({"failed": traceback.format_exc()})


def _warm_up(scenario: str) -> None:
    """Load everything that a run needs, before anything is forked."""
    import pandas  # noqa: F401 - by way of pyarrow, in each part else
    import pyarrow.parquet  # noqa: F401

    from marginquake.sim.runs import directory, leftovers, partial_runs  # noqa: F401

    if scenario:
        import tests.support.command_line  # noqa: F401
        from marginquake.sim.runs.event_log import NoLog
        from marginquake.sim.studies import run as running

        running.simulate(running.load_scenario(scenario, ["duration=1s"]), 1, open_log=NoLog)


def main() -> None:
    """Read jobs, a line each, and fork for them."""
    _warm_up(sys.argv[2])
    print("ready", flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        if "kill" in job:
            os.kill(job["kill"], signal.SIGKILL)
            os.waitpid(job["kill"], 0)
            print("killed", flush=True)
        elif os.fork() == 0:
            _play(job)
            os._exit(0)


if __name__ == "__main__":
    main()
