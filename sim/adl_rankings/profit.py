"""Unrealised profit in money: whoever has won most pays first."""

from sim.adl_rankings.inputs import Floats, RankingInputs


def profit(inputs: RankingInputs) -> Floats:
    """Unrealised profit, quote units; with water-filling the largest profits are levelled down together (D)."""
    return inputs.unrealised
