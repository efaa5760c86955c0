"""Nothing: the twin that must hold the same events, whatever its sizes are said to be by."""

from typing import Any

from sim.mechanisms.mechanism import Mechanism
from sim.scenario import Scenario


def _changes(scenario: Scenario) -> dict[str, Any]:
    return {}


NOTHING = Mechanism("nothing", "nothing", _changes)
