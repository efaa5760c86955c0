"""A file of accounts as a table of text: CSV in the dialects that people have, or Parquet.

Nothing is guessed about values here: a cell is what stands in the file, and every row knows its line.
"""

import csv
import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from marginquake.sim.core.data_files import why_not_text
from marginquake.sim.core.outside.bounded_files import read_bounded
from marginquake.sim.core.outside.columns import too_wide

DELIMITERS: Final = (",", ";", "\t", "|")


@final
class BookFileError(ValueError):
    """A file that is no table at all.  `line`: where, 0 if it is the whole file."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


@final
@dataclass(frozen=True)
class BookTable:
    """Header and rows of text cells, as many as the header has.  `header_line`: where the header stands.

    `ragged`: lines with another number of cells, and how many; `empty`: lines with nothing in any of their cells.
    `digest`: of the whole file, as `Scenario.digest` counts input files.
    """

    digest: str
    header: tuple[str, ...]
    header_line: int
    lines: tuple[int, ...]
    rows: tuple[tuple[str, ...], ...]
    ragged: tuple[tuple[int, int], ...] = ()
    empty: tuple[int, ...] = ()


def read_book_table(path: Path) -> BookTable:
    """Read a file once.  Raises BookFileError where there is no table to be had."""
    try:
        content = read_bounded(path)
    except OSError as error:
        raise BookFileError(f"cannot be read: {error.strerror}") from None
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    if content[:4] == b"PAR1":
        return _parquet_table(content, digest)
    if (why := why_not_text(content)) is not None:
        raise BookFileError(why)
    return _csv_table(_text(content), digest)


def _text(content: bytes) -> str:
    """UTF-8, with or without a byte order mark; UTF-16 only with one."""
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise BookFileError("is not UTF-8 text; save it as CSV in UTF-8", line) from None
    if "\0" in text:
        raise BookFileError("is not text: it holds zero bytes", text[: text.index("\0")].count("\n") + 1)
    return text


def _csv_table(text: str, digest: str) -> BookTable:
    records = _records(text)
    header_line, header = next((record for record in records if any(cell.strip() for cell in record[1])), (0, []))
    if not header:
        raise BookFileError("is empty")
    names = tuple(name.strip() for name in header)
    _check_header(names, header_line)
    lines: list[int] = []
    rows: list[tuple[str, ...]] = []
    ragged: list[tuple[int, int]] = []
    empty: list[int] = []
    for line, cells in records:
        stripped = tuple(cell.strip() for cell in cells)
        if not any(stripped):
            empty.append(line)
        elif len(stripped) < len(names) or any(stripped[len(names) :]):
            ragged.append((line, len(stripped)))
        else:
            lines.append(line)
            rows.append(stripped[: len(names)])
    return BookTable(digest, names, header_line, tuple(lines), tuple(rows), tuple(ragged), tuple(empty))


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Records that are not blank lines, each with the line that it begins in; without the first line `sep=;` of
    spreadsheets."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), skipinitialspace=True, strict=True)
    line = 1
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise BookFileError(f"is no CSV from here on: {error}", line) from None
        if record and not (line == 1 and _names_delimiter(text)):
            yield line, record
        line = reader.line_num + 1


def _delimiter(text: str) -> str:
    """The one that the first line names (`sep=;`), or that the header has most of."""
    if _names_delimiter(text):
        return text[4]
    header = next((line for line in text.splitlines() if line.strip()), "")
    return max(DELIMITERS, key=header.count)


def _names_delimiter(text: str) -> bool:
    return re.match(r"sep=[,;\t|]\r?\n", text, re.IGNORECASE) is not None


def _check_header(names: tuple[str, ...], line: int) -> None:
    if (why := too_wide(len(names))) is not None:
        raise BookFileError(why, line)
    if all(_is_number(name) for name in names):
        raise BookFileError("must be a header, the names of the columns; it holds numbers", line)
    twice = next((place for place, name in enumerate(names) if name and name in names[:place]), None)
    if twice is not None:
        is_a_name = len(names[twice]) <= 60 and names[twice].replace("_", "").isalnum()
        called = repr(names[twice]) if is_a_name else f"as column {names.index(names[twice]) + 1} is"
        raise BookFileError(f"two columns are called {called}", line)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _parquet_table(content: bytes, digest: str) -> BookTable:
    """Rows of a Parquet file; its lines are counted from 1, the first row."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(io.BytesIO(content)).read()
    except (pa.ArrowException, OSError) as error:
        raise BookFileError(f"is no Parquet file that can be read: {error}") from None
    names = tuple(table.column_names)
    _check_header(names, 0)
    columns = [[_cell(value) for value in table.column(place).to_pylist()] for place in range(len(names))]
    rows = tuple(zip(*columns, strict=True))
    kept = [row for row, cells in enumerate(rows) if any(cells)]
    empty = tuple(row + 1 for row, cells in enumerate(rows) if not any(cells))
    return BookTable(digest, names, 0, tuple(row + 1 for row in kept), tuple(rows[row] for row in kept), (), empty)


def _cell(value: Any) -> str:
    """A value of a typed column as a person would write it; nothing for none."""
    if value is None:
        return ""
    return repr(value) if isinstance(value, float) else str(value).strip()
