"""The digest of an event stream, in a form that can be stopped, stored and gone on with.

Let b_1 ... b_n be the stream's bytes (`sim.core.records.packed`) in blocks of BLOCK_EVENTS events and r the rest,
shorter
than a block.  With c_0 empty and c_k = H(c_(k-1) + b_k), the digest is H(c_n + r); H is BLAKE2b of 16 bytes, + joins.
It depends on the events and their order only: not on steps, sample periods, buffers or interruptions.
"""

import hashlib
from typing import Any, final

from numpy.typing import NDArray

from marginquake.sim.core.records import PACKED_BYTES, packed

BLOCK_EVENTS = 131_072
BLOCK_BYTES = BLOCK_EVENTS * PACKED_BYTES


@final
class EventDigest:
    """Takes events as they come; its whole state is a chain value and less than one block of bytes."""

    def __init__(self) -> None:
        self._chain = b""
        self._rest = bytearray()

    def update(self, events: NDArray[Any]) -> None:
        """The next EVENT rows."""
        self._rest += packed(events)
        blocks = len(self._rest) // BLOCK_BYTES
        if blocks == 0:
            return
        with memoryview(self._rest) as view:
            for first in range(0, blocks * BLOCK_BYTES, BLOCK_BYTES):
                self._chain = _hash(self._chain, view[first : first + BLOCK_BYTES])
        del self._rest[: blocks * BLOCK_BYTES]

    def digest(self) -> bytes:
        """Digest of everything so far."""
        return _hash(self._chain, self._rest)


def _hash(chain: bytes, block: "bytearray | memoryview") -> bytes:
    whole = hashlib.blake2b(chain, digest_size=16)
    whole.update(block)
    return whole.digest()
