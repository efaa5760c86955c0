"""Binance USD-M: profit over wallet, times the venue's margin ratio."""

import numpy as np

from sim.adl_rankings.inputs import Floats, RankingInputs, ratio


def binance(inputs: RankingInputs) -> Floats:
    """Score of each candidate (eq. 17); a loser's is its negative return, so every loser ranks below every winner."""
    unrealised = inputs.unrealised
    gain = unrealised / np.maximum(1.0, inputs.backing)
    return np.where(unrealised > 0.0, gain * ratio(inputs.maintenance, inputs.equity), gain)
