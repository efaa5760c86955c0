"""Which accounts of an opening book cannot be, and how that is said: line by line, with the reason."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import numpy as np

from marginquake.sim.core.accounts import ACCOUNT
from marginquake.sim.core.contract import ContractSpec
from marginquake.sim.core.integers.limits import MOST_MONEY
from marginquake.sim.core.margin import BracketSchedule, backing_equity, maintenance_money, muldiv
from marginquake.sim.core.opening_book import OpeningBook
from marginquake.sim.core.problems import Place, Problem
from marginquake.sim.core.records import MarginMode
from marginquake.sim.core.typing import Bools, Floats, Ints

PPM = 1_000_000
MOST_TOLD: Final = 20
"""Lines of a file that are told one by one."""
MOST_NAMED: Final = 3
"""Rows left out that a sentence names."""


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
    accounts["initial_margin_ppm"] = _initial_ppm(allowed, contract)
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


def sentence(book: OpeningBook, found: Mapping[int, str]) -> str:
    """On rows that are left out: how many, and the first few by line."""
    named = "; ".join(f"{book.name(row)}: {why}" for row, why in [*found.items()][:MOST_NAMED])
    more = f"; and {len(found) - MOST_NAMED:,} more" if len(found) > MOST_NAMED else ""
    are = "is" if len(found) == 1 else "are"
    return f"{len(found):,} of {len(book):,} rows cannot be at the start and {are} left out: {named}{more}"


def problems(book: OpeningBook, found: Mapping[int, str]) -> list[Problem]:
    """The same rows as errors, each at its line of the file."""
    said = [
        Problem(book_place(book.file, int(book.lines[row])), "", f"cannot be at the start: {why}")
        for row, why in [*found.items()][:MOST_TOLD]
    ]
    if len(found) > MOST_TOLD:
        said.append(Problem(book_place(book.file, 0), "", f"and {len(found) - MOST_TOLD:,} more rows"))
    return said


def book_place(file: str, line: int) -> Place:
    """A line of a book; 0 for the whole file."""
    return Place(file, line, Path(file).parent)


def _initial_ppm(leverage: Floats, contract: ContractSpec) -> Ints:
    """Initial margin of a leverage setting, parts per million, rounded up so that nobody exceeds it."""
    return np.ceil(PPM / np.maximum(leverage, contract.least_leverage)).clip(1, 2**31 - 1).astype(np.int64)


def _largest_notional(brackets: BracketSchedule, own_ppm: Ints) -> Ints:
    """What the venue lets accounts open at their initial margin, money: the cap of the last bracket that allows it."""
    allowed = np.searchsorted(np.array(brackets.initial_ppm), own_ppm, side="right")
    largest: Ints = np.concatenate(([0], np.array(brackets.cap, np.int64)))[allowed]
    return largest


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
        int(_largest_notional(facts.brackets, _initial_ppm(facts.book.leverage[row : row + 1], facts.contract))[0])
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
