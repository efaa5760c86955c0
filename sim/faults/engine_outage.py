"""The liquidation engine stands still."""

from dataclasses import replace
from typing import Literal, final

from sim.faults.base import Fault, InForce


@final
class EngineOutage(Fault):
    """No scan: nobody is called in, closed or taken over; calls pile up and are worked off afterwards.

    BitMEX, 2020-03-13, about 45 min (B); Binance, 2021-05-19 (A, abstract).
    """

    type: Literal["engine_outage"] = "engine_outage"

    def change(self, rules: InForce) -> InForce:
        """No scans."""
        return replace(rules, engine_scans=False)
