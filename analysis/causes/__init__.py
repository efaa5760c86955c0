"""Why every account was called: the causal tree of a run (docs/model.md, eq. 170-176)."""

from marginquake.analysis.causes.cascade import Cascade
from marginquake.analysis.causes.genealogy import Links
from marginquake.analysis.causes.hawkes import Outsider
from marginquake.analysis.causes.price_parts import Part
from marginquake.analysis.causes.tree import Calls, CausalTree, causal_tree, grow_tree

__all__ = ["Calls", "Cascade", "CausalTree", "Links", "Outsider", "Part", "causal_tree", "grow_tree"]
