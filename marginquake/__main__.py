"""`python -m marginquake` is the command `marginquake`."""

import os
import sys

# Python has put the current folder before everything installed.  It may be somebody's, with a numpy.py in it; the
# installed command does not look there either.  Where this package itself lies there, it stays.
HERE = os.path.realpath(os.getcwd())
OURS = os.path.realpath(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
if not sys.flags.safe_path and sys.path and os.path.realpath(sys.path[0] or ".") == HERE != OURS:
    del sys.path[0]

from marginquake.sim.cli.main import main  # noqa: E402

if __name__ == "__main__":
    main()
