"""Contrarians: populations that buy because the price has fallen (and sell because it has risen) are not there.

Fundamentalists, arbitrageurs and hedgers are no part of it: they trade on value and basis, not against the move.  Each
of them can be removed by the population's name.
"""

from typing import Any

from sim.mechanisms.mechanism import Absent, Mechanism, populations_without
from sim.scenario import Scenario


def _changes(scenario: Scenario) -> dict[str, Any]:
    changed = populations_without(scenario, "contrarians")
    if not changed:
        raise Absent(f"--without contrarians: {scenario.name} has no population of type contrarian")
    return changed


CONTRARIANS = Mechanism("contrarians", "contrarians", _changes)
