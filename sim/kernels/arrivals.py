"""The order of arrival: time, then a seeded draw, then place, packed into one integer a command."""

import numpy as np

from sim.kernels import helper, kernel
from sim.kernels.draws import unit

LEAST_TIE_BITS = 16
"""A packed key holds at least so much of a draw that two draws seldom agree in it."""

_MOST_TIE_BITS = 52
_BITS = 63


@helper
def _bit_length(n):  # type: ignore[no-untyped-def]
    bits = 0
    while n > 0:
        n >>= 1
        bits += 1
    return bits


@kernel
def pack(key, counter, commands, until_ns, tie_keys, ties, keys, waits):  # type: ignore[no-untyped-def]
    """Sort keys of the commands that arrive by `until_ns`, and the places of the others (`waits`).

    `ties[i]`: the draw at (counter, `tie_keys[account]`) of command i.  A key is, from the top: nanoseconds after the
    first arrival, the first bits of the draw, the place in `commands`.  Returns how many arrive, the bits of a place
    and the bits of a draw: fewer than `LEAST_TIE_BITS` if they spread over too much time to be packed (no keys then).
    """
    count = 0
    left = 0
    low = np.int64(0)
    high = np.int64(0)
    for i in range(commands.shape[0]):
        arrival = commands[i]["arrival_ns"]
        if arrival > until_ns:
            waits[left] = i
            left += 1
            continue
        low = min(low, arrival) if count > 0 else arrival
        high = max(high, arrival) if count > 0 else arrival
        count += 1
    place_bits = _bit_length(commands.shape[0] - 1)
    tie_bits = min(_MOST_TIE_BITS, _BITS - place_bits - _bit_length(high - low))
    scale = 2.0 ** max(tie_bits, 0) - 1.0
    n = 0
    for i in range(commands.shape[0]):
        c = commands[i]
        if c["arrival_ns"] <= until_ns:
            ties[i] = unit(key, counter, np.uint64(tie_keys[c["account"]]))
            if tie_bits >= LEAST_TIE_BITS:
                keys[n] = ((((c["arrival_ns"] - low) << tie_bits) + np.int64(ties[i] * scale)) << place_bits) + i
            n += 1
    return count, place_bits, tie_bits


@kernel
def unpack(commands, ties, keys, place_bits, out):  # type: ignore[no-untyped-def]
    """Put the commands of sorted keys in order.  Returns 1, or 0 at two commands that the draw, and not the bits of it
    in their keys, tells apart."""
    mask = (np.int64(1) << place_bits) - 1
    before = np.int64(-1)
    last = np.int64(0)
    for n in range(keys.shape[0]):
        i = keys[n] & mask
        upper = keys[n] >> place_bits
        if upper == before and ties[i] != ties[last]:
            return 0
        out[n] = commands[i]
        before = upper
        last = i
    return 1
