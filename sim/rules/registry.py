"""The names that a scenario may give to a rule, collected from the registries that hold the rules."""

from collections.abc import Mapping, Sequence
from typing import Any

from marginquake.sim.rules.adl_allocation import ADL_ALLOCATIONS
from marginquake.sim.rules.adl_ranking import ADL_RANKINGS
from marginquake.sim.rules.adl_trigger import ADL_TRIGGERS
from marginquake.sim.rules.funding import FUNDING_RULES
from marginquake.sim.rules.margin import INITIAL_RULES, MAINTENANCE_RULES
from marginquake.sim.rules.mark import MARK_RULES

FieldPath = tuple[str, ...]


def rule_names(registry: Mapping[str, type[Any]]) -> dict[FieldPath, Sequence[str]]:
    """Known names by the field of a market that gives one.

    Liquidation procedures come from the participant of `registry` that has `procedures` (sim may not import agents);
    without one, their names are not known.
    """
    names: dict[FieldPath, Sequence[str]] = {
        ("venue", "mark", "rule"): list(MARK_RULES),
        ("venue", "funding", "rule"): list(FUNDING_RULES),
        ("venue", "maintenance", "rule"): list(MAINTENANCE_RULES),
        ("venue", "initial", "rule"): list(INITIAL_RULES),
        ("venue", "adl", "ranking"): list(ADL_RANKINGS),
        ("venue", "adl", "allocation"): list(ADL_ALLOCATIONS),
        ("venue", "adl", "trigger"): list(ADL_TRIGGERS),
    }
    procedures = [name for kind in registry.values() for name in getattr(kind, "procedures", ())]
    if procedures:
        names["liquidation", "procedure"] = procedures
    return names


def population_types(registry: Mapping[str, type[Any]]) -> dict[str, type[Any]]:
    """The participants of `registry` that a population may be: all but those that a block of the market configures."""
    return {name: kind for name, kind in registry.items() if configured_by(kind) is None}


def configured_by(kind: type[Any]) -> str | None:
    """The block of the market that configures this participant; None for those that are populations."""
    block: str | None = getattr(kind, "configured_by", None)
    return block
