"""Money that accounts bring from outside: top-ups when warned, buffers behind new positions, fresh starts.

Model: docs/model.md, eq. 38.  No data: shares and sizes are choices of ours (D).
"""

from typing import final

import numpy as np

from marginquake.agents.retail.config import RetailConfig, quantile
from marginquake.sim.core.accounts import AccountView, Rows
from marginquake.sim.core.integers.casts import money
from marginquake.sim.core.records import Stage
from marginquake.sim.core.typing import Ints
from marginquake.sim.market.context import ParticipantContext
from marginquake.sim.market.orders import OrderEntry
from marginquake.sim.market.view import MarketView

PPM = 1_000_000
RUINED = 0.2
"""Share of the first deposit below which a liquidated account starts afresh."""


@final
class FundingSources:
    """Top-ups, buffers and fresh deposits of one crowd, and what of its collateral it is ready to stake."""

    def __init__(self, config: RetailConfig, context: ParticipantContext, accounts: AccountView) -> None:
        count = len(context.rows)
        self._config = config
        self._accounts = accounts
        self._contract = context.contract
        self._rows: Rows = context.rows
        self._tops_up = context.stream.child("character").uniform(1, count) < config.top_up_share
        self.any_top_ups = bool(self._tops_up.any())
        self._topped_up = np.zeros(count, np.bool_)
        # Columns that nobody uses stay unwritten, and so weigh nothing.
        self._top_up_from_ns = np.zeros(count, np.int64)
        if self.any_top_ups:
            self._top_up_from_ns[:] = np.iinfo(np.int64).min
        draws = context.stream.child("outside")
        self._buffers = config.buffer != 0
        self._buffer = quantile(config.buffer, draws.uniform(0, count)) if self._buffers else np.zeros(count)
        self._pool = np.zeros(count, np.int64)
        """Buffer money already in the account: never staked, put behind the next position again."""
        self._buffered = np.zeros(count, np.bool_)
        self._starts_afresh = draws.uniform(1, count) < config.redeposit_share
        self._ruined = np.zeros(count, np.bool_)
        self._first_deposit = np.zeros(count, np.int64)

    def begin(self, orders: OrderEntry) -> None:
        """The first decision: what is there now is the first deposit; positions that are open get their buffer."""
        if self._starts_afresh.any():
            self._first_deposit[:] = self._accounts.collateral
        self.opened(np.flatnonzero(self._accounts.position_lots), orders)

    def liquidated(self, index: Ints) -> None:
        """Accounts that lose enough by this may start afresh."""
        self._ruined[index] = self._starts_afresh[index]

    def released(self, index: Ints) -> None:
        """Where the position is gone, the buffer has gone the way of the margin; otherwise it still stands behind."""
        self._pool[index[self._accounts.position_lots[index] == 0]] = 0

    def closed(self, index: Ints) -> None:
        """The next position is a new one."""
        self._topped_up[index] = False
        self._buffered[index] = False

    def opened(self, held: Ints, orders: OrderEntry) -> None:
        """New positions among these get their buffer: first from what an earlier one left, then from outside."""
        if not self._buffers:
            return
        new = held[~self._buffered[held] & (self._accounts.stage[held] < Stage.CALLED)]
        if len(new) == 0:
            return
        self._buffered[new] = True
        margin = np.abs(self._accounts.cost[new]) * (self._accounts.initial_margin_ppm[new] / PPM)
        wanted = money(margin * self._buffer[new], "a buffer", "write a smaller buffer")
        kept = np.minimum(wanted, self._pool[new])
        orders.add_margin(self._rows[new[kept > 0]], kept[kept > 0])
        fresh = wanted - kept
        orders.deposit(self._rows[new[fresh > 0]], fresh[fresh > 0])
        self._pool[new] += fresh

    def stake(self, index: Ints, orders: OrderEntry) -> Ints:
        """Collateral that these accounts are ready to enter with, after a fresh deposit of those who start afresh."""
        collateral = self._accounts.collateral[index]
        again = self._ruined[index]
        if again.any():
            self._ruined[index[again]] = False
            first = self._first_deposit[index]
            again &= collateral < RUINED * first
            orders.deposit(self._rows[index[again]], (first - collateral)[again])
            collateral = np.where(again, first, collateral)
        return collateral - self._pool[index] if self._buffers else collateral

    def top_up(self, market: MarketView, orders: OrderEntry) -> None:
        """Those whose price has gone `top_up_warning` of the way from entry to liquidation add margin.

        Once a position, or with a cooldown, at most once in that time.
        """
        ready = self._tops_up & (self._accounts.position_lots != 0)
        ready &= (self._top_up_from_ns <= market.now_ns) if self._config.top_up_cooldown else ~self._topped_up
        index = np.flatnonzero(ready)
        index = index[(self._accounts.liquidation_ticks[index] > 0) & (self._accounts.stage[index] < Stage.CALLED)]
        if len(index) == 0:
            return
        entry = self._contract.lot_value.entry_ticks(self._accounts.cost[index], self._accounts.position_lots[index])
        used = (entry - market.mark_ticks) / (entry - self._accounts.liquidation_ticks[index])
        index = index[used >= self._config.top_up_warning]
        if len(index) == 0:
            return
        self._topped_up[index] = True
        self._top_up_from_ns[index] = market.now_ns + self._config.top_up_cooldown
        margin = np.abs(self._accounts.cost[index]) * (self._accounts.initial_margin_ppm[index] / PPM)
        wanted = np.maximum(1, np.floor(margin * self._config.top_up_fraction))
        added = money(wanted, "a top-up", "write a smaller top_up_fraction")
        orders.deposit(self._rows[index], added)
