"""Traders of PAMS' sample market (CI2002) on our book: 100 of them, one limit order a step, each with a time to live.

The rule is that of Chiarella and Iori (2002): expected log return = weighted mean of a fundamental, a chartist and a
noise term; bid below or ask above the price expected at the end of one's window.  Beside PAMS: a tick of 0.01 instead
of 0.00001 (prices are a ladder of integers here); who trades is drawn with replacement; an order that has outlived its
time is cancelled by a command of its own, as a trader would have to.  Margin, fees, mark and record are ours besides.
"""

import math
from collections import deque
from typing import Any, ClassVar, final

import mesa
import numpy as np

from marginquake.agents.base import Participant, ParticipantConfig
from marginquake.sim.core.records import Side
from marginquake.sim.market.context import ParticipantContext
from marginquake.sim.market.orders import OrderEntry
from marginquake.sim.market.view import MarketView

BLOCK = 4096
"""Steps for which draws are made at a time."""


class FcnConfig(ParticipantConfig):
    """Numbers of PAMS' samples/CI2002/config.json."""

    accounts: int = 100
    mean_reversion_steps: tuple[float, float] = (50.0, 100.0)
    window_steps: tuple[float, float] = (100.0, 200.0)
    noise_scale: float = 0.001
    order_margin: tuple[float, float] = (0.0, 0.1)


@final
class FcnTraders(Participant):
    """One of them, drawn at random, sends one limit order of one lot a step."""

    config_type = FcnConfig
    config: FcnConfig
    example: ClassVar[dict[str, Any]] = {"type": "benchmarks.fcn:FcnTraders"}

    def __init__(self, model: mesa.Model, config: FcnConfig, context: ParticipantContext) -> None:
        super().__init__(model, config, context)
        count = config.accounts

        def between(name: str, bounds: tuple[float, float]) -> list[float]:
            low, high = bounds
            return (low + (high - low) * self.stream.child(name).uniform(0, count)).tolist()

        self._fundamental = self.stream.child("fundamental").exponential(0, count).tolist()
        self._noise = self.stream.child("noise").exponential(0, count).tolist()
        self._reversion = between("reversion", config.mean_reversion_steps)
        self._window = [int(window) for window in between("window", config.window_steps)]
        self._margin = between("margin", config.order_margin)
        self.sent = 0
        """Limit orders so far."""
        self._block: int | None = None
        self._who: list[int] = []
        self._gauss: list[float] = []
        self._rows = [self.rows[i : i + 1] for i in range(count)]
        self._expiring: deque[list[tuple[int, int]]] = deque([] for _ in range(1 + max(self._window)))

    def decide(self, market: MarketView, orders: OrderEntry) -> None:
        """Cancel what has outlived its time; one trader sends one order."""
        block, place = divmod(market.step, BLOCK)
        if block != self._block:
            self._block = block
            self._who = np.floor(self.stream.uniform(block, BLOCK) * self.config.accounts).astype(int).tolist()
            self._gauss = self.stream.child("gauss").normal(block, BLOCK).tolist()
        for owner, order_id in self._expiring.popleft():
            orders.cancel(self._rows[owner], np.array([order_id]))
        self._expiring.append([])

        who = self._who[place]
        price = market.mid_ticks if market.two_sided else market.index_ticks
        price = float(market.last_ticks) or price
        window = self._window[who]
        drift = math.log(market.fundamental_ticks / price) / self._reversion[who]
        noise = self.config.noise_scale * self._gauss[place]
        weight = self._fundamental[who] + self._noise[who]
        expected = price * math.exp((self._fundamental[who] * drift + self._noise[who] * noise) / weight * window)
        if expected > price:
            ids = orders.limit(self._rows[who], Side.BUY, round(expected * (1 - self._margin[who])), 1)
        else:
            ids = orders.limit(self._rows[who], Side.SELL, round(expected * (1 + self._margin[who])), 1)
        self.sent += 1
        self._expiring[window - 1].append((who, int(ids[0])))
