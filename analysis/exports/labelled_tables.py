"""Events, audit log or conditional orders as one file with words for codes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from marginquake.analysis.frames.labelled_events import empty, labelled_parts
from marginquake.analysis.frames.run_frames import RunFrames
from marginquake.sim.core.outside import disk
from marginquake.sim.core.outside.edges import csv_cell
from marginquake.sim.core.records import COMMAND, EVENT
from marginquake.sim.runs.directory import RunDirectoryError
from marginquake.sim.runs.event_log import encoding, log_folder


def write_labelled(run: RunFrames, markets: Sequence[str], path: Path, records: "np.dtype[Any]" = EVENT) -> int:
    """Write what the run holds of these markets as Parquet or, where the name ends so, CSV; returns the rows.

    Words are dictionary columns in Parquet: pandas reads categories, duckdb and polars text.  Raises
    `RunDirectoryError` where the run kept none.
    """
    if not log_folder(run.path, records).is_dir():
        level = "all" if records == COMMAND else "liquidations"
        raise RunDirectoryError(
            f"{run.path}: has no {log_folder(run.path, records).name}/; run with record.events: {level}"
        )
    with disk.written_aside(path) as aside:
        return _write(run, markets, aside, path.suffix.lower() == ".csv", records)


def _write(run: RunFrames, markets: Sequence[str], path: Path, as_csv: bool, records: "np.dtype[Any]") -> int:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    schema = empty(list(run.markets), records).schema
    if as_csv:
        plain = pa.schema([(field.name, pa.string() if _is_words(field) else field.type) for field in schema])
        open_writer: Any = pyarrow.csv.CSVWriter
        options: dict[str, Any] = {}
    else:
        plain, open_writer, options = schema, pq.ParquetWriter, encoding(schema)
    rows = 0
    with disk.create(path) as file, open_writer(file, plain, **options) as writer:
        for table in labelled_parts(run.path, markets, records):
            writer.write_table((_for_spreadsheets(table) if as_csv else table).cast(plain))
            rows += table.num_rows
    return rows


def _for_spreadsheets(table: Any) -> Any:
    """The table with words that no spreadsheet computes."""
    import pyarrow as pa

    for place, field in enumerate(table.schema):
        if _is_words(field):
            chunks = [
                pa.DictionaryArray.from_arrays(chunk.indices, pa.array(map(csv_cell, chunk.dictionary.to_pylist())))
                for chunk in table.column(place).chunks
            ]
            table = table.set_column(
                place, field.name, pa.chunked_array(chunks, pa.dictionary(field.type.index_type, pa.string()))
            )
    return table


def _is_words(field: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_dictionary(field.type))
