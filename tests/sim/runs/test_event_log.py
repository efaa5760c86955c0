"""Events go to disk while a run goes on; what is on disk does not depend on how they came."""

import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from marginquake.sim.core import records
from marginquake.sim.core.records import EVENT, packed
from marginquake.sim.recording import digest as event_digest
from marginquake.sim.recording.digest import EventDigest
from marginquake.sim.runs.event_log import MemoryLog, NoLog, ParquetLog, parts_of

Events = np.ndarray[Any, Any]


def some_events(count: int, first: int = 0) -> Events:
    events = np.zeros(count, EVENT)
    events["time_ns"] = first + np.arange(count)
    events["quantity_lots"] = 1 + events["time_ns"] % 7
    return events


def log_in(folder: Path, group_rows: int = 100, part_rows: int = 300) -> ParquetLog:
    folder.mkdir(exist_ok=True)
    return ParquetLog(folder, "main", group_rows, part_rows)


def feed(log: ParquetLog, count: int, batch: int, first: int = 0) -> None:
    for start in range(first, first + count, batch):
        log.append(some_events(min(batch, first + count - start), start))


def times(folder: Path) -> list[int]:
    return [t for path in sorted(folder.iterdir()) for t in pq.read_table(path)["time_ns"].to_pylist()]


def groups(folder: Path) -> list[int]:
    """Rows of every row group, file after file."""
    files = [pq.ParquetFile(path).metadata for path in sorted(folder.iterdir())]
    return [meta.row_group(k).num_rows for meta in files for k in range(meta.num_row_groups)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_market_whose_name_begins_like_another_has_files_of_its_own(tmp_path: Path) -> None:
    for market in ("btc", "btc-alt", "btc-00000"):
        log = ParquetLog(tmp_path, market, 100, 300)
        feed(log, 400, 100)
        log.finish()
    for market in ("btc", "btc-alt", "btc-00000"):
        expected = [f"{market}-00000.parquet", f"{market}-00001.parquet"]
        assert [path.name for path in parts_of(tmp_path, market)] == expected


@pytest.mark.parametrize("batch", [1, 7, 100, 1000])
def test_files_hold_all_events_in_order_however_they_came(tmp_path: Path, batch: int) -> None:
    log = log_in(tmp_path / "events")
    feed(log, 1000, batch)
    assert log.finish() is None
    assert times(tmp_path / "events") == list(range(1000))
    assert names(tmp_path / "events") == [f"main-{part:05d}.parquet" for part in range(4)]
    assert groups(tmp_path / "events") == [100] * 10


def test_a_log_holds_less_than_a_group_after_any_append(tmp_path: Path) -> None:
    log = log_in(tmp_path / "events")
    held = []
    for first in range(0, 5000, 250):
        log.append(some_events(250, first))
        held.append(len(pickle.dumps(log._waiting)))
    assert max(held) < 120 * EVENT.itemsize


def test_a_market_without_events_has_one_file_without_rows(tmp_path: Path) -> None:
    log_in(tmp_path / "events").finish()
    assert names(tmp_path / "events") == ["main-00000.parquet"]
    table = pq.read_table(tmp_path / "events" / "main-00000.parquet")
    assert (table.num_rows, table.column_names) == (0, list(EVENT.names or ()))


def test_a_settled_log_goes_on_in_another_place_and_drops_what_was_written_since(tmp_path: Path) -> None:
    folder = tmp_path / "events"
    log = log_in(folder)
    feed(log, 430, 10)
    log.settle()
    stored = pickle.dumps(log)
    feed(log, 500, 10, first=430)
    (folder / "main-other-00007.parquet").write_text("another market's")
    moved = folder.rename(tmp_path / "moved")
    again: ParquetLog = pickle.loads(stored)
    again.move(moved)
    assert names(moved) == ["main-00000.parquet", "main-00001.parquet", "main-other-00007.parquet"]
    (moved / "main-other-00007.parquet").unlink()
    feed(again, 570, 33, first=430)
    again.finish()
    assert times(moved) == list(range(1000))
    assert groups(moved) == [100] * 10, "row groups are those of a log that nobody stopped"


def test_events_in_memory_are_given_back_and_dropped_ones_are_not() -> None:
    kept, dropped = MemoryLog("main"), NoLog("main")
    for log in (kept, dropped):
        log.append(some_events(3))
        log.append(some_events(2, 3))
    assert kept.finish()["time_ns"].tolist() == [0, 1, 2, 3, 4]
    assert dropped.finish() is None
    assert len(MemoryLog("main").finish()) == 0


# ---- the digest ----------------------------------------------------------------------------------------------------


def chained(events: Events, block: int) -> bytes:
    """The definition of docs/events.md, word for word."""
    chain = b""
    while len(events) >= block:
        chain = hashlib.blake2b(chain + packed(events[:block]), digest_size=16).digest()
        events = events[block:]
    return hashlib.blake2b(chain + packed(events), digest_size=16).digest()


@pytest.fixture
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_digest, "BLOCK_BYTES", 100 * records.PACKED_BYTES)


@pytest.mark.usefixtures("_small_blocks")
@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 1000])
@pytest.mark.parametrize("batch", [1, 7, 100, 250])
def test_the_digest_is_a_chain_over_blocks_however_events_come(count: int, batch: int) -> None:
    digest = EventDigest()
    for first in range(0, count, batch):
        digest.update(some_events(min(batch, count - first), first))
    assert digest.digest() == chained(some_events(count), 100)


@pytest.mark.usefixtures("_small_blocks")
def test_a_stored_digest_goes_on_as_if_nothing_had_happened() -> None:
    whole, stopped = EventDigest(), EventDigest()
    whole.update(some_events(777))
    stopped.update(some_events(345))
    stopped = pickle.loads(pickle.dumps(stopped))
    stopped.update(some_events(432, 345))
    assert stopped.digest() == whole.digest()


def test_a_stream_shorter_than_a_block_has_its_plain_hash() -> None:
    digest = EventDigest()
    digest.update(some_events(1000))
    assert digest.digest() == hashlib.blake2b(packed(some_events(1000)), digest_size=16).digest()


def test_padding_does_not_count() -> None:
    events, dirty = some_events(5), some_events(5)
    dirty.view(np.uint8).reshape(5, -1)[:, records.PACKED_BYTES :] = 0xFF
    digests = [EventDigest(), EventDigest()]
    for digest, rows in zip(digests, (events, dirty), strict=True):
        digest.update(rows)
    assert digests[0].digest() == digests[1].digest()
