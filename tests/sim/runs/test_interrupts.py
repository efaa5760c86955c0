"""Ctrl-C, SIGTERM and SIGHUP end a command with a sentence, the right exit code and nothing left behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from marginquake.sim.runs import interrupts
from marginquake.sim.runs.interrupts import Interrupts, held_back
from tests.support.paths import ROOT, TINY

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
AT_AN_IMPORT = """
import os, signal, sys
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

class Press:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), {number})

sys.meta_path.insert(0, Press())
sys.argv = ["marginquake", *{arguments!r}]
from marginquake.__main__ import main
main()
"""
IN_A_STEP = """
import os, signal, sys
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
from marginquake.sim.model.model import MarketModel
step = MarketModel.step

class Swallows:
    def __del__(self):
        os.kill(os.getpid(), {number})
        for _ in range(100):
            pass

def press(model):
    step(model)
    if model.steps_done == 60:
        {how}

MarketModel.step = press
sys.argv = ["marginquake", *{arguments!r}]
from marginquake.__main__ import main
main()
"""


def done_by(program: str, folder: Path) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a program that sends itself a signal."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("module", "number"),
    [
        ("marginquake.sim.cli.main", signal.SIGINT),
        ("typer", signal.SIGTERM),
        ("numpy", signal.SIGHUP),
        ("pydantic", signal.SIGINT),
        ("numba", signal.SIGTERM),
        ("mesa", signal.SIGINT),
    ],
)
def test_a_signal_while_modules_are_imported_ends_with_a_sentence(
    tmp_path: Path, module: str, number: signal.Signals
) -> None:
    arguments = ["run", str(TINY), "--quiet"]
    code, stdout, stderr = done_by(
        AT_AN_IMPORT.format(module=module, number=int(number), arguments=arguments), tmp_path
    )
    assert (code, stdout, stderr) == (128 + number, "", "interrupted\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.model
def test_a_run_that_is_terminated_leaves_nothing_also_where_it_is_told_twice(tmp_path: Path) -> None:
    press = f"os.kill(os.getpid(), {int(signal.SIGTERM)})"
    program = IN_A_STEP.format(
        number=int(signal.SIGTERM), arguments=["run", str(TINY), "--quiet"], how=f"{press}; {press}"
    )
    assert done_by(program, tmp_path) == (143, "", "interrupted\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.model
def test_a_signal_that_a_destructor_swallows_ends_a_checkpointed_run_all_the_same(tmp_path: Path) -> None:
    arguments = ["run", str(TINY), "--quiet", "--checkpoint-every", "1s", "--name", "tiny"]
    program = IN_A_STEP.format(number=int(signal.SIGINT), arguments=arguments, how="Swallows()")
    said = done_by(program, tmp_path)
    assert said == (130, "", "interrupted; go on with: marginquake run --resume runs/tiny.partial\n")
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["tiny.partial"]
    kept = sorted(path.name for path in (tmp_path / "runs" / "tiny.partial").iterdir())
    assert kept == ["audit", "checkpoint", "events", "figures"]


@pytest.mark.model
def test_a_hang_up_that_takes_the_terminal_along_ends_with_its_own_code(tmp_path: Path) -> None:
    arguments = ["run", str(TINY), "--quiet"]
    how = f"os.close(1); os.close(2); os.kill(os.getpid(), {int(signal.SIGHUP)})"
    said = done_by(IN_A_STEP.format(number=int(signal.SIGHUP), arguments=arguments, how=how), tmp_path)
    assert said == (129, "", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.model
def test_a_sweep_that_is_terminated_leaves_no_worker_and_no_scratch(tmp_path: Path) -> None:
    """The signal comes with the first result, while the other worker is at a run."""
    file = tmp_path / "sweep.yaml"
    file.write_text(
        f"name: two\nscenario: {TINY}\nset: [duration=1s, warmup=1s]\nseeds: 6\n"
        "axes: {a: {path: populations.crowd.accounts, values: [50]}}\n"
    )
    program = f"""
import os, signal, sys
from marginquake.sim.studies.sweep_directory import SweepDirectory
accept = SweepDirectory.accept

def press(*arguments):
    accept(*arguments)
    os.kill(os.getpid(), signal.SIGTERM)

SweepDirectory.accept = press
if __name__ == "__main__":
    sys.argv = ["marginquake", "sweep", {str(file)!r}, "--workers", "2", "--quiet"]
    from marginquake.__main__ import main
    main()
"""
    (tmp_path / "scratch").mkdir()
    (tmp_path / "program.py").write_text(program)
    done = subprocess.Popen(
        [sys.executable, str(tmp_path / "program.py")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "scratch")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    stdout, stderr = done.communicate(timeout=120)
    kept = "interrupted; 1 of 6 runs are finished and kept in runs/sweeps/two, and are not made again\n"
    assert (done.returncode, stdout, stderr) == (143, "", kept)
    assert living_of(done.pid) == []
    assert list((tmp_path / "scratch").glob("marginquake-*/*")) == []
    assert list((tmp_path / "scratch").glob("marginquake-*/.*")) == []
    sweep = tmp_path / "runs" / "sweeps" / "two"
    assert len(list((sweep / "points").iterdir())) == 1, "what has finished is kept"
    assert (sweep / "results.parquet").is_file()


def living_of(group: int) -> list[str]:
    """Processes of a group that have not ended a little later."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        states = []
        for file in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                states.append(file.read_text().rpartition(")")[2].split())
        found = [state[0] for state in states if state[2] == str(group) and state[0] != "Z"]
        if not found:
            break
        time.sleep(0.05)
    return found


# ---- in one process ------------------------------------------------------------------------------------------------


@pytest.fixture
def as_at_a_terminal() -> Iterator[None]:
    before = {number: signal.signal(number, signal.default_int_handler) for number in SIGNALS}
    hook = sys.unraisablehook
    yield
    sys.unraisablehook = hook
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("as_at_a_terminal")
def test_what_must_not_be_cut_in_two_is_finished_first() -> None:
    done = []

    def commit() -> None:
        with held_back():
            with held_back():
                signal.raise_signal(signal.SIGTERM)
                done.append("renamed")
            done.append("synced")

    with Interrupts() as heard, pytest.raises(KeyboardInterrupt):
        commit()
    assert done == ["renamed", "synced"]
    assert heard.exit_code == 143


@pytest.mark.usefixtures("as_at_a_terminal")
def test_a_hang_up_that_comes_twice_is_one_and_ctrl_c_again_is_somebody_who_cannot_wait() -> None:
    with Interrupts() as heard:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert heard.exit_code == 129, "of the first"


@pytest.mark.usefixtures("as_at_a_terminal")
def test_what_is_ignored_stays_ignored_and_handlers_come_back() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    before = [signal.getsignal(number) for number in (*SIGNALS, signal.SIGALRM)]
    with Interrupts() as heard:
        signal.raise_signal(signal.SIGHUP)
        assert not heard.asked
    assert [signal.getsignal(number) for number in (*SIGNALS, signal.SIGALRM)] == before


def test_without_a_command_nothing_is_heard_and_nothing_changes() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with held_back():
        interrupts.end_if_asked()
    assert [signal.getsignal(number) for number in SIGNALS] == before
