"""What a market publishes: the view that its participants decide on, and earlier ones for those whose data is late."""

import math
from typing import final

from marginquake.sim.core.records import Side
from marginquake.sim.market.view import MarketView
from marginquake.sim.venue.venue import Venue


@final
class BookDepth:
    """Answers participants' questions on visible depth."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def within(self, side: int, fraction: float) -> int:
        """Lots resting on `side` within `fraction` of the mid; 0 while a side is empty."""
        mid = self._venue.mid_ticks
        if math.isnan(mid):
            return 0
        exchange = self._venue.exchange
        if side == Side.BUY:
            return exchange.depth_within(side, math.ceil(mid * (1 - fraction)), math.floor(mid))
        return exchange.depth_within(side, math.ceil(mid), math.floor(mid * (1 + fraction)))


@final
class MarketData:
    """Views of one market.  `delay_steps`: the latest data that anybody trades on, in steps."""

    def __init__(self, venue: Venue, delay_steps: int = 0) -> None:
        self._venue = venue
        self._kept = 1 + delay_steps
        self._views: list[MarketView] = []
        self.depth = BookDepth(venue)

    def view(self, now_ns: int) -> MarketView:
        """The market as it is now, for whoever sees it at once."""
        venue = self._venue
        bid, ask, bid_lots, ask_lots, last, mark = venue.exchange.quote()
        return MarketView(
            now_ns // venue.step_ns,
            now_ns,
            venue.step_ns,
            bid,
            ask,
            bid_lots,
            ask_lots,
            0.5 * (bid + ask) if bid and ask else math.nan,
            last,
            mark,
            venue.index.index_ticks,
            venue.index.fundamental_ticks,
            venue.funding.rate,
            venue.contract,
            self.depth,
            venue.margins.multiplier,
        )

    def publish(self, now_ns: int) -> MarketView:
        """The view of a step, which all participants decide on; late ones see it later."""
        view = self.view(now_ns)
        self._views.append(view)
        if len(self._views) > self._kept:
            del self._views[0]
        return view

    def delayed(self, steps: int) -> MarketView:
        """The view of so many steps ago, or the first there was, with today's clock: who sees it knows the time."""
        now = self._views[-1]
        return self._views[max(0, len(self._views) - 1 - steps)]._replace(step=now.step, now_ns=now.now_ns)
