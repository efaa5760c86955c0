"""What each population of one market holds, sampled with the series."""

from array import array
from collections.abc import Mapping
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from sim.accounts import INSURANCE_ROW, SYSTEM_ROWS
from sim.kernels import tally
from sim.records import EventKind
from sim.venue import Venue

_FUNDING = int(EventKind.FUNDING)


@final
class PopulationRecorder:
    """Running sums over each owner's accounts.

    Every change of a position or of money is an event that names the account, but for seeds and funding, which touch
    everybody: so `follow` looks only at accounts that something happened to, and `recount` at all.
    """

    LOTS = ("net_lots", "long_lots", "short_lots", "accounts_open")
    AMOUNTS = ("equity", "long_notional", "short_notional", "spot_lots")

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        owner = venue.accounts.rows["owner"][SYSTEM_ROWS : venue.accounts.count]
        self._starts = SYSTEM_ROWS + np.flatnonzero(np.diff(owner, prepend=-1))
        self._owners: list[int] = venue.accounts.rows["owner"][self._starts].tolist()
        self._unit = float(venue.contract.money_unit)
        self._value = venue.contract.money_per_tick_lot * self._unit
        self._seen = np.zeros(venue.accounts.count, tally.SEEN)
        self._totals = np.zeros(max(self._owners, default=-1) + 1, tally.TOTAL)
        self._times = array("d")
        self._lots = array("q")
        self._amounts = array("d")
        self.recount()

    @property
    def long_lots(self) -> int:
        """All long positions, those of the insurance fund included."""
        fund = int(self._venue.accounts.rows["position_lots"][INSURANCE_ROW])
        return int(self._totals["long_lots"].sum()) + max(fund, 0)

    def recount(self) -> None:
        """Take in everything: positions have been seeded, or funding was paid."""
        rows = self._venue.accounts.rows[: self._venue.accounts.count]
        tally.recount(rows, self._seen, self._totals, SYSTEM_ROWS)

    def follow(self, events: NDArray[Any]) -> None:
        """Take in what these events changed."""
        if np.count_nonzero(events["kind"] == _FUNDING):
            self.recount()
            return
        rows = self._venue.accounts.rows[: self._venue.accounts.count]
        tally.follow(rows, self._seen, self._totals, SYSTEM_ROWS, events)

    def sample(self, time_s: float) -> None:
        """One row a population: lots held, equity at the mark (spot profit included), open accounts."""
        if not self._owners:
            return
        venue = self._venue
        totals = self._totals.take(self._owners)
        net, long = totals["net_lots"], totals["long_lots"]
        paid = totals["paid_high"] * float(tally.PAID_UNIT) + totals["paid"]
        spot_lots, cash = venue.spot.totals(self._starts)
        per_lot = venue.exchange.mark_ticks * self._value
        equity = paid * self._unit + net * per_lot + cash + spot_lots * (venue.index.index_ticks * self._value)
        self._times.append(time_s)
        short = long - net
        self._lots.frombytes(np.array((net, long, short, totals["accounts_open"]), np.int64).tobytes())
        self._amounts.frombytes(np.array((equity, long * per_lot, short * per_lot, spot_lots), np.float64).tobytes())

    def table(self, names: Mapping[int, str]) -> dict[str, Any]:
        """All samples, population within time; money and notional in quote units."""
        count = len(self._owners)
        columns: dict[str, Any] = {
            "market": [self._venue.name] * (count * len(self._times)),
            "time_s": np.repeat(np.array(self._times), count),
            "population": [names[owner] for owner in self._owners] * len(self._times),
        }
        for kept, fields in ((self._lots, self.LOTS), (self._amounts, self.AMOUNTS)):
            stacked = np.array(kept).reshape(len(self._times), len(fields), count)
            columns |= {name: stacked[:, k].ravel() for k, name in enumerate(fields)}
        return columns
