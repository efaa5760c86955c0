"""The liquidation engine handles fewer accounts."""

from dataclasses import replace
from typing import Literal, final

from pydantic import Field

from sim.faults.base import Fault, InForce


@final
class Throttle(Fault):
    """At most `capacity` accounts a scan, whatever `liquidation.capacity` says."""

    type: Literal["throttle"] = "throttle"
    capacity: int = Field(ge=0, description="Accounts handled in one scan")

    def change(self, rules: InForce) -> InForce:
        """The smaller of two throttles."""
        return replace(rules, capacity=self.capacity if rules.capacity is None else min(self.capacity, rules.capacity))
