"""First passage of independent geometric Brownian motions that are looked at once a period (docs/model.md, eq. 100).

The log price at look t is a function of (key, path, t) alone: ends of spans by increments, what lies between by Lévy's
midpoints.  Points are drawn only where the barrier may have been crossed, so a path far from it costs little.
"""

import math

import numpy as np

from marginquake.sim.kernels import helper, kernel
from marginquake.sim.kernels.draws import normal

CERTAIN = 30.0
"""A bridge that crosses with probability below exp(-30) = 1e-13 is not looked into."""


@helper
def _is_called(side, entry, trigger, x):
    """True where the mark, the price rounded to a tick, is at or past the trigger."""
    mark = math.floor(entry * math.exp(x) + 0.5)
    return mark <= trigger if side > 0 else mark >= trigger


@kernel
def first_passages(key, first, side, entry, trigger, deviation, drift, looks, span, ends, values, hits, overshoots):
    """Look at which each path is called (0: not within `looks`) and how far past the barrier it is there, in log price.

    Path i has number `first` + i.  `deviation` and `drift`: of the log price, a look; `span`: looks between points
    drawn in advance, a power of two; `ends`, `values`: scratch of log2(span) + 2.  `trigger` in ticks, as the venue
    compares it with the mark.  Returns the number of points drawn.
    """
    barrier = math.log((trigger + 0.5 * side) / entry)
    drawn = 0
    for i in range(hits.shape[0]):
        path = np.uint64(first) + np.uint64(i)
        hits[i] = 0
        overshoots[i] = 0.0
        left = 0
        x = 0.0
        reached = 0
        waiting = 0
        while hits[i] == 0:
            if waiting == 0:
                if left >= looks:
                    break
                reached += span
                ends[0] = reached
                values[0] = x + drift * span + deviation * math.sqrt(float(span)) * normal(key, path, reached)
                waiting = 1
                drawn += 1
            right = ends[waiting - 1]
            there = values[waiting - 1]
            width = right - left
            room = side * (x - barrier)
            room_there = side * (there - barrier)
            clear = room_there > 0.0 and 2.0 * room * room_there > CERTAIN * deviation * deviation * width
            if width > 1 and not clear:
                middle = (left + right) // 2
                ends[waiting] = middle
                values[waiting] = 0.5 * (x + there) + 0.5 * deviation * math.sqrt(float(width)) * normal(
                    key, path, middle
                )
                waiting += 1
                drawn += 1
                continue
            waiting -= 1
            if not clear and right <= looks and _is_called(side, entry, trigger, there):
                hits[i] = right
                overshoots[i] = -room_there
            left = right
            x = there
            if left >= looks:
                break
    return drawn
