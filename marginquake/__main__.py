"""`python -m marginquake` and `marginquake`: signals are heard before anything heavy is imported."""

import os
import sys

# Python has put the current folder before everything installed.  It may be somebody's, with a numpy.py in it; the
# installed command does not look there either.  Where this package itself lies there, it stays.
HERE = os.path.realpath(os.getcwd())
OURS = os.path.realpath(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
if not sys.flags.safe_path and sys.path and os.path.realpath(sys.path[0] or ".") == HERE != OURS:
    del sys.path[0]

from marginquake.sim.runs import interrupts  # noqa: E402


def main() -> None:
    """Entry point of the console script."""
    interrupts.listen()
    from marginquake.sim.cli.main import main as command

    command()


if __name__ == "__main__":
    main()
