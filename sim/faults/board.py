"""Which faults there are at a time."""

from collections.abc import Sequence
from functools import reduce
from typing import final

from sim.faults.base import Fault, InForce

NEVER = 2**63 - 1


@final
class FaultBoard:
    """Rules in force by the clock, which only goes forward: looked up at the beginnings and ends of faults only."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults = tuple(faults)
        self._in_force = InForce()
        self._next_ns = min((fault.at for fault in faults), default=NEVER)

    def at(self, now_ns: int) -> InForce:
        """What is in force at `now_ns`: a fault lasts from `at` to just before its end."""
        if now_ns >= self._next_ns:
            active = [fault for fault in self._faults if fault.at <= now_ns < fault.until]
            self._in_force = reduce(lambda rules, fault: fault.change(rules), active, InForce())
            ends = (time_ns for fault in self._faults for time_ns in (fault.at, fault.until) if time_ns > now_ns)
            self._next_ns = min(ends, default=NEVER)
        return self._in_force
