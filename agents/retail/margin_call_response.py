"""What accounts do about a warning or a margin call: some bring money, some cut their position, most do nothing.

Model: docs/model.md, eq. 38a.  No data: hazard and shares are to be swept (grade D).
"""

import math
from typing import final

import numpy as np
from numpy.typing import NDArray

from marginquake.agents.retail.brackets import Brackets
from marginquake.agents.retail.config import CureConfig
from marginquake.sim.core.accounts import AccountView, Rows
from marginquake.sim.core.integers.casts import money, wait_ns
from marginquake.sim.core.records import EventKind, Flag, Stage
from marginquake.sim.core.typing import Bools, Floats, Ints
from marginquake.sim.market.context import ParticipantContext
from marginquake.sim.market.orders import OrderEntry
from marginquake.sim.market.view import MarketView

NEVER = np.iinfo(np.int64).max
CALLS = (int(EventKind.WARNING), int(EventKind.MARGIN_CALL))
ENDS = (int(EventKind.WARNING_LIFTED), int(EventKind.CALL_CURED), int(EventKind.LIQUIDATION_STARTED))


@final
class MarginCallResponse:
    """The clocks of accounts that will answer, and what they do when theirs rings.

    A clock starts at the warning, or at the call if there was no warning, and stops when the venue lets go of the
    account or takes it in hand.
    """

    def __init__(
        self, config: CureConfig, bound: float, context: ParticipantContext, accounts: AccountView, brackets: Brackets
    ) -> None:
        count = len(context.rows)
        self._config = config
        self._market_bound = bound
        self._accounts = accounts
        self._brackets = brackets
        self._contract = context.contract
        self._rows: Rows = context.rows
        self._mean_wait_ns = config.half_life / math.log(2.0)
        character = context.stream.child("cure")
        self._responsive: Bools = character.uniform(0, count) < config.responsive_share
        self._reduces: Bools = character.uniform(1, count) < config.reduce_share
        self._waits = context.stream.child("cure_waits")
        self._rings_ns: dict[int, int] = {}
        self._next_ns = NEVER
        self._restoring: set[int] = set()
        """Isolated accounts that have just cut: the margin that this frees is to go behind what is left."""

    def on_events(self, own: NDArray[np.void], market: MarketView) -> None:
        """Events of these accounts: clocks start and stop."""
        kinds = own["kind"]
        for row in own["account"][np.isin(kinds, ENDS)].tolist():
            self._rings_ns.pop(row - int(self._rows[0]), None)
        called = own[np.isin(kinds, CALLS)]
        if len(called) == 0:
            return
        index = (called["account"] - self._rows[0]).astype(np.int64)
        wait = -np.log(self._waits.uniform_at(market.step, index)) * self._mean_wait_ns
        answers = self._responsive[index]
        rings = (called["time_ns"] + wait_ns(wait))[answers]
        for place, ring_ns in zip(index[answers].tolist(), rings.tolist(), strict=True):
            self._next_ns = min(self._next_ns, self._rings_ns.setdefault(place, ring_ns))

    def act(self, market: MarketView, orders: OrderEntry) -> None:
        """Accounts whose clock rings answer now, if the call or warning still stands."""
        if market.now_ns < self._next_ns:
            return
        ringing = [place for place, ring_ns in self._rings_ns.items() if ring_ns <= market.now_ns]
        for place in ringing:
            del self._rings_ns[place]
        self._next_ns = min(self._rings_ns.values(), default=NEVER)
        index = np.array(ringing, np.int64)
        stage = self._accounts.stage[index]
        wanted = (stage == Stage.WARNED) | (stage == Stage.CALLED)
        index = index[wanted & (self._accounts.position_lots[index] != 0)]
        if len(index):
            reduces = self._reduces[index]
            self._top_up(index[~reduces], market, orders)
            self._reduce(index[reduces], market, orders)

    def changed(self, held: Ints, market: MarketView, orders: OrderEntry) -> None:
        """Positions that have changed and are still open: what a cut has freed goes behind the rest."""
        if not self._restoring:
            return
        index = np.array([place for place in held.tolist() if place in self._restoring], np.int64)
        self._restoring.difference_update(index.tolist())
        lacking = money(np.ceil(self._lacking(index, market)), "what cures a margin call")
        short = lacking > 0
        orders.add_margin(self._rows[index[short]], lacking[short])

    def closed(self, index: Ints) -> None:
        """Positions that are closed need nothing any more."""
        if self._rings_ns or self._restoring:
            for place in index.tolist():
                self._rings_ns.pop(place, None)
                self._restoring.discard(place)

    def _top_up(self, index: Ints, market: MarketView, orders: OrderEntry) -> None:
        """Bring what restores the margin ratio `target`."""
        lacking = money(np.ceil(self._lacking(index, market)), "what cures a margin call")
        short = lacking > 0
        orders.deposit(self._rows[index[short]], lacking[short])

    def _reduce(self, index: Ints, market: MarketView, orders: OrderEntry) -> None:
        """One order down to the position that the equity carries at `target`; without equity, all of it."""
        if len(index) == 0:
            return
        position = self._accounts.position_lots[index]
        lots, side = np.abs(position), -np.sign(position)
        per_lot = self._contract.notional_per_lot(float(market.mark_ticks))
        rate, deduction = self._brackets.maintenance(lots * per_lot)
        equity = self._accounts.backing_equity(market.mark_ticks)[index] * self._contract.money_amount
        carried = np.floor((self._config.target * equity + deduction) / (rate * per_lot))
        cut = lots - np.clip(carried, 0, lots).astype(np.int64)
        go = cut > 0
        index, side, cut = index[go], side[go], cut[go]
        bound = np.rint(market.mark_ticks * (1.0 + side * self._market_bound))
        bounds = np.clip(bound, 1, self._contract.max_price_ticks - 1).astype(np.int64)
        orders.market(self._rows[index], side, cut, bound_ticks=bounds, flags=Flag.REDUCE_ONLY)
        self._restoring.update(index[self._accounts.isolated[index]].tolist())

    def _lacking(self, index: Ints, market: MarketView) -> Floats:
        """Money short of the margin ratio `target` at the mark."""
        unit = self._contract.money_amount
        per_lot = self._contract.notional_per_lot(float(market.mark_ticks))
        notional = np.abs(self._accounts.position_lots[index]) * per_lot
        rate, deduction = self._brackets.maintenance(notional)
        equity = self._accounts.backing_equity(market.mark_ticks)[index]
        lacking: Floats = (rate * notional - deduction) / (self._config.target * unit) - equity
        return lacking
