"""The causal tree read aloud (docs/model.md, eq. 170-179): every call, every fill of its window, one at a time.

Prices are those of a contract whose tick is 1.  Nobody hedges on spot here.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from marginquake.sim.core.records import Cause, EventKind

Fact = dict[str, Any]
NAMES = {Cause.VOLUNTARY: "voluntary", Cause.STOP: "stop", Cause.LIQUIDATION: "forced", Cause.TAKEOVER: "forced"}
CHANGES = (EventKind.FILL, EventKind.ADL, EventKind.DEPOSIT, EventKind.TAKEOVER)
"""Events after which an account's causes begin anew."""
ENDS = (EventKind.CALL_CURED, EventKind.LIQUIDATION_STARTED, EventKind.TAKEOVER)
Node = tuple[str, int]
"""("call", its number) or ("stop", its number)."""
NOBODY: Node = ("nobody", -1)


class Share(NamedTuple):
    """A part of a fill: which part of the move it belongs to, who is behind it, and how much of the fill."""

    name: str
    node: Node
    share: float


@dataclass
class Told:
    """Per call its move and parts, per stop the same of the traded price; (child, parent) -> share of the child's
    move."""

    moves: list[float] = field(default_factory=list)
    parts: list[dict[str, float]] = field(default_factory=list)
    stop_moves: list[float] = field(default_factory=list)
    stop_parts: list[dict[str, float]] = field(default_factory=list)
    links: dict[tuple[Node, Node], float] = field(default_factory=dict)


@dataclass(frozen=True)
class Reader:
    """One record.  `outside` and `spread` at a time in seconds; the mark is made every `period_s`."""

    facts: list[Fact]
    outside: Callable[[float], float]
    spread: Callable[[float], float]
    period_s: float = 1.0
    window_s: float = 60.0

    def tell(self, least: float) -> Told:
        """Everything, with links of at least `least`."""
        told = Told()
        passed = self.pass_through()
        behind = self._behind()
        for number, place in enumerate(self.calls()):
            begins, from_s = self._begins(place)
            call, then = self.facts[place], self.facts[max(begins, 0)]
            move = call["mark_ticks"] - then["mark_ticks"]
            parts, pushes = self._pushes(behind, begins, place, passed)
            parts["index"] = self.outside(call["time_s"]) - self.outside(from_s)
            parts["smoothing"] = move - sum(parts.values())
            told.moves.append(move)
            told.parts.append(parts)
            if call["side"] * move < 0:
                told.links |= {(("call", number), who): push / move for who, push in pushes.items()}
        for number, places in enumerate(self.stops()):
            begins, from_s = self._begins(places[0])
            order = self.facts[places[0]]
            parts, pushes = self._pushes(behind, begins, places[0], 1.0)
            parts["index"] = self.outside(order["time_s"]) - self.outside(from_s)
            parts["smoothing"] = 0.0
            move = sum(parts.values())
            told.stop_moves.append(move)
            told.stop_parts.append(parts)
            if -order["side"] * move < 0:
                told.links |= {(("stop", number), who): push / move for who, push in pushes.items()}
        told.links = {link: share for link, share in told.links.items() if share >= least}
        return told

    def calls(self) -> list[int]:
        """Places of the margin calls."""
        return [place for place, fact in enumerate(self.facts) if fact["kind"] == EventKind.MARGIN_CALL]

    def stops(self) -> list[list[int]]:
        """Places of the fills of each stop order; one without a number is an order by itself."""
        orders: dict[tuple[str, int], list[int]] = {}
        for place, fact in enumerate(self.facts):
            if fact["kind"] == EventKind.FILL and fact["cause"] == Cause.STOP:
                key = ("order", fact["order_id"]) if fact["order_id"] else ("fill", place)
                orders.setdefault(key, []).append(place)
        return list(orders.values())

    def excess(self, place: int) -> float:
        """Of the last fill up to `place` (eq. 170); before the first, that of the first mark."""
        for fact in reversed(self.facts[: place + 1]):
            if fact["kind"] == EventKind.FILL:
                half = 0.5 * self.spread(fact["time_s"])
                return float(fact["price_ticks"] - fact["side"] * half - self.outside(fact["time_s"]))
        first = next(fact for fact in self.facts if fact["kind"] == EventKind.FILL)
        return float(self.facts[0]["mark_ticks"] - self.outside(first["time_s"]))

    def pass_through(self) -> float:
        """Slope of changes of mark less outside price on changes of excess, over a minute."""
        first = next(fact for fact in self.facts if fact["kind"] == EventKind.FILL)
        if self.facts[-1]["time_s"] - first["time_s"] < 120.0:
            return 1.0
        samples: list[tuple[float, float]] = []
        number = math.ceil(first["time_s"] / self.period_s)
        while number * self.period_s < self.facts[-1]["time_s"]:
            made_s = number * self.period_s
            carrier = max(place for place, fact in enumerate(self.facts) if fact["time_s"] < made_s + self.period_s)
            seen = max(place for place, fact in enumerate(self.facts) if fact["time_s"] <= made_s)
            samples.append((self.facts[carrier]["mark_ticks"] - self.outside(made_s), self.excess(seen)))
            number += 1
        lag = round(60.0 / self.period_s)
        changes = [(now[0] - then[0], now[1] - then[1]) for then, now in zip(samples, samples[lag:], strict=False)]
        squares = sum(traded**2 for _, traded in changes)
        return min(max(sum(marked * traded for marked, traded in changes) / squares, 0.0), 1.0) if squares else 1.0

    def _begins(self, place: int) -> tuple[int, float]:
        call = self.facts[place]
        earliest_s = max(call["time_s"] - self.window_s, 0.0)
        begins, from_s = -1, earliest_s
        for spot, fact in enumerate(self.facts[:place]):
            both = fact["kind"] in (EventKind.FILL, EventKind.ADL)
            named = (fact["account"], fact["maker_account"]) if both else (fact["account"],)
            own = fact["kind"] in CHANGES and call["account"] in named
            if fact["time_s"] <= earliest_s or own:
                begins, from_s = spot, max(fact["time_s"], earliest_s)
        return begins, from_s

    def _called(self, account: int, before: int) -> Node:
        """The last call of an account before a place."""
        found = [
            number
            for number, place in enumerate(self.calls())
            if place < before and self.facts[place]["account"] == account
        ]
        return ("call", found[-1]) if found else NOBODY

    def _behind(self) -> dict[int, list[Share]]:
        """Place of a fill -> who is behind it; the fund closes first what it took first."""
        held: list[Node] = []  # whose, one entry a lot
        behind: dict[int, list[Share]] = {}
        taken: dict[int, list[list[Any]]] = {}  # winner -> [time, side of the position lost, whose], one entry a lot
        called: dict[int, list[Any]] = {}  # account -> [call, side, lots]
        for place, fact in enumerate(self.facts):
            lots, who = fact["quantity_lots"], fact["account"]
            if fact["kind"] == EventKind.MARGIN_CALL:
                called[who] = [self._called(who, place + 1), fact["side"], lots]
            elif fact["kind"] in ENDS:
                called.pop(who, None)
            if fact["kind"] == EventKind.TAKEOVER:
                held += [self._called(who, place)] * lots
            elif fact["kind"] == EventKind.ADL:
                closed = [self._called(fact["maker_account"], place)] * lots
                if 0 in (who, fact["maker_account"]):
                    closed, held = held[:lots] + [NOBODY] * (lots - len(held)), held[lots:]
                if who != 0:
                    taken.setdefault(who, []).extend([fact["time_s"], -fact["side"], whose] for whose in closed)
            elif fact["kind"] == EventKind.FILL:
                if fact["cause"] == Cause.LIQUIDATION:
                    called.pop(who, None)
                    behind[place] = [Share("forced", self._called(who, place), 1.0)]
                elif fact["cause"] == Cause.TAKEOVER:
                    sold, held = held[:lots] + [NOBODY] * (lots - len(held)), held[lots:]
                    behind[place] = [Share("forced", whose, 1.0 / lots) for whose in sold]
                elif fact["cause"] == Cause.STOP:
                    number = next(number for number, places in enumerate(self.stops()) if place in places)
                    behind[place] = [Share("stop", ("stop", number), 1.0)]
                else:
                    behind[place] = self._free(fact, taken.get(who, []), called.get(who))
        return behind

    def _free(self, fact: Fact, taken: list[list[Any]], called: list[Any] | None) -> list[Share]:
        """A voluntary fill, lot by lot: of a called account that sells, of one that rebuilds what ADL closed, or
        neither."""
        shares, lots = [], fact["quantity_lots"]
        taken[:] = [each for each in taken if fact["time_s"] - each[0] <= self.window_s]
        for _ in range(lots):
            if called and called[1] == -fact["side"] and called[2]:
                called[2] -= 1
                shares.append(Share("forced", called[0], 1.0 / lots))
            elif taken and taken[0][1] == fact["side"]:
                shares.append(Share("adl", taken.pop(0)[2], 1.0 / lots))
            else:
                shares.append(Share("voluntary", NOBODY, 1.0 / lots))
        return shares

    def _pushes(
        self, behind: dict[int, list[Share]], begins: int, ends: int, passed: float
    ) -> tuple[dict[str, float], dict[Node, float]]:
        """What trades of each cause made of the move, and what everybody behind them did."""
        between: dict[int, list[tuple[int, float]]] = {}
        for place in range(begins + 1, ends):
            if self.facts[place]["kind"] == EventKind.FILL:
                shift = self.excess(place) - self.excess(place - 1)
                between.setdefault(math.ceil(self.facts[place]["time_ns"] / (self.period_s * 1e9)), []).append(
                    (place, shift)
                )
        parts = {"voluntary": 0.0, "stop": 0.0, "forced": 0.0, "adl": 0.0}
        pushed: dict[Node, float] = {}
        for shifts in between.values():
            causes = dict.fromkeys(parts, 0.0)
            by_node: dict[str, dict[Node, float]] = {name: {} for name in parts}
            for place, shift in shifts:
                for name, node, share in behind[place]:
                    causes[name] += shift * share
                    by_node[name][node] = by_node[name].get(node, 0.0) + shift * share
            made = _divided(causes, passed * sum(causes.values()))
            for name, part in made.items():
                parts[name] += part
                if name != "voluntary":
                    for node, push in _divided(by_node[name], part).items():
                        pushed[node] = pushed.get(node, 0.0) + push
        return parts, {node: push for node, push in pushed.items() if node != NOBODY}


def _divided(pushes: dict[Any, float], net: float) -> dict[Any, float]:
    helping = {who: push for who, push in pushes.items() if push * net > 0}
    return {who: net * push / sum(helping.values()) for who, push in helping.items()}
