"""The venue's liquidation engine: a participant whose orders go through the same book as everyone's.

State machine (mechanisms 2.21, Binance 2B.1): called -> cancel all orders -> order within a bound -> released if flat
or compliant, else the rest is taken over at bankruptcy price (fund, then ADL).  `full` sends everything at once;
`sliced` sends a fraction and waits (Hyperliquid, 2B.5: 20 % and 30 s above $100k).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, final

import mesa
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from agents.base import Participant, ParticipantConfig
from sim.accounts import Rows
from sim.config import LiquidationConfig
from sim.market import LiquidationDesk, MarketView, OrderEntry, Seat
from sim.records import Flag, Side

Floats = NDArray[np.float64]
Lots = NDArray[np.int64]


@final
@dataclass(frozen=True, slots=True)
class Procedure:
    """How an account is closed.

    `order_lots(lots, notional, rules)`: size of the next forced order of each account (notional in quote units).
    `one_order`: whatever one order leaves is taken over; otherwise orders follow until the account is bankrupt.
    `cooldown_ns(rules)`: wait between the orders of one account.
    """

    order_lots: Callable[[Lots, Floats, LiquidationConfig], Lots]
    one_order: bool
    cooldown_ns: Callable[[LiquidationConfig], int]


def whole_position(lots: Lots, notional: Floats, rules: LiquidationConfig) -> Lots:
    """All of it."""
    return lots


def slice_of_position(lots: Lots, notional: Floats, rules: LiquidationConfig) -> Lots:
    """`slice_fraction` of positions above `slice_min_notional`, rounded up; smaller ones whole."""
    part = np.ceil(lots * rules.slice_fraction).astype(np.int64)
    return np.where(notional > rules.slice_min_notional, np.clip(part, 1, lots), lots)


def no_wait(rules: LiquidationConfig) -> int:
    """The next order may follow at once."""
    return 0


def slice_cooldown(rules: LiquidationConfig) -> int:
    """As the scenario says."""
    return rules.slice_cooldown


PROCEDURES: Final[dict[str, Procedure]] = {
    "full": Procedure(whole_position, one_order=True, cooldown_ns=no_wait),
    "sliced": Procedure(slice_of_position, one_order=False, cooldown_ns=slice_cooldown),
}
"""By the name in `liquidation.procedure`; a new one is one entry."""


class LiquidationEngineConfig(ParticipantConfig):
    """Made by the model from the market's `liquidation` block."""

    type: str = "liquidation_engine"
    rules: LiquidationConfig = Field(default_factory=LiquidationConfig)


@final
class LiquidationEngine(Participant):
    """Each monitor period: finish what is under way, then take calls, worst first, up to its capacity."""

    config_type = LiquidationEngineConfig
    example: ClassVar[dict[str, Any]] = {"type": "liquidation_engine"}
    configured_by: ClassVar[str | None] = "liquidation"
    procedures: ClassVar[Mapping[str, Any]] = PROCEDURES
    config: LiquidationEngineConfig

    def __init__(
        self, model: mesa.Model, config: LiquidationEngineConfig, seat: Seat, desk: LiquidationDesk | None = None
    ) -> None:
        super().__init__(model, config, seat)
        self.rules = config.rules
        if self.rules.procedure not in PROCEDURES:
            known = ", ".join(PROCEDURES)
            raise ValueError(f"liquidation.procedure: no procedure {self.rules.procedure!r}; one of {known}")
        self.procedure = PROCEDURES[self.rules.procedure]
        self.desk = desk
        self._next_scan_ns = 0
        self._not_before_ns: dict[int, int] = {}

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        """Scan, if the monitor period has passed."""
        desk = self.desk
        if desk is None or not self.rules.enabled or market.now_ns < self._next_scan_ns:
            return
        self._next_scan_ns = market.now_ns + self.rules.monitor_period
        budget = self._continue(desk, market, orders)
        self._take_calls(desk, market, orders, budget)
        self._unwind_fund(desk)

    def _continue(self, desk: LiquidationDesk, market: MarketView, orders: OrderEntry) -> int:
        """Release, take over or go on with accounts whose last order is done; returns the capacity left."""
        rows = desk.in_liquidation()
        if len(rows) == 0:
            return self.rules.capacity
        position = desk.rows_view["position_lots"][rows]
        done = (position == 0) | (desk.margin_excess(rows) > 0)
        if done.any():
            self._forget(rows[done])
            desk.release(rows[done])
        rows, position = rows[~done], position[~done]
        if len(rows) and self.rules.takeover:
            given_up = np.ones(len(rows), bool) if self.procedure.one_order else self._bankrupt(desk, rows, position)
            if given_up.any():
                self._forget(rows[given_up])
                desk.take_over(rows[given_up])
                rows = rows[~given_up]
        if self._not_before_ns and len(rows):
            wait = np.array([self._not_before_ns.get(row, 0) for row in rows.tolist()], np.int64)
            rows = rows[wait <= market.now_ns]
        rows = rows[: self.rules.capacity]
        self._send(desk, rows, market, orders)
        return self.rules.capacity - len(rows)

    def _take_calls(self, desk: LiquidationDesk, market: MarketView, orders: OrderEntry, budget: int) -> None:
        """Release those who have recovered; start on those of the rest whose time is up, the worst first."""
        rows = desk.called()
        if len(rows) == 0:
            return
        excess = desk.margin_excess(rows)
        recovered = desk.cured(rows, excess)
        if recovered.any():
            desk.release(rows[recovered])
        rows, excess = rows[~recovered], excess[~recovered]
        due = desk.may_start(rows, excess)
        rows, excess = rows[due], excess[due]
        rows = rows[np.argsort(excess, kind="stable")][:budget]
        if len(rows) == 0:
            return
        desk.start(rows)
        orders.cancel_all(rows)
        self._send(desk, rows, market, orders)

    def _send(self, desk: LiquidationDesk, rows: Rows, market: MarketView, orders: OrderEntry) -> None:
        """One reduce-only market order for each account, no larger than its position."""
        if len(rows) == 0:
            return
        position = desk.rows_view["position_lots"][rows]
        side = -np.sign(position)
        lots = np.abs(position)
        notional = lots * self.contract.notional_per_lot(desk.mark_ticks)
        quantity = self.procedure.order_lots(lots, notional, self.rules)
        orders.market(rows, side, quantity, bound_ticks=self._bounds(desk, rows, side), flags=Flag.REDUCE_ONLY)
        cooldown = self.procedure.cooldown_ns(self.rules)
        if cooldown > 0:
            self._not_before_ns.update(dict.fromkeys(rows.tolist(), market.now_ns + cooldown))

    def _bounds(self, desk: LiquidationDesk, rows: Rows, side: NDArray[np.int64]) -> NDArray[np.int64]:
        """Worst price of each order; 0 = none but the venue's band."""
        rule = self.rules.order_bound
        if rule == "none":
            return np.zeros(len(rows), np.int64)
        top = self.contract.max_price_ticks - 1
        if rule == "bankruptcy":
            bound = desk.bankruptcy_ticks(rows)
            # A fully backed long has no bankruptcy price: it may sell down to one tick.
            return np.where(bound > 0, np.clip(bound, 1, top), np.where(side < 0, 1, top))
        bounds: Floats = np.rint(desk.mark_ticks * (1.0 + side * float(rule)))
        return np.clip(bounds, 1, top).astype(np.int64)

    def _bankrupt(self, desk: LiquidationDesk, rows: Rows, position: NDArray[np.int64]) -> NDArray[np.bool_]:
        """True where the mark is beyond the bankruptcy price: no order inside the bound can fill near the mark."""
        bankruptcy = desk.bankruptcy_ticks(rows)
        return (bankruptcy > 0) & (np.sign(position) * (desk.mark_ticks - bankruptcy) < 0)

    def _unwind_fund(self, desk: LiquidationDesk) -> None:
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
        row = np.zeros(1, np.int64)
        desk.fund_orders.market(row, side, lots, bound_ticks=bound, flags=Flag.REDUCE_ONLY)

    def _forget(self, rows: Rows) -> None:
        for row in rows.tolist():
            self._not_before_ns.pop(row, None)
