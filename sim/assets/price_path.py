"""Recorded price paths for `index.fundamental: {type: replay}`: from a CSV file to points that rise in time."""

import csv
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final, Literal, final

from pydantic import BeforeValidator, Field

from marginquake.sim.assets.price_table import (
    PRICE,
    TIME,
    ColumnError,
    Columns,
    Table,
    find_columns,
    first_not_later,
    read_table,
)
from marginquake.sim.assets.price_times import UNITS, TimeError, format_time, parse_start, read_times
from marginquake.sim.core.data_files import content_digest, read_content
from marginquake.sim.core.fields import MAX_DURATION_NS, DataFile, Duration, Fraction
from marginquake.sim.core.outside.columns import plain_number
from marginquake.sim.rules.registry import RuleBlock

KEPT_PATHS: Final = 4
"""Paths kept in memory, by the content of their file."""


def _as_text(value: Any) -> Any:
    """YAML reads `start: 150` and `price_column: 5` as numbers."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Name = Annotated[str, BeforeValidator(_as_text, json_schema_input_type=str | int | float)]
Format = Literal[
    "points", "candles", "binance", "bybit", "okx", "kraken", "coinbase", "bitfinex", "kucoin", "gate",
    "s", "ms", "us", "ns", "iso", "epoch",
]  # fmt: skip
TimeUnit = Literal["s", "ms", "us", "ns", "iso", "epoch"]


class FundamentalConfig(RuleBlock):
    """The block of a fundamental: `type` names it."""

    type: str = "gbm"


class ReplayConfig(FundamentalConfig):
    """A real path from CSV; between its points a seeded Brownian bridge."""

    type: Literal["replay"] = "replay"
    file: DataFile = Field(
        description="CSV, relative to the scenario file: points, or candles as exchanges export them"
    )
    format: Format | None = Field(
        None, description="Points, candles, whose export it is, or a unit of time; default judged by the file"
    )
    time_unit: TimeUnit | None = Field(None, description="Of the times; default judged by their size")
    time_column: Name | None = Field(None, description="Name, or number from 1; default `time`, else a usual name")
    price_column: Name | None = Field(
        None, description="Name, or number from 1; default `price`, else open and close of candles"
    )
    start: Name | None = Field(None, description="First time used; default the first of the file")
    rescale: bool = Field(True, description="Scale so that the path starts at contract.initial_price")
    bridge_volatility: Fraction = Field(0.6, ge=0, description="Per year, of the bridge between points; 0 = lines")
    points: int | None = Field(None, description="What the file was found to hold: another number is refused")
    span: Duration | None = Field(None, description="From the first to the last point as found: another is refused")
    sha256: str | None = Field(None, description="Of the file's content when it was read: another is refused")

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """One unit of time."""
        if self.format in (*UNITS, "iso", "epoch") and self.time_unit not in (None, self.format):
            yield "time_unit", f"`format` says {self.format}", str(self.time_unit)


@final
class PricePathError(ValueError):
    """A recording that cannot be replayed.  `field`: the field of `index.fundamental` that is to blame."""

    def __init__(self, field: str, message: str, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.suggestion = suggestion


@final
@dataclass(frozen=True, slots=True)
class Gap:
    """Rows that are missing: after the row on `line`, at `time_ns` as the file counts, for `length_ns`."""

    line: int
    time_ns: int
    length_ns: int
    missing: int


@final
@dataclass(frozen=True, slots=True)
class Recording:
    """What a price file was found to be.

    `format`: `points` or `candles`; `unit`: of its times; `interval_ns`: between most of its rows, 0 where they have no
    common distance; `unit_changes_at`: the line from which numbers are in another unit, else 0.
    """

    format: Literal["points", "candles"]
    unit: str
    rows: int
    first_ns: int
    last_ns: int
    interval_ns: int
    newest_first: bool
    time_name: str
    price_name: str
    first_time: str
    unit_changes_at: int
    gaps: tuple[Gap, ...]


@final
@dataclass(frozen=True)
class PricePath:
    """A recorded path: times in ns from its start (0 first, rising) and prices in quote units."""

    times_ns: tuple[int, ...]
    prices: tuple[float, ...]
    recording: Recording = field(compare=False, repr=False)
    sha256: str = field(compare=False)

    @property
    def span_ns(self) -> int:
        """From the first to the last point."""
        return self.times_ns[-1]


def load_price_path(config: ReplayConfig, folder: Path) -> PricePath:
    """Read a replay's CSV from `config.start` on; a start between two points is interpolated in log price.

    A row of a file of points says a price and the time at which it acts.  A candle's close acts at the end of its
    interval, when it became known; its open at its start, where no candle has just ended.  Raises PricePathError, and
    DataFileChanged where the content is not that of `config.sha256`.
    """
    file = folder / config.file
    try:
        sha256 = content_digest(file) if config.sha256 is None else config.sha256
        return _read_path(sha256, str(file), _Reading.of(config))
    except ColumnError as error:
        raise PricePathError(error.field, str(error), error.suggestion) from None
    except OSError as error:
        raise PricePathError("file", f"{file} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise PricePathError("file", f"{file} cannot be read: {error}") from None


@final
@dataclass(frozen=True, slots=True)
class _Reading:
    """The fields of a replay that decide what is read out of a file."""

    form: str | None
    unit: str | None
    time_column: str | None
    price_column: str | None
    start: str | None

    @classmethod
    def of(cls, config: ReplayConfig) -> "_Reading":
        names_a_unit = config.format in (*UNITS, "iso", "epoch")
        unit = config.time_unit or (config.format if names_a_unit else None)
        form = None if names_a_unit else config.format
        return cls(form, unit, config.time_column, config.price_column, config.start)


@lru_cache(maxsize=KEPT_PATHS)
def _read_path(sha256: str, file: str, reading: _Reading) -> PricePath:
    """The path in a file with this content."""
    wanted = [name for name in (reading.time_column, reading.price_column) if name is not None]
    table = read_table(read_content(file, sha256), file, wanted or [TIME, PRICE])
    if not table.rows:
        raise _too_short(file, reading)
    columns = find_columns(table, reading.form, reading.time_column, reading.price_column)
    stamps, unit = times_of(table, columns, reading.unit)
    table, stamps, newest_first = _oldest_first(table, columns, stamps)
    interval = _interval(stamps)
    if columns.open is None:
        times, prices = stamps, prices_of(table, columns.price)
    else:
        starts = [stamp - interval for stamp in stamps] if columns.times_end else stamps
        times, prices = _acting(starts, interval, prices_of(table, columns.open), prices_of(table, columns.price))
    if reading.start is not None and times:
        times, prices = _from(_start_ns(reading.start, unit), times, prices)
    if len(times) < 2 or len(table.rows) < 2:
        raise _too_short(file, reading)
    if times[-1] - times[0] > MAX_DURATION_NS:
        raise PricePathError("file", f"{file}: its times span more than the clock can count (146 years)")
    recording = Recording(
        format="points" if columns.open is None else "candles",
        unit=unit,
        rows=len(table.rows),
        first_ns=times[0],
        last_ns=times[-1],
        interval_ns=interval,
        newest_first=newest_first,
        time_name=table.name(columns.time),
        price_name=table.name(columns.price),
        first_time=table.column(columns.time)[0],
        unit_changes_at=_unit_changes_at(table, columns, unit),
        gaps=_gaps(table, stamps, interval, times[0]),
    )
    return PricePath(tuple(t - times[0] for t in times), tuple(prices), recording, sha256)


def _too_short(file: str, reading: _Reading) -> PricePathError:
    return PricePathError("file", f"{file}: a replay needs at least two points from {reading.start or 'the first'} on")


def _texts(table: Table, columns: Columns) -> list[str]:
    texts = table.column(columns.time)
    if columns.clock is None:
        return texts
    return [f"{date.strip()} {clock.strip()}" for date, clock in zip(texts, table.column(columns.clock), strict=True)]


def times_of(table: Table, columns: Columns, unit: str | None) -> tuple[list[int], str]:
    """ns of every row, and the unit they are in.  Raises PricePathError."""
    try:
        return read_times(_texts(table, columns), unit)
    except TimeError as error:
        raise PricePathError("file", f"{table.file}:{table.lines[error.place]}: {error}") from None


def _oldest_first(table: Table, columns: Columns, stamps: list[int]) -> tuple[Table, list[int], bool]:
    """Rows in order of time: as they are, or turned round where every time falls."""
    fault = first_not_later(stamps)
    if fault is None:
        return table, stamps, False
    falls = stamps[1] < stamps[0]
    turned = first_not_later(stamps[::-1]) if falls else None
    if falls and turned is None:
        rows, lines = table.rows[::-1], table.lines[::-1]
        return Table(table.file, table.header, table.header_line, rows, lines), stamps[::-1], True
    if falls:
        fault = next(place for place, (one, two) in enumerate(pairwise(stamps), start=1) if two >= one)
    text = _texts(table, columns)[fault]
    where = f"{table.file}:{table.lines[fault]}"
    if falls:
        message = f"times must rise, or fall from the first line to the last; {text!r} breaks the fall"
    else:
        is_twice = stamps[fault] == stamps[fault - 1]
        message = f"times must rise; {text!r} does not" + (": it is there twice" if is_twice else "; sort the file")
    raise PricePathError("file", f"{where}: {message}")


def _interval(stamps: Sequence[int]) -> int:
    """The distance between most rows, the shortest of several; 0 for a single row."""
    counts = Counter(two - one for one, two in pairwise(stamps))
    return min(counts, key=lambda length: (-counts[length], length)) if counts else 0


def _acting(
    starts: Sequence[int], interval: int, opens: Sequence[float], closes: Sequence[float]
) -> tuple[list[int], list[float]]:
    """Points of candles: each close at the end of its interval, an open where no candle has just ended."""
    times: list[int] = []
    prices: list[float] = []
    for place, start in enumerate(starts):
        if not times or start > times[-1]:
            times.append(start)
            prices.append(opens[place])
        following = starts[place + 1] if place + 1 < len(starts) else start + interval
        times.append(min(start + interval, following))
        prices.append(closes[place])
    return times, prices


def _gaps(table: Table, stamps: Sequence[int], interval: int, from_ns: int) -> tuple[Gap, ...]:
    """Where rows are missing from `from_ns` on, if half of them or more are one interval apart."""
    steps = [two - one for one, two in pairwise(stamps)]
    if not interval or 2 * steps.count(interval) < len(steps):
        return ()
    return tuple(
        Gap(table.lines[place], stamps[place], step, round(step / interval) - 1)
        for place, step in enumerate(steps)
        if step >= 2 * interval and stamps[place] + step > from_ns
    )


def _unit_changes_at(table: Table, columns: Columns, unit: str) -> int:
    if unit != "epoch":
        return 0
    texts = table.column(columns.time)
    lengths = [len(text.strip().split(".")[0]) for text in texts]
    place = next((place for place, length in enumerate(lengths) if length != lengths[0]), 0)
    return table.lines[place] if place else 0


def _start_ns(text: str, unit: str) -> int:
    time_ns = parse_start(text, unit)
    if time_ns is None:
        raise PricePathError("start", "must be a time like those of the file: seconds or ISO 8601")
    return time_ns


def prices_of(table: Table, column: int) -> list[float]:
    """The prices in a column, all positive.  Raises PricePathError."""
    texts = table.column(column)
    try:
        prices = [plain_number(text) for text in texts]
    except ValueError:
        prices = []
    if prices and min(prices) > 0.0 and math.isfinite(math.fsum(prices)):
        return prices
    return [_price(text, f"{table.file}:{line}") for text, line in zip(texts, table.lines, strict=True)]


def _price(text: str, where: str) -> float:
    try:
        price = plain_number(text)
    except ValueError:
        hint = "; write it with a decimal point and nothing between thousands" if "," in text else ""
        raise PricePathError("file", f"{where}: price {text!r} is not a number{hint}") from None
    if not (price > 0.0 and math.isfinite(price)):
        raise PricePathError("file", f"{where}: price {text!r} must be positive")
    return price


def _from(start_ns: int, times: list[int], prices: list[float]) -> tuple[list[int], list[float]]:
    first = bisect_right(times, start_ns)
    if first == 0 or first == len(times):
        recorded = f"{format_time(times[0])} to {format_time(times[-1])}"
        raise PricePathError("start", f"outside the recorded times, or at the last of them: {recorded}")
    before = first - 1
    share = (start_ns - times[before]) / (times[first] - times[before])
    log = math.log(prices[before]) + share * math.log(prices[first] / prices[before])
    price = prices[before] if share == 0.0 else math.exp(log)
    return [start_ns, *times[first:]], [price, *prices[first:]]
