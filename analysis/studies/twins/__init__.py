"""What one mechanism did to a market: a run beside its twins of the same seed, in which that mechanism is off.

`sim.studies.counterfactual` makes the twins and writes what is found into the run; `known_twins` reads it.  Model:
docs/model.md, eq. 180-184.
"""

from marginquake.analysis.studies.twins.effects import Effect, effect_of
from marginquake.analysis.studies.twins.outcome import Outcome, outcome
from marginquake.analysis.studies.twins.result import Cell, TwinResult, known_twins, lost_by, read_twin, write_twin

__all__ = [
    "Cell",
    "Effect",
    "Outcome",
    "TwinResult",
    "effect_of",
    "known_twins",
    "lost_by",
    "outcome",
    "read_twin",
    "write_twin",
]
