"""Rules that move margins with the market, by the names that a scenario uses: one file a rule, one entry here.

`venue.maintenance.rule` in `MAINTENANCE_RULES`, `venue.initial.rule` in `INITIAL_RULES`.
"""

from sim.margin_rules.base import InitialRule, MaintenanceRule
from sim.margin_rules.fixed import FixedInitial, FixedMaintenance
from sim.margin_rules.open_interest_linked import OpenInterestLinked
from sim.margin_rules.volatility_linked import VolatilityLinked

MAINTENANCE_RULES: dict[str, type[MaintenanceRule]] = {
    "fixed": FixedMaintenance,
    "volatility_linked": VolatilityLinked,
}
"""Rules for maintenance margin by name."""

INITIAL_RULES: dict[str, type[InitialRule]] = {
    "fixed": FixedInitial,
    "open_interest_linked": OpenInterestLinked,
}
"""Rules for the least initial margin by name."""

__all__ = ["INITIAL_RULES", "MAINTENANCE_RULES", "InitialRule", "MaintenanceRule"]
