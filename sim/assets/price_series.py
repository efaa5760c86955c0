"""A price file as a series to measure: times, closing prices and volumes, row by row.

The columns, units and forms are those of a replay (`price_path`); order, gaps and rows given twice are for whoever
measures to judge.
"""

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import final, get_args

from marginquake.sim.assets.price_path import Format, PricePathError, prices_of, times_of
from marginquake.sim.assets.price_table import PRICE, TIME, ColumnError, Table, find_columns, find_volume, read_table
from marginquake.sim.assets.price_times import UNITS
from marginquake.sim.core.outside.bounded_files import read_bounded
from marginquake.sim.core.outside.columns import plain_number
from marginquake.sim.core.problems import closest


@final
@dataclass(frozen=True, slots=True)
class RecordedSeries:
    """Rows of a price file as they stand: ns, price (the close of a candle), volume (None where it has none).

    `price_name`, `volume_name`: of the columns, '' without one.
    """

    times_ns: tuple[int, ...]
    prices: tuple[float, ...]
    volumes: tuple[float, ...] | None
    price_name: str
    volume_name: str


def read_price_series(
    file: Path,
    form: str | None = None,
    time_column: str | None = None,
    price_column: str | None = None,
    volume_column: str | None = None,
) -> RecordedSeries:
    """Read a price file; `form`, `time_column` and `price_column` as in a replay.  Raises PricePathError."""
    if form is not None and form not in get_args(Format):
        known = ", ".join(get_args(Format))
        raise PricePathError(
            "format", f"no form {form!r} of price files; there are {known}", closest(form, get_args(Format))
        )
    is_unit = form in (*UNITS, "iso", "epoch")
    wanted = [name for name in (time_column, price_column, volume_column) if name is not None]
    try:
        table = read_table(read_bounded(file), str(file), wanted or [TIME, PRICE])
        if not table.rows:
            raise PricePathError("file", f"{file}: a header line and no rows")
        columns = find_columns(table, None if is_unit else form, time_column, price_column)
        volume = find_volume(table, columns, volume_column)
    except ColumnError as error:
        raise PricePathError(error.field, str(error), error.suggestion) from None
    except OSError as error:
        raise PricePathError("file", f"{file} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise PricePathError("file", f"{file} cannot be read: {error}") from None
    times, _ = times_of(table, columns, form if is_unit else None)
    return RecordedSeries(
        tuple(times),
        tuple(prices_of(table, columns.price)),
        None if volume is None else _volumes_of(table, volume),
        table.name(columns.price),
        "" if volume is None else table.name(volume),
    )


def _volumes_of(table: Table, column: int) -> tuple[float, ...]:
    volumes = []
    for text, line in zip(table.column(column), table.lines, strict=True):
        try:
            volume = plain_number(text)
        except ValueError:
            volume = math.nan
        if not 0.0 <= volume < math.inf:
            message = f"{table.file}:{line}: volume {text!r} must be a number, 0 or more ({table.name(column)})"
            raise PricePathError("volume_column", message)
        volumes.append(volume)
    return tuple(volumes)
