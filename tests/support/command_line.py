"""Commands as a user gives them, in this process."""

from typer.testing import CliRunner, Result

from marginquake.sim.cli import main


def marginquake(*arguments: object) -> Result:
    """One command; what it printed, and its exit code."""
    return CliRunner().invoke(main.app, [str(argument) for argument in arguments])
