"""The venue asks the wrong maintenance margin."""

from dataclasses import replace
from typing import Literal, final

from pydantic import Field

from sim.faults.base import Fault, InForce


@final
class WrongTier(Fault):
    """Maintenance rates of all brackets are `factor` times what they should be, from the next mark on: above 1 accounts
    are called that should not be, below 1 they are called too late.  Deductions follow, so it stays continuous."""

    type: Literal["wrong_tier"] = "wrong_tier"
    factor: float = Field(gt=0, le=100, description="Multiple of the maintenance rates in force")

    def change(self, rules: InForce) -> InForce:
        """Factors multiply."""
        return replace(rules, maintenance_factor=rules.maintenance_factor * self.factor)
