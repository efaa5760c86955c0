"""Commands on their way to a venue, handed over strictly by arrival time."""

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.records import COMMAND
from marginquake.sim.kernels.arrival_order import LEAST_TIE_BITS, collect, compact, unpack
from marginquake.sim.market.orders import CommandBuffer
from marginquake.sim.market.streams import Stream

NOTHING = np.empty(0, COMMAND)


@final
class Arrivals:
    """A queue of commands ordered by arrival; ties by a seeded draw per account and instant, then as sent.

    `tie_key[account]` addresses the draw: it belongs to a population and a place in it, so that another population
    shifts nobody's ties.  `outbox`: commands on their way, as they were sent; participants append to it.

    One account's commands that arrive together keep the order in which it sent them.
    """

    def __init__(self, stream: Stream, tie_key: NDArray[np.int64]) -> None:
        self._stream = stream
        self._tie_key = tie_key
        self.outbox = CommandBuffer()
        self._make_room(len(self.outbox.rows))

    def add(self, commands: NDArray[Any]) -> None:
        """Queue commands whose `arrival_ns` is set."""
        if len(commands):
            self.outbox.extend(commands)

    def due(self, until_ns: int) -> NDArray[Any]:
        """Take all commands that arrive by `until_ns`, in the order in which the venue processes them.

        They lie in a buffer of the queue's: good until the next call."""
        outbox = self.outbox
        written = outbox.written
        if written == 0:
            return NOTHING
        if written > len(self._due):
            self._make_room(len(outbox.rows))
        count, waits, tie_bits = self._stream.run(
            collect, until_ns, outbox.rows, written, until_ns, self._tie_key, self._ties, self._keys, self._due
        )
        if waits < 0:
            self._sort(count, tie_bits, until_ns)
            waits = compact(outbox.rows, written, until_ns)
        outbox.written = waits
        return self._due[:count]

    def _sort(self, count: int, tie_bits: int, until_ns: int) -> None:
        """Many commands: by their keys if they could be packed, else by arrival and draw."""
        rows = self.outbox.rows[: self.outbox.written]
        if tie_bits >= LEAST_TIE_BITS:
            keys = self._keys[:count]
            keys.sort()
            if unpack(rows, self._ties, keys, (len(rows) - 1).bit_length(), self._due):
                return
        early = np.flatnonzero(rows["arrival_ns"] <= until_ns)
        order = np.lexsort((self._ties[early], rows["arrival_ns"][early]))
        self._due[:count] = rows.take(early[order])

    def _make_room(self, size: int) -> None:
        self._ties = np.empty(size)
        self._keys = np.empty(size, np.int64)
        self._due = np.empty(size, COMMAND)
