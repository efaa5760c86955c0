"""Who is deleveraged first: ADL rankings by the name that a scenario uses, one file each (docs/model.md, eq. 17)."""

from typing import Final

from sim.adl_rankings.binance import binance
from sim.adl_rankings.bitmex import bitmex
from sim.adl_rankings.hyperliquid import hyperliquid
from sim.adl_rankings.inputs import Ranking, RankingInputs
from sim.adl_rankings.leverage import leverage
from sim.adl_rankings.profit import profit
from sim.adl_rankings.pseudo_random import pseudo_random

__all__ = ["ADL_RANKINGS", "Ranking", "RankingInputs"]

ADL_RANKINGS: Final[dict[str, Ranking]] = {
    "binance": binance,
    "bitmex": bitmex,
    "hyperliquid": hyperliquid,
    "random": pseudo_random,
    "leverage": leverage,
    "profit": profit,
}
"""By the name in `venue.adl.ranking`; the highest score is closed first."""
