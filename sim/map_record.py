"""Depth and liquidation maps of one market: what rests, and what would be forced, by price and time."""

import zlib
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from sim.config import RecordConfig
from sim.venue import Venue

MAPS = ("long_notional", "short_notional", "bid_depth", "ask_depth")


@final
class MapRecorder:
    """One column of every map at each `snapshot`, kept compressed: most price bins are empty most of the time."""

    def __init__(self, venue: Venue, record: RecordConfig) -> None:
        self._venue = venue
        edges = np.linspace(1 - record.map_range, 1 + record.map_range, record.map_bins + 1) * venue.initial_ticks
        self._edges = np.unique(np.rint(edges).astype(np.int64))
        self._times: list[float] = []
        self._columns: dict[str, list[bytes]] = {name: [] for name in MAPS}

    def snapshot(self, now_ns: int) -> None:
        """One column of each map."""
        bids, asks, longs, shorts = self._venue.exchange.profile(self._edges)
        self._times.append(now_ns / 1e9)
        for name, lots in zip(MAPS, (longs, shorts, bids, asks), strict=True):
            self._columns[name].append(zlib.compress(lots.tobytes(), 1))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Times, price edges (quote units), and each map: time by price bin, quote notional."""
        centres = self._venue.contract.notional(1, 0.5 * (self._edges[1:] + self._edges[:-1]))
        maps = {name: np.zeros((len(self._times), len(centres))) for name in MAPS}
        for name, notional in maps.items():
            for row, packed in zip(notional, self._columns[name], strict=True):
                row[:] = np.frombuffer(zlib.decompress(packed), np.int64) * centres
        edges = self._edges * float(self._venue.contract.tick_size)
        return {"time_s": np.array(self._times), "price_edges": edges, **maps}
