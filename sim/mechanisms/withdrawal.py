"""Withdrawal in stress: makers quote their full size whatever the price does and never pull; HFTs never stop.

Background flow has no part in it: its orders come and go at rates that do not depend on stress.  Spreads still widen
with volatility, and inventory limits still hold.
"""

from typing import Any

from sim.mechanisms.mechanism import Absent, Mechanism, populations_without
from sim.scenario import Scenario


def _changes(scenario: Scenario) -> dict[str, Any]:
    changed = populations_without(scenario, "withdrawal")
    if not changed:
        raise Absent(
            f"--without withdrawal: nobody in {scenario.name} withdraws in stress (no market_maker or hft that quotes "
            "less or pulls)"
        )
    return changed


WITHDRAWAL = Mechanism("withdrawal", "withdrawal in stress", _changes)
