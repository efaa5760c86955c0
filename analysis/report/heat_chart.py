"""A map of notional by price and time as data: a small matrix of bytes on a logarithmic scale, with the path on it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from marginquake.analysis.frames.market import LiquidationMap, MarketFrames
from marginquake.analysis.presentation.page import finite, pack, pack_bytes
from marginquake.analysis.report.thinning import at_most, rows_to_keep
from marginquake.analysis.report.time_chart import busy_windows, extent
from marginquake.sim.core.typing import Floats

MOST_TIMES, MOST_PRICES = 420, 260
MEDIAN_PLACE = 0.42
"""Where the median of what is shown lies on the scale (0..1): low, so that walls stand out from the rest."""


def heat_chart(
    market: MarketFrames, levels: LiquidationMap, notional: Floats, path: Floats, label: str, colours: Sequence[str],
    window: tuple[float, float], **more: Any,
) -> dict[str, Any]:  # fmt: skip
    """Data of the chart kind `heat`: `notional` (T, B) between two prices, and the line `path` of the series on it.

    Times are joined by their mean and prices by their sum until the matrix is small; bytes 1 to 255 stand for notional
    from `low` to `high` on a logarithmic scale, 0 for less.
    """
    edges = levels.price_edges
    shown = np.flatnonzero((edges[1:] > window[0]) & (edges[:-1] < window[1]))
    join = max(-(-len(shown) // at_most(MOST_PRICES, 2)), 1)
    shown = shown[: len(shown) // join * join] if len(shown) >= join else shown
    table = notional[:, shown].reshape(len(levels.time_s), -1, join).sum(axis=2)
    prices = np.append(edges[shown[::join]], edges[shown[-1] + 1])
    step = max(-(-len(levels.time_s) // at_most(MOST_TIMES, 2)), 1)
    starts = np.arange(0, len(levels.time_s), step)
    counts = np.diff(np.append(starts, len(levels.time_s)))
    table = np.add.reduceat(table, starts, axis=0) / counts[:, None]
    every_s = float(np.median(np.diff(levels.time_s))) if len(levels.time_s) > 1 else 1.0
    times = np.append(levels.time_s[starts], levels.time_s[-1] + every_s)
    low, high = _scale(table)
    codes = _codes(table, low, high)
    run = market.run
    rows = rows_to_keep(run["time_s"], [path], busy_windows(market))
    first_s, last_s = extent(run)
    return {
        "from": first_s, "to": last_s, "times": pack(times), "prices": pack(prices), "codes": pack_bytes(codes),
        "low": low, "high": high, "bin": finite(float(np.median(np.diff(prices))), 4), "label": label,
        "colours": list(colours), "path": {"x": pack(run["time_s"][rows]), "y": pack(path[rows])}, **more,
    }  # fmt: skip


def _scale(table: Floats) -> tuple[float, float]:
    positive = table[table > 0]
    if not len(positive):
        return 0.1, 1.0
    high, middle = float(np.quantile(positive, 0.998)), float(np.median(positive))
    decades = float(np.clip(np.log10(high / middle) / (1.0 - MEDIAN_PLACE), 1.2, 3.0))
    return high / 10**decades, high


def _codes(table: Floats, low: float, high: float) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    place = np.log(np.maximum(table, low * 1e-3) / low) / np.log(high / low)
    return np.where(table >= low, np.clip(np.round(1 + 254 * place), 1, 255), 0).astype(np.uint8)
