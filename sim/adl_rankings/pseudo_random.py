"""dYdX v4: no ranking; accounts in order, from a pseudo-random one on."""

import numpy as np

from sim.adl_rankings.inputs import Floats, RankingInputs


def pseudo_random(inputs: RankingInputs) -> Floats:
    """Scores that fall from a random candidate on, around the end to the one before it: winners and losers alike.

    dYdX v4 walks its open positions from a pseudo-random start (code, grade A); one draw a scan and side.
    """
    count = len(inputs.rows)
    start = int(inputs.draw * count)
    return 1.0 - ((np.arange(count) - start) % max(count, 1)) / max(count, 1)
