"""Who is deleveraged first: ADL rankings (`venue.adl.ranking`; docs/model.md, eq. 17)."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Final, final

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.margin import (
    AccountRows,
    BracketSchedule,
    backing_equity,
    backing_money,
    entry_ticks,
    maintenance_money,
    position_notional,
)
from marginquake.sim.core.records import Side
from marginquake.sim.core.typing import Floats
from marginquake.sim.core.valuation import LotValue
from marginquake.sim.rules.registry import Registry, Rule, RuleBlock

LAST = -1e300
"""The score of an account that closes only after all others: one without equity of its own."""


@final
@dataclass(frozen=True)
class RankingInputs:
    """Candidates' rows, the mark, and the units of money; amounts below are in quote units.

    `draw`: one uniform of (0, 1) for this ranking.
    """

    rows: AccountRows
    mark_ticks: int
    lot_value: LotValue
    money_per_quote: float
    brackets: BracketSchedule
    draw: float = 0.5

    @cached_property
    def backing(self) -> Floats:
        """What stands behind each position."""
        return self._quote(backing_money(self.rows))

    @cached_property
    def equity(self) -> Floats:
        """Backing plus unrealised profit at the mark."""
        return self._quote(backing_equity(self.rows, self.mark_ticks, self.lot_value))

    @cached_property
    def maintenance(self) -> Floats:
        """Maintenance requirement at the mark."""
        return self._quote(maintenance_money(self.rows, self.mark_ticks, self.lot_value, self.brackets))

    @cached_property
    def notional(self) -> Floats:
        """|position| at the mark."""
        return self._quote(position_notional(self.rows, self.mark_ticks, self.lot_value))

    @cached_property
    def entry_notional(self) -> Floats:
        """|position| at its entry price."""
        return self._quote(np.abs(self.rows["cost"]))

    @property
    def unrealised(self) -> Floats:
        """Unrealised profit at the mark."""
        return self.equity - self.backing

    @property
    def longs(self) -> NDArray[np.bool_]:
        """True where the position is long."""
        long: NDArray[np.bool_] = self.rows["position_lots"] > 0
        return long

    def _quote(self, money: NDArray[np.int64]) -> Floats:
        return money / self.money_per_quote


class RankingConfig(RuleBlock):
    """A ranking's name; `ranking: {rule: my_lab.adl:Mine, ...}` gives one of your own its parameters."""

    rule: str = "binance"


class Ranking(Rule, ABC):
    """Says who closes first."""

    config_type: ClassVar[type[RankingConfig]] = RankingConfig

    def __init__(self, config: RankingConfig) -> None:
        self.config = config

    @abstractmethod
    def scores(self, inputs: RankingInputs) -> Floats:
        """A score for each candidate: the highest closes first."""


def ratio(above: Floats, below: Floats, otherwise: float = 0.0) -> Floats:
    """above / below, `otherwise` where `below` is not positive."""
    return np.divide(above, below, out=np.full_like(above, otherwise), where=below > 0.0)


@final
class Binance(Ranking):
    """Score of each candidate (eq. 17); a loser's is its negative return, so every loser ranks below every winner."""

    def scores(self, inputs: RankingInputs) -> Floats:
        """A score for each candidate."""
        unrealised = inputs.unrealised
        gain = unrealised / np.maximum(1.0, inputs.backing)
        return np.where(unrealised > 0.0, gain * ratio(inputs.maintenance, inputs.equity), gain)


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


@final
class Bitmex(Ranking):
    """`bitmex_adl_score` of each candidate: mark value less bankruptcy value is equity."""

    def scores(self, inputs: RankingInputs) -> Floats:
        """A score for each candidate."""
        gain = ratio(inputs.unrealised, inputs.entry_notional)
        leverage = np.maximum(ratio(inputs.notional, inputs.equity, otherwise=1.0), 1e-12)
        score = np.where(gain > 0.0, gain * leverage, gain / leverage)
        return np.where(inputs.equity > 0.0, score, LAST)


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


@final
class Hyperliquid(Ranking):
    """`hyperliquid_adl_score` of each candidate; the account value is what stands behind this position."""

    def scores(self, inputs: RankingInputs) -> Floats:
        """A score for each candidate."""
        entry = np.maximum(entry_ticks(inputs.rows, inputs.lot_value), 1e-12)
        mark = float(inputs.mark_ticks)
        moved = np.where(inputs.longs, mark / entry, entry / mark)
        return np.where(inputs.equity > 0.0, moved * ratio(inputs.notional, inputs.equity), LAST)


@final
class Leverage(Ranking):
    """Notional over equity where the position has a profit; a loser's is its negative return.

    No venue's rule: the yardstick that Chitra 2025 (arXiv 2512.01112, grade A for the abstract) levels down.
    """

    def scores(self, inputs: RankingInputs) -> Floats:
        """A score for each candidate."""
        unrealised = inputs.unrealised
        gain = unrealised / np.maximum(1.0, inputs.backing)
        score = np.where(unrealised > 0.0, ratio(inputs.notional, inputs.equity), np.minimum(gain, 0.0))
        return np.where(inputs.equity > 0.0, score, LAST)


@final
class Profit(Ranking):
    """Unrealised profit, quote units; with water-filling the largest profits are levelled down together (D)."""

    def scores(self, inputs: RankingInputs) -> Floats:
        """A score for each candidate."""
        return inputs.unrealised


@final
class PseudoRandom(Ranking):
    """Scores that fall from a random candidate on, around the end to the one before it: winners and losers alike.

    dYdX v4 walks its open positions from a pseudo-random start (code, grade A); one draw a scan and side.
    """

    def scores(self, inputs: RankingInputs) -> Floats:
        """A score for each candidate."""
        count = len(inputs.rows)
        start = int(inputs.draw * count)
        return 1.0 - ((np.arange(count) - start) % max(count, 1)) / max(count, 1)


ADL_RANKINGS: Final[Registry[type[Ranking]]] = Registry(
    "ranking",
    Ranking,
    {
        "binance": Binance,
        "bitmex": Bitmex,
        "hyperliquid": Hyperliquid,
        "random": PseudoRandom,
        "leverage": Leverage,
        "profit": Profit,
    },
    default="binance",
    may_be_a_name=True,
)
"""By the name in `venue.adl.ranking`; the highest score is closed first."""
