"""The mark stands still."""

from dataclasses import replace
from typing import Literal, final

from sim.faults.base import Fault, InForce


@final
class StaleMark(Fault):
    """No new mark: nobody is called, no stop that watches the mark fires, the price band stays where it is."""

    type: Literal["stale_mark"] = "stale_mark"

    def change(self, rules: InForce) -> InForce:
        """The last mark stays in force."""
        return replace(rules, mark_moves=False)
