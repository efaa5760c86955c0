"""The causal tree read aloud (docs/model.md, eq. 170-174): every call, every fill of its window, one at a time.

For records in which the outside price stands still, there is no spread, and nobody is called twice.
"""

import math
from typing import Any

from sim.records import Cause, EventKind

Fact = dict[str, Any]
NAMES = {Cause.VOLUNTARY: "voluntary", Cause.STOP: "stop", Cause.LIQUIDATION: "forced", Cause.TAKEOVER: "forced"}


def links(
    facts: list[Fact], mark_period_s: float, least: float, window_s: float = 60.0
) -> dict[tuple[int, int], float]:
    """(child, parent), numbers of calls -> share of the child's move, where it is at least `least`."""
    calls = [place for place, fact in enumerate(facts) if fact["kind"] == EventKind.MARGIN_CALL]
    number = {facts[place]["account"]: count for count, place in enumerate(calls)}
    owners = _owners(facts)
    found = {}
    for child, place in enumerate(calls):
        begins = _begins(facts, place, window_s)
        move = facts[place]["mark_ticks"] - facts[max(begins, 0)]["mark_ticks"]
        if facts[place]["side"] * move >= 0:
            continue
        for account, push in _pushes(facts, owners, begins, place, mark_period_s).items():
            if push / move >= least:
                found[child, number[account]] = push / move
    return found


def _begins(facts: list[Fact], place: int, window_s: float) -> int:
    call = facts[place]
    earliest_s = max(call["time_s"] - window_s, 0.0)
    begins = -1
    for spot, fact in enumerate(facts[:place]):
        own = fact["kind"] != EventKind.MARGIN_CALL and call["account"] in (fact["account"], fact["maker_account"])
        if fact["time_s"] <= earliest_s or own:
            begins = spot
    return begins


def _owners(facts: list[Fact]) -> dict[int, list[tuple[int, float]]]:
    """Place of a forced fill -> (account whose position it closes, share); the fund closes first what it took first."""
    held: list[int] = []  # one entry a lot
    owners: dict[int, list[tuple[int, float]]] = {}
    for place, fact in enumerate(facts):
        if fact["kind"] == EventKind.TAKEOVER:
            held += [fact["account"]] * fact["quantity_lots"]
        elif fact["kind"] == EventKind.FILL and fact["cause"] == Cause.LIQUIDATION:
            owners[place] = [(fact["account"], 1.0)]
        elif fact["kind"] == EventKind.FILL and fact["cause"] == Cause.TAKEOVER:
            sold, held = held[: fact["quantity_lots"]], held[fact["quantity_lots"] :]
            owners[place] = [(account, 1.0 / fact["quantity_lots"]) for account in sold]
    return owners


def _pushes(
    facts: list[Fact], owners: dict[int, list[tuple[int, float]]], begins: int, ends: int, mark_period_s: float
) -> dict[int, float]:
    """Account -> what of the move its liquidation made."""
    between: dict[int, list[tuple[int, float]]] = {}
    last = float(facts[0]["mark_ticks"])
    for place, fact in enumerate(facts[:ends]):
        if fact["kind"] == EventKind.FILL:
            shift, last = fact["price_ticks"] - last, float(fact["price_ticks"])
            if place > begins:
                between.setdefault(math.ceil(fact["time_ns"] / (mark_period_s * 1e9)), []).append((place, shift))
    pushed: dict[int, float] = {}
    for shifts in between.values():
        causes = {"voluntary": 0.0, "stop": 0.0, "forced": 0.0}
        by_owner: dict[int, float] = {}
        for place, shift in shifts:
            causes[NAMES[facts[place]["cause"]]] += shift
            for account, share in owners.get(place, []):
                by_owner[account] = by_owner.get(account, 0.0) + shift * share
            nobodys = 1.0 - sum(share for _, share in owners.get(place, []))
            if NAMES[facts[place]["cause"]] == "forced":
                by_owner[-1] = by_owner.get(-1, 0.0) + shift * nobodys
        forced = _divided(causes, sum(causes.values())).get("forced", 0.0)
        for account, push in _divided(by_owner, forced).items():
            pushed[account] = pushed.get(account, 0.0) + push
    pushed.pop(-1, None)
    return pushed


def _divided(pushes: dict[int, float] | dict[str, float], net: float) -> dict[Any, float]:
    helping = {who: push for who, push in pushes.items() if push * net > 0}
    return {who: net * push / sum(helping.values()) for who, push in helping.items()}
