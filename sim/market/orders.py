"""What a participant may send: order entry, the buffer that commands wait in, order ids."""

import struct
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.accounts import AccountTable, Rows
from marginquake.sim.core.records import COMMAND, Cause, Flag, OrderKind, raw_copy
from marginquake.sim.market.view import SpotMarket

ROW = struct.Struct("<qqqiiiBbBB")
"""One COMMAND, written without NumPy: ten times as fast as column by column."""


assert ROW.size == COMMAND.itemsize


EMPTY = np.zeros(1, f"V{COMMAND.itemsize}")[0]
"""The bytes of a command that nobody has written."""


@final
class CommandBuffer:
    """The first `written` of `rows` are commands.  `now_ns`: the time at which they are being sent."""

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


Ticks = NDArray[np.int64] | int
Lots = NDArray[np.int64] | int
Sides = NDArray[np.int8] | NDArray[np.int64] | int
PRICELESS = frozenset({OrderKind.CANCEL, OrderKind.CANCEL_ALL})
CONDITIONAL = frozenset({OrderKind.STOP, OrderKind.TAKE_PROFIT})


@final
class OrderEntry:
    """Vectorised order entry for one participant in one market: collects commands, stamps arrival times.

    Rows not owned by the participant are refused with PermissionError: nobody trades another's account.
    Every method takes arrays or scalars that broadcast to `rows`, and returns the order ids (int64).
    """

    def __init__(
        self,
        accounts: AccountTable,
        owned: Rows,
        spot: SpotMarket,
        ids: "OrderIds",
        cause: Cause = Cause.VOLUNTARY,
        outbox: CommandBuffer | None = None,
    ) -> None:
        """`outbox`: where commands go, stamped with each account's latency; None: they are kept until `drain`."""
        self._latency_ns = accounts.latency_ns
        self._first, self._last = (int(owned[0]), int(owned[-1])) if len(owned) else (1 << 62, -1)
        self._span = np.uint64(max(0, self._last - self._first))
        self._ids = ids
        self._cause = int(cause)
        self._outbox = CommandBuffer() if outbox is None else outbox
        self._deposits: list[tuple[Rows, NDArray[np.int64]]] = []
        self._margins: list[tuple[Rows, NDArray[np.int64]]] = []
        self._leverages: list[tuple[Rows, NDArray[np.float64]]] = []
        self.spot = spot

    def limit(
        self,
        rows: Rows,
        side: Sides,
        price_ticks: Ticks,
        lots: Lots,
        *,
        kind: OrderKind = OrderKind.LIMIT,
        flags: Flag = Flag.NONE,
    ) -> Rows:
        """Limit order; `kind` may be LIMIT, POST_ONLY, IOC or FOK."""
        return self._send(rows, kind, side, price_ticks, lots, flags=flags)

    def market(self, rows: Rows, side: Sides, lots: Lots, *, bound_ticks: Ticks = 0, flags: Flag = Flag.NONE) -> Rows:
        """Market order; `bound_ticks` is its worst price (0: only the venue's price band)."""
        return self._send(rows, OrderKind.MARKET, side, bound_ticks, lots, flags=flags)

    def stop(
        self,
        rows: Rows,
        side: Sides,
        trigger_ticks: Ticks,
        lots: Lots,
        *,
        bound_ticks: Ticks = 0,
        flags: Flag = Flag.REDUCE_ONLY,
    ) -> Rows:
        """Stop-market: a SELL fires when price <= trigger, a BUY when price >= trigger."""
        return self._send(
            rows, OrderKind.STOP, side, bound_ticks, lots, trigger_ticks=trigger_ticks, flags=flags, cause=Cause.STOP
        )

    def take_profit(
        self,
        rows: Rows,
        side: Sides,
        trigger_ticks: Ticks,
        lots: Lots,
        *,
        bound_ticks: Ticks = 0,
        flags: Flag = Flag.REDUCE_ONLY,
    ) -> Rows:
        """Take-profit market: a SELL fires when price >= trigger, a BUY when price <= trigger."""
        return self._send(
            rows,
            OrderKind.TAKE_PROFIT,
            side,
            bound_ticks,
            lots,
            trigger_ticks=trigger_ticks,
            flags=flags,
            cause=Cause.VOLUNTARY,
        )

    def cancel(self, rows: Rows, order_ids: Rows) -> None:
        """Cancel single orders by id."""
        self._send(rows, OrderKind.CANCEL, 0, 0, 0, order_ids=order_ids)

    def modify(self, rows: Rows, order_ids: Rows, price_ticks: Ticks, lots: Lots) -> None:
        """New price and remaining quantity; priority is lost on a price change or a size increase."""
        self._send(rows, OrderKind.MODIFY, 0, price_ticks, lots, order_ids=order_ids)

    def cancel_all(self, rows: Rows) -> None:
        """Cancel every resting and conditional order of these accounts."""
        self._send(rows, OrderKind.CANCEL_ALL, 0, 0, 0)

    def deposit(self, rows: Rows, money: NDArray[np.int64]) -> None:
        """Top up: bring `money` (> 0) from outside as collateral; where margin is isolated it backs the position."""
        self._keep(self._deposits, rows, money)

    def drain_deposits(self) -> list[tuple[Rows, NDArray[np.int64]]]:
        """All top-ups since the last call, in the order they were sent (used by the model)."""
        deposits, self._deposits = self._deposits, []
        return deposits

    def add_margin(self, rows: Rows, money: NDArray[np.int64]) -> None:
        """Put up to `money` (> 0) of an account's free collateral behind its isolated position."""
        self._keep(self._margins, rows, money)

    def drain_margins(self) -> list[tuple[Rows, NDArray[np.int64]]]:
        """All margin added since the last call, in the order it was sent (used by the model)."""
        margins, self._margins = self._margins, []
        return margins

    def set_leverage(self, rows: Rows, leverage: NDArray[np.float64]) -> None:
        """Leverage of each account's next position, at most the venue's.

        The venue takes it at once, but not from an account that has a position or orders: positions keep theirs.
        """
        self._keep(self._leverages, rows, leverage)

    def drain_leverages(self) -> list[tuple[Rows, NDArray[np.float64]]]:
        """All leverages set since the last call, in the order they were sent (used by the model)."""
        leverages, self._leverages = self._leverages, []
        return leverages

    def _keep(self, queue: list[tuple[Rows, NDArray[Any]]], rows: Rows, values: NDArray[Any]) -> None:
        if len(rows):
            self._check_owned(rows)
            queue.append((rows, values))

    @property
    def moves_money(self) -> bool:
        """True while deposits, margins or leverages wait to be drained."""
        return bool(self._deposits or self._margins or self._leverages)

    @property
    def has_no_commands(self) -> bool:
        """True while no command has been sent since the last drain."""
        return not self._outbox.written

    def drain(self, now_ns: int, latency_ns: int | None = None) -> NDArray[Any]:
        """All commands since the last call, in the order they were sent (used by the model for the engine).

        They arrive after each account's own latency, or after `latency_ns` (the engine's, on others' accounts)."""
        batch = self._outbox.take()
        latency = self._latency_ns[batch["account"]] if latency_ns is None else latency_ns
        batch["arrival_ns"] = now_ns + latency
        return batch

    def _send(
        self,
        rows: Rows,
        kind: OrderKind,
        side: Sides,
        price_ticks: Ticks,
        lots: Lots,
        *,
        trigger_ticks: Ticks = 0,
        flags: Flag = Flag.NONE,
        cause: Cause | None = None,
        order_ids: Rows | None = None,
    ) -> Rows:
        count = len(rows)
        if count == 0:
            return np.empty(0, np.int64)
        why = self._cause if cause is None else int(cause)
        outbox = self._outbox
        if count == 1:
            row = int(rows[0])
            if not self._first <= row <= self._last:
                self._refuse()
            ids = self._ids.take(1) if order_ids is None else order_ids
            outbox.append(
                outbox.now_ns + self._latency_ns.item(row),
                int(ids[0]),
                lots if type(lots) is int else _single(lots),
                row,
                price_ticks if type(price_ticks) is int else _single(price_ticks),
                trigger_ticks if type(trigger_ticks) is int else _single(trigger_ticks),
                kind,
                side if type(side) is int else _single(side),
                flags,
                why,
            )
            return ids
        self._check_owned(rows)
        ids = self._ids.take(count) if order_ids is None else order_ids
        new = outbox.blank(count)
        columns = outbox.columns
        columns["arrival_ns"][new] = self._latency_ns[rows] + outbox.now_ns
        columns["order_id"][new] = ids
        columns["account"][new] = rows
        # Writing a column costs half a microsecond: zeros are there already.
        if kind:
            columns["kind"][new] = int(kind)
        if kind not in PRICELESS:
            columns["side"][new] = side
            columns["price_ticks"][new] = price_ticks
            columns["quantity_lots"][new] = lots
        if kind in CONDITIONAL:
            columns["trigger_ticks"][new] = trigger_ticks
        if flags:
            columns["flags"][new] = int(flags)
        if why:
            columns["cause"][new] = why
        return ids

    def _check_owned(self, rows: Rows) -> None:
        # As unsigned numbers, rows below the first are beyond any last.
        if np.count_nonzero(np.subtract(rows, self._first).view(np.uint64) > self._span):
            self._refuse()

    def _refuse(self) -> None:
        raise PermissionError("an order names an account that this participant does not own")


def _single(value: NDArray[Any] | int) -> int:
    """A number, or the only one of an array."""
    return int(value.item()) if isinstance(value, np.ndarray) else int(value)


@final
class OrderIds:
    """Hands out order ids, unique in one market, from 1."""

    def __init__(self) -> None:
        self._next = 1

    def take(self, count: int) -> Rows:
        """The next `count` ids."""
        first = self._next
        self._next += count
        return np.arange(first, first + count)
