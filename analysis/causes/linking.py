"""What caused each call and each stop: its parts by trades, and whose liquidations and stops these were (eq. 173)."""

from typing import final

import numpy as np

from marginquake.analysis.causes.forced_flows import Record
from marginquake.analysis.causes.genealogy import Links
from marginquake.analysis.causes.netting import Netting, by_owner
from marginquake.analysis.causes.price_parts import Part, TradedPath, Windows
from marginquake.analysis.causes.spot_hedges import SpotHedges
from marginquake.sim.core.typing import Floats, Ints

NO_LINKS = Links(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))


@final
class Causes:
    """Of nodes, which are calls and stops numbered together (`Record`); shares of a move below `least` make no link."""

    def __init__(self, path: TradedPath, record: Record, hedges: SpotHedges, least: float) -> None:
        self._least = least
        self.path = path
        self._pushers = record.pushers(path)
        self._hedges = hedges
        self._hedge, self._hedge_owner, self._hedge_share = record.owners_of_hedges(hedges)

    def of(self, nodes: Ints, windows: Windows, side: Ints, move: Floats, parts: Floats, pass_through: float) -> Links:
        """Links of `nodes`; what trades made of their moves is added to `parts` (N, 6).

        `side` +1 where the price has to fall; other moves have no parents.
        """
        if not len(nodes):
            return NO_LINKS
        netting = Netting(self.path, self._pushers, pass_through)
        low = np.searchsorted(self.path.place, windows.start, side="right")
        high = np.searchsorted(self.path.place, windows.end)
        children: list[Ints] = []
        parents: list[Ints] = []
        shares: list[Floats] = []
        for n, node in enumerate(nodes.tolist()):
            on_spot = float(parts[n, Part.ADL])
            trades, owners, pushes = netting.between(int(low[n]), int(high[n]))
            parts[n] += trades
            if side[n] * move[n] >= 0:
                continue
            if on_spot:
                hedgers, hedged = self._on_spot(float(windows.from_s[n]), float(windows.to_s[n]), on_spot)
                owners, pushes = np.append(owners, hedgers), np.append(pushes, hedged)
            known = owners >= 0
            who, place = np.unique(owners[known], return_inverse=True)
            share = np.bincount(place, pushes[known], minlength=len(who)) / move[n]
            listed = share >= self._least
            children.append(np.full(int(listed.sum()), node))
            parents.append(who[listed])
            shares.append(share[listed])
        if not children:
            return NO_LINKS
        return Links(np.concatenate(children), np.concatenate(parents), np.concatenate(shares))

    def _on_spot(self, from_s: float, to_s: float, net: float) -> tuple[Ints, Floats]:
        """What spot trades after ADL made of a move, divided among those whose positions ADL closed."""
        pushed = self._hedges.each(to_s) - self._hedges.each(from_s)
        return by_owner(self._hedge_owner, pushed[self._hedge] * self._hedge_share, net)


def joined(parts: list[Links]) -> Links:
    """All of them."""
    return Links(*(np.concatenate([getattr(each, name) for each in parts]) for name in ("child", "parent", "share")))


def among_calls(links: Links, record: Record) -> Links:
    """Those between two calls, by their numbers."""
    number = np.full(len(record.node_row), -1)
    number[record.call_node] = np.arange(len(record.call_node))
    child, parent = number[links.child], number[links.parent]
    own = (child >= 0) & (parent >= 0)
    return Links(child[own], parent[own], links.share[own])


def calls_above(above: Ints, record: Record) -> Ints:
    """The call that is next above each call by main parents, through stops; -1 where there is none."""
    number = np.full(len(above), -1)
    number[record.call_node] = np.arange(len(record.call_node))
    nearest = np.full(len(above), -1)
    for node, parent in enumerate(above.tolist()):  # parents come first
        if parent >= 0:
            nearest[node] = number[parent] if number[parent] >= 0 else nearest[parent]
    return nearest[record.call_node]
