"""The outside market where the index is made: participants hedge there, and the index listens."""

from typing import final

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.assets.index import Index
from marginquake.sim.core.accounts import Rows
from marginquake.sim.core.contract import ContractSpec


@final
class SpotHoldings:
    """Spot holdings and cash of every account row of one market; implements `sim.market.view.SpotMarket`.

    Trades in quantities of the contract's lot, fractional ones too: base units, or for an inverse contract quote units,
    so that minus the position is always a full hedge.  All rows of one call trade together at one price: the index plus
    half of the displacement that their net flow causes (eq. 16), which is the average price of buying along a linear
    impact.  Holdings and cash are floats: spot is outside the venue's ledger, whose conservation is
    exact without it.
    """

    def __init__(self, capacity: int, index: Index, contract: ContractSpec) -> None:
        self._index = index
        self._contract = contract
        self._lots = np.zeros(capacity)
        self._cash = np.zeros(capacity)
        self._has_traded = np.zeros(capacity, np.bool_)
        self._traders: Rows = np.empty(0, np.int64)
        self._places: Rows = np.empty(0, np.int64)

    def trade(self, rows: Rows, signed_lots: NDArray[np.float64]) -> None:
        """Buy (+) or sell (-) at the index plus half of this call's own impact; push the index by the net flow."""
        if len(rows) == 0:
            return
        before = self._index.index_ticks
        net_lots = float(signed_lots.sum())
        self._index.push(net_lots * self._contract.quote_per_lot(before))
        price_ticks = 0.5 * (before + self._index.index_ticks)
        self._book(rows, signed_lots, price_ticks)

    def seed(self, rows: Rows, signed_lots: NDArray[np.float64]) -> None:
        """Book holdings that were there before the clock started, bought at the index; nothing is pushed."""
        self._book(rows, signed_lots, self._index.index_ticks)

    def position_lots(self, rows: Rows) -> NDArray[np.float64]:
        """Spot holdings, in lots of the contract."""
        return self._lots[rows]

    def totals(self, starts: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lots held and cash (amounts), summed over the rows from each start up to the next; the same starts at
        every call."""
        traders = self._traders
        if len(traders) == 0:
            return np.zeros(len(starts)), np.zeros(len(starts))
        if len(self._places) != len(traders):
            self._places = np.searchsorted(starts, traders, side="right") - 1
        lots: NDArray[np.float64] = np.bincount(self._places, self._lots[traders], len(starts)).astype(
            float, copy=False
        )
        cash: NDArray[np.float64] = np.bincount(self._places, self._cash[traders], len(starts)).astype(
            float, copy=False
        )
        return lots, cash

    def profits(self) -> NDArray[np.float64]:
        """`profit` of every row there is."""
        profits = np.zeros(len(self._lots))
        profits[self._traders] = self.profit(self._traders)
        return profits

    def profit(self, rows: Rows) -> NDArray[np.float64]:
        """Cash plus holdings at the index, amounts: what spot has earned since the start."""
        return self._cash[rows] + self._lot_value(self._lots[rows], self._index.index_ticks)

    def _lot_value(self, signed_lots: NDArray[np.float64], ticks: float) -> NDArray[np.float64]:
        """What holdings are worth at a price, as the contract's own lots would be; an amount."""
        return signed_lots * self._contract.worth_per_lot(ticks)

    def _book(self, rows: Rows, signed_lots: NDArray[np.float64], price_ticks: float) -> None:
        np.add.at(self._lots, rows, signed_lots)
        np.add.at(self._cash, rows, -self._lot_value(signed_lots, price_ticks))
        new = ~self._has_traded[rows]
        if np.count_nonzero(new):
            self._has_traded[rows] = True
            self._traders = np.flatnonzero(self._has_traded)
