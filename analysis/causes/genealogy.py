"""From shares to a family tree: the main parent of every call, and its generation (eq. 175 of docs/model.md)."""

from dataclasses import dataclass
from typing import final

import numpy as np

from analysis.load import Bools, Floats, Ints


@final
@dataclass(frozen=True)
class Links:
    """One entry a call and liquidation that helped to cause it: calls by number, share of the child's move (> 0)."""

    child: Ints
    parent: Ints
    share: Floats


def main_parents(links: Links, is_child: Bools) -> Ints:
    """The parent with the largest share, the latest of equals; -1 for what is no child, or has no listed parent."""
    parent = np.full(len(is_child), -1)
    order = np.lexsort((links.parent, np.round(links.share, 9)))
    parent[links.child[order]] = links.parent[order]  # of several, the last written stays: the largest
    parent[~is_child] = -1
    return parent


def generations(parent: Ints) -> Ints:
    """0 for a root, else one more than the parent's; parents come first."""
    found = np.zeros(len(parent), np.int64)
    for call, above in enumerate(parent.tolist()):
        if above >= 0:
            found[call] = found[above] + 1
    return found
