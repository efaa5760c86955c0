"""Pickling of a whole model: arrays that share memory share it again afterwards.

Plain pickle stores every NumPy view as an array of its own: an account table and a participant's read-only view of it
would go separate ways.  Here a view is stored as a place in its owner.
"""

import pickle
import sys
from typing import Any, final

import numpy as np
from numpy.typing import NDArray


@final
class ArrayPickler(pickle.Pickler):
    """Stores views as views, and compiled functions by name.  Read it with `pickle.load`."""

    def reducer_override(self, thing: Any) -> Any:
        """How to store `thing`; NotImplemented leaves it to pickle."""
        if type(thing) is np.ndarray and not thing.dtype.hasobject:
            return _reduce_array(thing)
        if type(thing).__module__.startswith("numba.") and _by_name(thing) is thing:
            return thing.__qualname__
        return NotImplemented


def _reduce_array(values: NDArray[Any]) -> Any:
    owner = values.base
    if type(owner) is np.ndarray and _is_plain(owner):
        offset = _address(values) - _address(owner)
        return _view, (owner, offset, values.shape, values.strides, values.dtype, values.flags.writeable)
    if not _is_plain(values):
        return NotImplemented
    order = "C" if values.flags.c_contiguous else "F"
    raw = pickle.PickleBuffer(values.reshape(-1, order="A").view(np.uint8).data) if values.size else b""
    return _array, (raw, values.shape, values.dtype, order, values.flags.writeable)


def _is_plain(values: NDArray[Any]) -> bool:
    """True for an array that is one block of memory."""
    return values.flags.c_contiguous or values.flags.f_contiguous


def _address(values: NDArray[Any]) -> int:
    address: int = values.__array_interface__["data"][0]
    return address


def _array(raw: Any, shape: tuple[int, ...], dtype: np.dtype[Any], order: Any, writeable: bool) -> NDArray[Any]:
    """An array that owns its memory."""
    values: NDArray[Any] = np.empty(shape, dtype, order)
    if values.size:
        values.reshape(-1, order="A").view(np.uint8)[:] = np.frombuffer(raw, np.uint8)
    values.flags.writeable = writeable
    return values


def _view(
    owner: NDArray[Any],
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    dtype: np.dtype[Any],
    writeable: bool,
) -> NDArray[Any]:
    """The place in `owner` that a view was of."""
    block = owner if owner.flags.c_contiguous else owner.T
    values: NDArray[Any] = np.ndarray(shape, dtype, block, offset, strides)
    if values.flags.writeable and not writeable:
        values.flags.writeable = False
    return values


def _by_name(thing: Any) -> Any:
    """What the module of a function knows by the function's name."""
    module = sys.modules.get(getattr(thing, "__module__", ""))
    return getattr(module, getattr(thing, "__qualname__", ""), None)
