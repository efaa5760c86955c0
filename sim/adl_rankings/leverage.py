"""Effective leverage of winners: what water-filling levels down."""

import numpy as np

from sim.adl_rankings.inputs import LAST, Floats, RankingInputs, ratio


def leverage(inputs: RankingInputs) -> Floats:
    """Notional over equity where the position has a profit; a loser's is its negative return.

    No venue's rule: the yardstick that Chitra 2025 (arXiv 2512.01112, grade A for the abstract) levels down.
    """
    unrealised = inputs.unrealised
    gain = unrealised / np.maximum(1.0, inputs.backing)
    score = np.where(unrealised > 0.0, ratio(inputs.notional, inputs.equity), np.minimum(gain, 0.0))
    return np.where(inputs.equity > 0.0, score, LAST)
