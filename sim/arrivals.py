"""Commands on their way to a venue, handed over strictly by arrival time."""

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from sim.kernels.arrivals import LEAST_TIE_BITS, pack, unpack
from sim.records import COMMAND, join
from sim.streams import Stream

NOTHING = np.empty(0, COMMAND)


@final
class Arrivals:
    """A queue of commands ordered by arrival; ties by a seeded draw per account and instant, then as said.

    `tie_key[account]` addresses the draw: it belongs to a population and a place in it, so that another population
    shifts nobody's ties.

    One account's commands that arrive together keep the order in which it said them.
    """

    def __init__(self, stream: Stream, tie_key: NDArray[np.int64]) -> None:
        self._stream = stream
        self._tie_key = tie_key
        self._waiting: list[NDArray[Any]] = []

    def add(self, commands: NDArray[Any]) -> None:
        """Queue commands whose `arrival_ns` is set."""
        if len(commands):
            self._waiting.append(commands)

    def due(self, until_ns: int) -> NDArray[Any]:
        """Take all commands that arrive by `until_ns`, in the order in which the venue processes them."""
        if not self._waiting:
            return NOTHING
        batch = join(self._waiting, COMMAND)
        ties = np.empty(len(batch))
        keys, waits = np.empty((2, len(batch)), np.int64)
        count, place_bits, tie_bits = self._stream.run(
            pack, until_ns, batch, until_ns, self._tie_key, ties, keys, waits
        )
        self._waiting = [batch.take(waits[: len(batch) - count])] if count < len(batch) else []
        if tie_bits >= LEAST_TIE_BITS:
            keys = keys[:count]
            keys.sort()
            due = np.empty(count, COMMAND)
            if unpack(batch, ties, keys, place_bits, due):
                return due
        early = np.flatnonzero(batch["arrival_ns"] <= until_ns)
        return batch.take(early[np.lexsort((ties[early], batch["arrival_ns"][early]))])
