"""Ctrl-C at a moment that suits: the end of a step, when the model is whole."""

import signal
import sys
from types import FrameType
from typing import Any, final


@final
class CtrlC:
    """Within its block Ctrl-C is remembered in `asked`; whoever looks on ends the run after the step.

    It interrupts at once where no step is being taken (`is_stepping`), and the second time.  Interrupts that are
    swallowed on the way, as destructors and imports do while kernels are loaded, are remembered all the same.
    """

    def __init__(self) -> None:
        self.asked = False
        self.is_stepping = False
        self._before: Any = None

    def __enter__(self) -> "CtrlC":
        self._before = signal.getsignal(signal.SIGINT)
        if callable(self._before):  # not where it is ignored, as after nohup
            signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        if callable(self._before):
            signal.signal(signal.SIGINT, self._before)

    def end_if_asked(self) -> None:
        """After a step: end the run if Ctrl-C was pressed since the block began."""
        if self.asked:
            from marginquake.sim.studies.run import Stopped

            raise Stopped

    def _hear(self, number: int, frame: FrameType | None) -> None:
        is_first, self.asked = not self.asked, True
        if is_first and self.is_stepping:
            return
        # Objects that are interrupted while they are made or taken down complain to nobody.
        sys.unraisablehook = lambda _: None
        raise KeyboardInterrupt
