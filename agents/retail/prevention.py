"""What accounts do before a margin call threatens: nothing, a stop, less of a position, or a hedge elsewhere.

Model: docs/model.md, eq. 37; shares are choices of ours (D).  Stops are in `stops`.  A hedge stands in a second
account: its profit backs no position here, so the first account may be liquidated although its owner has lost nothing.
"""

from typing import final

import numpy as np

from marginquake.agents.retail.brackets import Brackets, Exposure
from marginquake.agents.retail.config import PreventionConfig, RetailConfig
from marginquake.sim.core.accounts import AccountView, Rows
from marginquake.sim.core.integers.casts import money
from marginquake.sim.core.records import Flag, Stage
from marginquake.sim.core.typing import Bools, Floats, Ints
from marginquake.sim.market.context import ParticipantContext
from marginquake.sim.market.orders import OrderEntry

LEAST_CUT = 0.05
"""De-leverers do not bother to sell less than this share of a position."""
FARTHEST = 0.9
"""Nobody asks for more distance than this, however wild the market."""


@final
class Policies:
    """Who follows which policy, by one uniform draw an account."""

    def __init__(self, shares: PreventionConfig | None, stop_share: float, units: Floats) -> None:
        if shares is None:
            self.stop: Bools = units < stop_share
            self.delever: Bools = np.zeros(len(units), np.bool_)
            self.hedge: Bools = self.delever
            return
        ends = np.cumsum([shares.stop, shares.delever, shares.hedge])
        self.stop = units < ends[0]
        self.delever = (units >= ends[0]) & (units < ends[1])
        self.hedge = (units >= ends[1]) & (units < ends[2])


@final
class Prevention:
    """De-leverers and hedgers, who look at their distance to liquidation every `prevention_period`."""

    def __init__(
        self,
        config: RetailConfig,
        context: ParticipantContext,
        accounts: AccountView,
        brackets: Brackets,
        policies: Policies,
    ) -> None:
        self._config = config
        self._accounts = accounts
        self._brackets = brackets
        self._contract = context.contract
        self._rows: Rows = context.rows
        self._delevering = np.flatnonzero(policies.delever)
        self._hedging = np.flatnonzero(policies.hedge)
        self._hedged_lots = np.zeros(len(context.rows), np.int64)
        self._wanted_distance = np.zeros(len(context.rows))
        """Of isolated accounts that have just cut: what margin they put back is to restore; 0 = nothing under way."""
        self.any = len(self._delevering) + len(self._hedging) > 0

    def look(self, mark: float, daily_volatility: float, orders: OrderEntry) -> None:
        """On the timer: cut positions that are too close, set up and lift hedges."""
        if len(self._delevering):
            self._delever(mark, min(FARTHEST, self._config.delever_sigmas * daily_volatility), orders)
        if len(self._hedging):
            self._hedge(mark, orders)

    def changed(self, held: Ints, mark: float, orders: OrderEntry) -> None:
        """Positions that have changed and are still open: the margin that a cut has freed goes behind the rest."""
        index = held[self._wanted_distance[held] > 0]
        if len(index) == 0:
            return
        wanted = self._wanted_distance[index]
        self._wanted_distance[index] = 0.0
        watched = self._is_watched(index)
        own = Exposure(self._accounts, index[watched], mark, self._contract, self._brackets)
        lacking = own.needed(wanted[watched]) * own.notional - own.deduction - own.equity
        short = lacking > 0
        added = money(np.ceil(lacking[short] / self._contract.money_amount), "the margin behind a de-levered position")
        orders.add_margin(self._rows[own.index[short]], added)

    def closed(self, index: Ints, orders: OrderEntry) -> None:
        """Positions that are closed need no hedge."""
        self._wanted_distance[index] = 0.0
        left = index[self._hedged_lots[index] != 0]
        if len(left):
            orders.spot.trade(self._rows[left], -self._hedged_lots[left].astype(np.float64))
            self._hedged_lots[left] = 0

    def _delever(self, mark: float, wanted: float, orders: OrderEntry) -> None:
        """Reduce at once to the position at which liquidation is `wanted` away (closed form, one order).

        Equity E does not change with the size, so x lots are as far as wanted where (E + deduction)/notional is what
        `Exposure.needed` says.  In isolated mode that holds once the freed margin is put behind the rest,
        which `changed` does when the order has filled.
        """
        index = self._delevering[self._is_watched(self._delevering)]
        if len(index) == 0:
            return
        own = Exposure(self._accounts, index, mark, self._contract, self._brackets)
        needed = own.needed(np.full(len(index), wanted))
        affordable = (own.equity + own.deduction) / self._contract.notional(needed, mark)
        kept = np.clip(np.floor(affordable), 0, own.lots).astype(np.int64)
        cut = own.lots - kept
        go = (own.distance < wanted) & (cut > LEAST_CUT * own.lots)
        if not go.any():
            return
        index, side, lots = own.index[go], -own.side[go], cut[go]
        bound = np.rint(mark * (1.0 + side * self._config.market_bound))
        bounds = np.clip(bound, 1, self._contract.max_price_ticks - 1).astype(np.int64)
        orders.market(self._rows[index], side, lots, bound_ticks=bounds, flags=Flag.REDUCE_ONLY)
        isolated = self._accounts.isolated[index]
        self._wanted_distance[index[isolated]] = wanted

    def _hedge(self, mark: float, orders: OrderEntry) -> None:
        """Offset on spot where health is below `hedge_health`, lift where above `hedge_release`, follow in between."""
        everyone = self._hedging[self._accounts.stage[self._hedging] < Stage.CALLED]
        target = np.zeros(len(self._rows), np.int64)
        index = everyone[self._is_watched(everyone)]
        if len(index):
            own = Exposure(self._accounts, index, mark, self._contract, self._brackets)
            limit = np.where(self._hedged_lots[index] != 0, self._config.hedge_release, self._config.hedge_health)
            target[index] = np.where(own.health < limit, -own.side * own.lots, 0)
        gap = target[everyone] - self._hedged_lots[everyone]
        moved = everyone[gap != 0]
        if len(moved):
            orders.spot.trade(self._rows[moved], gap[gap != 0].astype(np.float64))
            self._hedged_lots[moved] = target[moved]

    def _is_watched(self, index: Ints) -> Bools:
        """True for those with a position that can be called and is not in liquidation."""
        watched: Bools = (self._accounts.liquidation_ticks[index] > 0) & (self._accounts.stage[index] < Stage.CALLED)
        return watched
