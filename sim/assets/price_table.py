"""A price file as a table: which character divides it, whether it has a header, which column is what."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time
from itertools import pairwise
from typing import Final, final

from marginquake.sim.assets.price_times import unit_by_size
from marginquake.sim.core.data_files import why_not_text
from marginquake.sim.core.fields import NUMBER
from marginquake.sim.core.outside.columns import columns_in_words, looks_like_a_table, too_wide
from marginquake.sim.core.problems import closest

TIME, PRICE = "time", "price"
"""The columns of a file of points, unless other names are said."""
COLUMN_ORDERS: Final = {
    "binance": ("time", "open", "high", "low", "close"),
    "coinbase": ("time", "low", "high", "open", "close"),
    "bitfinex": ("time", "open", "close", "high", "low"),
    "gate": ("time", "volume", "close", "high", "low", "open"),
}
"""First columns of exports without a header line.  Each comes with those that have the same order, below."""
SAME_ORDER: Final = {"bybit": "binance", "okx": "binance", "kraken": "binance", "kucoin": "bitfinex"}
EXPORTS: Final = (*COLUMN_ORDERS, *SAME_ORDER)
_STARTS: Final = (
    "time", "opentime", "opentimeutc", "klineopentime", "candlebegintime", "starttime", "startat", "start",
    "timeperiodstart", "periodstart", "timeopen", "beginsat", "bucket", "timestamp", "timestampms", "ts", "unix",
    "unixtime", "unixtimestamp", "epoch", "datetime", "datetimeutc", "timestamputc", "timeutc", "utctime", "gmttime",
    "snappedat", "t", "date", "dateutc",
)  # fmt: skip
"""Names of the time at which a candle begins, letters and digits only; the first that is there is taken."""
_ENDS: Final = ("closetime", "klineclosetime", "timeclose", "timeperiodend", "periodend", "endtime", "end")
_OPENS: Final = ("open", "openprice", "o", "priceopen")
_CLOSES: Final = ("close", "closeprice", "c", "priceclose", "last")
_HIGHS: Final = ("high", "highprice", "h", "pricehigh")
_PRICES: Final = (PRICE, "lastprice", "markprice", "indexprice")
_QUOTE_VOLUMES: Final = ("quotevolume", "quoteassetvolume", "volumequote", "volumeusd", "turnover", "amountquote")
_VOLUMES: Final = ("volume", "vol", "v", "basevolume", "baseassetvolume", "basevol")
_SIZES: Final = ("size", "qty", "quantity", "amount")
"""How names of a volume begin (`Volume BTC`), but `_SIZES` and the short ones, which are whole names."""
_LEAST_COLUMNS_OF_A_CANDLE: Final = 5
KLINE_COLUMNS: Final = 12
"""Only Binance's klines have as many."""
_TOP: Final = 100_000
"""Characters of a file in which its first lines are."""
_DELIMITERS: Final = (",", ";", "\t", "|")
_IS_NUMBER = re.compile(rf"\s*{NUMBER}\s*")
_LOOKS_LIKE_A_DATE = re.compile(r"\s*\d{1,4}[-./]\d\d?[-./]\d{1,4}([T ].*)?")


@final
class ColumnError(ValueError):
    """A column that is not there, or cannot be told.  `field`: the field of `index.fundamental` that mends it."""

    def __init__(self, field: str, message: str, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.suggestion = suggestion


@final
@dataclass(frozen=True, slots=True)
class Table:
    """Rows of texts with the line each ends on; `header` empty where the file has no header line (on `header_line`)."""

    file: str
    header: tuple[str, ...]
    header_line: int
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

    def column(self, position: int) -> list[str]:
        """The texts of a column, empty where a row ends before it."""
        return [row[position] if position < len(row) else "" for row in self.rows]

    def name(self, position: int) -> str:
        """A column's name, or its number where there are no names."""
        return self.header[position] if self.header else f"column {position + 1}"


@final
@dataclass(frozen=True, slots=True)
class Columns:
    """Where time and prices are.  `open` None: points, each price at its row's time; else candles.

    `clock`: the time of day, where it has a column beside that of the date.  `times_end`: a candle's time is its end.
    """

    time: int
    price: int
    open: int | None = None
    clock: int | None = None
    times_end: bool = False


def read_table(data: bytes, file: str, wanted: Sequence[str]) -> Table:
    """The rows of a CSV file: comma, semicolon, tab or bar; UTF-8, or UTF-16 with its mark; remarks on top left out.

    `wanted`: names that the header has if there is one.  Raises UnicodeDecodeError and csv.Error.
    """
    if (why := why_not_text(data)) is not None:
        raise ColumnError("file", f"{file} {why}")
    text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    if text.lstrip()[:1] in ("[", "{"):
        raise ColumnError("file", f"{file} is JSON; save it as CSV, a row for each candle or point")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text, wanted))
    found: list[tuple[tuple[str, ...], int]] = []
    for cells in reader:
        if (why := too_wide(len(cells))) is not None:
            raise ColumnError("file", f"{file}:{reader.line_num} {why}")
        if cells:
            found.append((tuple(cells), reader.line_num))
    while found and _is_remark(found[0][0], wanted):
        del found[0]
    if not found:
        raise ColumnError("file", f"{file} is empty")
    first, first_line = found[0]
    header: tuple[str, ...] = ()
    if not _is_data(first, wanted):
        header = tuple(name.strip() for name in first)
        del found[0]
        # yfinance writes the tickers and the name of the time below the names of the prices.
        while found and found[0][0][0] in ("Ticker", "Tickers", "Date", "Datetime"):
            row, _ = found.pop(0)
            header = (row[0] if row[0].startswith("Date") else header[0], *header[1:])
    return Table(file, header, first_line, tuple(row for row, _ in found), tuple(line for _, line in found))


def find_columns(table: Table, form: str | None, time: str | None, price: str | None) -> Columns:
    """The columns of a table, those named by the user first.

    `form`: `points`, `candles`, one of `EXPORTS`, or None: judged.  A price that is named, or called `price`, makes it
    points unless `form` says candles.  Raises ColumnError.
    """
    if not table.header:
        return _by_number(table, form, time, price)
    wants_candles = form is not None and form != "points"
    exact_price = PRICE in table.header
    opens, closes = _named(table, _OPENS), _named(table, _CLOSES)
    if closes is None and opens is not None and _named(table, _HIGHS) is not None and not exact_price:
        closes = _named(table, (PRICE,))
    is_candles = wants_candles or (
        form is None and price is None and not exact_price and opens is not None and closes is not None
    )
    at, clock, ends = _time_column(table, time)
    if not is_candles:
        return Columns(at, _price_column(table, price), None, clock)
    if opens is None:
        raise ColumnError("format", f"{table.file}:{table.header_line}: no column 'open'; {_has(table)}")
    chosen = _column(table, "price_column", price) if price is not None else closes
    if chosen is None:
        raise ColumnError("price_column", f"{table.file}:{table.header_line}: no column 'close'; {_has(table)}")
    return Columns(at, chosen, opens, clock, ends)


def find_volume(table: Table, columns: Columns, name: str | None) -> int | None:
    """The column of what was traded in each row: in quote currency where there is one, else any; None without one.

    `name`: the one that the user names.  Of a file without header, the column that follows those of `COLUMN_ORDERS`.
    """
    if name is not None:
        return _column(table, "volume_column", name)
    if table.header:
        plain = [_plain(name) for name in table.header]
        for begins in (_QUOTE_VOLUMES, _VOLUMES):
            for position, each in enumerate(plain):
                if any(each == start or (len(start) > 3 and each.startswith(start)) for start in begins):
                    return position
        return None if columns.open is not None else _named(table, _SIZES)
    if columns.open is None:
        return None
    order = COLUMN_ORDERS["gate" if (columns.price, columns.open) == (2, 5) else "binance"]
    if "volume" in order:
        return order.index("volume")
    return len(order) if len(table.rows[0]) > len(order) else None


def _time_column(table: Table, name: str | None) -> tuple[int, int | None, bool]:
    """The column of the time, that of the time of day if it stands apart, and whether it is the end of a candle."""
    if name is not None:
        at = _column(table, "time_column", name)
        return at, None, _plain(table.header[at]) in _ENDS
    date, clock = _named(table, ("date", "day")), _named(table, ("time", "timeofday"))
    if date is not None and clock is not None and table.rows and _is_clock(table.column(clock)[0]):
        return date, clock, False
    start = table.header.index(TIME) if TIME in table.header else _named(table, _STARTS)
    end = _named(table, _ENDS)
    if start is None and end is None:
        return _the_only_time(table), None, False
    return (start, None, False) if start is not None else (end or 0, None, True)


def _the_only_time(table: Table) -> int:
    """The column of times where none has a usual name (pandas writes an index without one): the only one of dates."""
    first = table.rows[0] if table.rows else ()
    found = [place for place, text in enumerate(first[: len(table.header)]) if unit_by_size(text) or _is_date(text)]
    if len(found) != 1:
        raise _no_column(table, "time_column", TIME)
    return found[0]


def _is_date(text: str) -> bool:
    return bool(_LOOKS_LIKE_A_DATE.fullmatch(text))


def _price_column(table: Table, name: str | None) -> int:
    if name is not None:
        return _column(table, "price_column", name)
    found = table.header.index(PRICE) if PRICE in table.header else _named(table, _PRICES)
    if found is None:
        why = _no_column(table, "price_column", PRICE)
        close = _named(table, _CLOSES)
        if close is not None and _is_told(table):
            # Without an open it is no candle, and only its owner knows whether the close acts at its row's time.
            message = (
                f"{why}; if {table.header[close]} acts at the time of its row, price_column: {table.header[close]}"
            )
            raise ColumnError("price_column", message)
        raise why
    return found


def _column(table: Table, field: str, name: str) -> int:
    """A column that somebody names: by its name, or by its number from 1."""
    if name in table.header:
        return table.header.index(name)
    width = len(table.header or table.rows[0])
    if name.isdecimal() and 1 <= int(name) <= width:
        return int(name) - 1
    if table.header:
        raise _no_column(table, field, name)
    message = f"{table.file}:{table.header_line}: the file has no header line; number its {width} columns: {field}: 1"
    raise ColumnError(field, message)


def _no_column(table: Table, field: str, name: str) -> ColumnError:
    message = f"{table.file}:{table.header_line}: no column {name!r}; {_has(table)}"
    return ColumnError(field, message, closest(name, table.header) if _is_told(table) else None)


def _has(table: Table) -> str:
    return columns_in_words(table.header, table.rows)


def _is_told(table: Table) -> bool:
    return looks_like_a_table(table.header, table.rows)


def _by_number(table: Table, form: str | None, time: str | None, price: str | None) -> Columns:
    """The columns of a file without a header line."""
    at = 0 if time is None else _column(table, "time_column", time)
    if form in EXPORTS:
        return _ordered(table, str(form), at, price)
    if price is not None and form != "candles":
        return Columns(at, _column(table, "price_column", price))
    width = len(table.rows[0])
    if width == 2 and form != "candles":
        return Columns(at, 1 - at)
    if form == "points" or width < _LEAST_COLUMNS_OF_A_CANDLE:
        message = f"{table.file}:{table.header_line}: no header line and {width} columns; write which is the price by "
        raise ColumnError("price_column", f"{message}its number, price_column: 2, say")
    if width - at == KLINE_COLUMNS:
        return _ordered(table, "binance", at, price)
    fitting = {name: _ordered(table, name, at, price) for name in COLUMN_ORDERS if _fits(table, name, at)}
    paths = {(tuple(table.column(c.price)), tuple(table.column(c.open or 0))) for c in fitting.values()}
    if len(paths) == 1:
        return next(iter(fitting.values()))
    what = (
        "are in several orders open, high, low and close"
        if paths
        else "are in no known order of open, high, low, close"
    )
    message = f"{table.file}:{table.header_line}: no header line, and the columns {what}; name whose export it is, "
    raise ColumnError("format", f"{message}format: {', '.join(EXPORTS)}, or price_column by its number")


def _ordered(table: Table, export: str, at: int, price: str | None) -> Columns:
    order = COLUMN_ORDERS[SAME_ORDER.get(export, export)]
    width = len(table.rows[0])
    if width < at + len(order):
        message = f"{table.file}:{table.header_line}: {width} columns; {export} writes {', '.join(order)} and more"
        raise ColumnError("format", message)
    close = at + order.index("close") if price is None else _column(table, "price_column", price)
    return Columns(at, close, at + order.index("open"))


def _fits(table: Table, export: str, at: int) -> bool:
    """Whether in this order of columns no price is above the high or below the low, in any row that has numbers."""
    order = COLUMN_ORDERS[export]
    width = len(table.rows[0]) - at
    if width < len(order) or (export == "gate" and width != len(order)):
        return False
    places = [at + order.index(name) for name in ("open", "high", "low", "close")]
    for row in table.rows:
        try:
            opened, high, low, closed = (float(row[place]) for place in places)
        except (ValueError, IndexError):
            continue  # said with its line when prices are read
        if not low <= min(opened, closed) <= max(opened, closed) <= high:
            return False
    return True


def _named(table: Table, names: Sequence[str]) -> int | None:
    """The column with one of these names, whatever its case and punctuation; the first of `names` that is there."""
    for plain in ([_plain(name) for name in table.header], [_without_unit(name) for name in table.header]):
        found = next((plain.index(name) for name in names if name in plain), None)
        if found is not None:
            return found
    return None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def _without_unit(name: str) -> str:
    """`open_time_utc` and `timestamp (ms)` are an open time and a timestamp."""
    return re.sub(r"(utc|gmt|ms|us|ns|sec|seconds|millis|usd|usdt)$", "", _plain(name))


def _delimiter(text: str, wanted: Sequence[str]) -> str:
    """The character that divides the first line which is no remark into most parts."""
    for line in text[:_TOP].splitlines():
        if line.startswith("sep=") and len(line) == len("sep=;"):
            return line[-1]
        cells = [cell.strip() for cell in line.split(",")]
        if all(name in cells for name in wanted):
            return ","
        if line.strip() and not _is_remark((line,), ()):
            return max(_DELIMITERS, key=lambda each: (line.count(each), each == ","))
    return ","


def _is_remark(row: Sequence[str], wanted: Sequence[str]) -> bool:
    start = row[0].strip().lower()
    is_blank = not any(cell.strip() for cell in row)
    return is_blank or (not set(wanted) & set(row) and start.startswith(("#", "http://", "https://", "sep=")))


def _is_data(row: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether a first line is no header: two of its cells or more are numbers or dates."""
    if set(wanted) & {cell.strip() for cell in row if not _IS_NUMBER.fullmatch(cell)}:
        return False
    return sum(bool(_IS_NUMBER.fullmatch(cell) or _is_date(cell)) for cell in row) >= 2


def _is_clock(text: str) -> bool:
    try:
        time.fromisoformat(text.strip())
    except ValueError:
        return False
    return ":" in text


def first_not_later(times: Sequence[int]) -> int | None:
    """The first place whose time is not later than the one before; None if all rise."""
    return next((place for place, (one, two) in enumerate(pairwise(times), start=1) if two <= one), None)
