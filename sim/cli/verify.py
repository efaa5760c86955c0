"""`marginquake verify`: whether what is stored is what was written."""

from pathlib import Path
from typing import Annotated

import typer

from marginquake.sim.cli.common import RUNS, RunsFolder, Verbose, one_message, plural
from marginquake.sim.core.outside.edges import one_line, say

app = typer.Typer()


@app.command()
def verify(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Runs, interrupted runs, sweeps: path or name.")],
    out: RunsFolder = RUNS,
    verbose: Verbose = False,
) -> None:
    """Compare every stored file with the hash that was taken when it was written; exit 1 if one is not the same.

    Pictures are not looked at: they are drawn from the files that are.
    """
    with one_message(verbose):
        from marginquake.sim.runs.verification import Verdict, verify

        wrong = 0
        for name in runs:
            path = _find(name, out)
            found = list(verify(path))
            for each in found:
                if each.verdict is not Verdict.WHOLE:
                    say(one_line(f"{each.file}: {each.verdict.value}{f' ({each.why})' if each.why else ''}"))
            whole = sum(each.verdict is Verdict.WHOLE for each in found)
            bad = sum(each.is_wrong for each in found)
            told = f"{whole} {plural('file', whole)} as written" + (f", {bad} not" if bad else "")
            say(f"{path}: {told}")
            wrong += bad
        if wrong:
            raise typer.Exit(1)


def _find(name: str, out: Path) -> Path:
    """A folder by path, or by name among runs and sweeps, also one that can be read no more."""
    places = (Path(name), out / name, out / "sweeps" / name, out / f"{name}.partial")
    for path in places:
        if path.is_dir():
            return path
    from marginquake.sim.runs.directory import find_run

    return find_run(name, out)
