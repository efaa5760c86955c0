"""Where text of somebody else's leaves us for a program that reads more into it: one function for each such edge.

Names, questions, labels and ids are free text; so are file names and command lines.  A terminal obeys escape codes, a
spreadsheet computes what begins with `=`.  Nothing is lost: what is escaped can be read.  HTML is escaped by the pages'
templates, figures take no text for mathematics (`analysis.presentation`), command lines are joined by `shlex`.
"""

import csv
import io
import math
import re
from collections.abc import Iterable
from typing import Final, TextIO

_BEYOND_A_LINE: Final = (
    "\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f"  # controls of terminals, old and new, but for tab and line feed
    "\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069"  # what turns the direction of writing
    "\\u2028\\u2029\\ufeff\\ufff9-\\ufffb\\ud800-\\udfff"  # odd ends of lines, marks, halves of characters
    "\\U000e0000-\\U000e007f"  # tags, which nobody sees
)
_HARMFUL: Final = re.compile(f"[{_BEYOND_A_LINE}]")
_NO_LINE: Final = re.compile(f"[\\t\\n{_BEYOND_A_LINE}]")
_FORMULA: Final = re.compile("[=+\\-@＝＋－＠].")
"""How a cell begins that a spreadsheet takes for a formula."""


def terminal_text(text: object) -> str:
    """Text that a terminal shows and never obeys: `ESC[2J` comes out as `\\x1b[2J`.  Lines stay lines."""
    return _HARMFUL.sub(_escaped, str(text))


def say(text: object = "", *, file: TextIO | None = None, end: str = "\n", flush: bool = False) -> None:
    """`print` of one text for a terminal, or whatever stdout is; every line that we write goes through here or through
    the console of the command line."""
    print(terminal_text(text), file=file, end=end, flush=flush)


def one_line(text: object) -> str:
    """The same, on one line whatever is in it: a name with a line feed cannot add a line of its own to a message."""
    return _NO_LINE.sub(_escaped, str(text))


def csv_cell(value: object) -> object:
    """A cell that a spreadsheet does not take for a formula: texts that look like one get a `'` before them.

    Numbers stay as they are, also those written as text; of other texts a cell holds one line.
    """
    if not isinstance(value, str):
        return value
    text = one_line(value)
    return f"'{text}" if _FORMULA.match(text) and not _is_number(text) else text


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Rows of cells, the header first, as a CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([csv_cell(cell) for cell in row] for row in rows)
    return text.getvalue()


def markdown_cell(value: object) -> str:
    """A cell of a Markdown table."""
    return re.sub(r"([\\|<])", r"\\\1", one_line(value))


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    if found[0] in "\t\n\r":
        return {"\t": "\\t", "\n": "\\n", "\r": "\\r"}[found[0]]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _is_number(text: str) -> bool:
    """A number as Python writes it, or a spreadsheet: it computes nothing."""
    try:
        return not math.isnan(float(text)) or text.strip().lower() == "nan"
    except ValueError:
        return False
