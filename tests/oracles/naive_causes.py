"""The causal tree read aloud (docs/model.md, eq. 170-174): every call, every fill of its window, one at a time.

Prices are those of a contract whose tick is 1.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from marginquake.sim.core.records import Cause, EventKind

Fact = dict[str, Any]
NAMES = {Cause.VOLUNTARY: "voluntary", Cause.STOP: "stop", Cause.LIQUIDATION: "forced", Cause.TAKEOVER: "forced"}


class Owner(NamedTuple):
    """An account whose position a fill closes, where in the record it lost it, and its share of the fill."""

    account: int
    lost: int
    share: float


@dataclass
class Told:
    """Per call its move and parts; (child, parent), numbers of calls -> share of the child's move."""

    moves: list[float] = field(default_factory=list)
    parts: list[dict[str, float]] = field(default_factory=list)
    links: dict[tuple[int, int], float] = field(default_factory=dict)


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
        owners = self._owners()
        calls = [place for place, fact in enumerate(self.facts) if fact["kind"] == EventKind.MARGIN_CALL]
        for child, place in enumerate(calls):
            begins, from_s = self._begins(place)
            call, then = self.facts[place], self.facts[max(begins, 0)]
            move = call["mark_ticks"] - then["mark_ticks"]
            parts, pushes = self._pushes(owners, begins, place, passed)
            parts["index"] = self.outside(call["time_s"]) - self.outside(from_s)
            parts["smoothing"] = move - sum(parts.values())
            told.moves.append(move)
            told.parts.append(parts)
            if call["side"] * move >= 0:
                continue
            for owner, push in pushes.items():
                before = [
                    number
                    for number, other in enumerate(calls)
                    if other < owner.lost and self.facts[other]["account"] == owner.account
                ]
                if before:
                    link = (child, before[-1])
                    told.links[link] = told.links.get(link, 0.0) + push / move
        told.links = {link: share for link, share in told.links.items() if share >= least}
        return told

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
            own = fact["kind"] != EventKind.MARGIN_CALL and call["account"] in (fact["account"], fact["maker_account"])
            if fact["time_s"] <= earliest_s or own:
                begins, from_s = spot, max(fact["time_s"], earliest_s)
        return begins, from_s

    def _owners(self) -> dict[int, list[Owner]]:
        """Place of a forced fill -> whose positions it closes; the fund closes first what it took first."""
        held: list[tuple[int, int]] = []  # (account, place of the takeover), one entry a lot
        owners: dict[int, list[Owner]] = {}
        for place, fact in enumerate(self.facts):
            lots = fact["quantity_lots"]
            if fact["kind"] == EventKind.TAKEOVER:
                held += [(fact["account"], place)] * lots
            elif fact["kind"] == EventKind.ADL and 0 in (fact["account"], fact["maker_account"]):
                held = held[lots:]
            elif fact["kind"] == EventKind.FILL and fact["cause"] == Cause.LIQUIDATION:
                owners[place] = [Owner(fact["account"], place, 1.0)]
            elif fact["kind"] == EventKind.FILL and fact["cause"] == Cause.TAKEOVER:
                sold, held = held[:lots], held[lots:]
                owners[place] = [Owner(account, row, 1.0 / lots) for account, row in sold]
        return owners

    def _pushes(
        self, owners: dict[int, list[Owner]], begins: int, ends: int, passed: float
    ) -> tuple[dict[str, float], dict[Owner, float]]:
        """What trades of each cause made of the move, and what each loser's liquidation did (share left at 0)."""
        between: dict[int, list[tuple[int, float]]] = {}
        for place in range(begins + 1, ends):
            if self.facts[place]["kind"] == EventKind.FILL:
                shift = self.excess(place) - self.excess(place - 1)
                between.setdefault(math.ceil(self.facts[place]["time_ns"] / (self.period_s * 1e9)), []).append(
                    (place, shift)
                )
        parts = {"voluntary": 0.0, "stop": 0.0, "forced": 0.0}
        pushed: dict[Owner, float] = {}
        for shifts in between.values():
            causes = dict.fromkeys(parts, 0.0)
            by_owner: dict[Owner, float] = {}
            for place, shift in shifts:
                name = NAMES[self.facts[place]["cause"]]
                causes[name] += shift
                if name != "forced":
                    continue
                nobodys = 1.0
                for owner in owners.get(place, []):
                    nobodys -= owner.share
                    plain = owner._replace(share=0.0)
                    by_owner[plain] = by_owner.get(plain, 0.0) + shift * owner.share
                nobody = Owner(-1, -1, 0.0)
                by_owner[nobody] = by_owner.get(nobody, 0.0) + shift * nobodys
            made = _divided(causes, passed * sum(causes.values()))
            for name, part in made.items():
                parts[name] += part
            for owner, push in _divided(self._by_call(by_owner), made.get("forced", 0.0)).items():
                pushed[owner] = pushed.get(owner, 0.0) + push
        return parts, {owner: push for owner, push in pushed.items() if owner.account >= 0}

    def _by_call(self, by_owner: dict[Owner, float]) -> dict[Owner, float]:
        """One entry a call: losses of an account after the same call belong together, as do losers without one."""
        joined: dict[Owner, float] = {}
        for owner, push in by_owner.items():
            calls = [
                place
                for place, fact in enumerate(self.facts[: max(owner.lost, 0)])
                if fact["kind"] == EventKind.MARGIN_CALL and fact["account"] == owner.account
            ]
            whose = Owner(owner.account, calls[-1] + 1, 0.0) if calls else Owner(-1, -1, 0.0)
            joined[whose] = joined.get(whose, 0.0) + push
        return joined


def _divided(pushes: dict[Any, float], net: float) -> dict[Any, float]:
    helping = {who: push for who, push in pushes.items() if push * net > 0}
    return {who: net * push / sum(helping.values()) for who, push in helping.items()}
