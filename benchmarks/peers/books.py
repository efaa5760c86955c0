"""Order books from PyPI on stream A beside our own bare book, each in a virtual environment made for it.

Every order has an owner of its own here, so that no rule on self-trades applies: all books make the same trades, and
the row of one that does not says so.  Ours takes the stream in one call, a peer by its own API, one call an operation.
Times are CPU seconds; every round times ours and each peer in turn.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from benchmarks.book import LADDER, POOL, RESTING, stream_a
from benchmarks.peers.environments import PeerMissing, run_driver
from benchmarks.peers.stream import CANCEL, LIMIT, MARKET
from benchmarks.rows import Row, missing
from marginquake.sim.core.records import OrderKind
from marginquake.sim.venue.matching_book import MatchingBook

OPERATIONS = 1_000_000
STREAM = Path("runs/bench/stream_a.bin")
PATIENCE_S = 10.0
"""A peer is stopped after so long; what it did by then counts."""


@final
@dataclass(frozen=True, slots=True)
class Peer:
    """A book on PyPI: its distribution, its driver, how many operations it is given, what we should reach beside it."""

    label: str
    distribution: str
    driver: str
    operations: int
    floor: float | None = None
    stretch: float | None = None


PEERS = (
    Peer("bourse", "bourse", "drive_bourse.py", 1_000_000, 20, 28),
    Peer("limit-order-book", "limit-order-book", "drive_limit_order_book.py", 1_000_000),
    Peer("lightmatchingengine", "lightmatchingengine", "drive_lightmatchingengine.py", 200_000, 150, 200),
    Peer("PAMS market", "pams", "drive_pams_market.py", 1_500, 50_000, 100_000),
)


@final
@dataclass(frozen=True, slots=True)
class Replayed:
    """What a book did: seconds for its operations, touch at the end, fills (None if it does not say)."""

    operations: int
    seconds: float
    best_bid: int
    best_ask: int
    fills: int | None
    version: str = ""

    @property
    def rate(self) -> float:
        """Operations a second."""
        return self.operations / self.seconds


def measure(repeat: int, operations: int = OPERATIONS) -> list[Row]:
    """Operations a second of our book and of every peer, and the ratios."""
    commands = own_accounts(stream_a(operations))
    write_stream(commands, STREAM)
    our_book(commands)  # compiles
    pairs: dict[str, list[tuple[Replayed, Replayed]]] = {peer.label: [] for peer in PEERS}
    reasons: dict[str, str] = {}
    for _ in range(repeat):
        ours = our_book(commands)
        for peer in PEERS:
            if peer.label in reasons:
                continue
            try:
                theirs = replay(peer, RESTING, min(operations, peer.operations))
            except PeerMissing as error:
                reasons[peer.label] = str(error)
            else:
                pairs[peer.label].append((ours, theirs))
    rows = [Row("our bare book, one call", our_book(commands).rate, "ops/s", note=f"{operations:,} operations")]
    for peer in PEERS:
        if peer.label in reasons:
            rows.append(missing(f"our book / {peer.label}", reasons[peer.label]))
            continue
        done = pairs[peer.label][-1][1].operations
        rows += rows_of(peer, pairs[peer.label], our_book(commands[: RESTING + done]))
    return rows


def own_accounts(commands: NDArray[Any]) -> NDArray[Any]:
    """The same orders, each of an account of its own."""
    commands["account"] = commands["order_id"]
    return commands


def our_book(commands: NDArray[Any]) -> Replayed:
    """One run of the bare book, the whole stream in one call after the resting orders."""
    book = MatchingBook(LADDER, POOL, log=False)
    book.process(commands[:RESTING])
    started = time.process_time()
    book.run(commands[RESTING:])
    seconds = time.process_time() - started
    return Replayed(len(commands) - RESTING, seconds, book.best_bid_ticks, book.best_ask_ticks, book.fills)


def write_stream(commands: NDArray[Any], path: Path) -> None:
    """Stream A as peers read it (benchmarks/peers/stream.py)."""
    rows = np.zeros((len(commands), 6), "<i8")
    kinds = {int(OrderKind.LIMIT): LIMIT, int(OrderKind.MARKET): MARKET, int(OrderKind.CANCEL): CANCEL}
    rows[:, 0] = np.vectorize(kinds.__getitem__)(commands["kind"].astype(int))
    for column, field in enumerate(("side", "order_id", "account", "price_ticks", "quantity_lots"), start=1):
        rows[:, column] = commands[field]
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.tofile(path)


def replay(peer: Peer, resting: int, operations: int) -> Replayed:
    """One run of a peer in a process of its own."""
    arguments = (str(STREAM), str(resting), str(operations), str(PATIENCE_S))
    said = run_driver(peer.distribution, peer.driver, *arguments)
    return Replayed(
        said["operations"], said["seconds"], said["best_bid"], said["best_ask"], said["fills"], said["version"]
    )


def rows_of(peer: Peer, pairs: Sequence[tuple[Replayed, Replayed]], reference: Replayed) -> list[Row]:
    """Speed of a peer and our ratio to it.  `pairs`: (ours, peer's) of each repetition; `reference`: our book after
    as many operations as the peer did."""
    peers = [theirs for _, theirs in pairs]
    last = peers[-1]
    rate = float(np.median([theirs.rate for theirs in peers]))
    ratio = float(np.median([ours.rate / theirs.rate for ours, theirs in pairs]))
    traded = "reports no fills" if last.fills is None else f"{last.fills:,} fills beside our {reference.fills:,}"
    same = (last.best_bid, last.best_ask) == (reference.best_bid, reference.best_ask)
    touch = f"touch at the end {last.best_bid:g}/{last.best_ask:g}" + (
        ", as ours" if same else f", ours {reference.best_bid}/{reference.best_ask}"
    )
    name = f"{peer.label} {last.version}"
    return [
        Row(name, rate, "ops/s", note=f"{last.operations:,} operations; {traded}; {touch}"),
        Row(f"our book / {peer.label}", ratio, "x", peer.floor, peer.stretch),
    ]


def main(argv: Sequence[str]) -> None:
    """Replay one peer on a few operations, for a look: `python -m benchmarks.peers.books NAME [OPERATIONS]`."""
    peer = next(peer for peer in PEERS if argv[0] in (peer.label, peer.distribution))
    operations = int(argv[1]) if len(argv) > 1 else peer.operations
    write_stream(own_accounts(stream_a(operations)), STREAM)
    print(replay(peer, RESTING, operations))


if __name__ == "__main__":
    main(sys.argv[1:])
