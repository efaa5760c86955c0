"""Liquidation procedures: how an account is closed by force, one file each (docs/model.md, eq. 128-131)."""

from typing import Final

from agents.procedures.base import Procedure, Standing
from agents.procedures.fillable import Fillable
from agents.procedures.full import Full
from agents.procedures.incremental import Incremental
from agents.procedures.sliced import Sliced
from agents.procedures.takeover_at_bankruptcy import TakeoverAtBankruptcy
from agents.procedures.tier_reduction import TierReduction

__all__ = ["PROCEDURES", "Procedure", "Standing"]

PROCEDURES: Final[dict[str, type[Procedure]]] = {
    "full": Full,
    "sliced": Sliced,
    "tier_reduction": TierReduction,
    "takeover_at_bankruptcy": TakeoverAtBankruptcy,
    "fillable": Fillable,
    "incremental": Incremental,
}
"""By the name in `liquidation.procedure`; a new one is one file and one entry."""
