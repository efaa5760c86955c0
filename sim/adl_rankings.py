"""Who is deleveraged first: ADL rankings by the name that a scenario uses (docs/model.md, eq. 17)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from sim.margin import AccountRows, BracketSchedule, backing_equity, backing_money, maintenance_money

Floats = NDArray[np.float64]


@final
@dataclass(frozen=True)
class RankingInputs:
    """What an ADL ranking may look at: candidates' rows, the mark, and the units of money."""

    rows: AccountRows
    mark_ticks: int
    value: int
    money_per_quote: float
    brackets: BracketSchedule


Ranking = Callable[[RankingInputs], Floats]


def binance_ranking(inputs: RankingInputs) -> Floats:
    """Score of each candidate (eq. 17); a loser's is its negative return, so every loser ranks below every winner."""
    wallet = backing_money(inputs.rows) / inputs.money_per_quote
    equity = backing_equity(inputs.rows, inputs.mark_ticks, inputs.value) / inputs.money_per_quote
    needed = maintenance_money(inputs.rows, inputs.mark_ticks, inputs.value, inputs.brackets) / inputs.money_per_quote
    unrealised = equity - wallet
    gain = unrealised / np.maximum(1.0, wallet)
    ratio = np.divide(needed, equity, out=np.zeros_like(equity), where=equity > 0.0)
    return np.where(unrealised > 0.0, gain * ratio, gain)


ADL_RANKINGS: dict[str, Ranking] = {"binance": binance_ranking}
"""ADL rankings by the name that a scenario uses; the highest score is closed first."""
