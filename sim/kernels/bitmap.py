"""A set of small integers with "next above" and "next below" in a few instructions: three levels of 64-bit words.

One uint64 array: words 0-1 hold the offsets of levels 1 and 2, then the levels themselves.  A cascade empties
hundreds of price levels at once; finding the next one then costs the same as in calm.
"""

import numpy as np
from numpy.typing import NDArray

from sim.kernels import JIT, helper

if JIT:
    from numba.cpython.unsafe.numbers import leading_zeros, trailing_zeros
else:

    def trailing_zeros(x):  # type: ignore[no-untyped-def]
        """Index of the lowest set bit."""
        return (int(x) & -int(x)).bit_length() - 1

    def leading_zeros(x):  # type: ignore[no-untyped-def]
        """Number of zero bits above the highest set bit of a 64-bit word."""
        return 64 - int(x).bit_length()


_ONE = np.uint64(1)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_HEADER = 2


def make_bitmap(size: int) -> NDArray[np.uint64]:
    """An empty set of integers 0..size-1."""
    words0 = (size + 63) // 64
    words1 = (words0 + 63) // 64
    words2 = (words1 + 63) // 64
    bits = np.zeros(_HEADER + words0 + words1 + words2, np.uint64)
    bits[0] = _HEADER + words0
    bits[1] = _HEADER + words0 + words1
    return bits


@helper
def add(bits, i):  # type: ignore[no-untyped-def]
    """Put `i` into the set."""
    w0 = i >> 6
    w1 = i >> 12
    w2 = i >> 18
    bits[2 + w0] |= _ONE << np.uint64(i & 63)
    bits[np.int64(bits[0]) + w1] |= _ONE << np.uint64(w0 & 63)
    bits[np.int64(bits[1]) + w2] |= _ONE << np.uint64(w1 & 63)


@helper
def discard(bits, i):  # type: ignore[no-untyped-def]
    """Take `i` out of the set."""
    w0 = i >> 6
    bits[2 + w0] &= ~(_ONE << np.uint64(i & 63))
    if bits[2 + w0] == np.uint64(0):
        w1 = i >> 12
        p1 = np.int64(bits[0]) + w1
        bits[p1] &= ~(_ONE << np.uint64(w0 & 63))
        if bits[p1] == np.uint64(0):
            w2 = i >> 18
            p2 = np.int64(bits[1]) + w2
            bits[p2] &= ~(_ONE << np.uint64(w1 & 63))


@helper
def above(bits, i):  # type: ignore[no-untyped-def]
    """Smallest member >= i, or -1."""
    off1 = np.int64(bits[0])
    off2 = np.int64(bits[1])
    w0 = i >> 6
    if 2 + w0 >= off1:
        return np.int64(-1)
    word = bits[2 + w0] & (_ALL << np.uint64(i & 63))
    if word != np.uint64(0):
        return (w0 << 6) + np.int64(trailing_zeros(word))
    j = w0 + 1
    w1 = j >> 6
    if off1 + w1 >= off2:
        return np.int64(-1)
    word = bits[off1 + w1] & (_ALL << np.uint64(j & 63))
    if word == np.uint64(0):
        k = w1 + 1
        w2 = k >> 6
        if off2 + w2 >= bits.shape[0]:
            return np.int64(-1)
        word = bits[off2 + w2] & (_ALL << np.uint64(k & 63))
        while word == np.uint64(0):
            w2 += 1
            if off2 + w2 >= bits.shape[0]:
                return np.int64(-1)
            word = bits[off2 + w2]
        w1 = (w2 << 6) + np.int64(trailing_zeros(word))
        word = bits[off1 + w1]
    w0 = (w1 << 6) + np.int64(trailing_zeros(word))
    return (w0 << 6) + np.int64(trailing_zeros(bits[2 + w0]))


@helper
def below(bits, i):  # type: ignore[no-untyped-def]
    """Largest member <= i, or -1."""
    if i < 0:
        return np.int64(-1)
    off1 = np.int64(bits[0])
    off2 = np.int64(bits[1])
    w0 = i >> 6
    word = bits[2 + w0] & (_ALL >> np.uint64(63 - (i & 63)))
    if word != np.uint64(0):
        return (w0 << 6) + 63 - np.int64(leading_zeros(word))
    if w0 == 0:
        return np.int64(-1)
    j = w0 - 1
    w1 = j >> 6
    word = bits[off1 + w1] & (_ALL >> np.uint64(63 - (j & 63)))
    if word == np.uint64(0):
        if w1 == 0:
            return np.int64(-1)
        k = w1 - 1
        w2 = k >> 6
        word = bits[off2 + w2] & (_ALL >> np.uint64(63 - (k & 63)))
        while word == np.uint64(0):
            if w2 == 0:
                return np.int64(-1)
            w2 -= 1
            word = bits[off2 + w2]
        w1 = (w2 << 6) + 63 - np.int64(leading_zeros(word))
        word = bits[off1 + w1]
    w0 = (w1 << 6) + 63 - np.int64(leading_zeros(word))
    return (w0 << 6) + 63 - np.int64(leading_zeros(bits[2 + w0]))
