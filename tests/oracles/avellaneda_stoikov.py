"""The market in which Avellaneda and Stoikov (2008, table 1) measured their quotes: no book, no other maker.

The mid is a random walk; a quote at distance d from it is hit at the rate A exp(-k d).  Kept to hold
`agents.market_maker.avellaneda_stoikov_quotes` against the profits that the paper reports; no participant uses it.
"""

import math
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

from marginquake.agents.market_maker import avellaneda_stoikov_quotes
from marginquake.sim.market.streams import Stream

Floats = NDArray[np.float64]
BID, ASK, MOVE = range(3)


@final
class Outcomes:
    """Profit (cash and inventory at the last mid) and final inventory, one a path."""

    def __init__(self, profit: Floats, inventory: Floats) -> None:
        self.profit = profit
        self.inventory = inventory


def simulate_maker(
    strategy: Literal["inventory", "symmetric"],
    mid: float,
    risk_aversion: float,
    volatility: float,
    horizon: float,
    time_step: float,
    order_decay: float,
    arrival_rate: float,
    paths: int,
    stream: Stream,
) -> Outcomes:
    """Quote around the reservation price (`inventory`) or the mid (`symmetric`), with the same spread, until `horizon`.

    `arrival_rate` A per unit of time at distance 0, `order_decay` k per unit of price, `volatility` in price per root
    of time.  In each `time_step` each quote is hit at most once, and the mid moves by volatility * sqrt(time_step), up
    or down.
    """
    price = np.full(paths, float(mid))
    inventory, cash = np.zeros(paths), np.zeros(paths)
    steps = round(horizon / time_step)
    for step in range(steps):
        left = horizon - step * time_step
        _, spread = avellaneda_stoikov_quotes(mid, 0.0, risk_aversion, volatility, left, order_decay)
        risk = risk_aversion * volatility**2 * left
        centre = price - inventory * risk if strategy == "inventory" else price
        bid, ask = centre - spread / 2, centre + spread / 2
        hit = arrival_rate * time_step
        bought = stream.uniform(step, paths, BID * paths) < hit * np.exp(-order_decay * (price - bid))
        sold = stream.uniform(step, paths, ASK * paths) < hit * np.exp(-order_decay * (ask - price))
        cash += np.where(sold, ask, 0.0) - np.where(bought, bid, 0.0)
        inventory += bought.astype(np.float64) - sold
        up = stream.uniform(step, paths, MOVE * paths) < 0.5
        price += np.where(up, 1.0, -1.0) * volatility * math.sqrt(time_step)
    return Outcomes(cash + inventory * price, inventory)
