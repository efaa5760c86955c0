"""Metaorders: large parents of power-law length, worked child by child over time.

Model: Lillo, Mike, Farmer (2005).  A parent of n children, P(n > x) ~ x^-a, sends them all on one side; the order
flow then remembers its sign, with an autocorrelation that decays as lag^-(a - 1).  Impact, which grows less than
linearly in real markets (Donier, Bonart 2015), is left to the book and to be measured.  Numbers: a prototype, D.
Differs from the paper: several parents at once with Poisson clocks instead of one drawn at each trade,
lengths are cut at a maximum, activity sets the pace, and a side leans back to flat near the position limit.
"""

import math
from typing import Any, ClassVar, final

import mesa
import numpy as np
from pydantic import Field, model_validator

from marginquake.agents.base import Participant, ParticipantConfig
from marginquake.agents.toolbox.indicators import ActivityGauge, reference_ticks
from marginquake.sim.core.fields import Amount, Duration, Fraction, Idle
from marginquake.sim.core.integers.casts import whole
from marginquake.sim.core.integers.limits import MOST_LOTS
from marginquake.sim.core.records import Side
from marginquake.sim.core.typing import Floats, Ints
from marginquake.sim.market.context import ParticipantContext
from marginquake.sim.market.orders import OrderEntry
from marginquake.sim.market.view import MarketView
from marginquake.sim.scenario.distributions import Pareto, Trait

SECOND = 1_000_000_000
MOST_CHILDREN = 500.0
"""Largest mean number of children of one parent in one decision."""
MOST_BEGUN = 1 << 20
"""Items of the arrival stream: this many parents can begin at one decision, each with addresses of its own."""


def parent_lengths(units: Floats, exponent: float, shortest: int, longest: int) -> Ints:
    """Whole children from uniforms: P(n >= k) = (shortest / k)^exponent for whole k, cut at `longest`."""
    lengths = Pareto(minimum=shortest, exponent=exponent, maximum=longest + 1.0).quantile(units)
    return np.minimum(np.floor(lengths), longest).astype(np.int64)


def length_biased(units: Floats, exponent: float, shortest: int, longest: int) -> Floats:
    """Lengths of the parents that an onlooker meets: the longer, the likelier, with a density as x^-exponent."""
    power = 1.0 - exponent
    if abs(power) < 1e-9:
        return np.asarray(shortest * (longest / shortest) ** units, np.float64)
    low, high = float(shortest) ** power, float(longest) ** power
    return np.asarray((low + units * (high - low)) ** (1.0 / power), np.float64)


def poisson_counts(units: Floats, mean: float) -> Ints:
    """Poisson counts of one mean by inversion: a count moves little when the mean moves little."""
    mean = min(mean, MOST_CHILDREN)
    terms = mean / np.arange(1, math.ceil(mean + 12.0 * math.sqrt(mean)) + 13)
    cumulative = np.cumsum(np.cumprod(np.concatenate(([math.exp(-mean)], terms))))
    return np.searchsorted(cumulative, units)


class WhaleConfig(ParticipantConfig):
    """Sizes ending in `_d1` are units of the market's D1; `parent_rate` is of all accounts together."""

    idle: ClassVar[tuple[Idle, ...]] = (
        Idle(
            (
                "children_exponent",
                "children_range",
                "child_interval",
                "child_mean_d1",
                "size_deviation",
                "child_deviation",
                "depth_share",
                "depth_reach",
                "rest",
            ),
            lambda own, market: own.parent_rate == 0 and not own.working_at_start,
            "parent_rate is 0: no parent order is begun",
        ),
    )
    accounts: int = Field(60, gt=0, description="Each works one parent at a time")
    deposit: Trait[Amount] = Field(1e10, ge=0, description="Collateral of each account, quote units")
    parent_rate: float = Field(0.2, ge=0, description="Parents begun per second, if an account is free")
    children_exponent: float = Field(1.5, gt=0, description="Tail of the number of children; sign memory is this - 1")
    children_range: tuple[int, int] = Field((5, 3000), description="Fewest and most children of a parent")
    child_interval: Duration = Field(2 * SECOND, gt=0, description="Mean wait between children at usual activity")
    child_mean_d1: float = Field(9e-4, gt=0, description="Mean size of a child")
    size_deviation: float = Field(0.5, ge=0, description="Standard deviation of log child size between parents")
    child_deviation: float = Field(0.2, ge=0, le=0.5, description="Relative deviation of size within a parent; uniform")
    depth_share: Fraction = Field(0.3, gt=0, le=1, description="A child takes at most this share of the depth ...")
    depth_reach: Fraction = Field(0.00015, gt=0, description="... within this distance of the touch")
    market_bound: Fraction = Field(0.01, gt=0, lt=1, description="Worst price of a child, from mid")
    limit_d1: float = Field(3.0, gt=0, description="Largest position of each account; a parent that meets it ends")
    rest: Duration = Field(30 * SECOND, ge=0, description="Least pause of an account between two parents")
    working_at_start: bool = Field(True, description="Begin with a stationary set of parents instead of none")
    volatility: Fraction = Field(0.6, gt=0, description="Per year; where the activity gauge starts")
    activity_floor: Fraction = Field(0.2, ge=0, le=1)
    activity_cap: float = Field(4.0, ge=1)

    @model_validator(mode="after")
    def _parents_can_be_told_apart(self) -> "WhaleConfig":
        if not 1 <= self.children_range[0] <= self.children_range[1]:
            raise ValueError("children_range is [fewest, most], at least 1")
        if self.rest < 5 * self.child_interval:
            raise ValueError("rest must be at least 5 child intervals, so that parents can be told apart by their gaps")
        return self


@final
class Whale(Participant):
    """Each account is idle, at rest, or works one parent order on one side.

    A parent's length, side and size are addressed by its arrival, its children's clock by a word of its own: twins
    share them whichever account works it.  A child that finds no depth waits; only the position limit ends a parent
    early.
    """

    config_type = WhaleConfig
    provides: ClassVar[tuple[str, ...] | None] = ()
    example: ClassVar[dict[str, Any]] = {"type": "whale"}
    config: WhaleConfig

    def __init__(self, model: mesa.Model, config: WhaleConfig, context: ParticipantContext) -> None:
        super().__init__(model, config, context)
        count = len(self.rows)
        unit_lots = context.depth_1pct / context.contract.notional_per_lot(context.initial_price_ticks)
        self._mean_lots = config.child_mean_d1 * unit_lots
        self._limit_lots = int(config.limit_d1 * unit_lots)
        self._child_s = config.child_interval * 1e-9
        self._begun_mean = config.parent_rate * self.interval_s
        self._noise = config.child_deviation * math.sqrt(3.0)
        self._activity = ActivityGauge(config.volatility, self.interval_s, config.activity_floor, config.activity_cap)
        self._arrivals = self.stream.child("parents")
        self._sizes = self.stream.child("parent_sizes")
        self._names = self.stream.child("parent_names")
        self._clock = self.stream.child("clock")
        self._child_sizes = self.stream.child("child_sizes")
        self._rounding = self.stream.child("rounding")
        self._history = self.stream.child("history")
        self.children_left = np.zeros(count, np.int64)
        """Children that each account still has to send; 0 = it works no parent."""
        self.side = np.zeros(count, np.int64)
        """Side of each account's last parent."""
        self._idle_from_ns = np.full(count, -(1 << 62), np.int64)
        self._child_lots = np.zeros(count)
        self._name = np.zeros(count, np.int64)
        self._started = False

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        """Begin the parents that arrive; send the children whose clocks ring."""
        activity = self._activity.update(reference_ticks(market))
        if not self._started:
            self._started = True
            if self.config.working_at_start:
                self._begin_stationary(market)
        begun = self._arrivals.poisson(market.step, self._begun_mean)
        if begun:
            units = self._arrivals.uniform(market.step, 3 * begun, first=MOST_BEGUN).reshape(begun, 3)
            self._begin(market, self._lengths(units[:, 0]), units[:, 1:], first=0)
        working = np.flatnonzero(self.children_left)
        if len(working):
            self._work(working, activity * self.interval_s / self._child_s, market, orders)

    # ---- parents --------------------------------------------------------------------------------------------------

    def _lengths(self, units: Floats) -> Ints:
        return parent_lengths(units, self.config.children_exponent, *self.config.children_range)

    def _begin(self, market: MarketView, lengths: Ints, units: Floats, first: int) -> None:
        """Give each parent to the first free account from a random one on; without a free account it is not begun.

        `units`: one uniform for the side and one for the account of each; `first`: its item in the other streams.
        """
        count = len(lengths)
        deviation = self.config.size_deviation
        z = self._sizes.normal(market.step, count, first)
        sizes = self._mean_lots * np.exp(deviation * z - 0.5 * deviation**2)
        names = self._names.words(market.step, count, first).view(np.int64)
        position = self.accounts.position_lots
        for parent in range(count):
            free = np.flatnonzero((self.children_left == 0) & (self._idle_from_ns <= market.now_ns))
            if len(free) == 0:
                return
            place = np.searchsorted(free, int(units[parent, 1] * len(self.rows)))
            account = free[place % len(free)]
            self.children_left[account] = lengths[parent]
            self.side[account] = 1 if units[parent, 0] < self._buy_chance(int(position[account])) else -1
            self._child_lots[account] = sizes[parent]
            self._name[account] = names[parent]

    def _buy_chance(self, position_lots: int) -> float:
        """1/2 up to half the position limit, then linear to certainty of reducing at the limit."""
        beyond = max(0.0, 2.0 * abs(position_lots) / max(1, self._limit_lots) - 1.0)
        return 0.5 - math.copysign(0.5 * min(1.0, beyond), position_lots)

    def _begin_stationary(self, market: MarketView) -> None:
        """Parents already under way, as many and with as much left as after an endless usual past."""
        config = self.config
        fewest, most = config.children_range
        usual = Pareto(minimum=fewest, exponent=config.children_exponent, maximum=most + 1.0).mean()
        count = self._history.poisson(0, config.parent_rate * usual * self._child_s)
        count = min(count, len(self.rows))
        if count:
            units = self._history.uniform(0, 4 * count, first=2).reshape(count, 4)
            lengths = length_biased(units[:, 0], config.children_exponent, fewest, most)
            left = whole(np.maximum(1, np.ceil(units[:, 1] * lengths)), "the children of a parent")
            self._begin(market, left, units[:, 2:], first=MOST_BEGUN)

    # ---- children -------------------------------------------------------------------------------------------------

    def _work(self, working: Ints, mean_children: float, market: MarketView, orders: OrderEntry) -> None:
        """One order for each parent whose clock rings, for all the children that are due."""
        units = self._clock.uniform_at(market.step, self._name[working])
        rings = units > math.exp(-mean_children)
        if not rings.any():
            return
        ringing = working[rings]
        due = np.minimum(poisson_counts(units[rings], mean_children), self.children_left[ringing])
        names = self._name[ringing]
        noise = 1.0 + self._noise * (2.0 * self._child_sizes.uniform_at(market.step, names) - 1.0)
        child = np.maximum(self._child_lots[ringing] * noise, 1.0)
        wanted = due * child + self._rounding.uniform_at(market.step, names)
        side = self.side[ringing]
        most = np.where(side > 0, *(self._most_lots(resting, market) for resting in (Side.SELL, Side.BUY)))
        room = self._limit_lots - side * self.accounts.position_lots[ringing]
        self._end(ringing[room < 1], market.now_ns)
        lots = np.minimum(np.minimum(np.maximum(1, np.minimum(wanted, MOST_LOTS).astype(np.int64)), most), room)
        go = lots > 0
        if not go.any():
            return
        sending, side, lots = ringing[go], side[go], lots[go]
        # Children that the depth has no room for wait for the next ring.
        self.children_left[sending] -= np.clip(np.ceil(lots / child[go]).astype(np.int64), 1, due[go])
        self._end(sending[self.children_left[sending] == 0], market.now_ns)
        reference = reference_ticks(market)
        bound = np.rint(reference * (1.0 + side * self.config.market_bound)).astype(np.int64)
        bound = np.clip(bound, 1, self.contract.max_price_ticks - 1)
        orders.market(self.rows[sending], side, lots, bound_ticks=bound)

    def _most_lots(self, resting: Side, market: MarketView) -> int:
        """What one order may take from `resting`: a share of the depth near its best price."""
        if not market.two_sided:
            return 0
        half_spread = 0.5 * market.spread_ticks / market.mid_ticks
        return int(self.config.depth_share * market.depth.within(int(resting), half_spread + self.config.depth_reach))

    def _end(self, accounts: Ints, now_ns: int) -> None:
        self.children_left[accounts] = 0
        self._idle_from_ns[accounts] = now_ns + self.config.rest
