"""Kernels of the background flow: they draw orders and cancellations by themselves, at addresses of a stream.

Draws do not depend on the state of the market: candidates come at the highest rate and are accepted by state.
"""
# mypy: allow-untyped-calls

import math
from typing import Any, NamedTuple

from numpy.typing import NDArray

from marginquake.sim.core.integers.limits import MOST_LOTS
from marginquake.sim.core.records import EventKind
from marginquake.sim.core.typing import Floats, Ints
from marginquake.sim.kernels import helper, kernel
from marginquake.sim.kernels.draws import normal, poisson, unit

LARGEST_SIZE = float(MOST_LOTS)
"""Lots of a drawn order are cut here, far above what a venue takes, and below what an integer holds."""
FILL = int(EventKind.FILL)
GONE = (int(EventKind.CANCELLED), int(EventKind.REJECTED), int(EventKind.EXPIRED))


class Flow(NamedTuple):
    """What the kernels need to draw orders: arrays only, so that the rates may change without compiling again."""

    rate: Floats
    """Per second: limit, deep, market (at the highest activity)."""
    mean_lots: Floats
    """Mean size of each of the three."""
    near: Floats
    """Offset scale (fraction), exponent, least uniform of the truncated power law, least offset (fraction)."""
    deep_low: Floats
    deep_high: Floats
    deep_side: Ints
    deep_cumulative: Floats
    """Segments of distance where deep orders go, and the cumulative share of arrivals."""
    cancel: Floats
    """Cancellations per order and second at the touch, share of it far away, length scale (fraction)."""
    deviation: Floats
    """Standard deviation of log size."""


class Ring(NamedTuple):
    """Own resting orders by slot: the k-th order placed is in slot k modulo the size, so ids ascend along the ring."""

    order_id: Ints
    row: Ints
    price: Ints
    left: Ints
    """Lots left; 0 = gone."""


class Drawn(NamedTuple):
    """Orders drawn in one decision."""

    row: Ints
    side: Ints
    price: Ints
    lots: Ints


LIMIT, DEEP, MARKET = 0, 1, 2


@helper
def hazard_share(distance, cancel):  # type: ignore[no-untyped-def]
    """Cancellation rate at a distance from mid (a fraction), as a share of the rate at the touch."""
    return cancel[1] + (1.0 - cancel[1]) * math.exp(-distance / cancel[2])


@helper
def near_offset(u, near):  # type: ignore[no-untyped-def]
    """Power law of distance, truncated with its mass renormalised, so that nothing piles up at the end."""
    return near[3] + near[0] * ((near[2] + (1.0 - near[2]) * u) ** (-1.0 / near[1]) - 1.0)


@helper
def deep_segment(u, flow):  # type: ignore[no-untyped-def]
    """Segment of a uniform draw."""
    segment = 0
    while segment < flow.deep_cumulative.shape[0] - 1 and u >= flow.deep_cumulative[segment]:
        segment += 1
    return segment


@helper
def deep_offset(u, segment, flow):  # type: ignore[no-untyped-def]
    """Where in its segment the same draw falls."""
    start = flow.deep_cumulative[segment - 1] if segment > 0 else 0.0
    width = flow.deep_cumulative[segment] - start
    within = (u - start) / width if width > 0.0 else 0.5
    return flow.deep_low[segment] + within * (flow.deep_high[segment] - flow.deep_low[segment])


@helper
def put(drawn, place, row, side, offset, lots, reference, best_bid, best_ask, top):  # type: ignore[no-untyped-def]
    """One resting order at `offset` from the reference, a tick clear of the opposite best; False if off the ladder."""
    if side > 0:
        ticks = math.floor(reference * (1.0 - offset))
        if best_ask > 0 and ticks >= best_ask:
            ticks = best_ask - 1
    else:
        ticks = math.ceil(reference * (1.0 + offset))
        if ticks <= best_bid:
            ticks = best_bid + 1
    if ticks < 1 or ticks >= top:
        return False
    drawn.row[place] = row
    drawn.side[place] = side
    drawn.price[place] = ticks
    drawn.lots[place] = lots
    return True


@helper
def whole_lots(mean, deviation, z, u):  # type: ignore[no-untyped-def]
    """Lognormal size in whole lots, at least 1, rounded at random so that the mean is kept."""
    lots = mean * math.exp(deviation * z - 0.5 * deviation * deviation) + u
    return max(1, math.floor(min(lots, LARGEST_SIZE)))


@kernel
def draw_orders(  # type: ignore[no-untyped-def]
    key, step, seconds, flow, activity_share, rows, book, bound, resting, taking, counts
):
    """Draw one decision's orders: resting ones and market orders; `counts` holds how many of each.

    `book`: reference price, best bid, best ask, top of the ladder.  `rows`: first account, number of accounts.
    """
    reference, best_bid, best_ask, top = book[0], int(book[1]), int(book[2]), int(book[3])
    total = flow.rate[0] + flow.rate[1] + flow.rate[2]
    count = min(poisson(key, step, 1 << 40, total * seconds), resting.lots.shape[0])
    counts[0] = 0
    counts[1] = 0
    for i in range(count):
        kind_u = unit(key, step, 8 * i) * total
        side = 1 if unit(key, step, 8 * i + 1) < 0.5 else -1
        place_u = unit(key, step, 8 * i + 2)
        row = rows[0] + int(unit(key, step, 8 * i + 3) * rows[1])
        kind = LIMIT if kind_u < flow.rate[0] else DEEP if kind_u < flow.rate[0] + flow.rate[1] else MARKET
        z = normal(key, step, (1 << 32) + i)
        lots = whole_lots(flow.mean_lots[kind], flow.deviation[0], z, unit(key, step, 8 * i + 4))
        if kind == MARKET:
            if unit(key, step, 8 * i + 5) < activity_share:
                taking.row[counts[1]] = row
                taking.side[counts[1]] = side
                taking.price[counts[1]] = min(max(1, int(reference * (1.0 + side * bound))), top - 1)
                taking.lots[counts[1]] = lots
                counts[1] += 1
            continue
        offset = near_offset(place_u, flow.near)
        if kind == DEEP:
            segment = deep_segment(place_u, flow)
            side = flow.deep_side[segment]
            offset = deep_offset(place_u, segment, flow)
        if put(resting, counts[0], row, side, offset, lots, reference, best_bid, best_ask, top):
            counts[0] += 1
    return counts[0] + counts[1]


@kernel
def draw_history(key, step, seconds, kind, flow, rows, book, resting):  # type: ignore[no-untyped-def]
    """The stationary book of one kind of flow: arrivals of the last `seconds`, thinned by cancellation.

    Returns how many orders are alive; they come oldest first.
    """
    reference, best_bid, best_ask, top = book[0], int(book[1]), int(book[2]), int(book[3])
    arrivals = int(flow.rate[kind] * seconds)
    count = 0
    for i in range(arrivals):
        place_u = unit(key, step, 8 * i + 2)
        side = 1 if unit(key, step, 8 * i + 1) < 0.5 else -1
        offset = near_offset(place_u, flow.near)
        if kind == DEEP:
            segment = deep_segment(place_u, flow)
            side = flow.deep_side[segment]
            offset = deep_offset(place_u, segment, flow)
        age = seconds * (1.0 - i / arrivals)
        if unit(key, step, 8 * i) > math.exp(-flow.cancel[0] * hazard_share(offset, flow.cancel) * age):
            continue
        if count == resting.lots.shape[0]:
            break
        row = rows[0] + int(unit(key, step, 8 * i + 3) * rows[1])
        z = normal(key, step, (1 << 32) + i)
        lots = whole_lots(flow.mean_lots[kind], flow.deviation[0], z, unit(key, step, 8 * i + 4))
        if put(resting, count, row, side, offset, lots, reference, best_bid, best_ask, top):
            count += 1
    return count


@kernel
def draw_segment(  # type: ignore[no-untyped-def]
    key, step, count, lots, segment, flow, rows, book, resting
):
    """`count` orders of about `lots` together, spread evenly over one segment of distance; returns how many."""
    reference, best_bid, best_ask, top = book[0], int(book[1]), int(book[2]), int(book[3])
    placed = 0
    for i in range(min(count, resting.lots.shape[0])):
        offset = flow.deep_low[segment] + unit(key, step, 4 * i) * (flow.deep_high[segment] - flow.deep_low[segment])
        row = rows[0] + int(unit(key, step, 4 * i + 1) * rows[1])
        z = normal(key, step, (1 << 32) + i)
        size = whole_lots(lots / count, flow.deviation[0], z, unit(key, step, 4 * i + 2))
        if put(resting, placed, row, flow.deep_side[segment], offset, size, reference, best_bid, best_ask, top):
            placed += 1
    return placed


@kernel
def draw_cancels(key, step, seconds, flow, ring, reference, slots):  # type: ignore[no-untyped-def]
    """Slots of own orders to cancel: candidates at the highest hazard among all slots, accepted by distance."""
    size = ring.order_id.shape[0]
    candidates = poisson(key, step, 1 << 40, flow.cancel[0] * seconds * size)
    count = 0
    for i in range(candidates):
        slot = int(unit(key, step, 2 * i) * size)
        if ring.left[slot] <= 0 or count == slots.shape[0]:
            continue
        distance = abs(ring.price[slot] / reference - 1.0)
        if unit(key, step, 2 * i + 1) < hazard_share(distance, flow.cancel):
            ring.left[slot] = 0
            slots[count] = slot
            count += 1
    return count


@helper
def slot_of(order_id, ring, placed):  # type: ignore[no-untyped-def]
    """Slot of an own order, -1 if it is not in the ring: binary search, for ids ascend along it."""
    size = ring.order_id.shape[0]
    low, high = max(0, placed - size), placed
    while low < high:
        middle = (low + high) // 2
        if ring.order_id[middle % size] < order_id:
            low = middle + 1
        else:
            high = middle
    if low < placed and ring.order_id[low % size] == order_id:
        return low % size
    return -1


@kernel
def learn(events: NDArray[Any], first: int, last: int, ring: Ring, placed: int) -> int:
    """Take fills, cancellations and refusals of own orders off the ring; returns how many events touched it."""
    touched = 0
    for i in range(events.shape[0]):
        kind = events[i]["kind"]
        if kind == FILL:
            if first <= events[i]["maker_account"] <= last:
                slot = slot_of(events[i]["maker_order_id"], ring, placed)
                if slot >= 0:
                    ring.left[slot] = max(0, ring.left[slot] - events[i]["quantity_lots"])
                    touched += 1
            if first <= events[i]["account"] <= last:
                slot = slot_of(events[i]["order_id"], ring, placed)
                if slot >= 0:
                    ring.left[slot] = max(0, ring.left[slot] - events[i]["quantity_lots"])
                    touched += 1
        elif kind in GONE and first <= events[i]["account"] <= last:
            slot = slot_of(events[i]["order_id"], ring, placed)
            if slot >= 0:
                ring.left[slot] = 0
                touched += 1
    return touched
