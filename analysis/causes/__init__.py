"""Why every account was called: the causal tree of a run (docs/model.md, eq. 170-176)."""

from analysis.causes.cascade import Cascade
from analysis.causes.genealogy import Links
from analysis.causes.moves import Part
from analysis.causes.outsider import Outsider
from analysis.causes.tree import Calls, CausalTree, causal_tree, grow_tree

__all__ = ["Calls", "Cascade", "CausalTree", "Links", "Outsider", "Part", "causal_tree", "grow_tree"]
