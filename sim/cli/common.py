"""What every command of `marginquake` shares: options, one message for every failure, the console."""

import contextlib
import csv
import io
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, final

import typer

from marginquake.sim.core.outside.edges import csv_text, say, terminal_text
from marginquake.sim.runs.interrupts import Interrupts, tell

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
AllowCode = Annotated[
    bool,
    typer.Option(
        "--allow-code", help="Import the classes that the scenario names (module:Class), though it is a run's."
    ),
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
            say(error, file=sys.stderr)
        elif verbose:
            say(traceback.format_exc(), file=sys.stderr, end="")
        else:
            say(f"failed: {type(error).__name__}: {error}  (-v shows where)", file=sys.stderr)
        logging.getLogger("marginquake").debug("failed", exc_info=error)
        raise typer.Exit(2 if users else 1) from None


def _end_interrupted(interrupts: Interrupts, sentence: object) -> NoReturn:
    interrupts.is_over = True
    # Objects that were interrupted while they were made (llvmlite's, say) complain when they are taken down.
    sys.unraisablehook = lambda _: None
    tell(sentence)
    raise typer.Exit(interrupts.exit_code) from None


def is_users(error: Exception) -> bool:
    """True for a mistake of the user's, False for a failing simulation."""
    from marginquake.sim.core.data_files import DataFileChanged
    from marginquake.sim.core.integers.limits import TooLarge
    from marginquake.sim.core.problems import ScenarioError
    from marginquake.sim.runs.directory import RunDirectoryError

    if isinstance(error, UserError | RunDirectoryError | ScenarioError | DataFileChanged | TooLarge):
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
        handler.setFormatter(_Lines("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
    if handlers:
        logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()


@final
class _Lines(logging.Formatter):
    """A log is read in a terminal, too."""

    def format(self, record: logging.LogRecord) -> str:
        return terminal_text(super().format(record))


def open_console(stderr: bool = False, elsewhere: int | None = None) -> "Console":
    """A rich console that colours nothing by itself, and takes nothing in a text for markup or an escape code.

    `elsewhere`: its width where nobody looks on, as in a file.
    """
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.text import Text

    class PlainConsole(Console):
        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else Segment(terminal_text(segment.text), segment.style)

        def render_str(self, text: str, **how: Any) -> Text:
            """Escaped before it is laid out, so that columns still fit."""
            return super().render_str(terminal_text(text), **how)

    console = PlainConsole(stderr=stderr, highlight=False, markup=False, emoji=False)
    if elsewhere is not None and not console.is_terminal:
        console.width = elsewhere
    return console


def print_scorecard(title: str, rows: Iterable[Iterable[object]], headings: Iterable[str] = ()) -> None:
    """Headline numbers as a table without lines; `headings` name its columns where there are several of values."""
    from rich.table import Table

    named = tuple(headings)
    table = Table(title=title, title_justify="left", show_header=bool(named), box=None, pad_edge=False)
    for heading in named:
        table.add_column(heading)
    for row in rows:
        table.add_row(*map(str, row))
    open_console().print(table)


def print_warnings(scenario: "Scenario") -> None:
    """Say on stderr what is valid in a scenario but hardly meant, and what was chosen for it."""
    for note in scenario.notes:
        say(f"note: {note}", file=sys.stderr)
    for warning in scenario.warnings:
        say(warning, file=sys.stderr)


def print_plan_warnings(plan: "SweepPlan") -> None:
    """The same for the scenarios of a sweep or comparison: each once, not once a run."""
    for warning in plan.warnings:
        say(warning, file=sys.stderr)


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
        say(f"Open the report: {path / 'report.html'}")


def by_market(tables: Mapping[str, str]) -> str:
    """CSV texts of several markets as one, with a first column `market`; the text itself where there is one."""
    if len(tables) == 1:
        return next(iter(tables.values()))
    lines: list[list[str]] = []
    for market, text in tables.items():
        heading, *rows = csv.reader(io.StringIO(text, newline=""))
        lines += [] if lines else [["market", *heading]]
        lines += [[market, *row] for row in rows]
    return csv_text(lines)


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

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[facts]}", markup=False),
    )
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
