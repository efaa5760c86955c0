"""Forced orders: the liquidation engine does nothing; called accounts keep their positions, or recover."""

from typing import Any

from sim.mechanisms.mechanism import Absent, Mechanism, market_path
from sim.scenario import Scenario


def _changes(scenario: Scenario) -> dict[str, Any]:
    on = [market.name for market in scenario.markets if market.liquidation.enabled]
    if not on:
        raise Absent(
            f"--without liquidation: {scenario.name} has no liquidation engine (liquidation.enabled is false already)"
        )
    return {market_path(scenario, market, "liquidation.enabled"): False for market in on}


LIQUIDATION = Mechanism("liquidation", "forced orders", _changes, moves_start=False)
