"""`python -m marginquake` and `marginquake`: signals are heard before anything else is imported."""

import os
import sys

# Python has put the current folder before everything installed.  It may be somebody's, with a numpy.py in it; the
# installed command does not look there either.  Where this package itself lies there, it stays.
HERE = os.path.realpath(os.getcwd())
OURS = os.path.realpath(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
if not sys.flags.safe_path and sys.path and os.path.realpath(sys.path[0] or ".") == HERE != OURS:
    del sys.path[0]

import signal  # noqa: E402
from types import FrameType  # noqa: E402


def main() -> None:
    """Entry point of the console script."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _leave)
    from marginquake.sim.cli.main import main as command

    command()


def _leave(number: int, _: FrameType | None) -> None:
    """Until `sim.runs.interrupts` is there; imports that are interrupted leave tracebacks, so nothing is raised."""
    os.write(2, b"interrupted\n")
    os._exit(128 + number)


if __name__ == "__main__":
    main()
