"""Seeds, one after another, in a child process that is watched: an error, a crash, a hang, or too much memory is found
and written down with the line that reproduces it."""

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, final

from tests.soak.jobs import JOBS, job_of
from tests.support.paths import ROOT

PATIENCE_S: Final = 600.0
"""A seed that takes longer hangs."""
MEMORY_MB: Final = 3_000
"""More than any drawn scenario needs."""
SEEDS_A_CHILD: Final = 100
"""Then another child goes on: what leaks shows in one child, and does not end the fleet."""


@final
@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a seed.  `found`: empty, or what is wrong; `detail`: where."""

    seed: int
    job: str
    word: str = ""
    found: str = ""
    detail: str = ""
    seconds: float = 0.0

    @property
    def again(self) -> str:
        """The line that reproduces it."""
        return f"python -m tests.soak --seed {self.seed}"


@final
@dataclass(slots=True)
class Tally:
    """How often each job came to what, and what was found."""

    words: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)
    failures: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """One more seed."""
        self.words[outcome.job, outcome.word if not outcome.found else "FOUND"] += 1
        self.seconds[outcome.job] += outcome.seconds
        if outcome.found:
            self.failures.append(outcome)

    def lines(self) -> Iterator[str]:
        """A table, then a line for everything found."""
        for job in JOBS:
            words = {word: count for (name, word), count in sorted(self.words.items()) if name == job}
            if words:
                told = ", ".join(f"{word} {count}" for word, count in words.items())
                yield f"{job:12} {sum(words.values()):6} seeds {self.seconds[job]:8.0f} s   {told}"
        for outcome in self.failures:
            yield f"FOUND by {outcome.again}   [{outcome.job}] {outcome.found}"


def do_one(seed: int) -> Outcome:
    """One seed, in this process."""
    job = job_of(seed)
    folder = Path(tempfile.mkdtemp(prefix=f"soak{seed}-"))
    started = time.perf_counter()
    try:
        word = JOBS[job][0](seed, folder)
    except Exception as error:  # whatever it is, it is what the fleet is out for
        text = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        return Outcome(seed, job, "", text, traceback.format_exc(), time.perf_counter() - started)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Outcome(seed, job, word, seconds=time.perf_counter() - started)


def serve() -> None:
    """The child: a seed a line comes in, an outcome a line goes out."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what jobs print is no answer
    for line in sys.stdin:
        print(json.dumps(asdict(do_one(int(line)))), file=answers, flush=True)


@final
class Child:
    """A process that does seeds, and dies without harm."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.soak", "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
        )
        self.done = 0

    def do(self, seed: int) -> Outcome:
        """One seed; a child that says nothing in time, or nothing any more, is found out."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        started = time.perf_counter()
        self.done += 1
        with contextlib.suppress(BrokenPipeError):  # dead: it will say nothing
            self._process.stdin.write(f"{seed}\n")
            self._process.stdin.flush()
        heard, _, _ = select.select([self._process.stdout], [], [], PATIENCE_S)
        line = self._process.stdout.readline() if heard else ""
        seconds = time.perf_counter() - started
        if not line:
            found = f"died with {self._process.wait(10)}" if heard else f"no word for {PATIENCE_S:g} s"
            self.end()
            return Outcome(seed, job_of(seed), "", found, "", seconds)
        outcome = Outcome(**json.loads(line))
        if not outcome.found and self._peak_mb() > MEMORY_MB:
            return Outcome(seed, outcome.job, "", f"{self._peak_mb()} MB of memory", "", seconds)
        return outcome

    def _peak_mb(self) -> int:
        status = Path(f"/proc/{self._process.pid}/status")
        if not status.exists():
            return 0
        return next((int(line.split()[1]) // 1000 for line in status.read_text().splitlines() if "VmHWM" in line), 0)

    @property
    def is_spent(self) -> bool:
        """Whether another one is to go on."""
        return self.done >= SEEDS_A_CHILD or self._process.poll() is not None

    def kill(self) -> None:
        """As the kernel does it where memory is short."""
        self._process.kill()

    def end(self) -> None:
        """However it ends."""
        self._process.kill()
        self._process.wait()


def soak(seconds: float, first_seed: int, log: Path | None = None) -> Tally:
    """Seeds from `first_seed` on until the time is over; each outcome goes to `log`, a line of JSON each."""
    tally, child = Tally(), Child()
    until = time.monotonic() + seconds
    seed = first_seed
    while time.monotonic() < until:
        if child.is_spent:
            child.end()
            child = Child()
        outcome = child.do(seed)
        tally.add(outcome)
        if outcome.found:
            print(f"FOUND by {outcome.again}   [{outcome.job}] {outcome.found}", flush=True)
        if log is not None:
            with log.open("a") as file:
                file.write(json.dumps(asdict(outcome)) + "\n")
        seed += 1
    child.end()
    return tally
