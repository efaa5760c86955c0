"""Margins are what the brackets say."""

from typing import ClassVar, final

from sim.margin_rules.base import InitialRule, MaintenanceRule


@final
class FixedMaintenance(MaintenanceRule):
    """The brackets' rates, always."""

    fixed: ClassVar[bool] = True

    def observe(self, now_ns: int, mark_ticks: int) -> None:
        """Nothing to learn."""

    def multiplier(self) -> float:
        """One."""
        return 1.0


@final
class FixedInitial(InitialRule):
    """The brackets' initial margin, always."""

    fixed: ClassVar[bool] = True

    def fraction(self, base: float, open_notional: float) -> float:
        """What the bracket says."""
        return base
