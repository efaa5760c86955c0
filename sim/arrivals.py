"""Commands on their way to a venue, handed over strictly by arrival time."""

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from sim.records import COMMAND, join
from sim.streams import Stream


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
            return np.empty(0, COMMAND)
        batch = join(self._waiting, COMMAND)
        arrival = batch["arrival_ns"]
        early = arrival <= until_ns
        waits = np.flatnonzero(~early)
        if len(waits) == 0:
            self._waiting = []
        else:
            self._waiting = [batch.take(waits)]
            batch = batch.take(np.flatnonzero(early))
            arrival = batch["arrival_ns"]
        if len(batch) < 2:
            return batch
        ties = self._stream.uniform_at(until_ns, self._tie_key[batch["account"]])
        return batch.take(np.lexsort((ties, arrival)))
