"""Where records that a run keeps go (events, audit rows, orders): to memory, to Parquet files meanwhile, or nowhere."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, final

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.outside import disk
from marginquake.sim.core.records import AUDIT, COMMAND, EVENT, join, raw_copy
from marginquake.sim.runs.fingerprints import fingerprint

if TYPE_CHECKING:
    import pyarrow as pa


ROWS_PER_GROUP = 262_144
"""Events written at once: what a log on disk holds in memory, 16 MB."""
AUDIT_ROWS_PER_GROUP = 65_536
"""Audit rows written at once, 12 MB."""
ROWS_PER_PART = 20 * ROWS_PER_GROUP
"""Rows of one `events/<market>-NNNNN.parquet`, at most."""


class EventLog(Protocol):
    """Takes one market's events in order.  A log can be pickled after `settle`."""

    def append(self, events: NDArray[Any]) -> None:
        """Keep these EVENT rows; they are the log's from now on."""
        ...

    def settle(self) -> None:
        """Bring everything into a state that survives the process, together with a pickle of the log."""
        ...

    def move(self, folder: Path) -> None:
        """Go on in this folder as of the last `settle`: what was written there since is dropped."""
        ...

    def finish(self) -> NDArray[Any] | None:
        """Nothing more will come.  The rows, in order, if they are in memory."""
        ...


class PartChanged(ValueError):
    """A part of a log is not what was written; the message says which."""


OpenLog = Callable[..., EventLog]
"""A log for the market of that name: `open_log(market)` for events, `open_log(market, records=AUDIT)` for the audit,
`records=COMMAND` for the conditional orders that were sent."""
FOLDERS = {EVENT: "events", AUDIT: "audit", COMMAND: "conditional_orders"}
"""Where in a run directory records of each type are."""


def log_folder(run: Path, records: np.dtype[Any]) -> Path:
    """Where in a run directory records of this type are."""
    return run / FOLDERS[records]


def parts_of(folder: Path, market: str) -> list[Path]:
    """The parts of one market's log, in order; those of a market whose name begins like it are not among them."""
    return sorted(folder.glob(f"{market}-?????.parquet"))


def logs_in(run: Path, market: str, records: np.dtype[Any] = EVENT) -> "ParquetLog":
    """A log on disk in the directory of a run."""
    group_rows = AUDIT_ROWS_PER_GROUP if records == AUDIT else ROWS_PER_GROUP
    return ParquetLog(log_folder(run, records), market, group_rows, records=records)


@final
class MemoryLog:
    """Keeps events in memory: for short runs that are looked at in the same process."""

    def __init__(self, market: str, records: np.dtype[Any] = EVENT) -> None:
        self._records = records
        self._kept: list[NDArray[Any]] = []

    def append(self, events: NDArray[Any]) -> None:
        """Keep these EVENT rows."""
        self._kept.append(events)

    def settle(self) -> None:
        """What is in memory is in the pickle."""

    def move(self, folder: Path) -> None:
        """There is nothing on disk."""

    def finish(self) -> NDArray[Any]:
        """All rows, in order."""
        return np.concatenate(self._kept) if self._kept else np.empty(0, self._records)


@final
class NoLog:
    """Keeps nothing: where only digest, series and outcomes are wanted."""

    def __init__(self, market: str, records: np.dtype[Any] = EVENT) -> None:
        self.market = market
        self.records = records

    def append(self, events: NDArray[Any]) -> None:
        """Let them go."""

    def settle(self) -> None:
        """There is nothing to bring anywhere."""

    def move(self, folder: Path) -> None:
        """There is nothing on disk."""

    def finish(self) -> None:
        """There are no rows."""


STORED = {
    "_records", "_market", "_group_rows", "_part_rows", "_waiting", "_waiting_rows", "_part", "_rows_in_part",
    "_hashes",
}  # fmt: skip
"""Attributes of a log that survive the process."""
MARKET = re.compile(r"[A-Za-z][A-Za-z0-9_-]*\Z")
"""Names that markets have, as scenarios give them: files are called by them."""


@final
class ParquetLog:
    """Writes events to `<folder>/<market>-NNNNN.parquet` in row groups of `group_rows`, parts of `part_rows`.

    Row groups depend on the events alone.  Parts also end where the log is settled, so that all before is a complete
    file; where one part ends and the next begins means nothing.
    """

    def __init__(
        self,
        folder: Path,
        market: str,
        group_rows: int = ROWS_PER_GROUP,
        part_rows: int = ROWS_PER_PART,
        records: np.dtype[Any] = EVENT,
    ) -> None:
        self._records = records
        self._folder = folder
        self._market = market
        self._group_rows = group_rows
        self._part_rows = part_rows
        self._waiting: list[NDArray[Any]] = []
        self._waiting_rows = 0
        self._part = 0
        self._rows_in_part = 0
        self._hashes: list[str] = []
        self._writer: Any = None
        self._file: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """All but where it writes: what is stored knows no place until it is moved to one."""
        return {name: value for name, value in vars(self).items() if name not in ("_folder", "_writer", "_file")}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """As it was settled; it may come from a file that anybody has written."""
        if state.keys() != STORED or not MARKET.match(state["_market"]) or state["_part"] != len(state["_hashes"]):
            raise ValueError("the log of no market")
        vars(self).update(state)
        self._writer = self._file = None

    def append(self, events: NDArray[Any]) -> None:
        """Keep these rows; every `group_rows` of them go to disk."""
        self._waiting.append(events)
        self._waiting_rows += len(events)
        if self._waiting_rows >= self._group_rows:
            self._write_groups()

    def settle(self) -> None:
        """End the part that is being written; rows that fill no group yet stay in the log."""
        if self._writer is not None:
            self._end_part()

    def move(self, folder: Path) -> None:
        """Go on in `folder`; parts that were begun since the log was settled are deleted.  Raises `PartChanged`."""
        self._folder = folder
        for part, written in enumerate(self._hashes):
            path = self._place(part)
            if not path.is_file() or fingerprint(path)["sha256"] != written:
                raise PartChanged(f"{path}: {'has changed' if path.is_file() else 'is missing'} since its checkpoint")
        for path in parts_of(folder, self._market):
            if int(path.stem[-5:]) >= self._part:
                disk.delete(path)

    def finish(self) -> None:
        """Write the rest; a market without events has one part without rows."""
        rest = join(self._waiting, self._records) if self._waiting else np.empty(0, self._records)
        self._waiting, self._waiting_rows = [], 0
        if len(rest) or (self._part == 0 and self._writer is None):
            self._write(rest)
        self.settle()

    def _write_groups(self) -> None:
        rows = join(self._waiting, self._records)
        whole = len(rows) - len(rows) % self._group_rows
        for first in range(0, whole, self._group_rows):
            self._write(rows[first : first + self._group_rows])
        # A copy: a view would keep all the rows that have been written.
        self._waiting = [raw_copy(rows[whole:])] if whole < len(rows) else []
        self._waiting_rows = len(rows) - whole

    def _write(self, rows: NDArray[Any]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        names = self._records.names or ()
        table = pa.table({name: pa.array(np.ascontiguousarray(rows[name])) for name in names})
        if self._writer is None:
            disk.make_folders(self._folder)
            self._file = disk.create(self._path)
            self._writer = pq.ParquetWriter(self._file, table.schema, **encoding(table.schema))
        self._writer.write_table(table, row_group_size=max(1, len(rows)))
        self._rows_in_part += len(rows)
        if self._rows_in_part >= self._part_rows:
            self._end_part()

    @property
    def _path(self) -> Path:
        return self._place(self._part)

    def _place(self, part: int) -> Path:
        return self._folder / f"{self._market}-{part:05d}.parquet"

    def _end_part(self) -> None:
        self._writer.close()
        self._file.close()
        self._writer = self._file = None
        disk.sync(self._path)
        self._hashes.append(fingerprint(self._path)["sha256"])
        self._part += 1
        self._rows_in_part = 0


Column = NDArray[Any] | Sequence[str]


def write_parquet(path: Path, columns: Mapping[str, Column]) -> None:
    """One table, a column each, as one file of a folder that has no name yet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    with disk.create(path) as file:
        pq.write_table(table, file, **encoding(table.schema))


def encoding(schema: "pa.Schema") -> dict[str, Any]:
    """Options of a Parquet writer: small codes and text by dictionary, zstd on top."""
    import pyarrow as pa

    wide = [field.name for field in schema if pa.types.is_integer(field.type) and field.type.bit_width >= 32]
    return {
        "compression": "zstd",
        "compression_level": 1,
        "use_dictionary": [name for name in schema.names if name not in wide],
        "column_encoding": dict.fromkeys(wide, "DELTA_BINARY_PACKED"),
    }
