"""Why every account was called: the causal tree of a run (docs/model.md, eq. 170-179)."""

from marginquake.analysis.causes.cascade import Cascade
from marginquake.analysis.causes.forced_flows import ForcedFlows, Way
from marginquake.analysis.causes.genealogy import Links
from marginquake.analysis.causes.hawkes import Outsider
from marginquake.analysis.causes.price_parts import Part
from marginquake.analysis.causes.tree import Calls, CausalTree, Stops, causal_tree, grow_tree

__all__ = [
    "Calls", "Cascade", "CausalTree", "ForcedFlows", "Links", "Outsider", "Part", "Stops", "Way", "causal_tree",
    "grow_tree",
]  # fmt: skip
