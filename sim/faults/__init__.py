"""What goes wrong at a venue: faults of its rules by the `type` that a scenario uses, one file each (eq. 133)."""

from typing import Annotated, Final, get_args

from pydantic import Discriminator

from sim.faults.base import Fault, InForce
from sim.faults.board import FaultBoard
from sim.faults.engine_delay import EngineDelay
from sim.faults.engine_outage import EngineOutage
from sim.faults.frozen_oracle import FrozenOracle
from sim.faults.stale_mark import StaleMark
from sim.faults.throttle import Throttle
from sim.faults.wrong_tier import WrongTier

__all__ = ["FAULTS", "AnyFault", "Fault", "FaultBoard", "InForce"]

AnyFault = Annotated[
    EngineOutage | Throttle | EngineDelay | FrozenOracle | StaleMark | WrongTier, Discriminator("type")
]
"""An entry of a market's `faults`; a new kind is one file and one entry here."""

FAULTS: Final[dict[str, type[Fault]]] = {
    kind.model_fields["type"].default: kind for kind in get_args(get_args(AnyFault)[0])
}
"""By `type`."""
