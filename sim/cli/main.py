"""`marginquake`: the command line.  Heavy imports stay inside the commands, so that `--help` answers at once.

Exit codes: 0 done; 1 the simulation failed, or a replay differs; 2 a mistake of the user's (scenario, option, name);
130 interrupted, 143 by SIGTERM, 129 by SIGHUP.  Whatever happens, no run directory is left half-written.
"""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, final

import typer
from typer.core import TyperGroup
from typer.models import CommandInfo

from marginquake.sim.cli import (
    clusters,
    counterfactual,
    doctor,
    explain,
    export,
    facts,
    first_passage,
    liquidations,
    listing,
    new,
    risk,
    run,
    runs,
    surroundings,
    sweeps,
    tipping_point,
    verify,
)
from marginquake.sim.cli.common import one_message
from marginquake.sim.cli.lazy_imports import postpone
from marginquake.sim.cli.watch import command as watch
from marginquake.sim.core.outside.edges import say, terminal_text
from marginquake.sim.core.plugins import Code, code
from marginquake.sim.core.version import __version__
from marginquake.sim.runs import interrupts


@final
class _Group(TyperGroup):
    """Commands whose mistakes are told without what the arguments would have a terminal do."""

    def make_context(self, *args: Any, **more: Any) -> Any:
        """Reads the arguments before the command."""
        with _harmless():
            return super().make_context(*args, **more)

    def invoke(self, ctx: Any) -> Any:
        """Reads those of the command, and runs it."""
        with _harmless():
            return super().invoke(ctx)


@contextlib.contextmanager
def _harmless() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if "message" in vars(error):  # click's own, which typer has a copy of in some versions
            vars(error)["message"] = terminal_text(vars(error)["message"])
        raise


app = typer.Typer(
    name="marginquake",
    cls=_Group,
    help="Simulate margin-call clusters and liquidation cascades on a limit order book.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


INTERRUPTED = 128
"""Exit codes above it are of signals."""


def main() -> None:
    """What the console script does once signals are heard."""
    interrupts.listen()
    postpone()
    surroundings.keep_out()
    try:
        app()
    except SystemExit as end:
        if isinstance(end.code, int) and end.code > INTERRUPTED:
            interrupts.let_go_of_the_terminal()
        raise
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has gone: `marginquake list | head -1`
        sys.stderr.close()
        sys.exit(1)


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"marginquake {__version__}")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Simulate margin-call clusters and liquidation cascades on a limit order book."""
    with one_message(verbose=False):
        surroundings.check()
    context.with_resource(code(Code.REFUSED, _tell_of_imports))


def _tell_of_imports(modules: Sequence[str]) -> None:
    say(f"note: runs the code of {', '.join(modules)}, which the scenario names", file=sys.stderr)


MODULES = (
    run, new, runs, facts, listing, watch, sweeps, tipping_point, explain, counterfactual, clusters, risk, liquidations,
    first_passage, export, verify, doctor,
)  # fmt: skip
ORDER = (
    "run", "new", "validate", "schema", "show", "plot", "report", "facts", "replay", "list", "clean", "watch", "sweep",
    "compare", "tipping", "sensitivity", "explain", "counterfactual", "clusters", "risk", "early-warning",
    "liquidations", "first-passage", "export", "verify", "doctor",
)  # fmt: skip
"""Of the commands in `--help`; a command that is not here would have no place."""


def _name(command: CommandInfo) -> str:
    assert command.callback is not None
    return command.name or command.callback.__name__


app.registered_commands += sorted(
    (command for module in MODULES for command in module.app.registered_commands),
    key=lambda command: ORDER.index(_name(command)),
)

if __name__ == "__main__":
    main()
