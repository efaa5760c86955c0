"""Events, audit and conditional orders of a run with words for codes: categories that pandas and duckdb show."""

from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.records import (
    AUDIT,
    COMMAND,
    EVENT,
    AuditCause,
    Cause,
    EventKind,
    Flag,
    OrderKind,
    Reject,
    Side,
    Stage,
)
from marginquake.sim.runs.directory import checked
from marginquake.sim.runs.event_log import log_folder, parts_of

if TYPE_CHECKING:
    import pyarrow as pa


def _words(enum: type[IntEnum], **more: int) -> dict[int, str]:
    return {int(each): each.name for each in enum} | {code: word for word, code in more.items()}


_SIDES = _words(Side, NONE=0)
_FLAGS = {
    code: " | ".join(str(flag.name) for flag in Flag if flag & code) or "NONE"
    for code in range(1 + sum(int(flag) for flag in Flag))
}
WORDS: Final[Mapping[np.dtype[Any], Mapping[str, Mapping[int, str]]]] = {
    EVENT: {"kind": _words(EventKind), "side": _SIDES, "cause": _words(Cause), "reason": _words(Reject)},
    AUDIT: {"from_stage": _words(Stage), "to_stage": _words(Stage), "cause": _words(AuditCause)},
    COMMAND: {"kind": _words(OrderKind), "side": _SIDES, "flags": _FLAGS, "cause": _words(Cause)},
}
"""Of each type of record: the columns that hold codes, and the word of each code (docs/events.md)."""


def labelled_parts(run: Path, markets: Sequence[str], records: np.dtype[Any] = EVENT) -> "Iterator[pa.Table]":
    """What a run directory holds of these markets, in order, a table for each row group: at most 262,144 rows at once.

    The columns of the record, those of `WORDS` as dictionaries of words, and `market` before them.  A code without a
    word (of a newer model) is null.  The files themselves keep their codes: other programs read them.
    """
    import pyarrow.parquet as pq

    for market in markets:
        for path in parts_of(log_folder(run, records), market):
            file = pq.ParquetFile(checked(path))
            for group in range(file.num_row_groups):
                yield labelled(file.read_row_group(group), market, markets, records)


def labelled(table: "pa.Table", market: str, markets: Sequence[str], records: np.dtype[Any] = EVENT) -> "pa.Table":
    """One market's table of codes with words."""
    import pyarrow as pa

    place = np.full(table.num_rows, list(markets).index(market), np.int8)
    columns: dict[str, Any] = {"market": pa.DictionaryArray.from_arrays(pa.array(place), pa.array(list(markets)))}
    for name in table.column_names:
        words = WORDS[records].get(name)
        column = table.column(name)
        columns[name] = column if words is None else _in_words(np.asarray(column), words)
    return pa.table(columns)


def empty(markets: Sequence[str], records: np.dtype[Any] = EVENT) -> "pa.Table":
    """A table without rows."""
    import pyarrow as pa

    rows = np.empty(0, records)
    table = pa.table({name: pa.array(rows[name]) for name in records.names or ()})
    return labelled(table, markets[0], markets, records)


def _in_words(codes: NDArray[Any], words: Mapping[int, str]) -> Any:
    import pyarrow as pa

    least = min(words)
    places = np.full(max(words) - least + 1, -1, np.int8)
    places[np.array(list(words)) - least] = np.arange(len(words))
    whole = codes.astype(np.int64) - least
    known = (whole >= 0) & (whole < len(places))
    found = np.where(known, places[np.where(known, whole, 0)], -1).astype(np.int8)
    return pa.DictionaryArray.from_arrays(pa.array(found, mask=found < 0), pa.array(list(words.values())))
