"""The venue's liquidation engine: a participant whose orders go through the same book as everyone's.

An account whose call is due: all its orders are cancelled, then come forced orders as the procedure says
(`sim.rules.liquidation`).  It is released once it is flat or compliant; if the procedure gives up, the rest is taken
over at the bankruptcy price (fund, then ADL).  A backstop takes accounts over earlier, while they still have some
equity.  Who is called, cured and due is the venue's business (`sim.venue.margin_calls`).
"""

import math
from typing import Annotated, Any, ClassVar, Protocol, final

import mesa
import numpy as np
from numpy.typing import NDArray

from marginquake.agents.base import Participant, ParticipantConfig
from marginquake.sim.core.accounts import Rows
from marginquake.sim.core.records import Flag, OrderKind, Side
from marginquake.sim.core.typing import Floats, Ints
from marginquake.sim.market.context import ParticipantContext
from marginquake.sim.market.orders import OrderEntry
from marginquake.sim.market.view import MarketView
from marginquake.sim.rules.liquidation import PROCEDURES, LiquidationConfig, LiquidationDesk, Procedure, Standing

FUND = np.zeros(1, np.int64)
"""The row of the insurance fund, which trades for itself."""


class EngineDesk(LiquidationDesk, Protocol):
    """What the venue gives to its engine: the desk that rules see, and the fund's own order entry."""

    @property
    def fund_orders(self) -> OrderEntry:
        """Order entry on the insurance row, cause TAKEOVER."""


class LiquidationEngineConfig(ParticipantConfig):
    """Made by the model from the market's `liquidation` block."""

    type: str = "liquidation_engine"
    rules: Annotated[LiquidationConfig, PROCEDURES] = LiquidationConfig()


@final
class LiquidationEngine(Participant):
    """Each monitor period: finish what is under way, then take calls, worst first, up to its capacity."""

    config_type = LiquidationEngineConfig
    example: ClassVar[dict[str, Any]] = {"type": "liquidation_engine"}
    configured_by: ClassVar[str | None] = "liquidation"
    config: LiquidationEngineConfig

    def __init__(
        self,
        model: mesa.Model,
        config: LiquidationEngineConfig,
        context: ParticipantContext,
        desk: EngineDesk | None = None,
    ) -> None:
        super().__init__(model, config, context)
        self.rules = config.rules
        self.procedure: Procedure = PROCEDURES.make(self.rules)
        self.desk = desk
        self._now_ns = 0
        self._next_scan_ns = 0
        self._not_before_ns: dict[int, int] = {}
        self._lots_before: dict[int, int] = {}
        self._cut: set[int] = set()
        """Accounts whose last order the fund's limit made smaller than the procedure asked: that it left something says
        nothing about the book."""
        self._fund_offers = False

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        """Scan, if the monitor period has passed."""
        desk = self.desk
        if desk is None or not self.rules.enabled or market.now_ns < self._next_scan_ns:
            return
        self._now_ns = market.now_ns
        self._next_scan_ns = market.now_ns + self.rules.monitor_period
        if self._fund_offers and desk.fund_position_lots == 0:
            desk.fund_orders.cancel_all(FUND)
            self._fund_offers = False
        budget = self._continue(desk, market, orders)
        self._take_calls(desk, market, orders, budget)
        self._unwind_fund(desk)

    def _continue(self, desk: EngineDesk, market: MarketView, orders: OrderEntry) -> int:
        """Release, take over or go on with accounts whose last order is done; returns the capacity left."""
        capacity = desk.capacity
        rows = desk.in_liquidation()
        if len(rows) == 0:
            return capacity
        position = desk.rows_view["position_lots"][rows]
        done = (position == 0) | (desk.margin_excess(rows) > 0)
        if done.any():
            self._forget(rows[done])
            desk.release(rows[done])
        rows = rows[~done]
        given_up = self._given_up(desk, rows)
        if given_up.any():
            self._take_over(desk, rows[given_up])
            rows = rows[~given_up]
        if self._not_before_ns and len(rows):
            wait = np.array([self._not_before_ns.get(row, 0) for row in rows.tolist()], np.int64)
            rows = rows[wait <= market.now_ns]
        rows = rows[:capacity]
        self._send(desk, rows, market, orders)
        return capacity - len(rows)

    def _given_up(self, desk: EngineDesk, rows: Rows) -> NDArray[np.bool_]:
        """Accounts for the waterfall: whom the procedure gives up, and who is below the backstop (eq. 132)."""
        given_up = np.zeros(len(rows), bool)
        if len(rows) and self.rules.takeover:
            given_up = self.procedure.gives_up(self._standing(desk, rows))
            if self._cut:
                given_up = given_up & ~np.isin(rows, list(self._cut))
        if len(rows) and self.rules.backstop_fraction is not None:
            given_up = given_up | (desk.equity(rows) < self.rules.backstop_fraction * desk.maintenance(rows))
        return given_up

    def _take_over(self, desk: EngineDesk, rows: Rows) -> None:
        """To the waterfall; by some procedures the fund offers what it took at the bankruptcy price (eq. 131)."""
        self._forget(rows)
        if not self.procedure.limit_at_bankruptcy:
            desk.take_over(rows)
            return
        position = desk.rows_view["position_lots"][rows]
        side = -np.sign(position)
        price = desk.within_band(side, self._bankruptcy_bounds(desk, rows, side))
        taken = np.isin(rows, desk.take_over(rows))
        if taken.any():
            # The fund asks no less than what it can bear itself (eq. 19b).
            own = int(desk.bankruptcy_ticks(FUND)[0])
            price = np.where(side < 0, np.maximum(price, own), np.minimum(price, own) if own > 0 else price)
            everyone = np.repeat(FUND, int(taken.sum()))
            desk.fund_orders.limit(everyone, side[taken], price[taken], np.abs(position[taken]), flags=Flag.REDUCE_ONLY)
            self._fund_offers = True

    def _take_calls(self, desk: EngineDesk, market: MarketView, orders: OrderEntry, budget: int) -> None:
        """Start on calls whose time is up, the worst first, as many as the capacity allows."""
        rows = desk.review_calls()[:budget]
        if len(rows) == 0:
            return
        desk.start(rows)
        orders.cancel_all(rows)
        self._send(desk, rows, market, orders)

    def _standing(self, desk: EngineDesk, rows: Rows) -> Standing:
        before = np.array([self._lots_before.get(row, -1) for row in rows.tolist()], np.int64)
        return Standing(desk, rows, before, self.contract, self._now_ns)

    def _send(self, desk: EngineDesk, rows: Rows, market: MarketView, orders: OrderEntry) -> None:
        """One reduce-only order for each account, as large as the procedure says and no larger than its position."""
        if len(rows) == 0:
            return
        desk.take_in_hand(rows)
        held = self._standing(desk, rows)
        quantity = np.minimum(self.procedure.order_lots(held), held.lots)
        bound = self.procedure.bound_ticks(held, self._bounds(desk, rows, held.side))
        self._lots_before.update(zip(rows.tolist(), held.lots.tolist(), strict=True))
        asked, quantity = quantity, self._affordable(desk, rows, held.lots, quantity, bound)
        if desk.loss_allowance is not None:
            self._cut.difference_update(rows.tolist())
            self._cut.update(rows[quantity < asked].tolist())
        some = quantity > 0
        rows, side, quantity, bound = rows[some], held.side[some], quantity[some], bound[some]
        if self.procedure.fill_or_kill:
            price = desk.within_band(side, np.where(bound > 0, bound, np.where(side < 0, 1, self._top_ticks)))
            orders.limit(rows, side, price, quantity, kind=OrderKind.FOK, flags=Flag.REDUCE_ONLY)
        else:
            orders.market(rows, side, quantity, bound_ticks=bound, flags=Flag.REDUCE_ONLY)
        if self.procedure.cooldown_ns > 0:
            self._not_before_ns.update(dict.fromkeys(rows.tolist(), market.now_ns + self.procedure.cooldown_ns))

    def _affordable(self, desk: EngineDesk, rows: Rows, lots: Ints, quantity: Ints, bound: Ints) -> Ints:
        """Quantities that cannot cost the fund more than it may lose in this scan, filled at their bounds (eq. 127).

        Only orders that may trade beyond bankruptcy cost it anything; those without a bound are not limited.
        """
        allowance = desk.loss_allowance
        if allowance is None or len(rows) == 0:
            return quantity
        worst = np.where(bound > 0, np.minimum(desk.equity_at(rows, bound), 0), 0)
        per_lot = -worst / np.maximum(lots, 1)
        before = np.cumsum(per_lot * quantity) - per_lot * quantity
        left = np.maximum(allowance - before, 0.0)
        most = np.where(per_lot > 0, left / np.maximum(per_lot, 1e-9), quantity)
        cut = np.minimum(quantity, np.floor(most)).astype(np.int64)
        desk.reserve_loss(math.ceil(float((per_lot * cut).sum())))
        return cut

    def _bounds(self, desk: EngineDesk, rows: Rows, side: Ints) -> Ints:
        """Worst price of each order; 0 = none but the venue's band."""
        rule = self.rules.order_bound
        if rule == "none":
            return np.zeros(len(rows), np.int64)
        if rule == "bankruptcy":
            return self._bankruptcy_bounds(desk, rows, side)
        bounds: Floats = np.rint(desk.mark_ticks * (1.0 + side * float(rule)))
        return np.clip(bounds, 1, self._top_ticks).astype(np.int64)

    def _bankruptcy_bounds(self, desk: EngineDesk, rows: Rows, side: Ints) -> Ints:
        """The bankruptcy price; a fully backed long has none: it may sell down to one tick."""
        bound = desk.bankruptcy_ticks(rows)
        return np.where(bound > 0, np.clip(bound, 1, self._top_ticks), np.where(side < 0, 1, self._top_ticks))

    @property
    def _top_ticks(self) -> int:
        return self.contract.max_price_ticks - 1

    def _unwind_fund(self, desk: EngineDesk) -> None:
        """The fund sells what it took over, over `unwind_time` and within `unwind_bound` of the mark."""
        position = desk.fund_position_lots
        if position == 0 or desk.mark_ticks <= 0:
            return
        side = Side.SELL if position > 0 else Side.BUY
        bound = round(desk.mark_ticks * (1.0 + side * self.rules.unwind_bound))
        bound = min(max(1, bound), self.contract.max_price_ticks - 1)
        lots = abs(position)
        if self.rules.unwind_time > 0:
            share = 1.0 - math.exp(-self.rules.monitor_period / self.rules.unwind_time)
            least = self.contract.lots_for(self.rules.slice_min_notional, desk.mark_ticks)
            lots = min(lots, math.ceil(max(share * lots, least)))
        lots = min(lots, self.contract.max_position_lots)
        desk.fund_orders.market(FUND, side, lots, bound_ticks=bound, flags=Flag.REDUCE_ONLY)

    def _forget(self, rows: Rows) -> None:
        for row in rows.tolist():
            self._not_before_ns.pop(row, None)
            self._lots_before.pop(row, None)
            self._cut.discard(row)
