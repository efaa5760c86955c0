"""A population's account book, read, checked and held against its market, while the scenario is read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, final

import numpy as np

from marginquake.sim.core import opening_checks
from marginquake.sim.core.account_book import FIELDS, AccountBook
from marginquake.sim.core.contract import ContractSpec
from marginquake.sim.core.data_files import CONTENT_KEY, changed_message
from marginquake.sim.core.margin import BracketSchedule, leverage_capped
from marginquake.sim.core.opening_book import OpeningBook
from marginquake.sim.core.outside.columns import columns_in_words
from marginquake.sim.core.problems import Problem, ScenarioWarning, closest
from marginquake.sim.scenario.account_books.book_rows import Fault, Headers, find_columns, read_rows
from marginquake.sim.scenario.account_books.book_table import BookFileError, BookTable, read_book_table
from marginquake.sim.scenario.checks import problem_at
from marginquake.sim.scenario.config import MarketConfig
from marginquake.sim.scenario.yaml_tree import Node

AT: Final = ("accounts",)
FAR: Final = 0.2
"""A book whose middle entry price is further from the price at the start was probably made in another market."""


@final
@dataclass
class Opened:
    """What came of reading a book: the book, or problems; and what is valid but hardly meant."""

    book: OpeningBook | None
    problems: list[Problem]
    warnings: list[ScenarioWarning]


def open_book(traits: Any, tree: Node, market: MarketConfig | None) -> Opened:
    """Read the book that a population's `accounts` names; `tree`: the population as written.

    `market`: where it trades, None if that could not be read; then rows are not held against it.
    """
    block: AccountBook = traits.accounts
    opened = Opened(None, [], [])
    try:
        table = read_book_table(Path(block.file))
    except BookFileError as error:
        opened.problems.append(_in_file(block, error.line, "", str(error)))
        return opened
    if block.sha256 is not None and table.digest != f"sha256:{block.sha256}":
        message = changed_message(block.file, block.sha256, table.digest.removeprefix("sha256:"))
        opened.problems.append(replace(problem_at(tree, (*AT, CONTENT_KEY), message), value=None))
        return opened
    headers, unknown = find_columns(table, block.columns)
    opened.problems += [
        problem_at(tree, (*AT, "columns", field), message, suggestion=near) for field, message, near in unknown
    ]
    if not unknown and not set(headers.place) - {"id"}:
        known = ", ".join(FIELDS[1:])
        names = columns_in_words(table.header, table.rows)
        message = f"has none of {known}; {names}. Say which is which: columns: {{leverage: ..., side: ...}}"
        opened.problems.append(_in_file(block, table.header_line, "", message))
    if not table.rows and not table.ragged:
        opened.problems.append(_in_file(block, table.header_line, "", "has a header and no rows"))
    if opened.problems:
        return opened
    isolated = traits.margin_mode == "isolated"
    rows, faults = read_rows(table, headers, isolated)
    if faults:
        opened.problems += _faults(block, faults)
        return opened
    book = OpeningBook(
        block.file, table.digest, rows.lines, rows.ids, rows.side, rows.leverage, rows.collateral, rows.entry_price,
        rows.notional, block.notional_at == "start_price", block.on_impossible == "refuse",
    )  # fmt: skip
    opened.warnings += _doubts(table, headers, block, tree, book)
    if market is not None:
        book = _hold_against(book, block, tree, market, isolated, opened)
    opened.book = book
    return opened


def _hold_against(
    book: OpeningBook, block: AccountBook, tree: Node, market: MarketConfig, isolated: bool, opened: Opened
) -> OpeningBook:
    """Rows that cannot be at the price at the start, as far as the file alone decides it."""
    contract = _contract(market)
    brackets = BracketSchedule.from_config(
        leverage_capped(market.venue.brackets, market.venue.max_leverage), contract
    )  # fmt: skip
    start = contract.to_ticks(market.contract.initial_price)
    nothing = np.full(len(book), np.nan)
    full = book.completed(nothing, nothing, brackets, contract.money_amount)
    decided = (book.side != 0) & ~np.isnan(book.entry_price) & ~np.isnan(full.collateral) & ~np.isnan(full.leverage)
    full = replace(full, notional=np.where(decided, full.notional, np.nan))
    entry = full.entries(contract, np.full(len(book), start))
    lots = book.side * full.lots(contract, entry, start)
    found = opening_checks.ruled_out(full, contract, brackets, isolated, lots, entry, start)
    if len(found) == len(book) or (found and book.refuses):
        opened.problems += opening_checks.problems(book, found)
    elif found:
        opened.warnings.append(_warning(tree, opening_checks.sentence(book, found), "mend the file"))
    opened.warnings += _far_from_the_start(book, market, tree)
    return replace(book, known=found)


def _far_from_the_start(book: OpeningBook, market: MarketConfig, tree: Node) -> list[ScenarioWarning]:
    """Where the prices of the book are those of another market, or of another day, probably."""
    known = book.entry_price[~np.isnan(book.entry_price)]
    start = market.contract.initial_price
    if not len(known) or abs(np.median(known) / start - 1.0) <= FAR:
        return []
    middle = float(np.median(known))
    where = "above" if middle > start else "below"
    message = f"half of its entry prices are {where} {middle:g}, far from contract.initial_price, {start:g}"
    return [_warning(tree, message, "write the price of that day, if it is of another")]


def _doubts(
    table: BookTable, headers: Headers, block: AccountBook, tree: Node, book: OpeningBook
) -> list[ScenarioWarning]:
    found: list[ScenarioWarning] = []
    lacking = [field for field in FIELDS if field not in headers.place and getattr(block.columns, field) is not None]
    for name in headers.unread:
        near = closest(name, lacking)
        if near is not None:
            message = f"column {name!r} of the file is not read"
            found.append(_warning(tree, message, f"if it is the {near}, write columns: {{{near}: {name}}}"))
    if "notional" in headers.place and "side" not in headers.place and not book.side.any():
        message = "the file has no side, and no notional in it is negative: sides are drawn by the population"
        found.append(_warning(tree, message, "say which is which: columns: {side: ...}"))
    if table.empty:
        lines = ", ".join(map(str, table.empty[: opening_checks.MOST_NAMED])) + (
            ", ..." if len(table.empty) > opening_checks.MOST_NAMED else ""
        )
        message = f"{len(table.empty):,} lines of the file hold no value and are skipped (line {lines})"
        found.append(_warning(tree, message, "remove them, if nothing is missing"))
    return found


def _warning(tree: Node, message: str, way_out: str) -> ScenarioWarning:
    """About the file, where the scenario names it."""
    at = problem_at(tree, (*AT, "file"), message)
    return ScenarioWarning("account_book", at.place, at.path, message, way_out, at.value)


def _faults(block: AccountBook, faults: Sequence[Fault]) -> list[Problem]:
    """The first of them one by one, and how many more there are."""
    told = [
        _in_file(block, fault.line, fault.column, fault.message, fault.value)
        for fault in faults[: opening_checks.MOST_TOLD]
    ]
    rest = faults[opening_checks.MOST_TOLD :]
    if rest:
        lines = len({fault.line for fault in rest})
        told.append(_in_file(block, 0, "", f"and {len(rest):,} more in {lines:,} line{'s' if lines > 1 else ''}"))
    return told


def _in_file(block: AccountBook, line: int, column: str, message: str, value: str | None = None) -> Problem:
    """A problem whose place is the user's own file."""
    return Problem(opening_checks.book_place(block.file, line), column, message, value)


def _contract(market: MarketConfig) -> ContractSpec:
    """The integer contract of the market, as its venue will have it."""
    fields = market.contract
    top = Decimal(str(fields.initial_price)) * Decimal(str(fields.max_price_multiple)) / Decimal(str(fields.tick_size))
    return ContractSpec.from_fields(market.name, fields.model_dump(), int(top), fields.max_position_lots)
