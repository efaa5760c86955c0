"""Contrarians: buy falls (and sell rallies) with finite capital, hold for a while, then unwind.

Model: buying after a 15-minute fall of 1-8 % and holding for 30 min paid on average in a study of 21 perpetuals,
after a bad excursion (min66633, C).  Capital 1.8 D1, a target linear in the 15-minute move from 1 % to 4 %, unwound
over 30 min: from a prototype (D; docs/sources.md).  Each account sees the move `reaction` late, 5-60 s.

Falls and rallies fill one leg each, at most `capital`; the target is the difference.  A leg only grows while it is
held: it takes the largest signal seen, stays `hold` after that was last seen, and then shrinks to nothing in
`unwind_time`.
Nothing here knows the price at which it bought: profit and loss are what the account table says.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, final

import mesa
import numpy as np
from pydantic import Field, model_validator

from marginquake.agents.base import Participant, ParticipantConfig
from marginquake.agents.toolbox.indicators import PriceMemory, reference_ticks
from marginquake.agents.toolbox.order_slots import NEVER_NS, OrderSlots
from marginquake.sim.core.fields import Duration, Fraction, Idle
from marginquake.sim.core.records import Side, Stage
from marginquake.sim.core.typing import Floats, Ints
from marginquake.sim.market.context import ParticipantContext
from marginquake.sim.market.orders import OrderEntry
from marginquake.sim.market.view import MarketView
from marginquake.sim.scenario.distributions import Distribution, Trait, Uniform, sample

SECOND = 1_000_000_000


class ContrarianConfig(ParticipantConfig):
    """Sizes ending in `_d1` are units of the market's D1, all accounts together."""

    idle: ClassVar[tuple[Idle, ...]] = (
        Idle(("passive_offset",), lambda own, market: own.passive_share == 0, "passive_share is 0: nothing rests"),
        Idle(("market_bound",), lambda own, market: own.passive_share == 1, "passive_share is 1: everything rests"),
    )
    accounts: int = Field(20, gt=0)
    capital_d1: float = Field(1.8, gt=0, description="Largest position, all accounts together")
    window: Duration = Field(900 * SECOND, gt=0, description="The move is measured over this time")
    from_move: Fraction = Field(0.01, ge=0, description="Moves up to this are left alone")
    full_move: Fraction = Field(0.04, gt=0, description="Move that puts all capital to work; linear in between")
    symmetric: bool = Field(True, description="Sell rallies as well as buy falls")
    hold: Duration = Field(1800 * SECOND, ge=0, description="Held this long after the largest signal was last seen")
    unwind_time: Duration = Field(1800 * SECOND, gt=0, description="Then unwound evenly over this time")
    reaction: Trait[Duration] = Field(
        Uniform(minimum=5 * SECOND, maximum=60 * SECOND), ge=0, description="How late each account sees the move"
    )
    wake_rate: float = Field(0.1, gt=0, description="Looks per second of each account")
    passive_share: Fraction = Field(0.5, ge=0, le=1, description="Of what is missing, as a resting order; rest at once")
    passive_offset: Fraction = Field(0.0005, ge=0, lt=1, description="Distance of resting orders from mid")
    market_bound: Fraction = Field(0.001, gt=0, lt=1, description="Worst price of market orders, from mid")
    max_loss: Fraction = Field(
        0.1,
        gt=0,
        description="Equity lost since the start, share of capital, at which an account adds no more",
    )

    @model_validator(mode="after")
    def _ramp_rises(self) -> "ContrarianConfig":
        if self.full_move <= self.from_move:
            raise ValueError("full_move must exceed from_move")
        return self

    def bytes_needed(self, interval_s: float) -> Iterator[tuple[str, float]]:
        """Prices over the window and the longest reaction, ten samples a window, or one a second or decision."""
        slowest = self.reaction.support()[1] if isinstance(self.reaction, Distribution) else float(self.reaction)
        every_s = max(min(self.window * 1e-10, 1.0), interval_s)
        yield "window", 8.0 * self.window * 1e-9 / every_s
        if math.isfinite(slowest):
            yield "reaction", 8.0 * slowest * 1e-9 / every_s


@final
class Contrarian(Participant):
    """Liquidity of last resort, by accounts that are slow, patient and of limited means."""

    config_type = ContrarianConfig
    provides: ClassVar[tuple[str, ...] | None] = ()
    example: ClassVar[dict[str, Any]] = {
        "type": "contrarian",
        "from_move": "0.01%",
        "full_move": "0.05%",
        "window": "5s",
        "reaction": "500ms",
        "hold": "3s",
        "unwind_time": "5s",
    }
    config: ContrarianConfig

    def __init__(self, model: mesa.Model, config: ContrarianConfig, context: ParticipantContext) -> None:
        super().__init__(model, config, context)
        count = len(self.rows)
        lot = context.contract.notional_per_lot(context.initial_price_ticks)
        self.capital_lots = config.capital_d1 * context.depth_1pct / lot / count
        """Largest position of each account."""
        money = context.contract.money_amount
        self._loss_allowed = config.max_loss * config.capital_d1 * context.depth_1pct / count / money
        self._deposit = self.accounts.collateral.copy()
        self.reaction_s: Floats = sample(config.reaction, self.stream.child("reaction"), count) * 1e-9
        self._window_s = config.window * 1e-9
        reach_s = self._window_s + float(self.reaction_s.max())
        self._prices = PriceMemory(reach_s, min(1.0, self._window_s / 10.0), self.interval_s)
        self._legs = np.zeros((2, count))
        self._held_until_ns = np.zeros((2, count), np.int64)
        self._slots = OrderSlots(context)
        self._wake = self.stream.child("wake")

    @classmethod
    def without(cls, mechanism: str, config: Any) -> Mapping[str, Any] | None:
        """It is contrarian and nothing else."""
        return None if mechanism == "contrarians" else {}

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        """Watch; take back the orders of those who look; once that has settled, order again."""
        self._prices.add(math.log(reference_ticks(market)))
        ready = self._slots.settled(market.now_ns)
        if ready is not None:
            self._trade(ready, market, orders)
        accounts = len(self.rows)
        count = self.looks(self._wake, market.step, self.config.wake_rate)
        if count and not self._idle:
            units = self._wake.uniform(market.step, count, first=1024)
            self._slots.recall(np.unique((units * accounts).astype(np.int64)), market.now_ns, orders)

    @property
    def _idle(self) -> bool:
        """True while nobody holds, wants or has ordered anything, and no account can have seen a move."""
        if self._prices.range > self.config.from_move or self._legs.any() or self._slots.any_live:
            return False
        return not self.accounts.position_lots.any()

    def _target(self, index: Ints, market: MarketView) -> Floats:
        """Wanted position in shares of capital: what is held for falls minus what is held for rallies."""
        config = self.config
        seen_s = self.reaction_s[index]
        move = self._prices.before(seen_s) - self._prices.before(seen_s + self._window_s)
        signs = np.array([[-1.0], [1.0 if config.symmetric else 0.0]])
        signal = ((signs * move - config.from_move) / (config.full_move - config.from_move)).clip(0.0, 1.0)
        held_until_ns = self._held_until_ns[:, index]
        late = (market.now_ns - held_until_ns) / config.unwind_time
        leg = self._legs[:, index]
        shrunk = leg * (1.0 - late).clip(0.0, 1.0)
        fresh = (signal > 0.0) & (signal >= shrunk)
        self._legs[:, index] = np.where(fresh, signal, np.where(late < 1.0, leg, 0.0))
        self._held_until_ns[:, index] = np.where(fresh, market.now_ns + config.hold, held_until_ns)
        leg = np.where(fresh, signal, shrunk)
        target: Floats = leg[0] - leg[1]
        return target

    def _trade(self, index: Ints, market: MarketView, orders: OrderEntry) -> None:
        index = index[self.accounts.stage[index] < Stage.CALLED]
        if len(index) == 0:
            return
        position = self.accounts.position_lots[index]
        target = np.trunc(self._target(index, market) * self.capital_lots).astype(np.int64)
        mark_ticks = float(market.mark_ticks) if market.mark_ticks > 0 else market.index_ticks
        lost = self._deposit[index] - self.accounts.equity(mark_ticks)[index]
        hurt = lost > self._loss_allowed
        if hurt.any():
            smaller = np.sign(position) * np.minimum(np.abs(position), np.maximum(np.sign(position) * target, 0))
            target = np.where(hurt, smaller, target)
        gap = target - position
        if not gap.any():
            return
        side = np.where(gap > 0, int(Side.BUY), int(Side.SELL))
        passive = np.rint(self.config.passive_share * np.abs(gap)).astype(np.int64)
        self._rest(index, side, passive, market, orders)
        self._take(index, side, np.abs(gap) - passive, market, orders)

    def _rest(self, index: Ints, side: Ints, lots: Ints, market: MarketView, orders: OrderEntry) -> None:
        """Just below the market, or just above, and never through it."""
        mid = reference_ticks(market)
        bid = math.floor(mid * (1.0 - self.config.passive_offset))
        ask = math.ceil(mid * (1.0 + self.config.passive_offset))
        if market.best_ask_ticks:
            bid = min(bid, market.best_ask_ticks - 1)
        if market.best_bid_ticks:
            ask = max(ask, market.best_bid_ticks + 1)
        go = lots > 0
        price = self._in_range(np.where(side[go] > 0, bid, ask))
        orders.limit(self.rows[index[go]], side[go], price, lots[go])
        self._slots.rest(index[go], NEVER_NS)

    def _take(self, index: Ints, side: Ints, lots: Ints, market: MarketView, orders: OrderEntry) -> None:
        go = lots > 0
        bound = np.rint(reference_ticks(market) * (1.0 + side[go] * self.config.market_bound))
        orders.market(self.rows[index[go]], side[go], lots[go], bound_ticks=self._in_range(bound))

    def _in_range(self, ticks: Floats | Ints) -> Ints:
        return np.asarray(ticks).clip(1, self.contract.max_price_ticks - 1).astype(np.int64)
