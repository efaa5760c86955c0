"""The first minutes of a run: who is liquidated within a minute, and whether the fuel lasts while nothing happens."""

from collections.abc import Mapping
from typing import final

import numpy as np

from marginquake.sim.core.accounts import SYSTEM_ROWS
from marginquake.sim.core.measured import FIRST_MINUTE_NS, OPENING_NS
from marginquake.sim.core.typing import Bools
from marginquake.sim.venue.seeding import measure_fuel
from marginquake.sim.venue.venue import Venue

EVERY_NS = 60_000_000_000
"""Fuel is measured this often."""
STILL = 0.01
"""Nothing has happened outside while the index is within this share of where it began."""


@final
class OpeningRecorder:
    """Reads the venue and changes nothing.  `start` at t = 0, `observe` after each step."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._depth_1pct = 0.0
        self._index_ticks = 0.0
        self._still_until_ns = min((shock.at for shock in venue.config.index.shocks), default=OPENING_NS)
        self._next_fuel_ns = EVERY_NS
        self._held: Bools = np.zeros(0, np.bool_)
        self._owner = np.zeros(0, np.int64)
        self._liquidated: Bools | None = None
        self.fuel_ratio = 0.0
        self.fuel_ratio_least = 0.0
        self.fuel_ratio_least_s = 0.0

    def start(self, fuel_ratio: float, depth_1pct: float) -> None:
        """Positions are seeded.  `depth_1pct`: what the ratio is measured by."""
        rows = self._venue.accounts.rows[SYSTEM_ROWS : self._venue.accounts.count]
        self._held = rows["position_lots"] != 0
        self._owner = rows["owner"].astype(np.int64)
        self._depth_1pct = depth_1pct
        self._index_ticks = self._venue.index.index_ticks
        self.fuel_ratio = self.fuel_ratio_least = fuel_ratio

    def due(self, now_ns: int) -> bool:
        """Whether `observe` wants to know who has been liquidated by now."""
        return self._liquidated is None and now_ns >= FIRST_MINUTE_NS

    def observe(self, now_ns: int) -> None:
        """A step has ended."""
        if now_ns < self._next_fuel_ns or self._next_fuel_ns > self._still_until_ns:
            return
        self._next_fuel_ns += EVERY_NS
        if now_ns > OPENING_NS or abs(self._venue.index.index_ticks / self._index_ticks - 1.0) > STILL:
            self._still_until_ns = 0
            return
        ratio = measure_fuel(self._venue).ratio_5pct(self._depth_1pct)
        if ratio < self.fuel_ratio_least:
            self.fuel_ratio_least, self.fuel_ratio_least_s = ratio, now_ns / 1e9

    def note_liquidated(self, liquidated: Bools) -> None:
        """Who has been liquidated when the first minute is over; all rows of the table."""
        self._liquidated = liquidated[SYSTEM_ROWS:].copy()

    def liquidated(self, so_far: Bools, names: Mapping[int, str]) -> tuple[dict[str, float], dict[str, int]]:
        """Share and number by population; `so_far` counts where the run is shorter than a minute."""
        who = so_far[SYSTEM_ROWS:] if self._liquidated is None else self._liquidated
        shares, counts = {}, {}
        for owner in np.unique(self._owner[self._held]).tolist():
            held = self._held & (self._owner == owner)
            counts[names[owner]] = int(np.count_nonzero(who & held))
            shares[names[owner]] = counts[names[owner]] / int(np.count_nonzero(held))
        return shares, counts
