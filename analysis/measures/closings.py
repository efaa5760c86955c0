"""What was closed without its owner's choice over time, by way, in the amounts of the scorecard."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from marginquake.analysis.frames.market import Fills, MarketFrames
from marginquake.sim.core.records import Cause, EventKind
from marginquake.sim.core.typing import Bools, Floats, Ints


@final
@dataclass(frozen=True)
class Closing:
    """Amounts at moments since the end of the warm-up: notional in quote units, `side` -1 where longs were closed, +1
    where shorts were, 0 where the record does not say."""

    time_s: Floats
    notional: Floats
    side: Ints

    @property
    def total(self) -> float:
        """Notional of both sides."""
        return float(self.notional.sum())

    def of_side(self, side: int) -> tuple[Floats, Floats]:
        """Times and notional of one side; what has none is told as sales."""
        chosen = self.side == side if side > 0 else self.side <= 0
        return self.time_s[chosen], self.notional[chosen]


@final
@dataclass(frozen=True)
class Kind:
    """One way: how it is called, the colour name of `analysis.report.palette`, and its amounts in a market."""

    label: str
    colour: str
    of: Callable[[MarketFrames], Closing]


def _by_orders(market: MarketFrames) -> Closing:
    fills = market.forced_fills
    if not len(fills) and np.nansum(market.run["forced_volume"]):
        return _sampled(market, "forced_volume")  # the fund's part is not told apart there
    return _of(fills, fills.cause == Cause.LIQUIDATION)


def _by_the_fund(market: MarketFrames) -> Closing:
    fills = market.forced_fills
    return _of(fills, fills.cause == Cause.TAKEOVER)


def _by_stops(market: MarketFrames) -> Closing:
    if market.not_recorded("fills") or not len(market.events["kind"]):
        return _sampled(market, "stop_volume")
    fills = market.fills
    return _of(fills, fills.cause == Cause.STOP)


def _taken_over(market: MarketFrames) -> Closing:
    return _handed_over(market, EventKind.TAKEOVER, "takeover_notional")


def _deleveraged(market: MarketFrames) -> Closing:
    return _handed_over(market, EventKind.ADL, "adl_notional")


IN_THE_BOOK = (
    Kind("liquidation orders", "forced", _by_orders),
    Kind("insurance fund", "insurance", _by_the_fund),
    Kind("stops", "stop", _by_stops),
)
"""Traded in the book."""
OUTSIDE_THE_BOOK = (
    Kind("taken over by the fund", "insurance", _taken_over),
    Kind("auto-deleveraging (ADL)", "adl", _deleveraged),
)
"""Closed without a trade in the book, at the mark."""


def _of(fills: Fills, chosen: Bools) -> Closing:
    own = fills.select(chosen & (fills.time_s > 0))
    return Closing(own.time_s, own.notional, own.side)


def _handed_over(market: MarketFrames, kind: EventKind, column: str) -> Closing:
    """Takeovers have the side of the position, ADL that of the winner's order: both +1 where a long was closed."""
    if not len(market.events["kind"]):
        return _sampled(market, column)
    time_s, notional = market.handed_over(kind)
    side = -market.events["side"][market.events["kind"] == kind].astype(np.int64)
    live = time_s > 0
    return Closing(time_s[live], notional[live], side[live])


def _sampled(market: MarketFrames, column: str) -> Closing:
    """As the series has it, which knows no sides."""
    run = market.run
    amount = np.nan_to_num(np.asarray(run.get(column, np.zeros(len(run["time_s"]))), np.float64))
    return Closing(run["time_s"], amount, np.zeros(len(amount), np.int64))
