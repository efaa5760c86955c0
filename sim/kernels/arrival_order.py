"""The order of arrival: time, then a seeded draw, then place.

Few commands are sorted here, many by their keys: the three packed into one integer a command.
"""

import numpy as np

from marginquake.sim.kernels import helper, kernel
from marginquake.sim.kernels.draws import unit

LEAST_TIE_BITS = 16
"""A packed key holds at least so much of a draw that two draws seldom agree in it."""

FEW = 32
"""So many commands are sorted by insertion, which is faster than another call."""

_MOST_TIE_BITS = 52
_BITS = 63
_FEW = np.int64(FEW)


@helper
def _bit_length(n):
    bits = 0
    while n > 0:
        n >>= 1
        bits += 1
    return bits


@helper
def _insert(said, ties, places, count, i):
    """Enter place `i` among the first `count` of `places`, which stand in order of arrival."""
    arrival = said[i]["arrival_ns"]
    n = count
    while n > 0:
        before = places[n - 1]
        other = said[before]["arrival_ns"]
        if other < arrival or (other == arrival and ties[before] <= ties[i]):
            break
        places[n] = before
        n -= 1
    places[n] = i


@helper
def _compact(said, written, until_ns):
    """Move those that arrive later to the front, in their order; returns how many."""
    left = 0
    for i in range(written):
        if said[i]["arrival_ns"] > until_ns:
            if left < i:
                said[left] = said[i]
            left += 1
    return left


@kernel
def collect(key, counter, said, written, until_ns, tie_keys, ties, keys, due):
    """Those of the first `written` commands that arrive by `until_ns`: a few go to `due` in order of arrival, and
    what waits moves to the front of `said`; of many only the sort keys are made.

    `ties[i]`: the draw at (counter, `tie_keys[account]`) of command i.  A key is, from the top: nanoseconds after the
    first arrival, the first bits of the draw, the place in `said`.  Returns how many arrive, how many wait (-1: the
    keys have to be sorted first), the bits of a draw in a key: fewer than `LEAST_TIE_BITS` if the arrivals spread over
    too much time to be packed (no keys then).
    """
    count = 0
    low = np.int64(0)
    high = np.int64(0)
    for i in range(written):
        arrival = said[i]["arrival_ns"]
        if arrival > until_ns:
            continue
        low = min(low, arrival) if count > 0 else arrival
        high = max(high, arrival) if count > 0 else arrival
        ties[i] = unit(key, counter, np.uint64(tie_keys[said[i]["account"]]))
        if count < _FEW:
            _insert(said, ties, keys, count, i)
        count += 1
    if count <= _FEW:
        for n in range(count):
            due[n] = said[keys[n]]
        return count, 0 if count == written else _compact(said, written, until_ns), 0
    place_bits = _bit_length(written - 1)
    tie_bits = min(_MOST_TIE_BITS, _BITS - place_bits - _bit_length(high - low))
    if tie_bits >= LEAST_TIE_BITS:
        scale = 2.0**tie_bits - 1.0
        n = 0
        for i in range(written):
            arrival = said[i]["arrival_ns"]
            if arrival <= until_ns:
                keys[n] = ((((arrival - low) << tie_bits) + np.int64(ties[i] * scale)) << place_bits) + i
                n += 1
    return count, -1, tie_bits


@kernel
def unpack(said, ties, keys, place_bits, due):
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
        due[n] = said[i]
        before = upper
        last = i
    return 1


@kernel
def compact(said, written, until_ns):
    """`_compact` for Python."""
    return _compact(said, written, until_ns)
