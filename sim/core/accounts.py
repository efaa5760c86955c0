"""Every trader's money as columns: one structured row (64 bytes, one cache line) an account.

Only settlement and the waterfall write here; participants hold read-only views.
"""

from typing import final

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.records import MarginMode
from marginquake.sim.core.valuation import LotValue

Rows = NDArray[np.int64]

ACCOUNT = np.dtype(
    [
        ("position_lots", "i8"),
        ("cost", "i8"),
        ("collateral", "i8"),
        ("isolated_margin", "i8"),
        ("open_buy_lots", "i4"),
        ("open_sell_lots", "i4"),
        ("liquidation_ticks", "i4"),
        ("index_next", "i4"),
        ("index_prev", "i4"),
        ("first_order", "i4"),
        ("initial_margin_ppm", "i4"),
        ("owner", "i2"),
        ("stage", "u1"),
        ("mode", "u1"),
    ]
)
"""`cost`: money paid for the position (signed; `LotValue.entry_ticks` is the entry price).  `collateral`: deposits plus
realised profit.  `isolated_margin`: the part of collateral that backs an isolated position (0 for cross).
`liquidation_ticks`: the mark at which equity meets maintenance (0 = none).  `open_*_lots`: resting non-reduce-only
orders.  `index_next/prev`: links of the liquidation-price index (row 0 = none).  `first_order`: head of the list of its
orders."""

INSURANCE_ROW = 0
FEES_ROW = 1
ROUNDING_ROW = 2
SYSTEM_ROWS = 3
"""The first rows of every table belong to the venue: insurance fund (it also holds taken-over positions), fee
income, rounding residues.  Conservation is then a sum over one table."""


@final
class AccountTable:
    """All accounts of one market.

    `rows` is the structured array that kernels write; `latency_ns[i]` the order latency of account i,
    `tie_key[i]` what addresses its draw when commands arrive at once.
    """

    def __init__(self, capacity: int, lot_value: LotValue) -> None:
        self.rows = np.zeros(capacity, ACCOUNT)
        self.rows["initial_margin_ppm"] = 1_000_000
        self.rows["owner"] = -1
        self.latency_ns = np.zeros(capacity, np.int64)
        self.tie_key = np.arange(capacity)
        self.lot_value = lot_value
        self.count = SYSTEM_ROWS
        self.stated: dict[int, tuple[str, int]] = {}
        """Id and line of the accounts that came from a file, by row."""

    def claim(self, owner: int, count: int, tie_key: int = 0) -> Rows:
        """Give `count` fresh rows to participant number `owner`; `tie_key` is its own and depends on nobody else."""
        first = self.count
        if first + count > len(self.rows):
            raise ValueError(f"account table is full: {len(self.rows)} rows, {count} more asked")
        self.count = first + count
        rows = np.arange(first, first + count)
        self.rows["owner"][first : self.count] = owner
        with np.errstate(over="ignore"):
            self.tie_key[first : self.count] = np.int64(tie_key) ^ (np.arange(count) * np.int64(1_000_003))
        return rows

    def view(self, rows: Rows) -> "AccountView":
        """A read-only view of a block of rows."""
        return AccountView(self, rows)


@final
class AccountView:
    """What a participant may read of its own accounts: columns, aligned with `rows`."""

    def __init__(self, table: AccountTable, rows: Rows) -> None:
        first, last = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, 0)
        block = table.rows[first:last].view()
        block.flags.writeable = False
        self._block = block
        self._lot_value = table.lot_value

    @property
    def position_lots(self) -> NDArray[np.int64]:
        """Signed position, lots."""
        return self._block["position_lots"]

    @property
    def cost(self) -> NDArray[np.int64]:
        """Signed money paid for the position."""
        return self._block["cost"]

    @property
    def collateral(self) -> NDArray[np.int64]:
        """Deposits plus realised profit, money."""
        return self._block["collateral"]

    @property
    def liquidation_ticks(self) -> NDArray[np.int32]:
        """Mark at which the account is called; 0 where it cannot be."""
        return self._block["liquidation_ticks"]

    @property
    def initial_margin_ppm(self) -> NDArray[np.int32]:
        """One over the account's chosen leverage, parts per million."""
        return self._block["initial_margin_ppm"]

    @property
    def stage(self) -> NDArray[np.uint8]:
        """`Stage` of each account."""
        return self._block["stage"]

    @property
    def isolated(self) -> NDArray[np.bool_]:
        """True where margin is isolated."""
        isolated: NDArray[np.bool_] = self._block["mode"] == MarginMode.ISOLATED
        return isolated

    def backing_equity(self, mark_ticks: float) -> NDArray[np.float64]:
        """What backs each position (isolated margin, or the whole collateral) plus unrealised profit, money."""
        backing = np.where(self.isolated, self._block["isolated_margin"], self._block["collateral"])
        lot_value = self._lot_value.value_real(self._block["position_lots"], mark_ticks)
        equity: NDArray[np.float64] = backing + lot_value - self._block["cost"]
        return equity

    def equity(self, mark_ticks: float) -> NDArray[np.float64]:
        """Collateral plus unrealised profit at `mark_ticks`, money."""
        lot_value = self._lot_value.value_real(self._block["position_lots"], mark_ticks)
        equity: NDArray[np.float64] = self._block["collateral"] + lot_value - self._block["cost"]
        return equity
