"""The shared nouns: sides, order kinds, events, rejections, and the layout of one command and one event.

Money is int64 in `money_unit`; prices are ticks; sizes are lots; time is int64 nanoseconds.
"""

from enum import IntEnum, IntFlag
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_TICKS = 2**31 - 1
"""Stands for a price beyond all prices."""


class Side(IntEnum):
    """Direction of an order: +1 buys, -1 sells, so `side * lots` is the signed quantity."""

    BUY = 1
    SELL = -1


class OrderKind(IntEnum):
    """What a command asks the venue to do."""

    LIMIT = 0
    POST_ONLY = 1
    MARKET = 2
    IOC = 3
    FOK = 4
    STOP = 5
    TAKE_PROFIT = 6
    CANCEL = 7
    MODIFY = 8
    CANCEL_ALL = 9


class Flag(IntFlag):
    """Modifiers of a command. `TRIGGER_ON_MARK`: a stop watches the mark price instead of the last."""

    NONE = 0
    REDUCE_ONLY = 1
    TRIGGER_ON_MARK = 2


class Cause(IntEnum):
    """Why an order exists. Forced flow is `LIQUIDATION` and `TAKEOVER` (the fund unwinding)."""

    VOLUNTARY = 0
    STOP = 1
    LIQUIDATION = 2
    TAKEOVER = 3
    ADL = 4


class EventKind(IntEnum):
    """What happened. Events are facts: appended, never edited; everything else derives from them."""

    ACCEPTED = 0
    FILL = 1
    CANCELLED = 2
    MODIFIED = 3
    REJECTED = 4
    EXPIRED = 5
    TRIGGERED = 6
    MARGIN_CALL = 7
    LIQUIDATION_STARTED = 8
    LIQUIDATION_ENDED = 9
    TAKEOVER = 10
    INSURANCE = 11
    ADL = 12
    FUNDING = 13
    DEPOSIT = 14
    WARNING = 15
    WARNING_LIFTED = 16
    CALL_CURED = 17
    SOCIALISED = 18


class Reject(IntEnum):
    """Why a command was refused, or why a remainder expired."""

    NONE = 0
    UNKNOWN_ORDER = 1
    WOULD_CROSS = 2
    NOT_FILLABLE = 3
    PRICE_BAND = 4
    PRICE_OUT_OF_RANGE = 5
    INSUFFICIENT_MARGIN = 6
    NOT_REDUCING = 7
    SELF_TRADE = 8
    BAD_QUANTITY = 9
    NO_LIQUIDITY = 10
    IN_LIQUIDATION = 11
    NOT_OWNER = 12
    TRIGGER_CROSSED = 13
    POSITION_LIMIT = 14


class Stage(IntEnum):
    """Where an account stands with the liquidation engine, in the order of escalation (docs/model.md, eq. 7b).

    From LIQUIDATING on it may not trade by itself.  Up to WARNED the mark watches it; from CALLED on the engine does.
    """

    OK = 0
    WARNED = 1
    CALLED = 2
    LIQUIDATING = 3
    TAKEN_OVER = 4


class AuditCause(IntEnum):
    """Why an account changed its stage: docs/events.md, "The audit log"."""

    MARK = 0
    RECOVERED = 1
    TOPPED_UP = 2
    REDUCED = 3
    FLAT = 4
    DUE = 5
    CLOSED = 6
    COMPLIANT = 7
    GIVEN_UP = 8
    TAKEN_OVER = 9
    DELEVERAGED = 10


class MarginMode(IntEnum):
    """Whether the whole collateral (CROSS) or an allotted part (ISOLATED) backs the position."""

    CROSS = 0
    ISOLATED = 1


COMMAND = np.dtype(
    [
        ("arrival_ns", "i8"),
        ("order_id", "i8"),
        ("quantity_lots", "i8"),
        ("account", "i4"),
        ("price_ticks", "i4"),
        ("trigger_ticks", "i4"),
        ("kind", "u1"),
        ("side", "i1"),
        ("flags", "u1"),
        ("cause", "u1"),
    ],
    align=True,
)
"""One instruction. `price_ticks`: limit, or the bound of a market order (0 = none). `order_id` is chosen by
the sender, unique per market; CANCEL and MODIFY name an earlier one; MODIFY carries the new price and the
new *remaining* quantity. CANCEL_ALL needs only `account`."""

EVENT = np.dtype(
    [
        ("time_ns", "i8"),
        ("order_id", "i8"),
        ("maker_order_id", "i8"),
        ("quantity_lots", "i8"),
        ("money", "i8"),
        ("account", "i4"),
        ("maker_account", "i4"),
        ("price_ticks", "i4"),
        ("mark_ticks", "i4"),
        ("kind", "u1"),
        ("side", "i1"),
        ("cause", "u1"),
        ("reason", "u1"),
    ],
    align=True,
)
"""One fact; docs/events.md says what each column means for each kind. For a FILL: `account`, `order_id`, `side`
and `cause` are the aggressor's, `maker_*` the resting side's."""


AUDIT = np.dtype(
    [
        ("time_ns", "i8"),
        ("dwell_ns", "i8"),
        ("wait_ns", "i8"),
        ("position_lots", "i8"),
        ("equity", "i8"),
        ("maintenance", "i8"),
        ("notional", "i8"),
        ("margin_fraction", "f8"),
        ("index_ticks", "f8"),
        ("fundamental_ticks", "f8"),
        ("filled_lots", "i8"),
        ("filled_tick_lots", "i8"),
        ("taken_over_lots", "i8"),
        ("deleveraged_lots", "i8"),
        ("fee", "i8"),
        ("margin_paid", "i8"),
        ("fund_paid", "i8"),
        ("winners_paid", "i8"),
        ("winners_profit", "i8"),
        ("unpaid", "i8"),
        ("account", "i4"),
        ("mark_ticks", "i4"),
        ("last_ticks", "i4"),
        ("trigger_ticks", "i4"),
        ("bankruptcy_ticks", "i4"),
        ("tier", "i2"),
        ("from_stage", "u1"),
        ("to_stage", "u1"),
        ("cause", "u1"),
    ],
    align=True,
)
"""One change of an account's stage; docs/events.md says what each column means."""


def raw_copy(records: NDArray[Any]) -> NDArray[Any]:
    """A copy of contiguous records, padding included: six times as fast as field by field."""
    return records.view(f"V{records.dtype.itemsize}").copy().view(records.dtype)


def join(parts: list[NDArray[Any]], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Concatenate rows of one record type, as raw bytes: whole rows, padding included, without a look at the fields."""
    if len(parts) == 1:
        return parts[0]
    raw = np.dtype(f"V{dtype.itemsize}")
    return np.concatenate([part.view(raw) for part in parts]).view(dtype)


PACKED_BYTES = sum(EVENT[name].itemsize for name in EVENT.names or ())
"""Bytes of an event that mean something; the padding at its end holds anything."""


def packed(events: NDArray[Any]) -> bytes:
    """The bytes of EVENT rows without the padding at their end: what a digest is taken of."""
    return np.ascontiguousarray(events).view(np.uint8).reshape(-1, EVENT.itemsize)[:, :PACKED_BYTES].tobytes()
