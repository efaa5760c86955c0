"""What one mechanism did to a market: a run beside its twins of the same seed, in which that mechanism is off.

`sim.counterfactual` makes the twins and writes what is found into the run; `known_twins` reads it.  Model:
docs/model.md, eq. 180-184.
"""

from analysis.twins.effects import Effect, effect_of
from analysis.twins.outcome import Outcome, outcome
from analysis.twins.result import Cell, TwinResult, known_twins, lost_by, read_twin, write_twin

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
