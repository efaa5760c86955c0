"""One order at a time for each account: what rests is taken back, and has settled, before the next is sized.

So no account ever trades on a position that an order still under way may change, and a limit on positions is a limit.
"""

from collections import deque
from typing import final

import numpy as np

from marginquake.sim.core.typing import Ints
from marginquake.sim.market.context import ParticipantContext
from marginquake.sim.market.orders import OrderEntry

NEVER_NS = 1 << 62


@final
class OrderSlots:
    """The accounts' clocks: orders recalled and under way, settled, expired."""

    def __init__(self, context: ParticipantContext) -> None:
        self._rows = context.rows
        latency = context.table.latency_ns[context.rows]
        self._round_trip_ns = int(latency.max()) if len(latency) else 0
        self._waiting: deque[tuple[int, Ints]] = deque()
        self._ordering: Ints = np.zeros(0, np.int64)
        self._recalled = np.zeros(len(context.rows), np.bool_)
        self._live = np.zeros(len(context.rows), np.bool_)
        self._expires_ns = np.full(len(context.rows), NEVER_NS, np.int64)
        self._first_expiry_ns = NEVER_NS

    @property
    def any_live(self) -> bool:
        """True while an order may be resting."""
        return bool(self._live.any())

    def recall(self, index: Ints, now_ns: int, orders: OrderEntry) -> None:
        """Take back what these accounts have resting; they are `settled` once that has arrived."""
        index = index[~self._recalled[index]]
        if len(index) == 0:
            return
        self._recalled[index] = True
        orders.cancel_all(self._rows[index[self._live[index]]])
        self._forget(index)
        self._waiting.append((now_ns + self._round_trip_ns, index))

    def settled(self, now_ns: int) -> Ints | None:
        """Accounts recalled at an earlier decision that may order now; None = nobody.

        Called once a decision: until the next call nobody recalls what these are about to order.
        """
        self._recalled[self._ordering] = False
        self._ordering = self._ordering[:0]
        if not self._waiting or self._waiting[0][0] > now_ns:
            return None
        self._ordering = self._waiting.popleft()[1]
        return self._ordering

    def rest(self, index: Ints, expires_ns: Ints | int) -> None:
        """These accounts now have an order resting, until then."""
        if len(index) == 0:
            return
        self._live[index] = True
        self._expires_ns[index] = expires_ns
        self._first_expiry_ns = min(self._first_expiry_ns, int(self._expires_ns[index].min()))

    def expire(self, now_ns: int, orders: OrderEntry) -> None:
        """Take back what has rested long enough."""
        if now_ns < self._first_expiry_ns:
            return
        due = np.flatnonzero(self._expires_ns <= now_ns)
        orders.cancel_all(self._rows[due])
        self._forget(due)
        self._first_expiry_ns = int(self._expires_ns.min())

    def _forget(self, index: Ints) -> None:
        self._live[index] = False
        self._expires_ns[index] = NEVER_NS
