"""Stop orders: no population places any.  Take-profits are not stops: they wait for a price to come back."""

from typing import Any

from sim.mechanisms.mechanism import Absent, Mechanism, populations_without
from sim.scenario import Scenario


def _changes(scenario: Scenario) -> dict[str, Any]:
    changed = populations_without(scenario, "stops")
    if not changed:
        raise Absent(
            f"--without stops: {scenario.name} has no stops (no population with stop_share, or a share of "
            "prevention.stop, above 0)"
        )
    return changed


STOPS = Mechanism("stops", "stops", _changes)
