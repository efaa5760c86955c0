"""What each population of one market holds, sampled with the series."""

from array import array
from collections.abc import Mapping
from typing import Any, final

import numpy as np

from marginquake.sim.core.accounts import INSURANCE_ROW, SYSTEM_ROWS
from marginquake.sim.kernels import tallies
from marginquake.sim.venue.venue import Venue


@final
class PopulationRecorder:
    """Running sums over each owner's accounts.

    Every change of a position or of money is an event that names the account, but for seeds and funding, which touch
    everybody: so `sim.kernels.tallies.count` looks only at accounts that something happened to (at `seen` and
    `totals`), and `recount` at all.
    """

    LOTS = ("net_lots", "long_lots", "short_lots", "accounts_open")
    AMOUNTS = ("equity", "long_notional", "short_notional", "spot_lots")

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        owner = venue.accounts.rows["owner"][SYSTEM_ROWS : venue.accounts.count]
        self._starts = SYSTEM_ROWS + np.flatnonzero(np.diff(owner, prepend=-1))
        self._owners = venue.accounts.rows["owner"][self._starts].astype(np.int64)
        self._unit = venue.contract.money_amount
        self.seen = np.zeros(venue.accounts.count, tallies.SEEN)
        self.totals = np.zeros(self._owners.max(initial=-1) + 1, tallies.TOTAL)
        self._row_lots = np.zeros((len(self.LOTS), len(self._owners)), np.int64)
        self._row_amounts = np.zeros((len(self.AMOUNTS), len(self._owners)))
        self._times = array("d")
        self._lots = array("q")
        self._amounts = array("d")
        self.recount()

    @property
    def long_lots(self) -> int:
        """All long positions, those of the insurance fund included."""
        fund = int(self._venue.accounts.rows["position_lots"][INSURANCE_ROW])
        return int(self.totals["long_lots"].sum()) + max(fund, 0)

    def recount(self) -> None:
        """Take in everything: positions have been seeded, or funding was paid."""
        rows = self._venue.accounts.rows[: self._venue.accounts.count]
        tallies.recount(rows, self.seen, self.totals, SYSTEM_ROWS)

    def sample(self, time_s: float) -> None:
        """One row a population: lots held, equity at the mark (spot profit included), open accounts."""
        if not len(self._owners):
            return
        venue = self._venue
        spot_lots, cash = venue.spot.totals(self._starts)
        per_lot = venue.contract.worth_per_lot(venue.exchange.mark_ticks)
        spot_value = venue.contract.worth_per_lot(venue.index.index_ticks)
        tallies.snapshot(
            self.totals,
            self._owners,
            spot_lots,
            cash,
            per_lot,
            spot_value,
            self._unit,
            self._row_lots,
            self._row_amounts,
        )
        self._times.append(time_s)
        self._lots.frombytes(self._row_lots.tobytes())
        self._amounts.frombytes(self._row_amounts.tobytes())

    def table(self, names: Mapping[int, str]) -> dict[str, Any]:
        """All samples, population within time; money and notional are amounts."""
        count = len(self._owners)
        columns: dict[str, Any] = {
            "market": [self._venue.name] * (count * len(self._times)),
            "time_s": np.repeat(np.array(self._times), count),
            "population": [names[owner] for owner in self._owners.tolist()] * len(self._times),
        }
        for kept, fields in ((self._lots, self.LOTS), (self._amounts, self.AMOUNTS)):
            stacked = np.array(kept).reshape(len(self._times), len(fields), count)
            columns |= {name: stacked[:, k].ravel() for k, name in enumerate(fields)}
        return columns
