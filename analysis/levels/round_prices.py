"""Round prices: do prices run on after crossing them, and do they turn there, more than elsewhere?

Osler (Journal of Finance 58, 2003; Journal of International Money and Finance 24, 2005): stop-losses lie just beyond
round prices, so that prices move fast once they have crossed one; take-profits lie at them, so that trends turn there.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from marginquake.sim.core.typing import Floats


@final
@dataclass(frozen=True)
class Visits:
    """What prices did when they came to levels of one grid.

    `run_on_bps`: for each crossing, the further move in its direction over the horizon, basis points (below 0: it came
    back).  `approaches`, `turned`: how often a price came within reach of a level, and how often it left on the side
    that it came from.
    """

    run_on_bps: Floats
    approaches: int
    turned: int


def visits(time_s: Floats, price: Floats, spacing: float, offset: float, horizon_s: float = 60.0,
           reach_fraction: float = 0.1) -> Visits:  # fmt: skip
    """Crossings and turns at the levels offset + k * spacing (price units), by a price sampled at `time_s`.

    A crossing counts once until the price has been more than `reach_fraction` of the spacing away from the level.  An
    approach begins when the price comes within that reach and ends when it leaves it, on the other side (crossed) or
    on the same side (turned).
    """
    good = np.isfinite(price)
    time_s, price = time_s[good], price[good]
    if len(price) < 2:
        return Visits(np.empty(0), 0, 0)
    place = (price - offset) / spacing
    level = np.rint(place)
    near = np.abs(place - level) <= reach_fraction
    run_on: list[float] = []
    approaches = turned = 0
    inside, came_from, at_level, crossed = False, 0.0, 0.0, False
    for i in range(1, len(price)):
        if not inside:
            if near[i] and not (near[i - 1] and level[i - 1] == level[i]):
                inside, at_level, crossed = True, level[i], False
                came_from = np.sign(place[i - 1] - at_level)
                approaches += 1
        elif not near[i] or level[i] != at_level:
            inside = False
            turned += bool(np.sign(place[i] - at_level) == came_from)
            continue
        if inside and not crossed and came_from * (place[i] - at_level) < 0:
            crossed = True
            end = min(int(np.searchsorted(time_s, time_s[i] + horizon_s)), len(price) - 1)
            run_on.append(-came_from * 1e4 * float(np.log(price[end] / price[i])))
    return Visits(np.array(run_on), approaches, turned)
