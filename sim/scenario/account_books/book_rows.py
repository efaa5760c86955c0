"""What the cells of an account book mean: numbers, sides and ids, and what is wrong with them, line by line."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from marginquake.sim.core.account_book import FIELDS, BookColumns
from marginquake.sim.core.fields import NUMBER, parse_amount
from marginquake.sim.core.integers.limits import LEAST_LEVERAGE
from marginquake.sim.core.outside.columns import columns_in_words, looks_like_a_table
from marginquake.sim.core.problems import closest
from marginquake.sim.core.typing import Floats, Ints
from marginquake.sim.scenario.account_books.book_table import BookTable

AGREEMENT: Final = 0.01
"""Leverage times collateral and notional may differ by this share of the notional: rounding in the file."""
SIDES: Final = {
    **dict.fromkeys(("long", "buy", "b", "l", "bid", "1", "+1", "1.0"), 1),
    **dict.fromkeys(("short", "sell", "s", "ask", "-1", "-1.0"), -1),
    "both": 0,
}
"""Words for a side in lower case.  `both` is what exports of one-way accounts say: the sign of the size decides."""
_PLAIN = re.compile(NUMBER)
_SEPARATED = re.compile(r"[-+]?\d[\d.,'_\s]*")
_NOT_FINITE = re.compile(r"[-+]?(?:nan|inf(?:inity)?)", re.IGNORECASE)


@final
@dataclass(frozen=True)
class Fault:
    """Something wrong with a line.  `column`: the header in question, or empty; `value`: the cell, or None."""

    line: int
    column: str
    message: str
    value: str | None = None


@final
@dataclass(frozen=True)
class BookRows:
    """The columns of a book as numbers: nan, or side 0, where a row says nothing."""

    lines: Ints
    ids: tuple[str, ...]
    side: Ints
    leverage: Floats
    collateral: Floats
    notional: Floats
    entry_price: Floats


@final
@dataclass(frozen=True)
class Headers:
    """Which column of the file is which fact: places by field; `unread`: headers nobody asked for."""

    place: Mapping[str, int]
    unread: tuple[str, ...]


def find_columns(table: BookTable, columns: BookColumns) -> tuple[Headers, list[tuple[str, str, str | None]]]:
    """Places of the columns; problems as (field of `columns`, message, suggestion).

    A header that the scenario names must be there, letter by letter.  The product's own names are found whatever their
    case, and with a space or a hyphen for the underscore.
    """
    plain = {re.sub(r"[\s-]+", "_", name).casefold(): place for place, name in reversed([*enumerate(table.header)])}
    place: dict[str, int] = {}
    problems: list[tuple[str, str, str | None]] = []
    for field in FIELDS:
        header = getattr(columns, field)
        if header is None:
            continue
        if header.strip() in table.header:
            place[field] = table.header.index(header.strip())
        elif header == field:
            if field in plain:
                place[field] = plain[field]
        else:
            names = [name for name in table.header if name]
            message = f"the file has no column {header!r}; {columns_in_words(table.header, table.rows)}"
            near = closest(header, names) if looks_like_a_table(table.header, table.rows) else None
            problems.append((field, message, near))
    unread = tuple(name for at, name in enumerate(table.header) if name and at not in place.values())
    return Headers(place, unread), problems


def read_rows(table: BookTable, headers: Headers, isolated: bool) -> tuple[BookRows, list[Fault]]:
    """All rows as numbers, and every fault of every line; `isolated`: whether collateral is the position's margin."""
    width = len(table.header)
    faults = [
        Fault(line, "", f"has {cells} cells; the header has {width} columns") for line, cells in table.ragged
    ]  # fmt: skip
    count = len(table.rows)
    values = {name: np.full(count, math.nan) for name in ("leverage", "collateral", "notional", "entry_price")}
    side = np.zeros(count, np.int64)
    readers: dict[str, Callable[[str], float]] = {
        "leverage": _leverage,
        "collateral": _collateral,
        "notional": _amount,
        "entry_price": _price,
    }
    for name, read in readers.items():
        if name in headers.place:
            column = headers.place[name]
            for row, cells in enumerate(table.rows):
                if cells[column]:
                    try:
                        values[name][row] = read(cells[column])
                    except ValueError as error:
                        faults.append(Fault(table.lines[row], table.header[column], str(error), cells[column]))
    if "side" in headers.place:
        column = headers.place["side"]
        for row, cells in enumerate(table.rows):
            found = SIDES.get(cells[column].casefold().replace("\u2212", "-")) if cells[column] else 0
            if found is None:
                message = "must be long or short (also buy, sell, b, s, +1, -1)"
                faults.append(Fault(table.lines[row], table.header[column], message, cells[column]))
            else:
                side[row] = found
    ids, doubles = _ids(table, headers)
    faults += doubles
    rows = BookRows(np.array(table.lines, np.int64), ids, side, **values)
    side, contradictions = _sides(rows, table, headers)
    faults += contradictions
    rows = BookRows(
        rows.lines, ids, side, rows.leverage, rows.collateral, np.abs(rows.notional), rows.entry_price
    )  # fmt: skip
    faults += _without_money(rows, table, headers)
    if isolated:
        faults += _disagreements(rows)
    return rows, sorted(faults, key=lambda fault: fault.line)


def _ids(table: BookTable, headers: Headers) -> tuple[tuple[str, ...], list[Fault]]:
    """What accounts are called: the id, or where there is none the line."""
    column = headers.place.get("id")
    ids: list[str] = []
    faults: list[Fault] = []
    first: dict[str, int] = {}
    for line, cells in zip(table.lines, table.rows, strict=True):
        own = cells[column] if column is not None else ""
        if own and column is not None:
            if own in first:
                faults.append(Fault(line, table.header[column], f"stands in line {first[own]} already", own))
            first.setdefault(own, line)
        ids.append(own or f"line {line}")
    return tuple(ids), faults


def _sides(rows: BookRows, table: BookTable, headers: Headers) -> tuple[Ints, list[Fault]]:
    """Sides as said, or else by the sign of the notional; a positive one says long only where others are negative."""
    negative, positive = rows.notional < 0, rows.notional > 0
    against = negative & (rows.side > 0)
    faults = [
        Fault(int(rows.lines[row]), table.header[headers.place["notional"]],
              "is negative, which means short, and the side says long", f"{rows.notional[row]:g}")
        for row in np.flatnonzero(against)
    ]  # fmt: skip
    signed = np.where(negative, -1, np.where(positive & negative.any(), 1, 0))
    return np.where(rows.side != 0, rows.side, signed).astype(np.int64), faults


def _without_money(rows: BookRows, table: BookTable, headers: Headers) -> list[Fault]:
    """Nothing can be behind a position but collateral; an account without a position may be empty."""
    if "collateral" not in headers.place:
        return []
    empty = (rows.collateral == 0) & ~(rows.notional == 0)
    header = table.header[headers.place["collateral"]]
    message = "must be above 0: the account holds a position"
    return [Fault(int(rows.lines[row]), header, message, "0") for row in np.flatnonzero(empty)]


def _disagreements(rows: BookRows) -> list[Fault]:
    """All three of leverage, collateral and notional, and they do not agree."""
    with np.errstate(over="ignore"):
        carried = rows.leverage * rows.collateral
    apart = (np.abs(carried - rows.notional) > AGREEMENT * rows.notional) & (rows.notional > 0)
    return [
        Fault(
            int(rows.lines[row]), "",
            f"leverage {rows.leverage[row]:g} times collateral {rows.collateral[row]:g} is {carried[row]:g}, and "
            f"notional says {rows.notional[row]:g}: they must agree within {AGREEMENT:.0%}; correct the line, or take "
            "two of the three (columns: {leverage: null})",
        )
        for row in np.flatnonzero(apart)
    ]  # fmt: skip


def _leverage(text: str) -> float:
    value = _number(text[:-1] if len(text) > 1 and text[-1] in "xX" else text)
    if not value >= LEAST_LEVERAGE:
        raise ValueError(f"must be at least {LEAST_LEVERAGE:g}")
    return value


def _collateral(text: str) -> float:
    value = _amount(text)
    if value < 0:
        raise ValueError("must not be negative")
    return value


def _price(text: str) -> float:
    value = _number(text)
    if not value > 0:
        raise ValueError("must be above 0")
    return value


def _amount(text: str) -> float:
    """Money may be written 20k or 1.5M, as everywhere."""
    if re.fullmatch(rf"{NUMBER}\s*(?:k|M|bn)", text):
        return parse_amount(text)
    return _number(text)


def _number(text: str) -> float:
    """A plain decimal number; ValueError says what to write instead."""
    text = text.replace("\u2212", "-")
    if _PLAIN.fullmatch(text):
        value = float(text)
        if not math.isfinite(value):
            raise ValueError("is too large")
        return value
    if _NOT_FINITE.fullmatch(text):
        raise ValueError("is not a finite number; leave the cell empty to have it drawn")
    if _SEPARATED.fullmatch(text):
        raise ValueError("has separators or a decimal comma; write digits and a point only, as 1234.5")
    if text.endswith("%"):
        raise ValueError("has a percent sign; write the plain number")
    raise ValueError("is not a number")
