"""A run as LOBSTER message and order-book files (lobsterdata.com, "Output structure"; mapping: docs/events.md)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

import numpy as np

from marginquake.analysis.exports.event_book import BookEvent, EventBook
from marginquake.analysis.frames.market import SECOND_NS, MarketFrames
from marginquake.analysis.frames.run_frames import RunFrames
from marginquake.sim.core.contract import ContractSpec
from marginquake.sim.core.fields import parse_duration
from marginquake.sim.core.outside import disk
from marginquake.sim.core.records import COMMAND, EVENT
from marginquake.sim.runs.directory import RunDirectoryError, checked
from marginquake.sim.runs.event_log import log_folder, parts_of

if TYPE_CHECKING:
    import pyarrow.parquet as pq

PRICE_SCALE: Final = 10_000
"""Prices of LOBSTER are whole numbers: quote units times this."""
EMPTY_ASK, EMPTY_BID = "9999999999,0", "-9999999999,0"
"""Price and size of a level that the book does not have."""
DATE: Final = "1970-01-01"
ROWS_AT_ONCE: Final = 65_536
READ: Final = ("time_ns", "order_id", "maker_order_id", "quantity_lots", "price_ticks", "kind", "side")


@final
@dataclass(frozen=True)
class LobsterFiles:
    """Two files of one market, a row a message in each; `scale`: price in quote units times this is the file's."""

    messages: Path
    orderbook: Path
    rows: int
    scale: int


def lobster_paths(
    run: RunFrames, market: MarketFrames, folder: Path, levels: int, date: str = DATE
) -> tuple[Path, Path]:
    """`MARKET_DATE_START_END_message_LEVELS.csv` and its order book; START and END in milliseconds after midnight."""
    start_ns = _offset_ns(run)
    end_ms = (start_ns + parse_duration(str(run.scenario["duration"]))) // 1_000_000
    ticker = "".join(each if each.isalnum() else "-" for each in market.name)
    names = (f"{ticker}_{date}_0_{end_ms}_{kind}_{levels}.csv" for kind in ("message", "orderbook"))
    message, orderbook = (folder / name for name in names)
    return message, orderbook


def write_lobster(
    run: RunFrames, market: MarketFrames, folder: Path, levels: int = 10, date: str = DATE
) -> LobsterFiles:
    """Write the message and order-book file of one market, whole or not at all.

    Times are seconds after the beginning of the warm-up; sizes are lots; prices are quote units times 10,000, or times
    the next power of ten that makes a tick a whole number.  Raises `RunDirectoryError` where the run did not keep all
    events.
    """
    check_recorded(run, market)
    message, orderbook = lobster_paths(run, market, folder, levels, date)
    scale = price_scale(market.contract)
    per_tick = round(market.contract.tick_size * scale)
    rows = 0
    with (
        disk.written_aside(message, orderbook) as (one, other),
        disk.create(one) as messages,
        disk.create(other) as books,
    ):
        for message_line, book_line in _lines(run, market, levels, per_tick):
            messages.write(message_line.encode("ascii"))
            books.write(book_line.encode("ascii"))
            rows += 1
    return LobsterFiles(message, orderbook, rows, scale)


def check_recorded(run: RunFrames, market: MarketFrames) -> None:
    """Refuse a run that does not hold what the files need; `RunDirectoryError` says how to have it."""
    if missing := market.not_recorded("all"):
        raise RunDirectoryError(f"{run.path}: orders were {missing}")
    if not parts_of(log_folder(run.path, COMMAND), market.name):
        raise RunDirectoryError(
            f"{run.path}: does not say which orders are stops that wait outside the book (no conditional_orders/): "
            "made by an older marginquake; run the scenario again"
        )


def price_scale(contract: ContractSpec) -> int:
    """10,000, or the next power of ten that makes a tick of the contract a whole number."""
    scale = PRICE_SCALE
    while contract.tick_size * scale % 1:
        scale *= 10
    return scale


def units(run: RunFrames, market: MarketFrames, scale: int) -> str:
    """What time, size and price of the files mean, in one line."""
    contract = market.contract
    lot = f"{contract.lot_size} {'quote' if contract.inverse else 'base'} units"
    began = f"t = 0 of the run is second {_offset_ns(run) / SECOND_NS:g}"
    return (
        f"{market.name}: time from the beginning of the warm-up ({began}); size in lots of {lot}; price times {scale}"
    )


def _offset_ns(run: RunFrames) -> int:
    return parse_duration(str(run.scenario["warmup"]))


def _lines(run: RunFrames, market: MarketFrames, levels: int, per_tick: int) -> Iterator[tuple[str, str]]:
    """A line of each file for every change of the book."""
    waiting = _conditional(run.path, market.name)
    book, offset_ns = EventBook(waiting.__contains__), _offset_ns(run)
    sides = {side: _Side(book, side, levels, per_tick) for side in (-1, 1)}
    for change in book.apply(_events(run.path, market.name)):
        seconds, rest_ns = divmod(change.time_ns + offset_ns, SECOND_NS)
        message = (
            f"{seconds}.{rest_ns:09d},{change.kind},{change.order_id},{change.lots},{change.price_ticks * per_tick},"
            f"{change.side}\n"
        )
        sides[change.side].is_stale = True
        asks, bids = sides[-1].levels(), sides[1].levels()
        yield message, f"{','.join([each for pair in zip(asks, bids, strict=True) for each in pair])}\n"


@final
class _Side:
    """The best levels of one side as text, written again only when something has changed there."""

    def __init__(self, book: EventBook, side: int, count: int, per_tick: int) -> None:
        self._book, self._side, self._count, self._per_tick = book, side, count, per_tick
        self._text: list[str] = []
        self.is_stale = True

    def levels(self) -> Sequence[str]:
        if self.is_stale:
            found = [f"{price * self._per_tick},{lots}" for price, lots in self._book.levels(self._side, self._count)]
            self._text = found + [EMPTY_BID if self._side > 0 else EMPTY_ASK] * (self._count - len(found))
            self.is_stale = False
        return self._text


def _conditional(run: Path, market: str) -> set[int]:
    """Ids of all stops and take-profits that were sent."""
    found: set[int] = set()
    for file in _files(run, market, COMMAND):
        found.update(file.read(columns=["order_id"]).column(0).to_pylist())
    return found


def _events(run: Path, market: str) -> Iterator[BookEvent]:
    for file in _files(run, market, EVENT):
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=list(READ)):
            columns = (np.asarray(batch.column(name)).tolist() for name in READ)
            yield from map(BookEvent._make, zip(*columns, strict=True))


def _files(run: Path, market: str, records: "np.dtype[np.void]") -> "Iterator[pq.ParquetFile]":
    import pyarrow.parquet as pq

    return (pq.ParquetFile(checked(path)) for path in parts_of(log_folder(run, records), market))
