"""What the model gives to a participant, and what a participant gives back before the start."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.accounts import AccountTable, Rows
from marginquake.sim.core.contract import ContractSpec
from marginquake.sim.core.margin import Bracket
from marginquake.sim.core.opening_book import OpeningBook
from marginquake.sim.market.streams import Stream


@dataclass(frozen=True, slots=True)
class ParticipantContext:
    """What the model hands to a participant: its rows, its market's contract, its stream of randomness.

    `brackets`: the venue's notional brackets (public rules); empty = flat maintenance.  `book`: the accounts that it
    opens with, row by row, where the user states them; leverage and collateral are complete, and in the ledger already.
    """

    name: str
    rows: Rows
    table: AccountTable
    contract: ContractSpec
    stream: Stream
    step_ns: int
    depth_1pct: float
    initial_price_ticks: int
    max_leverage: float
    brackets: tuple[Bracket, ...] = ()
    book: OpeningBook | None = None


@dataclass(frozen=True, slots=True)
class SeedPositions:
    """Positions to book at t = 0: signed lots and entry prices by row.

    `scalable`: sizes may be multiplied by a common factor to meet the scenario's fuel ratio.
    `sizing_ticks`: entry prices that the fuel ratio is solved with (None = `entry_ticks`), so that moving entries
    about changes no size.
    `minimum_distance`: accounts that would be nearer to liquidation (a fraction of the mark) start flat.
    `takes_other_side`: this population receives minus the sum of all others' seeded lots, spread over its rows.
    `hedged_on_spot`: the model also books minus the seeded lots on spot, at the index and without moving it.
    `book`: the accounts are the user's own, and so are sizes and prices: booked as they are, or left out and said so.
    """

    signed_lots: NDArray[np.int64]
    entry_ticks: NDArray[np.int64]
    scalable: bool = False
    minimum_distance: float = 0.0
    takes_other_side: bool = False
    hedged_on_spot: bool = False
    sizing_ticks: NDArray[np.int64] | None = None
    book: OpeningBook | None = None
