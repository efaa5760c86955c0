"""Pictures and sections that could not be made: each is left out with a line, and the rest is made all the same."""

import contextlib
import logging
import sys
from collections.abc import Iterator
from typing import final

from marginquake.sim.core.outside.edges import say

LOG = logging.getLogger("marginquake")


@final
class LeftOut:
    """What could not be made, and why."""

    def __init__(self) -> None:
        self._names: dict[str, list[str]] = {}

    @contextlib.contextmanager
    def unless_it_fails(self, what: str) -> Iterator[None]:
        """Whatever goes wrong in the block is noted under the name `what`, and goes no further.

        An interruption (Ctrl-C) is no failure: it ends the block and whoever called it.
        """
        try:
            yield
        except Exception as error:
            LOG.debug("%s left out", what, exc_info=error)
            names = self._names.setdefault(reason(error), [])
            if what not in names:
                names.append(what)

    def __bool__(self) -> bool:
        return bool(self._names)

    @property
    def lines(self) -> tuple[str, ...]:
        """One line a reason: `left out: figure price, figure levels (OSError: No space left on device)`."""
        return tuple(f"left out: {', '.join(names)} ({why})" for why, names in self._names.items())

    def tell(self) -> None:
        """Say every line on stderr: whoever asked for pictures should know which are not there."""
        for line in self.lines:
            say(line, file=sys.stderr)


def reason(error: Exception) -> str:
    """`ValueError: zero-size array`, on one line."""
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
