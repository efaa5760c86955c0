"""Leveraged retail accounts: enter and leave at random, mostly long, with stops, and sometimes add margin.

Model: hazards, side, leverage detents and stops from a prototype (docs/sources.md, D); the rest in docs/model.md, eq.
32-40.  What they can do besides is off by default, each thing in a file of its own: `opening_positions` (entry prices
at the start), `entry` (trend, excitation, leverage), `stops`, `prevention`, `funding_sources`, `margin_call_response`.
Cost follows activity: candidates are drawn at the highest hazard and accepted by state, so a sleeping account costs
nothing and no draw depends on the market.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, final

import mesa
import numpy as np
from numpy.typing import NDArray

from marginquake.agents.base import Participant
from marginquake.agents.retail.brackets import Brackets
from marginquake.agents.retail.config import RetailConfig
from marginquake.agents.retail.entry import MINUTE_NS, LeverageTargets, MinuteVolatility, SelfExcitation, TrendChasing
from marginquake.agents.retail.funding_sources import FundingSources
from marginquake.agents.retail.margin_call_response import MarginCallResponse
from marginquake.agents.retail.opening_positions import SeededEntries
from marginquake.agents.retail.prevention import Policies, Prevention
from marginquake.agents.retail.stops import ProtectiveOrders
from marginquake.agents.toolbox.indicators import reference_ticks
from marginquake.sim.core.account_book import AccountBook
from marginquake.sim.core.integers.casts import wait_ns
from marginquake.sim.core.records import EventKind, Flag, Side, Stage
from marginquake.sim.core.typing import Floats, Ints
from marginquake.sim.market.context import ParticipantContext, SeedPositions
from marginquake.sim.market.orders import OrderEntry
from marginquake.sim.market.view import MarketView

PPM = 1_000_000
RECOUNTS = 20
"""Times in one `excitation_time` that the flat accounts are counted."""


@final
class PeriodicTask:
    """Something done every `period_ns`, the first time at the first decision."""

    def __init__(self, period_ns: int, work: Callable[[MarketView, OrderEntry], None]) -> None:
        self.period_ns = period_ns
        self.work = work
        self.next_ns = 0


@final
class Retail(Participant):
    """A crowd: each account flat or in one position, with its own habits of protection and of adding money."""

    config_type = RetailConfig
    provides: ClassVar[tuple[str, ...] | None] = ()
    example: ClassVar[dict[str, Any]] = {
        "type": "retail",
        "accounts": 500,
        "entry_time": "60s",
        "exit_time": "120s",
        "top_up_share": 0.3,
    }
    config: RetailConfig

    def __init__(self, model: mesa.Model, config: RetailConfig, context: ParticipantContext) -> None:
        super().__init__(model, config, context)
        count = len(self.rows)
        self._brackets = Brackets(context.brackets, context.max_leverage)
        self._seeding = SeededEntries(config, context, self.accounts, self._brackets)
        self._wake = self.stream.child("wake")
        self._pause = self.stream.child("pause")
        policies = Policies(config.prevention, config.stop_share, self.stream.child("character").uniform(0, count))
        self._protection = ProtectiveOrders(config, context, self.accounts, policies.stop & config.stop_orders)
        self._prevention = Prevention(config, context, self.accounts, self._brackets, policies)
        self._money = FundingSources(config, context, self.accounts)
        self._margin_call_response = None
        if config.cure is not None:
            self._margin_call_response = MarginCallResponse(
                config.cure, config.market_bound, context, self.accounts, self._brackets
            )
        self._trend = TrendChasing(config, self.interval_s) if config.trend_sensitivity else None
        self._excitation = SelfExcitation(config, self.interval_s) if config.excitation else None
        retargets = config.leverage_response > 0 or config.humility < 1
        self._targets = LeverageTargets(config, context, self.accounts) if retargets else None
        self._volatility = MinuteVolatility(config.reference_volatility, config.leverage_window * 1e-9)
        self._quiet_until_ns = np.zeros(count, np.int64)

        self._entry_hazard, exit_hazard = 1e9 / config.entry_time, 1e9 / config.exit_time
        tilt = math.sqrt(config.disposition)
        most_entries = self._entry_hazard * (config.excitation_cap if config.excitation else 1.0)
        self._hazard = max(most_entries, exit_hazard * max(tilt, 1.0 / tilt))
        self._entry_chance, self._exit_chance = self._entry_hazard / self._hazard, exit_hazard / self._hazard
        self._winners_tilt, self._losers_tilt = tilt, 1.0 / tilt

        self._tasks = self._make_periodic_tasks()
        self._next_chore_ns = 0
        self._begun = False
        self._seeded = False

    # ---- trading --------------------------------------------------------------------------------------------------

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        """The few that wake enter or leave; chores are done when they are due."""
        if not self._begun:
            self._begin(market, orders)
        self._brackets.multiplier = market.maintenance_multiplier
        if self._tasks and market.now_ns >= self._next_chore_ns:
            self._do_chores(market, orders)
        if self._margin_call_response is not None:
            self._margin_call_response.act(market, orders)
        if self._trend is not None:
            self._trend.see(reference_ticks(market))
        entered = self._trade(market, orders)
        if self._excitation is not None:
            self._excitation.entered(entered)

    def _trade(self, market: MarketView, orders: OrderEntry) -> int:
        """Those whom a clock wakes act on what they hold; returns how many enter."""
        accounts = len(self.rows)
        count = self.looks(self._wake, market.step, self._hazard)
        if count == 0:
            return 0
        units = self._wake.uniform(market.step, 3 * count, first=1024)
        awake, first = np.unique((units[:count] * accounts).astype(np.int64), return_index=True)
        chance, direction = units[count : 2 * count][first], units[2 * count :][first]
        position = self.accounts.position_lots[awake]
        free = self.accounts.stage[awake] < Stage.CALLED
        entry_chance = self._entry_chance * (1.0 if self._excitation is None else self._excitation.multiple)
        entering = free & (position == 0) & (chance < entry_chance)
        entering &= self._quiet_until_ns[awake] <= market.now_ns
        leaving = free & (position != 0) & (chance < self._exit_chances(awake, position, market))
        if entering.any():
            self._enter(awake[entering], direction[entering], market, orders)
        if leaving.any():
            self._leave(awake[leaving], position[leaving], market, orders)
        return int(np.count_nonzero(entering))

    def _exit_chances(self, awake: Ints, position: Ints, market: MarketView) -> Floats | float:
        """Winners leave `disposition` times as readily as losers; the geometric mean of the two hazards is the usual.

        Odean 1998, "Are investors reluctant to realize their losses?", Journal of Finance 53.
        """
        if self._winners_tilt == 1.0:
            return self._exit_chance
        profit = self.contract.lot_value.value(position, market.mark_ticks) - self.accounts.cost[awake]
        tilt: Floats = np.where(profit > 0, self._winners_tilt, np.where(profit < 0, self._losers_tilt, 1.0))
        return self._exit_chance * tilt

    def _enter(self, index: Ints, units: Floats, market: MarketView, orders: OrderEntry) -> None:
        price = reference_ticks(market)
        stake = self._money.stake(index, orders)
        lots = self._affordable_lots(stake, self._leverage(index, market, orders), price)
        long_share = self.config.long_share if self._trend is None else self._trend.long_share
        side = np.where(units < long_share, int(Side.BUY), int(Side.SELL))
        go = lots > 0
        index, lots, side = index[go], lots[go], side[go]
        orders.market(self.rows[index], side, lots, bound_ticks=self._bound(price, side))

    def _leave(self, index: Ints, position: Ints, market: MarketView, orders: OrderEntry) -> None:
        side = -np.sign(position)
        bound = self._bound(reference_ticks(market), side)
        orders.market(self.rows[index], side, np.abs(position), bound_ticks=bound, flags=Flag.REDUCE_ONLY)

    def _bound(self, price: float, side: Ints) -> Ints:
        bound: Floats = np.rint(price * (1.0 + side * self.config.market_bound))
        return np.clip(bound, 1, self.contract.max_price_ticks - 1).astype(np.int64)

    def _leverage(self, index: Ints, market: MarketView, orders: OrderEntry) -> Floats:
        """What each of these enters with; accounts that want another leverage set it first."""
        present: Floats = PPM / self.accounts.initial_margin_ppm[index]
        if self._targets is None:
            return present
        wanted = self._targets.wanted(index, self._volatility.annual, market.now_ns)
        other = wanted != present
        orders.set_leverage(self.rows[index[other]], wanted[other])
        return wanted

    def _affordable_lots(self, collateral: Ints, leverage: Floats, price: float) -> Ints:
        """Lots that `margin_use` of the collateral carries at this leverage, within the venue's brackets."""
        money = collateral * self.contract.money_amount
        cap = np.minimum(
            self._brackets.largest_notional(leverage), self.config.max_position_d1 * self.context.depth_1pct
        )
        notional = np.minimum(self.config.margin_use * np.maximum(money, 0.0) * leverage, cap)
        lots: Ints = np.floor(notional / self.contract.notional_per_lot(price)).astype(np.int64)
        return lots

    # ---- what happened to them ------------------------------------------------------------------------------------

    def on_events(self, events: NDArray[Any], market: MarketView, orders: OrderEntry) -> None:
        """Protect a position when it opens, clear up when it closes, rest after a liquidation."""
        first, last = int(self.rows[0]), int(self.rows[-1])
        own = events[(events["account"] >= first) & (events["account"] <= last)]
        kinds = own["kind"]
        self._protection.on_events(own, orders)
        if self._margin_call_response is not None:
            self._margin_call_response.on_events(own, market)
        ended = kinds == EventKind.LIQUIDATION_STARTED
        if ended.any():
            index = (own["account"][ended] - first).astype(np.int64)
            wait = -np.log(self._pause.uniform_at(market.step, index)) * self.config.reentry_time
            self._quiet_until_ns[index] = market.now_ns + wait_ns(wait)
            self._money.liquidated(index)
            if self._targets is not None:
                self._targets.humble(index, market.now_ns)
        over = kinds == EventKind.LIQUIDATION_ENDED
        if over.any():
            self._money.released((own["account"][over] - first).astype(np.int64))
        changed = (kinds == EventKind.FILL) | (kinds == EventKind.ADL) | (kinds == EventKind.TAKEOVER)
        # A stop that found nobody to trade with, and a position that a liquidation has left, need protection again.
        changed |= (kinds == EventKind.EXPIRED) | over
        # Auto-deleveraging names the winner as the account and the bankrupt, whose position it closes, as the maker.
        makers = events["maker_account"]
        closed_by_adl = (events["kind"] == EventKind.ADL) & (makers >= first) & (makers <= last)
        if not changed.any() and not closed_by_adl.any():
            return
        touched = np.concatenate([own["account"][changed], makers[closed_by_adl]])
        index = np.unique(touched - first).astype(np.int64)
        position = self.accounts.position_lots[index]
        closed, held = index[position == 0], index[position != 0]
        self._protection.withdraw(closed, orders)
        self._money.closed(closed)
        self._money.opened(held, orders)
        if self._margin_call_response is not None:
            self._margin_call_response.closed(closed)
            self._margin_call_response.changed(held, market, orders)
        if self._prevention.any:
            self._prevention.closed(closed, orders)
            self._prevention.changed(held, _mark(market), orders)
        self._protection.place(held, market, orders)

    # ---- chores ---------------------------------------------------------------------------------------------------

    def _begin(self, market: MarketView, orders: OrderEntry) -> None:
        """The first decision: positions held from the start are protected."""
        self._begun = True
        self._money.begin(orders)
        if self._seeded:
            self._protection.place(np.flatnonzero(self.accounts.position_lots), market, orders)

    def _make_periodic_tasks(self) -> list[PeriodicTask]:
        config = self.config
        tasks = []
        if self._money.any_top_ups:
            tasks.append(PeriodicTask(config.top_up_watch, self._money.top_up))
        if self._targets is not None or self._prevention.any:
            tasks.append(PeriodicTask(MINUTE_NS, self._measure_volatility))
        if self._prevention.any:
            tasks.append(PeriodicTask(config.prevention_period, self._prevent))
        if self._excitation is not None:
            tasks.append(PeriodicTask(config.excitation_time // RECOUNTS, self._count_flat))
        return tasks

    def _do_chores(self, market: MarketView, orders: OrderEntry) -> None:
        for chore in self._tasks:
            if market.now_ns >= chore.next_ns:
                chore.next_ns = market.now_ns + chore.period_ns
                chore.work(market, orders)
        self._next_chore_ns = min(chore.next_ns for chore in self._tasks)

    def _measure_volatility(self, market: MarketView, orders: OrderEntry) -> None:
        self._volatility.sample(reference_ticks(market), market.now_ns)

    def _prevent(self, market: MarketView, orders: OrderEntry) -> None:
        self._prevention.look(_mark(market), self._volatility.daily, orders)

    def _count_flat(self, market: MarketView, orders: OrderEntry) -> None:
        """The rate at which those who may enter would do so by themselves."""
        flat = (self.accounts.position_lots == 0) & (self.accounts.stage < Stage.CALLED)
        flat &= self._quiet_until_ns <= market.now_ns
        if self._excitation is not None:
            self._excitation.expect(self._entry_hazard * int(np.count_nonzero(flat)))

    # ---- the start ------------------------------------------------------------------------------------------------

    @classmethod
    def needs_other_side(cls, config: RetailConfig) -> bool:
        """Unless everybody starts flat; accounts of a book hold what it says."""
        return config.initial_open_fraction > 0 or isinstance(config.accounts, AccountBook)

    @classmethod
    def notional_wanted(cls, config: RetailConfig, deposit: Floats, leverage: Floats, depth_1pct: float) -> Floats:
        """`margin_use` of the deposit at this leverage, at most `max_position_d1`."""
        wanted: Floats = np.minimum(config.margin_use * deposit * leverage, config.max_position_d1 * depth_1pct)
        return wanted

    @classmethod
    def without(cls, mechanism: str, config: RetailConfig) -> Mapping[str, Any]:
        """Places no stops; take-profits stay: they wait where the price is good for the account."""
        share = config.stop_share if config.prevention is None else config.prevention.stop
        return {"stop_orders": False} if mechanism == "stops" and config.stop_orders and share > 0 else {}

    def seed_positions(self, market: MarketView, depth_1pct: float) -> SeedPositions | None:
        """Positions of `initial_open_fraction` of the accounts, none within `minimum_distance` of liquidation; or those
        of the account book."""
        price = float(market.mark_ticks) or market.index_ticks
        leverage = PPM / self.accounts.initial_margin_ppm
        self._seeded = True
        return self._seeding.draw(self._affordable_lots(self.accounts.collateral, leverage, price), price)


def _mark(market: MarketView) -> float:
    """The mark, or before there is one, a price near it."""
    return float(market.mark_ticks) or reference_ticks(market)
