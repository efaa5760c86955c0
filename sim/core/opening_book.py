"""Accounts that somebody states row by row, to be opened when the clock starts; and which of them cannot be.

A row has up to five facts: side, leverage, collateral, notional and entry price.  What it lacks is nan (side: 0).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from marginquake.sim.core.accounts import ACCOUNT
from marginquake.sim.core.contract import ContractSpec
from marginquake.sim.core.margin import BracketSchedule, backing_equity, maintenance_money, muldiv
from marginquake.sim.core.records import MarginMode
from marginquake.sim.core.typing import Bools, Floats, Ints

PPM = 1_000_000
LEAST_LEVERAGE = 1e-3
"""Of a setting: less is taken for this."""
MOST_MONEY = 2**58
"""More money units than this in one account could overflow where accounts are added up."""
MOST_LOTS = 2**40
"""Sizes are cut here before they become integers; no contract allows so many."""
_WHOLE_LOT = 1e-9
"""A position that misses a whole lot by so small a share of itself is that lot: a sum of decimals did not come out."""


@final
@dataclass(frozen=True, eq=False)
class OpeningBook:
    """The accounts of one file, in its order; row i is account i of the population.

    `file`: as shown; `digest`: of its content.  `lines`: where each row stands in it.  `ids`: what its owner calls it.
    `side`: +1 long, -1 short, 0 not said.  `leverage`, `collateral`, `entry_price`, `notional` (never negative): quote
    units, nan where not said.  `notional_at_start`: notional is at the price at the start, not at the entry price.
    `refuses`: a row that cannot be is an error; otherwise it is left out.  `known`: rows that the scenario's own
    numbers rule out, as said when it was read.
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
    known: frozenset[int] = frozenset()

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


def ruled_out(
    book: OpeningBook,
    contract: ContractSpec,
    brackets: BracketSchedule,
    isolated: bool,
    signed_lots: Ints,
    entry_ticks: Ints,
    mark_ticks: int,
) -> dict[int, str]:
    """Rows of a completed book that cannot be, with the reason; `signed_lots`: 0 where the row does not decide it.

    A row cannot be where its leverage, or its size at the entry price, is more than the venue allows, its size less
    than a lot, its entry price outside the ladder, or its equity at `mark_ticks` not above maintenance: it is
    liquidated already.
    """
    lots = np.abs(signed_lots)
    held = (lots > 0) & (entry_ticks > 0)
    accounts = np.zeros(len(book), ACCOUNT)
    accounts["collateral"] = book.money(contract)
    accounts["mode"] = MarginMode.ISOLATED if isolated else MarginMode.CROSS
    allowed = np.minimum(np.nan_to_num(book.leverage, nan=1.0), brackets.max_leverage)
    accounts["initial_margin_ppm"] = initial_ppm(allowed)
    largest = _largest_notional(brackets, accounts["initial_margin_ppm"])
    booked = np.where(held, np.minimum(lots, contract.max_position_lots), 0) * np.sign(signed_lots)
    entry = entry_ticks.clip(1, contract.max_price_ticks - 1)
    accounts["position_lots"] = booked
    accounts["cost"] = contract.lot_value.value(booked, entry)
    paid = np.abs(accounts["cost"])
    least = np.array(brackets.initial_ppm, np.int64)[brackets.bracket_of(paid)]
    margin = muldiv(paid, np.maximum(accounts["initial_margin_ppm"].astype(np.int64), least))
    accounts["isolated_margin"] = np.minimum(margin, accounts["collateral"]) if isolated else 0
    equity = backing_equity(accounts, mark_ticks, contract.lot_value)
    maintenance = maintenance_money(accounts, mark_ticks, contract.lot_value, brackets)
    sized = ~np.isnan(book.notional) & (book.notional > 0)
    tests: tuple[tuple[Bools, Callable[[_Facts, int], str]], ...] = (
        (book.collateral / contract.money_amount > MOST_MONEY, _too_much_money),
        (book.leverage > brackets.max_leverage * (1 + 1e-9), _too_much_leverage),
        (sized & (lots == 0) & (entry_ticks > 0), _too_small),
        ((entry_ticks < 1) | (entry_ticks >= contract.max_price_ticks), _off_the_ladder),
        (held & (lots > contract.max_position_lots), _over_the_position_limit),
        (held & (paid > largest), _over_the_bracket),
        (held & (equity <= maintenance), _liquidated_already),
    )
    facts = _Facts(book, contract, brackets, lots, entry_ticks, mark_ticks, equity, maintenance)
    found: dict[int, str] = {}
    for failed, reason in tests:
        for row in np.flatnonzero(failed).tolist():
            found.setdefault(row, reason(facts, row))
    return dict(sorted(found.items()))


def initial_ppm(leverage: Floats) -> Ints:
    """Initial margin of a leverage setting, parts per million, rounded up so that nobody exceeds it."""
    return np.ceil(PPM / np.maximum(leverage, LEAST_LEVERAGE)).clip(1, 2**31 - 1).astype(np.int64)


def _largest_notional(brackets: BracketSchedule, own_ppm: Ints) -> Ints:
    """What the venue lets accounts open at their initial margin, money: the cap of the last bracket that allows it."""
    allowed = np.searchsorted(np.array(brackets.initial_ppm), own_ppm, side="right")
    largest: Ints = np.concatenate(([0], np.array(brackets.cap, np.int64)))[allowed]
    return largest


def _money(amount: Floats, unit: float) -> Ints:
    return np.rint(np.minimum(np.nan_to_num(amount) / unit, MOST_MONEY)).astype(np.int64)


@final
@dataclass(frozen=True)
class _Facts:
    """What the reasons are told with; `equity` and `maintenance` in money."""

    book: OpeningBook
    contract: ContractSpec
    brackets: BracketSchedule
    lots: Ints
    entry_ticks: Ints
    mark_ticks: int
    equity: Ints
    maintenance: Ints

    def notional(self, row: int) -> float:
        """Of the position at its entry price, quote units."""
        return float(self.contract.notional(int(self.lots[row]), float(self.entry_ticks[row])))


def _too_much_money(facts: _Facts, row: int) -> str:
    most = MOST_MONEY * facts.contract.money_amount
    return f"collateral {facts.book.collateral[row]:g} is more than one account can hold ({most:.3g})"


def _too_much_leverage(facts: _Facts, row: int) -> str:
    return f"leverage {facts.book.leverage[row]:.6g} is over the venue's maximum, {facts.brackets.max_leverage:.6g}"


def _too_small(facts: _Facts, row: int) -> str:
    at = facts.mark_ticks if facts.book.notional_at_start else int(facts.entry_ticks[row])
    lot = facts.contract.notional_per_lot(at)
    return f"notional {facts.book.notional[row]:.6g} is less than one lot ({lot:.6g})"


def _off_the_ladder(facts: _Facts, row: int) -> str:
    contract = facts.contract
    top = contract.to_price(contract.max_price_ticks - 1)
    return f"entry price {facts.book.entry_price[row]:g} is outside the prices of this market (one tick to {top:g})"


def _over_the_position_limit(facts: _Facts, row: int) -> str:
    lots, most = int(facts.lots[row]), facts.contract.max_position_lots
    return f"a position of {lots:,} lots is over the contract's max_position_lots, {most:,}"


def _over_the_bracket(facts: _Facts, row: int) -> str:
    most = facts.contract.to_amount(
        int(_largest_notional(facts.brackets, initial_ppm(facts.book.leverage[row : row + 1]))[0])
    )
    return (
        f"notional {facts.notional(row):.6g} is over what the venue's brackets allow at leverage "
        f"{facts.book.leverage[row]:.6g} ({most:.6g})"
    )


def _liquidated_already(facts: _Facts, row: int) -> str:
    contract = facts.contract
    equity, owed = contract.to_amount(int(facts.equity[row])), contract.to_amount(int(facts.maintenance[row]))
    return (
        f"liquidated already at {contract.to_price(facts.mark_ticks):g}: entered at "
        f"{contract.to_price(int(facts.entry_ticks[row])):g}, its equity would be {equity:.6g}, and maintenance is "
        f"{owed:.6g}"
    )
