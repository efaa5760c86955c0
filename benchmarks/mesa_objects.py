"""Array participants beside one Mesa object a trader: the same orders of the same 10^5 accounts, the same events.

Times are CPU seconds; every round times each crowd in turn.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.rows import Row
from marginquake.agents import AGENT_TYPES
from marginquake.sim.model.model import MarketModel
from marginquake.sim.scenario.loader import load_scenario
from marginquake.sim.studies.run import release

SCENARIO = Path(__file__).with_name("crowd.yaml")
ACCOUNTS = 100_000
SETTLING_STEPS = 120
"""Untimed, so that everybody has woken about once and the book is as full as it gets."""
STEPS = 60
CROWDS = {
    "arrays": ('populations.crowd.type="benchmarks.crowd:ArrayCrowd"',),
    "objects, one batch a step": ('populations.crowd.type="benchmarks.crowd:ObjectCrowd"',),
    "objects, one call an order": (
        'populations.crowd.type="benchmarks.crowd:ObjectCrowd"',
        "populations.crowd.batch=false",
    ),
}


def measure(repeat: int, accounts: int = ACCOUNTS) -> list[Row]:
    """Seconds a step of each crowd, and the ratios."""
    cost: dict[str, list[float]] = {label: [] for label in CROWDS}
    digests: dict[str, str] = {}
    events = 0.0
    for _ in range(repeat):
        for label, overrides in CROWDS.items():
            seconds, events, digests[label] = _run([*overrides, f"populations.crowd.accounts={accounts}"])
            cost[label].append(seconds)
    arrays, batch, single = CROWDS
    rows = [
        Row(label, float(np.median(cost[label])) * 1e6, "us a step", note=f"{events:,.0f} events a step")
        for label in CROWDS
    ]
    same = "the same event digest" if digests[arrays] == digests[batch] else "other events: not the same work"
    rows.append(Row("arrays / objects", _ratio(cost[batch], cost[arrays]), "x", 15, 25, note=f"one batch; {same}"))
    order = "one call an order; each calls in turn, so events come in another order"
    rows.append(Row("arrays / objects", _ratio(cost[single], cost[arrays]), "x", note=order))
    return rows


def _run(overrides: Sequence[str]) -> tuple[float, float, str]:
    """Seconds a step, events a step, digest of all events."""
    model = MarketModel(load_scenario(SCENARIO, AGENT_TYPES, overrides), AGENT_TYPES)
    try:
        for _ in range(SETTLING_STEPS):
            model.step()
        events = 0
        started = time.process_time()
        for _ in range(STEPS):
            model.step()
            events += len(model.sessions[0].last_events)
        seconds = (time.process_time() - started) / STEPS
        return seconds, events / STEPS, str(model.finish().summary["event_digest"])
    finally:
        release(model)


def _ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    return float(np.median([theirs / ours for theirs, ours in zip(slow, fast, strict=True)]))
