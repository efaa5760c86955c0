"""BitMEX, Bybit: leveraged return."""

import numpy as np

from sim.adl_rankings.inputs import LAST, Floats, RankingInputs, ratio


def bitmex_adl_score(mark_value: float, entry_value: float, bankruptcy_value: float) -> float:
    """PnL% x effective leverage if PnL% > 0, else PnL% / effective leverage (eq. 120); BitMEX, grade A.

    PnL% = (mark - entry) / |entry|, effective leverage = |mark| / (mark - bankruptcy): values of the whole position,
    signed.  At or below bankruptcy there is no leverage to speak of: the account comes last.
    """
    gain = (mark_value - entry_value) / abs(entry_value)
    if mark_value <= bankruptcy_value:
        return LAST
    leverage = abs(mark_value) / (mark_value - bankruptcy_value)
    return gain * leverage if gain > 0 else gain / leverage


def bitmex(inputs: RankingInputs) -> Floats:
    """`bitmex_adl_score` of each candidate: mark value less bankruptcy value is equity."""
    gain = ratio(inputs.unrealised, inputs.entry_notional)
    leverage = np.maximum(ratio(inputs.notional, inputs.equity, otherwise=1.0), 1e-12)
    score = np.where(gain > 0.0, gain * leverage, gain / leverage)
    return np.where(inputs.equity > 0.0, score, LAST)
