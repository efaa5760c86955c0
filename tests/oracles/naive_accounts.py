"""One account as a plain object with Python integers."""

from dataclasses import dataclass
from typing import Any

from marginquake.sim.core.accounts import SYSTEM_ROWS, AccountTable
from marginquake.sim.core.records import MarginMode

COPIED = (
    "position_lots", "cost", "collateral", "isolated_margin", "liquidation_ticks",
    "initial_margin_ppm", "stage", "mode",
)  # fmt: skip


@dataclass
class NaiveAccount:
    """The columns of `sim.core.accounts.ACCOUNT` that mean money or lots; open lots are a sum over the book instead."""

    row: int
    position_lots: int
    cost: int
    collateral: int
    isolated_margin: int
    liquidation_ticks: int
    initial_margin_ppm: int
    stage: int
    mode: int
    trigger_ticks: int = 0
    """Where the mark warns the account, or calls it: what the index of the kernel is about."""

    @property
    def isolated(self) -> bool:
        """True where an allotted part of the collateral backs the position."""
        return self.mode == MarginMode.ISOLATED

    @property
    def of_the_venue(self) -> bool:
        """Insurance fund, fee income and rounding are never called, and never bailed out."""
        return self.row < SYSTEM_ROWS


def accounts_from(table: AccountTable) -> list[NaiveAccount]:
    """A copy of every row; the table is not touched."""
    return [NaiveAccount(row, *(int(line[name]) for name in COPIED)) for row, line in enumerate(_lines(table))]


def _lines(table: AccountTable) -> list[Any]:
    return [table.rows[row] for row in range(len(table.rows))]
