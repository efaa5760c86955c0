"""How ADL divides what must be closed among ranked accounts, one file each (docs/model.md, eq. 18, 123, 124)."""

from typing import Final

from sim.adl_allocations.inputs import Allocation, Candidates
from sim.adl_allocations.pro_rata import pro_rata
from sim.adl_allocations.queue import queue
from sim.adl_allocations.water_filling import water_filling

__all__ = ["ADL_ALLOCATIONS", "Allocation", "Candidates"]

ADL_ALLOCATIONS: Final[dict[str, Allocation]] = {
    "queue": Allocation(queue, from_the_top=True),
    "pro_rata": Allocation(pro_rata),
    "water_filling": Allocation(water_filling),
}
"""By the name in `venue.adl.allocation`."""
