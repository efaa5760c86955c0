"""Stop orders that have gone off: one entry an order, with its fills."""

from dataclasses import dataclass
from typing import final

import numpy as np

from marginquake.analysis.frames.market import Columns
from marginquake.sim.core.records import Cause, EventKind
from marginquake.sim.core.typing import Ints


@final
@dataclass(frozen=True)
class StopOrders:
    """Conditional orders that traded, in order of their first fill.

    `row`: the first fill's row in the events; `account`; `side` of the position that the order closes, +1 for a long;
    `fills`, `of_fill`: rows of all their fills, ascending, and the number of the order that each belongs to.  Stops and
    take-profits have one cause in the record; which one it was, the move that set it off says.
    """

    row: Ints
    account: Ints
    side: Ints
    fills: Ints
    of_fill: Ints

    def __len__(self) -> int:
        return len(self.row)


def stop_orders(events: Columns) -> StopOrders:
    """Fills of conditional orders, put together by order; where orders have no number, each fill is one by itself."""
    fills = np.flatnonzero((events["kind"] == EventKind.FILL) & (events["cause"] == Cause.STOP))
    order_id = events["order_id"][fills].astype(np.int64)
    key = np.where(order_id > 0, order_id, -1 - fills)
    _, first, place = np.unique(key, return_index=True, return_inverse=True)
    in_time = np.argsort(first, kind="stable")
    number = np.empty(len(first), np.int64)
    number[in_time] = np.arange(len(first))
    row = fills[first[in_time]]
    return StopOrders(
        row=row,
        account=events["account"][row].astype(np.int64),
        side=-events["side"][row].astype(np.int64),
        fills=fills,
        of_fill=number[place.ravel()],
    )
