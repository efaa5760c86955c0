"""How large the whole numbers of a market may be, so that no sum and no product of two of them leaves 64 bits.

docs/units.md has the table, with the reason for each.  Money is in money units.
"""

from typing import Final

INT64_MOST: Final = 2**63 - 1
MOST_MONEY: Final = 2**60
"""In one account when it is opened, or brought to it at once."""
MOST_MARKET_MONEY: Final = 2**61
"""All money of one market: every deposit, top-up and the insurance fund."""
MOST_BALANCE: Final = 2**61
"""What an account may grow to, or owe: collateral, isolated margin."""
MOST_COST: Final = 2**60
"""What a position may have cost."""
MOST_OPEN_MONEY: Final = 2**58
"""Open interest at the mark: the price may then go to sixteen times as much until the next look."""
POSITION_MARGIN: Final = 16
"""The largest position at the price where it is worth most, times this, stays below 2^63."""
LEAST_LEVERAGE: Final = 1e-3
"""Of an account: initial margin is then a thousand times notional.  Less is taken for this."""
MOST_ORDER_LOTS: Final = 2**31 - 1
"""Of one order: it is kept in 32 bits."""
MOST_LOTS: Final = 2**40
"""Of a size that a scenario states: far more than any order or position may have."""
MOST_TICKS: Final = 2**31 - 2
"""Price levels of a ladder: a price is kept in 32 bits."""
BYTES_A_TICK: Final = 90
"""Level, four ladders of conditional orders, two of liquidation prices, bitmaps (`sim.kernels.state.make_market`)."""
MOST_ACCOUNTS: Final = 2**31 - 16
"""Accounts of one market: a row number is kept in 32 bits."""
MOST_POPULATIONS: Final = 2**15 - 1
"""Populations of a scenario: their number is kept in 16 bits."""
NEVER_NS: Final = 2**62
"""A time that no clock reaches: waits that are drawn longer are cut here."""
LONGEST_NS: Final = 2**61
"""A run with its warm-up; a clock plus a wait then fits."""


class TooLarge(ValueError):
    """A number of the user's does not fit where it is kept; the message says which, and the way out."""
