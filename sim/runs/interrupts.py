"""Ctrl-C, SIGTERM and SIGHUP: one way to end, from the first import to the last rename.

A command that is asked to end by any of them says so in a sentence, leaves nothing but what can be gone on with, and
exits with 128 and the signal's number.  Who uses marginquake from Python keeps the handlers that he has.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any, final

from marginquake.sim.core.outside.edges import say

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ONE_PRESS_S = 5.0
"""A hang-up comes from the terminal and from the shell, a stop to a group and to each of it: within this, it is one."""
AGAIN_S = 0.05
"""After an interrupt that was swallowed where nothing can be raised, it is raised again, seconds later."""
_SAID = b"interrupted\n"


class Stopped(KeyboardInterrupt):
    """The run is to end after the step that it is at; its model is whole."""


def listen() -> None:
    """From now on the process ends at once, with a sentence, until a command begins that has something to tidy up."""
    for number in SIGNALS:
        if _is_heard(number):
            signal.signal(number, _leave)


def _leave(number: int, _: FrameType | None) -> None:
    """Imports that are interrupted leave half modules and tracebacks of others, so nothing is raised."""
    with contextlib.suppress(OSError):
        os.write(2, _SAID)
    with contextlib.suppress(Exception):  # it may be what was interrupted
        sys.stdout.flush()
    os._exit(128 + number)


@final
class Interrupts:
    """Within its block the signals raise KeyboardInterrupt, and are remembered: `asked`, `number`.

    While `is_stepping`, the first is only remembered; whoever looks on ends the run after the step.  One that is
    swallowed on the way, as destructors and imports do while kernels are loaded, is raised again.  Once `is_over`,
    nothing more is heard: the command is saying how it ended.
    """

    def __init__(self) -> None:
        self.number = 0
        self.is_stepping = False
        self.is_over = False
        self._since = 0.0
        self._raised: KeyboardInterrupt | None = None
        self._before: dict[int, Any] = {}
        self._outer: Interrupts | None = None
        self._held_back = 0
        self._waits = False

    @property
    def asked(self) -> bool:
        """Whether somebody wants the command to end."""
        return self.number != 0

    @property
    def exit_code(self) -> int:
        """Of a command that ends because of it."""
        return 128 + (self.number or signal.SIGINT)

    def __enter__(self) -> "Interrupts":
        global _current
        self._outer, _current = _current, self
        heard = [number for number in SIGNALS if _is_heard(number)]
        if heard and signal.getsignal(signal.SIGALRM) is not None:
            heard.append(signal.SIGALRM)
        for number in heard:
            self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        global _current
        _current = self._outer
        if self._before:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def end_if_asked(self) -> None:
        """After a step: end the run if that was asked for since the block began."""
        if self.asked:
            raise Stopped

    def _hear(self, number: int, _: FrameType | None) -> None:
        if self.is_over:
            return
        now = time.monotonic()
        if not self.asked:
            self.number, self._since = number, now
            if self.is_stepping:
                return
        elif number not in (signal.SIGINT, signal.SIGALRM) and now - self._since < ONE_PRESS_S:
            return
        if self._held_back:
            self._waits = True
            return
        self._raise()

    def _raise(self) -> None:
        sys.unraisablehook = self._unraisable
        self._raised = KeyboardInterrupt()
        raise self._raised

    def _unraisable(self, what: Any) -> None:
        """Objects that are interrupted while they are made or taken down complain to nobody."""
        if what.exc_value is not None and what.exc_value is self._raised and _current is self:
            self._raised = None
            signal.setitimer(signal.ITIMER_REAL, AGAIN_S)


_current: Interrupts | None = None


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """What asks to end waits until this block has: a rename and what belongs to it."""
    current = _current
    if current is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    current._held_back += 1
    try:
        yield
    finally:
        current._held_back -= 1
        if current._waits and not current._held_back:
            current._waits = False
            current._raise()


def end_if_asked() -> None:
    """Raise KeyboardInterrupt if the command was asked to end and something has swallowed that."""
    if _current is not None and _current.asked and not _current.is_stepping:
        raise KeyboardInterrupt


def tell(sentence: object) -> None:
    """A line on stderr, where there is still somebody to read it."""
    with contextlib.suppress(OSError, ValueError):
        say(sentence, file=sys.stderr, flush=True)


def let_go_of_the_terminal() -> None:
    """Where stdout or stderr are closed, what waits in them is dropped, for the exit code is to stay."""
    for name in ("stdout", "stderr"):
        try:
            getattr(sys, name).flush()
        except (OSError, ValueError, AttributeError):
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - it is the stream until the process ends


def _is_heard(number: int) -> bool:
    """Not where it is ignored, as after nohup or in the background of a shell, nor in threads, which hear nothing."""
    if threading.current_thread() is not threading.main_thread():
        return False
    return signal.getsignal(number) not in (signal.SIG_IGN, None)
