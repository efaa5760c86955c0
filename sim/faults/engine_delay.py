"""The liquidation engine's orders arrive late."""

from dataclasses import replace
from typing import Literal, final

from pydantic import Field

from sim.faults.base import Fault, InForce
from sim.units import Duration


@final
class EngineDelay(Fault):
    """Orders sent in this time take `latency` more than `liquidation.latency`; decisions are as prompt as ever."""

    type: Literal["engine_delay"] = "engine_delay"
    latency: Duration = Field(gt=0, description="Added to liquidation.latency")

    def change(self, rules: InForce) -> InForce:
        """Delays add up."""
        return replace(rules, latency_ns=rules.latency_ns + self.latency)
