"""Stops and take-profits of retail accounts, some of them at round prices.

Model: Osler 2003 (Journal of Finance 58): stops cluster just beyond round prices, take-profits at them; shares and
distances are choices of ours (D; docs/model.md, eq. 33).  Differs from the source: round prices are multiples of two
shares of the initial price, not decimal digits.
"""

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from marginquake.agents.retail.config import RetailConfig, quantile
from marginquake.agents.toolbox.indicators import reference_ticks
from marginquake.sim.core.accounts import AccountView, Rows
from marginquake.sim.core.records import EventKind, Flag, Stage
from marginquake.sim.core.typing import Bools, Floats, Ints
from marginquake.sim.market.context import ParticipantContext
from marginquake.sim.market.orders import OrderEntry
from marginquake.sim.market.view import MarketView

SNAP_REACH = 0.25
"""A round price is near enough within this share of the order's own distance from the price."""


@final
class RoundLevels:
    """Round prices, coarse and fine, and who goes by them."""

    def __init__(self, config: RetailConfig, context: ParticipantContext) -> None:
        self._spacings = [max(1.0, share * context.initial_price_ticks) for share in config.round_grid]
        count = len(context.rows)
        draws = context.stream.child("levels")
        self.used_by: Bools = draws.uniform(0, count) < config.round_share
        first, last = config.stop_beyond_ticks
        self.beyond_ticks = first + np.floor(draws.uniform(1, count) * (last - first + 1)).astype(np.int64)

    def near(self, wanted: Floats, distance: Floats) -> Floats:
        """The nearest level of the coarsest grid within `SNAP_REACH` of `distance`; else the nearest of the finest."""
        level = np.rint(np.rint(wanted / self._spacings[-1]) * self._spacings[-1])
        for spacing in reversed(self._spacings[:-1]):
            coarser = np.rint(np.rint(wanted / spacing) * spacing)
            level = np.where(np.abs(coarser - wanted) <= SNAP_REACH * distance, coarser, level)
        return level


@final
class ProtectiveOrders:
    """At most one stop and one take-profit of each account, reduce-only; when one goes off, so does the other."""

    def __init__(
        self, config: RetailConfig, context: ParticipantContext, accounts: AccountView, uses_stop: Bools
    ) -> None:
        count = len(context.rows)
        self._config = config
        self._accounts = accounts
        self._contract = context.contract
        self._rows: Rows = context.rows
        self._uses_stop = uses_stop
        units = context.stream.child("character").uniform(2, count)
        self._stop_share = quantile(config.stop_distance, units)
        self._stop_offset = None if config.stop_offset is None else quantile(config.stop_offset, units)
        self._levels = RoundLevels(config, context) if config.round_share > 0 else None
        targets = context.stream.child("targets")
        self._uses_target = targets.uniform(0, count) < config.take_profit_share
        self._any_targets = bool(self._uses_target.any())
        # Columns that nobody uses stay unwritten, and so weigh nothing.
        self._target_offset = (
            quantile(config.take_profit_offset, targets.uniform(1, count)) if self._any_targets else np.zeros(count)
        )
        self._stop_id = np.zeros(count, np.int64)
        self._target_id = np.zeros(count, np.int64)

    def on_events(self, events: NDArray[Any], orders: OrderEntry) -> None:
        """Forget orders that are gone; where one has gone off, withdraw the other."""
        kinds = events["kind"]
        gone = (kinds == EventKind.CANCELLED) | (kinds == EventKind.REJECTED) | (kinds == EventKind.TRIGGERED)
        if not gone.any():
            return
        index = events["account"][gone] - int(self._rows[0])
        order_ids = events["order_id"][gone]
        own = np.zeros(len(index), np.bool_)
        for held in (self._stop_id, self._target_id) if self._any_targets else (self._stop_id,):
            mine = held[index] == order_ids
            held[index[mine]] = 0
            own |= mine
        if self._any_targets:
            self.withdraw(np.unique(index[own & (kinds[gone] == EventKind.TRIGGERED)]), orders)

    def withdraw(self, index: Ints, orders: OrderEntry) -> None:
        """Cancel what these accounts still have."""
        for held in (self._stop_id, self._target_id) if self._any_targets else (self._stop_id,):
            left = index[held[index] > 0]
            if len(left):
                orders.cancel(self._rows[left], held[left])
                held[left] = 0

    def place(self, index: Ints, market: MarketView, orders: OrderEntry) -> None:
        """Stops and take-profits for those of these position holders who use one and have none."""
        index = index[self._accounts.stage[index] < Stage.CALLED]
        if len(index) == 0:
            return
        on_mark = self._config.stop_trigger == "mark"
        price = float(market.mark_ticks if on_mark else market.last_ticks) or reference_ticks(market)
        stops = index[self._uses_stop[index] & (self._stop_id[index] == 0)]
        if self._stop_offset is None:
            stops = stops[self._accounts.liquidation_ticks[stops] > 0]
        if len(stops):
            self._place_stops(stops, price, orders)
        if self._any_targets:
            targets = index[self._uses_target[index] & (self._target_id[index] == 0)]
            if len(targets):
                self._place_targets(targets, price, orders)

    def _place_stops(self, index: Ints, price: float, orders: OrderEntry) -> None:
        """Some of the way from the price to liquidation, or `stop_offset` from the entry; never beyond liquidation."""
        position = self._accounts.position_lots[index]
        side = -np.sign(position)
        liquidation = self._accounts.liquidation_ticks[index]
        if self._stop_offset is None:
            wanted = price + self._stop_share[index] * (liquidation - price)
        else:
            wanted = self._from_entry(index, side * self._stop_offset[index], price)
            wanted = np.where(liquidation > 0, side * np.minimum(side * wanted, side * liquidation - 1), wanted)
        if self._levels is not None:
            level = self._levels.near(wanted, np.abs(wanted - price)) + side * self._levels.beyond_ticks[index]
            level = np.where(liquidation > 0, side * np.minimum(side * level, side * liquidation - 1), level)
            wanted = np.where(self._levels.used_by[index] & (side * (level - price) > 0), level, wanted)
        wanted = np.where(side < 0, np.minimum(np.ceil(wanted), price - 1), np.maximum(np.floor(wanted), price + 1))
        index, side, trigger, lots = self._on_ladder(index, side, wanted, np.abs(position))
        self._stop_id[index] = orders.stop(
            self._rows[index], side, trigger, lots, bound_ticks=self._bound(trigger, side), flags=self._flags
        )

    def _place_targets(self, index: Ints, price: float, orders: OrderEntry) -> None:
        """`take_profit_offset` from the entry, at the round price itself where the account goes by them."""
        position = self._accounts.position_lots[index]
        side = -np.sign(position)
        wanted = self._from_entry(index, -side * self._target_offset[index], price)
        if self._levels is not None:
            level = self._levels.near(wanted, np.abs(wanted - price))
            wanted = np.where(self._levels.used_by[index] & (side * (price - level) > 0), level, wanted)
        wanted = np.where(side < 0, np.maximum(np.ceil(wanted), price + 1), np.minimum(np.floor(wanted), price - 1))
        index, side, trigger, lots = self._on_ladder(index, side, wanted, np.abs(position))
        self._target_id[index] = orders.take_profit(
            self._rows[index], side, trigger, lots, bound_ticks=self._bound(trigger, side), flags=self._flags
        )

    def _from_entry(self, index: Ints, offset: Floats, price: float) -> Floats:
        """Prices `offset` (signed) from the entry; where the price has been there already, from the price."""
        cost, position = self._accounts.cost[index], self._accounts.position_lots[index]
        entry = self._contract.lot_value.entry_ticks(cost, position)
        wanted = entry * (1.0 + offset)
        passed = (wanted - price) * offset <= 0
        return np.where(passed, price * (1.0 + offset), wanted)

    def _on_ladder(self, index: Ints, side: Ints, wanted: Floats, lots: Ints) -> tuple[Ints, Ints, Ints, Ints]:
        trigger = wanted.astype(np.int64)
        good = (trigger >= 1) & (trigger < self._contract.max_price_ticks)
        return index[good], side[good], trigger[good], lots[good]

    def _bound(self, trigger: Ints, side: Ints) -> Ints:
        bound = np.rint(trigger * (1.0 + side * self._config.market_bound))
        return np.clip(bound, 1, self._contract.max_price_ticks - 1).astype(np.int64)

    @property
    def _flags(self) -> Flag:
        return Flag.REDUCE_ONLY | Flag.TRIGGER_ON_MARK if self._config.stop_trigger == "mark" else Flag.REDUCE_ONLY
