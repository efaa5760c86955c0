"""One rule of trading, twice: a crowd as columns of one participant, and a crowd of one Mesa object a trader.

Every account wakes at its own step of a wheel (once every `accounts / wakes` steps).  Who wakes recalls the order it
left, if any, and sends a new one: a limit order near the mid, sometimes a market order, against its position once that
is large.  Both crowds take the same draws and say the same commands in the same order to the same book, so their runs
have one event digest (`mesa_objects.py` checks it).
"""

from typing import Any, ClassVar, final

import mesa
import numpy as np

from marginquake.agents.base import Participant, ParticipantConfig
from marginquake.sim.kernels import kernel
from marginquake.sim.kernels.draws import unit
from marginquake.sim.market.context import ParticipantContext
from marginquake.sim.market.orders import OrderEntry
from marginquake.sim.market.view import MarketView

LARGE_LOTS = 50
MARKET_SHARE = 0.15
REACH_TICKS = 60
MOST_LOTS = 10


class CrowdConfig(ParticipantConfig):
    """How many wake in a step."""

    accounts: int = 100_000
    wakes: int = 1000

    @property
    def period(self) -> int:
        """Steps from one wake of an account to its next."""
        return self.accounts // self.wakes


@kernel
def decide_all(key, step, first, period, position_lots, mid, left, recalls, takes, rests):  # type: ignore[no-untyped-def]
    """What the accounts at places first, first + period, ... say: how many recalls, market orders, limit orders.

    `left[place]`: id of the order it left, 0 for none.  Rows of `recalls`: place, order id; of `takes`: place, side,
    lots; of `rests`: place, side, lots, price in ticks.
    """
    recalled = taken = rested = 0
    for wake, place in enumerate(range(first, left.shape[0], period)):
        chance = unit(key, step, 3 * wake)
        direction = unit(key, step, 3 * wake + 1)
        reach = unit(key, step, 3 * wake + 2)
        if left[place] > 0:
            recalls[0, recalled] = place
            recalls[1, recalled] = left[place]
            recalled += 1
            left[place] = 0
        side = 1 if direction < 0.5 else -1
        if abs(position_lots[place]) > LARGE_LOTS:
            side = -1 if position_lots[place] > 0 else 1
        lots = 1 + int(reach * MOST_LOTS)
        if chance < MARKET_SHARE:
            takes[0, taken] = place
            takes[1, taken] = side
            takes[2, taken] = lots
            taken += 1
        else:
            rests[0, rested] = place
            rests[1, rested] = side
            rests[2, rested] = lots
            rests[3, rested] = round(mid - side * (reach * REACH_TICKS + 1))
            rested += 1
    return recalled, taken, rested


@final
class ArrayCrowd(Participant):
    """The crowd as columns; its rule is a kernel over the accounts that wake."""

    config_type = CrowdConfig
    config: CrowdConfig
    example: ClassVar[dict[str, Any]] = {"type": "benchmarks.crowd:ArrayCrowd"}

    def __init__(self, model: mesa.Model, config: CrowdConfig, context: ParticipantContext) -> None:
        super().__init__(model, config, context)
        wakes = 1 + config.accounts // config.period
        self._left = np.zeros(config.accounts, np.int64)
        self._recalls, self._takes, self._rests = (np.zeros((size, wakes), np.int64) for size in (2, 3, 4))
        self._position_lots = context.table.rows["position_lots"][int(context.rows[0]) : int(context.rows[-1]) + 1]

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        """All who wake, at once."""
        recalls, takes, rests = self._recalls, self._takes, self._rests
        mid = market.mid_ticks if market.two_sided else float(market.index_ticks)
        period = self.config.period
        recalled, taken, rested = self.stream.run(
            decide_all, market.step, market.step % period, period, self._position_lots, mid, self._left,
            recalls, takes, rests,
        )  # fmt: skip
        orders.cancel(self.rows[recalls[0, :recalled]], recalls[1, :recalled])
        orders.market(self.rows[takes[0, :taken]], takes[1, :taken], takes[2, :taken])
        who = rests[0, :rested]
        self._left[who] = orders.limit(self.rows[who], rests[1, :rested], rests[3, :rested], rests[2, :rested])


@final
class Trader(mesa.Agent):
    """One account as one Mesa agent: what it left in the book, and its rule."""

    def __init__(self, model: mesa.Model, row: int) -> None:
        super().__init__(model)
        self.row = row
        self.left = 0

    def wake(self, crowd: "ObjectCrowd", mid: float, chance: float, direction: float, reach: float) -> None:
        """Recall, look at the position, say an order."""
        if self.left:
            crowd.recall(self)
        position = crowd.position_of(self)
        side = 1 if direction < 0.5 else -1
        if abs(position) > LARGE_LOTS:
            side = -1 if position > 0 else 1
        lots = 1 + int(reach * MOST_LOTS)
        if chance < MARKET_SHARE:
            self.left = 0
            crowd.take(self, side, lots)
        else:
            crowd.rest(self, side, round(mid - side * (reach * REACH_TICKS + 1)), lots)


class ObjectCrowdConfig(CrowdConfig):
    """`batch`: what the traders of a step say goes to the market in one call; otherwise each calls for itself."""

    batch: bool = True


@final
class ObjectCrowd(Participant):
    """The crowd as Mesa objects: in their favour, who wakes is drawn for them and nobody is asked in vain."""

    config_type = ObjectCrowdConfig
    config: ObjectCrowdConfig
    example: ClassVar[dict[str, Any]] = {"type": "benchmarks.crowd:ObjectCrowd"}

    def __init__(self, model: mesa.Model, config: ObjectCrowdConfig, context: ParticipantContext) -> None:
        super().__init__(model, config, context)
        self._traders = [Trader(model, row) for row in context.rows.tolist()]
        self._table = context.table.rows["position_lots"]
        self._recalled: list[tuple[int, int]] = []
        self._taken: list[tuple[int, int, int]] = []
        self._rested: list[tuple[Trader, int, int, int]] = []
        self._orders: OrderEntry | None = None

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        """Wake them one by one."""
        period = self.config.period
        traders = self._traders[market.step % period :: period]
        draws = self.stream.uniform(market.step, 3 * len(traders)).reshape(-1, 3).tolist()
        mid = market.mid_ticks if market.two_sided else float(market.index_ticks)
        self._orders = orders
        for trader, (chance, direction, reach) in zip(traders, draws, strict=True):
            trader.wake(self, mid, chance, direction, reach)
        if self.config.batch:
            self._send(orders)

    def position_of(self, trader: Trader) -> int:
        """What it holds."""
        return int(self._table[trader.row])

    def recall(self, trader: Trader) -> None:
        """Cancel the order it left."""
        if self.config.batch:
            self._recalled.append((trader.row, trader.left))
        elif self._orders is not None:
            self._orders.cancel(np.array([trader.row]), np.array([trader.left]))

    def take(self, trader: Trader, side: int, lots: int) -> None:
        """A market order."""
        if self.config.batch:
            self._taken.append((trader.row, side, lots))
        elif self._orders is not None:
            self._orders.market(np.array([trader.row]), side, lots)

    def rest(self, trader: Trader, side: int, price_ticks: int, lots: int) -> None:
        """A limit order; the trader is told its id."""
        if self.config.batch:
            self._rested.append((trader, side, price_ticks, lots))
        elif self._orders is not None:
            trader.left = int(self._orders.limit(np.array([trader.row]), side, price_ticks, lots)[0])

    def _send(self, orders: OrderEntry) -> None:
        """What they said, in three calls."""
        if self._recalled:
            rows, ids = np.array(self._recalled).T
            orders.cancel(rows, ids)
        if self._taken:
            rows, side, lots = np.array(self._taken).T
            orders.market(rows, side, lots)
        if self._rested:
            who, sides, prices, sizes = zip(*self._rested, strict=True)
            rows = np.array([trader.row for trader in who])
            ids = orders.limit(rows, np.array(sides), np.array(prices), np.array(sizes))
            for trader, order_id in zip(who, ids.tolist(), strict=True):
                trader.left = order_id
        self._recalled, self._taken, self._rested = [], [], []
