"""Hyperliquid: how far the price has moved an account's way, times its leverage."""

import numpy as np

from sim.adl_rankings.inputs import LAST, Floats, RankingInputs, ratio
from sim.margin import entry_ticks
from sim.records import Side


def hyperliquid_adl_score(
    side: Side, mark_price: float, entry_price: float, notional: float, account_value: float
) -> float:
    """(mark / entry) x (notional / account value), entry / mark for shorts (eq. 121); Hyperliquid, grade A.

    The documentation prints mark / entry for both sides, which would rank the shorts that lose most first; we turn it
    around for shorts.  An account without value of its own comes last.
    """
    if account_value <= 0:
        return LAST
    moved = mark_price / entry_price if side == Side.BUY else entry_price / mark_price
    return moved * notional / account_value


def hyperliquid(inputs: RankingInputs) -> Floats:
    """`hyperliquid_adl_score` of each candidate; the account value is what stands behind this position."""
    entry = np.maximum(entry_ticks(inputs.rows, inputs.worth), 1e-12)
    mark = float(inputs.mark_ticks)
    moved = np.where(inputs.longs, mark / entry, entry / mark)
    return np.where(inputs.equity > 0.0, moved * ratio(inputs.notional, inputs.equity), LAST)
