"""Velocity logic: a fast move of the last price pauses matching."""

from collections import deque
from collections.abc import Callable
from typing import final

from marginquake.sim.scenario.config import CircuitBreakerConfig


@final
class CircuitBreaker:
    """Trips when the last price is more than `move` from a price it had within `window` (eq. 149); CME Stop Logic, B.

    It looks at the end of each step, so a step is its resolution: what moved the price that far has traded.  While it
    is paused the venue matches nothing.  The window begins again at the end of a pause.
    """

    def __init__(self, config: CircuitBreakerConfig) -> None:
        self._config = config
        self._highest: deque[tuple[int, int]] = deque()
        self._lowest: deque[tuple[int, int]] = deque()
        self._resume_ns: int | None = None
        self._counted_ns = 0
        self.pauses = 0
        """Pauses since the clock stood at 0."""
        self.paused_ns = 0
        """Time paused so far."""

    @property
    def paused(self) -> bool:
        """Whether matching is paused."""
        return self._resume_ns is not None

    def advance(self, until_ns: int) -> bool:
        """Time goes on to `until_ns`; True if nothing may be matched until then."""
        if self._resume_ns is None:
            return False
        self.paused_ns += min(until_ns, self._resume_ns) - self._counted_ns
        self._counted_ns = min(until_ns, self._resume_ns)
        return until_ns < self._resume_ns

    def resume(self) -> int | None:
        """The pause is over: when it was, and the window begins again; None if there was none."""
        at, self._resume_ns = self._resume_ns, None
        if at is not None:
            self._highest.clear()
            self._lowest.clear()
        return at

    def watch(self, now_ns: int, last_ticks: int) -> None:
        """The last price at the end of a step (0: none yet)."""
        if last_ticks <= 0 or self._resume_ns is not None:
            return
        config = self._config
        highest = _extreme(self._highest, now_ns, last_ticks, config.window, lambda old, new: old <= new)
        lowest = _extreme(self._lowest, now_ns, last_ticks, config.window, lambda old, new: old >= new)
        if last_ticks < highest * (1.0 - config.move) or last_ticks > lowest * (1.0 + config.move):
            self.pauses += 1
            self._counted_ns = now_ns
            self._resume_ns = now_ns + config.pause


def _extreme(
    kept: deque[tuple[int, int]], now_ns: int, ticks: int, window_ns: int, beaten: Callable[[int, int], bool]
) -> int:
    """Add a price to a window that keeps only those that may still be its extreme; returns the extreme."""
    while kept and beaten(kept[-1][1], ticks):
        kept.pop()
    kept.append((now_ns, ticks))
    while kept[0][0] < now_ns - window_ns:
        kept.popleft()
    return kept[0][1]
