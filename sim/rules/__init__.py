"""What a venue may decide differently: mark, funding, margin, liquidation, ADL, faults.  Sees core.

Whoever writes a rule imports from here: subclass a family, give it a nested `Config` if it has parameters, and name it
in YAML as `module:Class`.  `register` gives it a short name in this process.
"""

from marginquake.sim.rules.adl_allocation import ADL_ALLOCATIONS, Allocation, AllocationConfig, Candidates
from marginquake.sim.rules.adl_ranking import ADL_RANKINGS, Ranking, RankingConfig, RankingInputs
from marginquake.sim.rules.adl_trigger import ADL_TRIGGERS, AdlConfig, AdlTrigger
from marginquake.sim.rules.faults import FAULTS, Fault, InForce
from marginquake.sim.rules.funding import FUNDING_RULES, FundingConfig, FundingInputs, FundingRule, MarginTerms
from marginquake.sim.rules.liquidation import PROCEDURES, LiquidationConfig, Procedure, Standing
from marginquake.sim.rules.margin import (
    INITIAL_RULES,
    MAINTENANCE_RULES,
    InitialRule,
    MaintenanceRule,
    MovingInitialConfig,
    MovingMaintenanceConfig,
)
from marginquake.sim.rules.mark import MARK_RULES, MarkConfig, MarkInputs, MarkRule
from marginquake.sim.rules.registry import FAMILIES, Registry, register

__all__ = [
    "ADL_ALLOCATIONS",
    "ADL_RANKINGS",
    "ADL_TRIGGERS",
    "FAMILIES",
    "FAULTS",
    "FUNDING_RULES",
    "INITIAL_RULES",
    "MAINTENANCE_RULES",
    "MARK_RULES",
    "PROCEDURES",
    "AdlConfig",
    "AdlTrigger",
    "Allocation",
    "AllocationConfig",
    "Candidates",
    "Fault",
    "FundingConfig",
    "FundingInputs",
    "FundingRule",
    "InForce",
    "InitialRule",
    "LiquidationConfig",
    "MaintenanceRule",
    "MarginTerms",
    "MarkConfig",
    "MarkInputs",
    "MarkRule",
    "MovingInitialConfig",
    "MovingMaintenanceConfig",
    "Procedure",
    "Ranking",
    "RankingConfig",
    "RankingInputs",
    "Registry",
    "Standing",
    "register",
]
