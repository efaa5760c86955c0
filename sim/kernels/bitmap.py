"""A set of small integers with "next above" and "next below" in a few instructions: three levels of 64-bit words.

One uint64 array: words 0-1 hold the offsets of levels 1 and 2, then the levels themselves.  A cascade empties
hundreds of price levels at once; finding the next one then costs the same as in calm.

Places are unsigned throughout: numba looks for negative indices in signed ones.
"""

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.kernels import JIT, helper

if JIT:
    from numba.cpython.unsafe.numbers import leading_zeros, trailing_zeros
else:

    def trailing_zeros(x):
        """Index of the lowest set bit."""
        return (int(x) & -int(x)).bit_length() - 1

    def leading_zeros(x):
        """Number of zero bits above the highest set bit of a 64-bit word."""
        return 64 - int(x).bit_length()


_NONE = np.int64(-1)
_EMPTY = np.uint64(0)
_ONE = np.uint64(1)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_HEADER = 2
_FIRST = np.uint64(_HEADER)
_SHIFT = np.uint64(6)
_LOW = np.uint64(63)


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
def add(bits, i):
    """Put `i` into the set."""
    place = np.uint64(i)
    w0 = place >> _SHIFT
    word = bits[_FIRST + w0]
    bits[_FIRST + w0] = word | (_ONE << (place & _LOW))
    if word == _EMPTY:
        w1 = w0 >> _SHIFT
        p1 = bits[0] + w1
        word = bits[p1]
        bits[p1] = word | (_ONE << (w0 & _LOW))
        if word == _EMPTY:
            p2 = bits[1] + (w1 >> _SHIFT)
            bits[p2] = bits[p2] | (_ONE << (w1 & _LOW))


@helper
def discard(bits, i):
    """Take `i` out of the set."""
    place = np.uint64(i)
    w0 = place >> _SHIFT
    word = bits[_FIRST + w0] & ~(_ONE << (place & _LOW))
    bits[_FIRST + w0] = word
    if word == _EMPTY:
        w1 = w0 >> _SHIFT
        p1 = bits[0] + w1
        word = bits[p1] & ~(_ONE << (w0 & _LOW))
        bits[p1] = word
        if word == _EMPTY:
            p2 = bits[1] + (w1 >> _SHIFT)
            bits[p2] = bits[p2] & ~(_ONE << (w1 & _LOW))


@helper
def _lowest(word):
    return np.uint64(trailing_zeros(word))


@helper
def _highest(word):
    return _LOW - np.uint64(leading_zeros(word))


@helper
def above(bits, i):
    """Smallest member >= i, or -1."""
    place = np.uint64(i)
    w0 = place >> _SHIFT
    off1 = bits[0]
    if _FIRST + w0 >= off1:
        return _NONE
    word = bits[_FIRST + w0] & (_ALL << (place & _LOW))
    if word == _EMPTY:
        off2 = bits[1]
        j = w0 + _ONE
        w1 = j >> _SHIFT
        if off1 + w1 >= off2:
            return _NONE
        word = bits[off1 + w1] & (_ALL << (j & _LOW))
        if word == _EMPTY:
            end = np.uint64(bits.shape[0])
            k = w1 + _ONE
            w2 = k >> _SHIFT
            if off2 + w2 >= end:
                return _NONE
            word = bits[off2 + w2] & (_ALL << (k & _LOW))
            while word == _EMPTY:
                w2 += _ONE
                if off2 + w2 >= end:
                    return _NONE
                word = bits[off2 + w2]
            w1 = (w2 << _SHIFT) + _lowest(word)
            word = bits[off1 + w1]
        w0 = (w1 << _SHIFT) + _lowest(word)
        word = bits[_FIRST + w0]
    return np.int64((w0 << _SHIFT) + _lowest(word))


@helper
def below(bits, i):
    """Largest member <= i, or -1."""
    if i < 0:
        return _NONE
    place = np.uint64(i)
    w0 = place >> _SHIFT
    word = bits[_FIRST + w0] & (_ALL >> (_LOW - (place & _LOW)))
    if word == _EMPTY:
        if w0 == _EMPTY:
            return _NONE
        off1 = bits[0]
        j = w0 - _ONE
        w1 = j >> _SHIFT
        word = bits[off1 + w1] & (_ALL >> (_LOW - (j & _LOW)))
        if word == _EMPTY:
            if w1 == _EMPTY:
                return _NONE
            off2 = bits[1]
            k = w1 - _ONE
            w2 = k >> _SHIFT
            word = bits[off2 + w2] & (_ALL >> (_LOW - (k & _LOW)))
            while word == _EMPTY:
                if w2 == _EMPTY:
                    return _NONE
                w2 -= _ONE
                word = bits[off2 + w2]
            w1 = (w2 << _SHIFT) + _highest(word)
            word = bits[off1 + w1]
        w0 = (w1 << _SHIFT) + _highest(word)
        word = bits[_FIRST + w0]
    return np.int64((w0 << _SHIFT) + _highest(word))
