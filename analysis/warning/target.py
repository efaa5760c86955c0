"""What is to be foreseen: forced volume in the next while, and when a burst of it begins (docs/model.md, eq. 221)."""

import numpy as np

from analysis.load import Floats, MarketFrames
from analysis.lookup import last_at


def forced_between(market: MarketFrames, after_s: Floats, until_s: Floats) -> Floats:
    """Forced volume (quote notional) in (after_s, until_s], to the row of the series."""
    time_s = market.series["time_s"]
    done = np.concatenate(([0.0], np.cumsum(market.series["forced_volume"])))
    return np.asarray(done[last_at(time_s, until_s) + 1] - done[last_at(time_s, after_s) + 1], np.float64)


def burst_starts(time_s: Floats, forced: Floats, threshold: float, horizon_s: float) -> Floats:
    """When each burst begins: times of a series whose `forced` (since the row before) sums to more than `threshold`
    within `horizon_s`.

    A burst is found at the first row at which the trailing sum has passed the threshold, and has begun at the last row
    from which on that much was forced; the next one is looked for once the trailing sum has fallen back.
    """
    done = np.cumsum(forced)
    before = np.concatenate(([0.0], done))[np.searchsorted(time_s, time_s - horizon_s + 1e-9, side="left")]
    trailing = done - before
    over = trailing > threshold
    first = np.flatnonzero(over & ~np.concatenate(([False], over[:-1])))
    starts = []
    for found in first.tolist():
        # the last row r with forced volume in (r, found] above the threshold
        row = int(np.searchsorted(-(done[found] - done[: found + 1]), -threshold, side="left")) - 1
        starts.append(float(time_s[max(row, 0)]))
    return np.array(starts)
