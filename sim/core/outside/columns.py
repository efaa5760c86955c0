"""What may be said of somebody's table: its columns, if it is one.

A scenario may name any file that its reader can read.  A message about a file that is no table of numbers must not show
what stands in it: it may be a list of passwords.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from marginquake.sim.core.fields import NUMBER

MAX_COLUMNS: Final = 1000
"""Of a table; wider ones are not read."""
_A_NAME: Final = re.compile(r"[^\W\d_][\w .()/%#-]{0,59}")
_LOOKED_AT: Final = 20
_NUMBER: Final = re.compile(rf"\s*{NUMBER}\s*")


def columns_in_words(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """`it has time, price`; of a file that does not look like a table of numbers below names, only that."""
    if looks_like_a_table(header, rows):
        return f"it has {', '.join(name for name in header if name)}"
    return "it does not look like a table: a line of names, and numbers below them"


def looks_like_a_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bool:
    """Names of columns that differ, and among the first rows one as wide with a number in it."""
    names = [name.strip() for name in header if name.strip()]
    if not names or len(set(names)) < len(names) or not all(_A_NAME.fullmatch(name) for name in names):
        return False
    return any(
        len(row) == len(header) and any(_NUMBER.fullmatch(cell) for cell in row) for row in islice(rows, _LOOKED_AT)
    )


def plain_number(text: str) -> float:
    """A number in a cell.  Python would read digits of every script, and `1_000`; ValueError for those."""
    if not text.isascii() or "_" in text:
        raise ValueError("not a number")
    return float(text)


def too_wide(columns: int) -> str | None:
    """What is wrong with a table of so many columns, if anything."""
    return f"has {columns:,} columns; at most {MAX_COLUMNS:,} are read" if columns > MAX_COLUMNS else None
