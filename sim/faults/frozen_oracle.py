"""The venue's oracle stands still."""

from dataclasses import replace
from typing import Literal, final

from sim.faults.base import Fault, InForce


@final
class FrozenOracle(Fault):
    """The venue goes on believing the last index it has heard of (`sim.oracle`); traders see the index itself.

    Maker, 2020-03-12 (A, B).
    """

    type: Literal["frozen_oracle"] = "frozen_oracle"

    def change(self, rules: InForce) -> InForce:
        """No report reaches the venue."""
        return replace(rules, oracle_moves=False)
