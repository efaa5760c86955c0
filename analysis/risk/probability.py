"""How likely each account is to be called within a horizon, in closed form (docs/model.md, eq. 98, 99 and 211)."""

import numpy as np

from analysis.load import Floats
from analysis.risk.states import Standing
from sim.records import Side
from sim.venue_formulas.first_passage import first_passage_probability, monitoring_shift


def call_probabilities(
    standing: Standing, annual_volatility: float, horizon_s: float, period_s: float = 0.0, annual_drift: float = 0.0
) -> Floats:
    """Probability of a margin call within `horizon_s` for every account of `standing`.

    The mark is taken for a geometric Brownian motion that nobody's orders move, looked at every `period_s` (0: watched
    all the time); the account keeps its position and its margin.
    """
    shift = monitoring_shift(annual_volatility, period_s) if period_s > 0 else 0.0
    away = standing.log_distance
    # Equal distances (a grid of entries, a few leverages) are worked out once.
    keys, place = np.unique(np.stack((standing.side.astype(np.float64), away)), axis=1, return_inverse=True)
    found = np.fromiter(
        (
            first_passage_probability(
                Side.BUY if side > 0 else Side.SELL,
                b + shift if b > 0 else b,
                annual_volatility,
                horizon_s,
                annual_drift,
            )
            for side, b in keys.T.tolist()
        ),
        np.float64,
        keys.shape[1],
    )
    return found[place.ravel()]
