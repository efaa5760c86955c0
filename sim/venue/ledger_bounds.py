"""Money of one market against its bounds: nothing has left 64 bits, nothing is near it.

The bounds and their reasons are in docs/units.md.  Read-time checks make them hard to reach; these make it impossible
to pass them in silence: a market looks at itself every `LOOK_EVERY` steps, and at every step where invariants are
checked.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.accounts import AccountTable
from marginquake.sim.core.integers.limits import MOST_BALANCE, MOST_COST, MOST_MARKET_MONEY, MOST_OPEN_MONEY, TooLarge
from marginquake.sim.core.valuation import LotValue
from marginquake.sim.kernels.extremes import LEDGER, ledger_extremes

LOOK_EVERY: Final = 100
"""Steps from one look of a market at its ledger to the next."""
MOST_OF: Final = (("collateral", MOST_BALANCE), ("isolated_margin", MOST_BALANCE), ("cost", MOST_COST))
"""Columns of the ledger with their bounds."""
WAY_OUT: Final = "use a larger contract.money_unit (and lot_size or tick_size with it), or smaller deposits"


def check_all_money(money: int) -> None:
    """Raises TooLarge where a market holds more money than it may."""
    if abs(money) > MOST_MARKET_MONEY:
        raise TooLarge(
            f"all money of the market comes to {money:.6g} money units, more than {MOST_MARKET_MONEY:.6g} (2^61); "
            f"{WAY_OUT}"
        )


def beyond_bounds(accounts: AccountTable, mark_ticks: int, net_deposits: int) -> str | None:
    """What is wrong with the sizes in this ledger, in words; None where all are within their bounds.

    `net_deposits`: all money that came in.  A wrapped amount shows in a sum that is not that.
    """
    found = np.zeros(1, LEDGER)
    ledger_extremes(accounts.rows, accounts.count, found)
    sizes = found[0]
    for column, most in MOST_OF:
        if sizes[column] > most:
            row = _largest(accounts.rows[: accounts.count], column)
            return (
                f"{column} of account {row} is {accounts.rows[column][row]:.6g} money units, beyond "
                f"{most:.6g} (2^{most.bit_length() - 1})"
            )
    open_money = open_interest_money(accounts.lot_value, int(sizes["long_lots"]), mark_ticks)
    if open_money > MOST_OPEN_MONEY:
        return f"open interest is {open_money:.6g} money units, more than {MOST_OPEN_MONEY:.6g} (2^58)"
    money = (int(sizes["high"]) << 32) + int(sizes["low"])
    if money != net_deposits:
        return f"money is neither made nor lost, yet {money} units are there and {net_deposits} came in"
    return None


def open_interest_money(lot_value: LotValue, lots: int, mark_ticks: int) -> int:
    """Money that so many lots are worth at the mark."""
    return abs(lots * lot_value.value_of_lot(mark_ticks))


def _largest(rows: NDArray[Any], column: str) -> int:
    """The row whose value is furthest from 0; -2^63 has no absolute value in 64 bits."""
    return int(np.argmax(np.abs(rows[column].astype(np.float64))))
