"""`python -m marginquake` and `marginquake`: signals are heard before anything else is imported."""

import os
import signal
from types import FrameType


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
