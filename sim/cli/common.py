"""What every command of `marginquake` shares: options, one message for every failure, the console."""

import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from marginquake.sim.runs.interrupts import Interrupts, say

if TYPE_CHECKING:
    from rich.console import Console

    from marginquake.sim.scenario.scenario import Scenario
    from marginquake.sim.studies.sweep import SweepPlan
    from marginquake.sim.studies.workers import SweepProgress

RunsFolder = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder that holds runs.")]
ScenarioArgument = Annotated[
    Path, typer.Argument(metavar="SCENARIO", help="A YAML file, or the name of an installed scenario: long_squeeze")
]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run's path, or its name under runs/.")]
RunOrSweep = Annotated[str, typer.Argument(metavar="RUN", help="A run or sweep: its path, or its name under runs/.")]
Strict = Annotated[bool, typer.Option("--strict", help="Take warnings for errors: exit 2.")]
Replace = Annotated[
    bool, typer.Option("--replace", help="Write over other results of the same name, which is refused otherwise.")
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log to stderr; show tracebacks.")]
Workers = Annotated[int, typer.Option(min=1, metavar="N", help="Processes on this machine.")]
Scheduler = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="A dask scheduler, tcp://host:8786, instead of own workers.")
]
CORES = os.cpu_count() or 1
RUNS = Path("runs")


class UserError(Exception):
    """A mistake in what was asked for; the message says which and what to do."""


@contextlib.contextmanager
def one_message(verbose: bool) -> Iterator[Interrupts]:
    """Turn every way of failing into one message on stderr and the right exit code; yields who hears Ctrl-C."""
    with Interrupts() as interrupts, _told(verbose, interrupts):
        yield interrupts


@contextlib.contextmanager
def _told(verbose: bool, interrupts: Interrupts) -> Iterator[None]:
    try:
        yield
    except typer.Exit:
        raise
    except KeyboardInterrupt as interrupt:
        _end_interrupted(interrupts, interrupt if interrupt.args else "interrupted")
    except BrokenPipeError:
        raise
    except Exception as error:  # every failure ends here, as one message
        if interrupts.asked:  # it failed of that: a terminal that is gone, a worker that went first
            logging.getLogger("marginquake").debug("failed as it was interrupted", exc_info=error)
            _end_interrupted(interrupts, "interrupted")
        users = is_users(error)
        if users:
            print(error, file=sys.stderr)
        elif verbose:
            traceback.print_exc()
        else:
            print(f"failed: {type(error).__name__}: {error}  (-v shows where)", file=sys.stderr)
        logging.getLogger("marginquake").debug("failed", exc_info=error)
        raise typer.Exit(2 if users else 1) from None


def _end_interrupted(interrupts: Interrupts, sentence: object) -> NoReturn:
    interrupts.is_over = True
    # Objects that were interrupted while they were made (llvmlite's, say) complain when they are taken down.
    sys.unraisablehook = lambda _: None
    say(sentence)
    raise typer.Exit(interrupts.exit_code) from None


def is_users(error: Exception) -> bool:
    """True for a mistake of the user's, False for a failing simulation."""
    from marginquake.sim.core.data_files import DataFileChanged
    from marginquake.sim.core.problems import ScenarioError
    from marginquake.sim.runs.directory import RunDirectoryError

    if isinstance(error, UserError | RunDirectoryError | ScenarioError | DataFileChanged):
        return True
    from marginquake.sim.studies.workers import ClusterUnreachable

    return isinstance(error, ClusterUnreachable)


@contextlib.contextmanager
def logging_to(verbose: bool, log_file: Path | None) -> Iterator[None]:
    """The log on stderr (--verbose) and in a file (--log-file), until the block ends."""
    logger = logging.getLogger("marginquake")
    handlers: list[logging.Handler] = []
    if verbose:
        handlers.append(logging.StreamHandler(sys.stderr))
        handlers[0].setLevel(logging.INFO)
    if log_file is not None:
        try:
            handlers.append(logging.FileHandler(log_file, encoding="utf-8"))
        except OSError as error:
            raise UserError(f"--log-file {log_file}: {error.strerror}") from error
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
    if handlers:
        logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()


def open_console(stderr: bool) -> "Console":
    """A rich console that colours nothing by itself."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def print_scorecard(title: str, rows: Iterable[Iterable[object]], headings: Iterable[str] = ()) -> None:
    """Headline numbers as a table without lines; `headings` name its columns where there are several of values."""
    from rich.markup import escape
    from rich.table import Table

    named = tuple(headings)
    table = Table(title=title, title_justify="left", show_header=bool(named), box=None, pad_edge=False)
    for heading in named:
        table.add_column(escape(heading))
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    open_console(stderr=False).print(table)


def print_warnings(scenario: "Scenario") -> None:
    """Say on stderr what is valid in a scenario but hardly meant, and what was chosen for it."""
    for note in scenario.notes:
        print(f"note: {note}", file=sys.stderr)
    for warning in scenario.warnings:
        print(warning, file=sys.stderr)


def print_plan_warnings(plan: "SweepPlan") -> None:
    """The same for the scenarios of a sweep or comparison: each once, not once a run."""
    for warning in plan.warnings:
        print(warning, file=sys.stderr)


def refuse_warnings(count: int, what_now: str) -> None:
    """`--strict`: exit 2 if there are any; they have been printed."""
    if count:
        raise UserError(f"--strict: {count} {plural('warning', count)}; {what_now}")


def print_run(path: Path) -> None:
    """The scorecard of a run, and where its report is."""
    from marginquake.analysis.measures.scorecard import scorecard
    from marginquake.sim.runs.directory import read_summary

    card = scorecard(read_summary(path))
    print_scorecard(path.name, card.rows, card.headings)
    if (path / "report.html").is_file():
        print(f"Open the report: {path / 'report.html'}")


def by_market(tables: Mapping[str, str]) -> str:
    """CSV texts of several markets as one, with a first column `market`; the text itself where there is one."""
    if len(tables) == 1:
        return next(iter(tables.values()))
    lines = []
    for place, (market, text) in enumerate(tables.items()):
        heading, *rows = text.splitlines()
        lines += [f"market,{heading}"] if place == 0 else []
        lines += [f"{market},{row}" for row in rows]
    return "\n".join(lines) + "\n"


def check_output(option: str, path: Path | None, suffix: str) -> None:
    """Refuse, before anything is measured, a file that could not be written."""
    if path is None:
        return
    if suffix and path.suffix.lower() != suffix:
        raise UserError(f"{option} {path}: the name must end in {suffix}")
    if path.is_dir():
        raise UserError(f"{option} {path}: is a folder")
    if not path.parent.is_dir():
        raise UserError(f"{option} {path}: no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UserError(f"{option} {path}: not writable")


def read_seconds(option: str, text: str) -> float:
    """A time said with an option: a duration, or a clock such as 3:10 as our own output has it."""
    from marginquake.sim.core.fields import parse_time

    try:
        return parse_time(text) / 1e9
    except ValueError as error:
        raise UserError(f"{option} {text}: {error}") from None


@contextlib.contextmanager
def sweep_bar(title: str, shown: bool) -> Iterator["Callable[[SweepProgress], None] | None"]:
    """A bar on stderr: runs done, failures, time left."""
    if not shown:
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[facts]}"))
    with Progress(*columns, console=open_console(stderr=True)) as bar:
        task = bar.add_task(title, total=None, facts="starting workers")

        def update(seen: "SweepProgress") -> None:
            facts = f"{seen.done}/{seen.total} runs, {seen.failed} failed, {clock(seen.left_s)} left"
            bar.update(task, total=seen.total, completed=seen.done, facts=facts)

        yield update


def clock(seconds: float) -> str:
    """-0:05:00 is five minutes before the end of warm-up."""
    whole = abs(int(seconds))
    return f"{'-' if seconds < 0 else ''}{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def plural(word: str, count: int) -> str:
    """`run`, or `runs` if there is not exactly one."""
    return word if count == 1 else f"{word}s"
