"""Accounts that somebody states row by row, to be opened when the clock starts.

A row has up to five facts: side, leverage, collateral, notional and entry price.  What it lacks is nan (side: 0).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import final

import numpy as np

from marginquake.sim.core.contract import ContractSpec
from marginquake.sim.core.integers.limits import MOST_LOTS, MOST_MONEY
from marginquake.sim.core.margin import BracketSchedule
from marginquake.sim.core.typing import Floats, Ints

PPM = 1_000_000
_WHOLE_LOT = 1e-9
"""A position that misses a whole lot by so small a share of itself is that lot: a sum of decimals did not come out."""


@final
@dataclass(frozen=True, eq=False)
class OpeningBook:
    """The accounts of one file, in its order; row i is account i of the population.

    `file`: as shown; `digest`: of its content.  `lines`: where each row stands in it.  `ids`: what its owner calls it.
    `side`: +1 long, -1 short, 0 not said.  `leverage`, `collateral`, `entry_price`, `notional` (never negative): quote
    units, nan where not said.  `notional_at_start`: notional is at the price at the start, not at the entry price.
    `refuses`: a row that cannot be is an error; otherwise it is left out.  `known`: rows that the price at the start
    rules out, with the reason, as told when the scenario was read.
    """

    file: str
    digest: str
    lines: Ints
    ids: tuple[str, ...]
    side: Ints
    leverage: Floats
    collateral: Floats
    entry_price: Floats
    notional: Floats
    notional_at_start: bool = False
    refuses: bool = False
    known: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.lines)

    def __eq__(self, other: object) -> bool:
        """The same content, read in the same way: how it is read is the scenario's to compare."""
        return isinstance(other, OpeningBook) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def completed(self, leverage: Floats, collateral: Floats, brackets: BracketSchedule, unit: float) -> "OpeningBook":
        """The rows with what they lack of leverage, collateral and notional: two give the third, else as drawn.

        `leverage`, `collateral`: one draw a row, nan where there is none.  `unit`: quote units of a unit of the
        brackets' money.  A drawn leverage is no more than the venue allows at the row's notional.  Where the row does
        not decide the notional it stays nan: the population chooses its own size.
        """
        known_leverage, known_collateral = ~np.isnan(self.leverage), ~np.isnan(self.collateral)
        known_notional = ~np.isnan(self.notional)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            full_leverage = np.where(known_leverage, self.leverage, leverage)
            derived = ~known_leverage & known_collateral & known_notional & (self.notional > 0)
            full_leverage = np.where(derived, self.notional / self.collateral, full_leverage)
            drawn = ~known_leverage & ~derived
            allowed = PPM / np.array(brackets.initial_ppm)[brackets.bracket_of(_money(self.notional, unit))]
            capped = np.where(known_notional, np.minimum(full_leverage, allowed), full_leverage)
            full_leverage = np.where(drawn, np.minimum(capped, brackets.max_leverage), full_leverage)
            from_notional = known_notional & (self.notional > 0)
            margin = np.where(from_notional, self.notional / full_leverage, collateral)
            full_collateral = np.where(known_collateral, self.collateral, margin)
            both = known_leverage & known_collateral
            full_notional = np.where(~known_notional & both, self.leverage * self.collateral, self.notional)
        return replace(self, leverage=full_leverage, collateral=full_collateral, notional=full_notional)

    def lots(self, contract: ContractSpec, entry_ticks: Ints, start_ticks: float) -> Ints:
        """Whole lots, unsigned, that each row's notional comes to, rounded down; 0 where it has none."""
        at = np.full(len(self), start_ticks) if self.notional_at_start else np.maximum(entry_ticks, 1)
        lots = np.nan_to_num(self.notional) / contract.notional(1, at.astype(np.float64))
        return np.floor(np.minimum(lots * (1.0 + _WHOLE_LOT), MOST_LOTS)).astype(np.int64)

    def entries(self, contract: ContractSpec, otherwise: Ints) -> Ints:
        """Entry prices, nearest tick; where a row says none, `otherwise`."""
        known = ~np.isnan(self.entry_price)
        ticks = np.where(known, self.entry_price, 0.0) / float(contract.tick_size)
        return np.where(known, np.rint(np.minimum(ticks, MOST_LOTS)), otherwise).astype(np.int64)

    def money(self, contract: ContractSpec) -> Ints:
        """Collateral as money, cut at `MOST_MONEY`; 0 where there is none."""
        return _money(self.collateral, contract.money_amount)

    def name(self, row: int) -> str:
        """How messages call a row: its line, and its id where it has one of its own."""
        line = f"line {self.lines[row]}"
        return line if self.ids[row] in ("", line) else f"{line} ({self.ids[row]})"


def _money(amount: Floats, unit: float) -> Ints:
    return np.rint(np.minimum(np.nan_to_num(amount) / unit, MOST_MONEY)).astype(np.int64)
