"""Snapshots at times: the liquidation map, and who holds what."""

import zlib
from collections.abc import Mapping
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.accounts import INSURANCE_ROW, SYSTEM_ROWS
from marginquake.sim.core.margin import backing_equity, bankruptcy_ticks, maintenance_money
from marginquake.sim.core.records import MOST_TICKS
from marginquake.sim.scenario.config import RecordConfig
from marginquake.sim.venue.venue import Venue

MAPS = ("long_notional", "short_notional", "bid_depth", "ask_depth")


@final
class MapRecorder:
    """One column of every map at each `snapshot`, kept compressed: most price bins are empty most of the time."""

    def __init__(self, venue: Venue, record: RecordConfig) -> None:
        self._venue = venue
        edges = np.linspace(1 - record.map_range, 1 + record.map_range, record.map_bins + 1) * venue.initial_ticks
        # Where a tick is coarser than the range, the bins are the tick of the start price and its neighbours.
        near = venue.initial_ticks + np.array([-1, 0, 1, 2])
        whole = np.unique(np.rint(edges).astype(np.int64))
        self._edges = whole if len(whole) > len(near) else np.union1d(whole, near[near > 0])
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


MOST_ROWS = 1_000_000
"""Rows kept of a market.  Beyond, every other snapshot goes and the period doubles; the one of t = 0 always stays."""
HELD = np.dtype(
    [
        ("account", "i4"),
        ("owner", "i2"),
        ("stage", "u1"),
        ("position_lots", "i8"),
        ("entry_ticks", "f8"),
        ("liquidation_ticks", "i4"),
        ("bankruptcy_ticks", "i4"),
        ("equity", "i8"),
        ("maintenance", "i8"),
    ]
)
"""One position of a snapshot: money in money units."""


@final
class PositionRecorder:
    """A row for every account with a position at each `snapshot`, kept compressed.

    What it holds is bounded by `MOST_ROWS`, however long the run and however many accounts.
    """

    def __init__(self, venue: Venue, record: RecordConfig) -> None:
        self._venue = venue
        self._recorded = record.events != "none"
        self._every_ns = record.positions_every or 0
        self._taken: list[tuple[int, int, int, bytes]] = []

    def due(self, now_ns: int) -> bool:
        """True where a snapshot is to be taken at this time after t = 0."""
        return self._recorded and self._every_ns > 0 and now_ns > 0 and now_ns % self._every_ns == 0

    def snapshot(self, now_ns: int) -> None:
        """Everybody with a position, the insurance fund included."""
        if not self._recorded:
            return
        venue = self._venue
        table = venue.accounts.rows[: venue.accounts.count]
        at = np.flatnonzero(table["position_lots"])
        rows, mark, lot_value = table[at], venue.exchange.mark_ticks, venue.contract.lot_value
        held = np.zeros(len(at), HELD)
        held["account"] = at
        for name in ("owner", "stage", "position_lots", "liquidation_ticks"):
            held[name] = rows[name]
        held["entry_ticks"] = lot_value.entry_ticks(rows["cost"], rows["position_lots"])
        held["bankruptcy_ticks"] = bankruptcy_ticks(rows, lot_value)
        held["equity"] = backing_equity(rows, mark, lot_value)
        held["maintenance"] = maintenance_money(rows, mark, lot_value, venue.brackets)
        self._taken.append((now_ns, mark, len(held), zlib.compress(held.tobytes(), 1)))
        while len(self._taken) > 1 and sum(count for _, _, count, _ in self._taken) > MOST_ROWS:
            self._every_ns *= 2
            self._taken = [taken for taken in self._taken if taken[0] % self._every_ns == 0]

    def table(self, names: Mapping[int, str]) -> dict[str, Any]:
        """All snapshots, account within time, prices and amounts in quote units; no columns without positions.

        `names`: populations by owner number.
        """
        counts = np.array([count for _, _, count, _ in self._taken], np.int64)
        if counts.sum() == 0:
            return {}
        held = np.concatenate([np.frombuffer(zlib.decompress(packed), HELD) for *_, packed in self._taken])
        marks = np.repeat([mark for _, mark, _, _ in self._taken], counts)
        contract = self._venue.contract
        tick, unit = float(contract.tick_size), contract.money_amount
        return {
            "market": [self._venue.name] * len(held),
            "time_s": np.repeat([now_ns / 1e9 for now_ns, *_ in self._taken], counts),
            "account": held["account"],
            "population": _population_of(held, names),
            "stage": held["stage"],
            "mark": marks * tick,
            "position_lots": held["position_lots"],
            "entry_price": held["entry_ticks"] * tick,
            "liquidation_price": _reachable(held["liquidation_ticks"]) * tick,
            "bankruptcy_price": _reachable(held["bankruptcy_ticks"]) * tick,
            "equity": held["equity"] * unit,
            "notional": contract.notional(np.abs(held["position_lots"]), marks.astype(np.float64)),
            "maintenance": held["maintenance"] * unit,
        }


def _reachable(ticks: NDArray[Any]) -> NDArray[np.float64]:
    """Prices in ticks, NaN where no price is meant."""
    return np.where((ticks > 0) & (ticks < MOST_TICKS), ticks, np.nan)


def _population_of(held: NDArray[Any], names: Mapping[int, str]) -> NDArray[np.str_]:
    known = np.array(["insurance", *(names[owner] for owner in range(len(names)))])
    assert (held["account"][held["account"] < SYSTEM_ROWS] == INSURANCE_ROW).all(), (
        "of the venue's rows the fund trades"
    )
    return known[np.where(held["account"] < SYSTEM_ROWS, 0, held["owner"] + 1)]
