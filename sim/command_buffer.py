"""Commands as they are said: rows appended one at a time or many at once."""

import struct
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from sim.records import COMMAND, raw_copy

ROW = struct.Struct("<qqqiiiBbBB")
"""One COMMAND, written without NumPy: ten times as fast as column by column."""
assert ROW.size == COMMAND.itemsize

EMPTY = np.zeros(1, f"V{COMMAND.itemsize}")[0]
"""The bytes of a command that nobody has written."""


@final
class CommandBuffer:
    """The first `written` of `rows` are commands.  `now_ns`: the time at which they are being said."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.written = 0
        self._bind(np.zeros(64, COMMAND))

    def append(
        self,
        arrival_ns: int,
        order_id: int,
        lots: int,
        account: int,
        price_ticks: int,
        trigger_ticks: int,
        kind: int,
        side: int,
        flags: int,
        cause: int,
    ) -> None:
        """One more command."""
        first = self.written
        if first == len(self.rows):
            self.reserve(1)
        ROW.pack_into(
            self._bytes, first * ROW.size,
            arrival_ns, order_id, lots, account, price_ticks, trigger_ticks, kind, side, flags, cause,
        )  # fmt: skip
        self.written = first + 1

    def blank(self, count: int) -> slice:
        """`count` more rows, all zero, for the caller to fill through `columns`."""
        self.reserve(count)
        new = slice(self.written, self.written + count)
        self._raw[new] = EMPTY
        self.written = new.stop
        return new

    def extend(self, commands: NDArray[Any]) -> None:
        """More commands, whole."""
        self.reserve(len(commands))
        self._raw[self.written : self.written + len(commands)] = commands.view(EMPTY.dtype)
        self.written += len(commands)

    def take(self) -> NDArray[Any]:
        """A copy of all there is; empties the buffer."""
        batch = raw_copy(self.rows[: self.written])
        self.written = 0
        return batch

    def reserve(self, count: int) -> None:
        """Room for `count` more."""
        if self.written + count > len(self.rows):
            rows = np.zeros(2 * (self.written + count), COMMAND)
            old = self._raw
            self._bind(rows)
            self._raw[: len(old)] = old

    def _bind(self, rows: NDArray[Any]) -> None:
        self.rows = rows
        self._raw = rows.view(EMPTY.dtype)
        self._bytes: Any = rows.view(np.uint8)
        self.columns = {name: rows[name] for name in COMMAND.names or ()}
