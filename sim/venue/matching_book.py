"""A limit order book by itself: price-time priority without accounts, fees, margin or conditional orders.

It matches by the same lines as the exchange (`sim.kernels.matching`), for whoever wants the fills and nothing else, and
for honest comparison with other order books.
"""

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.records import OrderKind
from marginquake.sim.kernels import Helper, book_only
from marginquake.sim.kernels.book_only import BOOK_EVENT, EVENT_WORDS
from marginquake.sim.kernels.state import MOST_LOTS, RULES, BookArrays, grow_events, grow_orders, make_book


@final
class MatchingBook:
    """Limit, post-only, market, IOC and FOK orders, and cancellations, at prices 1 to `ladder_size` - 1.

    `log`: whether `process` returns what happened; fills are counted either way.  A trader who meets itself loses the
    resting order, or the incoming one with `self_trade_cancels_taker`.
    """

    def __init__(
        self, ladder_size: int, orders: int = 4096, *, log: bool = True, self_trade_cancels_taker: bool = False
    ) -> None:
        rules = np.zeros(1, RULES)
        rules["size"] = ladder_size
        rules["max_position_lots"] = MOST_LOTS
        rules["self_trade_cancels_taker"] = int(self_trade_cancels_taker)
        self._run: Helper = book_only.run_logged if log else book_only.run_unlogged
        self._log = log
        self._ladder_size = ladder_size
        self._book = make_book(rules, orders)

    def process(self, commands: NDArray[Any]) -> NDArray[Any]:
        """Run COMMAND rows in order; returns BOOK_EVENT rows, none without a log.

        Raises ValueError at a command of another kind; those before it are done.  `flags` mean nothing here.
        """
        return self.run(commands).copy()

    def run(self, commands: NDArray[Any]) -> NDArray[Any]:
        """As `process`, but what it returns is a view of the book's buffer: good until the next call."""
        done = 0
        while done < len(commands):
            self._make_room()
            done = int(self._run(self._book, commands, done))
            if done < 0:
                self._book.state["events"] = 0
                kind = OrderKind(int(commands["kind"][-1 - done])).name
                raise ValueError(f"command {-1 - done} is {kind}: a bare book takes orders up to FOK, and CANCEL")
        return self._take_events()

    def reserve(self, events: int) -> None:
        """Make room for so many events at once (the buffer grows by itself, twice the size each time)."""
        if len(self._book.events) < EVENT_WORDS * events:
            self._book = grow_events(self._book, EVENT_WORDS * events)

    @property
    def best_bid_ticks(self) -> int:
        """Highest resting bid, 0 if none."""
        return int(self._book.state["best_bid"][0])

    @property
    def best_ask_ticks(self) -> int:
        """Lowest resting ask, 0 if none."""
        price = int(self._book.state["best_ask"][0])
        return price if price < self._ladder_size else 0

    @property
    def last_ticks(self) -> int:
        """Price of the last fill, 0 before the first."""
        return int(self._book.state["last"][0])

    @property
    def fills(self) -> int:
        """Number of fills so far."""
        return int(self._book.state["fills"][0])

    @property
    def live_orders(self) -> int:
        """Orders resting."""
        return int(self._book.state["live"][0])

    @property
    def book(self) -> BookArrays:
        """The kernels' own bundle."""
        return self._book

    def _make_room(self) -> None:
        state = self._book.state
        if int(state["free"][0]) == 0:
            self._book = grow_orders(self._book)
        needed = EVENT_WORDS * (int(state["live"][0]) + book_only.SPARE_EVENTS)
        if self._log and len(self._book.events) - int(state["events"][0]) < needed:
            self._book = grow_events(self._book, needed)

    def _take_events(self) -> NDArray[Any]:
        state = self._book.state
        used = int(state["events"][0])
        state["events"] = 0
        return self._book.events[:used].view(BOOK_EVENT)
