"""A fault: for some time a rule of the venue is not what it should be.  Orders, calls and prices it never touches."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, final

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from sim.block import Block
from sim.units import Duration


@final
@dataclass(frozen=True)
class InForce:
    """What faults make of a market's rules at one moment; without any, as it stands here.

    `capacity`: the engine handles no more accounts in a scan (None: as configured).  `latency_ns`: its orders arrive so
    much later.  `maintenance_factor`: multiple of the maintenance rates in force.
    """

    engine_scans: bool = True
    capacity: int | None = None
    latency_ns: int = 0
    oracle_moves: bool = True
    mark_moves: bool = True
    maintenance_factor: float = 1.0


class Fault(Block, ABC):
    """From `at` on, `for` so long.  A kind of fault is a subclass with its own `type`, and an entry in `FAULTS`."""

    at: Duration = Field(ge=0, description="When it begins, from the end of the warm-up")
    for_: Duration = Field(gt=0, alias="for", description="How long it lasts")

    @abstractmethod
    def change(self, rules: InForce) -> InForce:
        """The rules as they are while this fault lasts; faults at the same time add up."""

    @property
    def until(self) -> int:
        """When it is over, ns."""
        return self.at + self.for_

    @model_serializer(mode="wrap")
    def _as_written(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """`for` is a word of Python, but not of scenario files."""
        return {{"for_": "for"}.get(name, name): value for name, value in dump(self).items()}
