"""How a model becomes a pickle: views stay views, and whatever needs a call to come back names a builder from here.

A pickle may call any function that it names.  Ours name builders alone (docs/trust.md): each makes one kind of thing
from plain values, checks them, and does nothing else.  `sim/runs/unpickler.py` reads the pickle and calls no others.
"""

import math
import pickle
import random
import re
import sys
from array import array
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from pathlib import Path, PurePath
from types import FunctionType, MethodType
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from marginquake.sim.core.plugins import is_listed
from marginquake.sim.runs.admitted import METHODS, NotAdmitted

PLAIN_DTYPE: Final = re.compile(r"[<>|=][?bBiufcSUVmM]\d{1,9}(\[\w{1,12}\])?\Z")
"""As NumPy writes the type of a number, text or date: never of Python's objects."""
BIT_GENERATORS: Final = ("PCG64", "PCG64DXSM")
FACTORIES: Final[Mapping[str, type[Any]]] = {kind.__name__: kind for kind in (list, dict, set, int, float)}
LONGEST_NUMBER: Final = 1_000
"""Digits of a decimal number, 32-bit words of a seed."""


@final
class ArrayPickler(pickle.Pickler):
    """Stores views as views, and compiled functions by name.  Read it with `sim/runs/unpickler.py`."""

    def reducer_override(self, thing: Any) -> Any:
        """How to store `thing`; NotImplemented leaves it to pickle."""
        kind = type(thing)
        if kind is np.ndarray:
            return NotImplemented if thing.dtype.hasobject else _reduce_array(thing)
        reduce = _REDUCERS.get(kind)
        if reduce is not None:
            return reduce(thing)
        if isinstance(thing, np.generic):
            return build_scalar, (thing.dtype, thing.tobytes())
        if isinstance(thing, np.dtype):
            return NotImplemented if thing.hasobject else _reduce_dtype(thing)
        if isinstance(thing, Enum):
            return build_member, (kind, thing.name)
        if isinstance(thing, PurePath):
            return build_path, (str(thing),)
        if kind.__module__.startswith("numba.") and _by_name(thing) is thing:
            return thing.__qualname__
        return NotImplemented


# ---- arrays ---------------------------------------------------------------------------------------------------------


def _reduce_array(values: NDArray[Any]) -> Any:
    owner = values.base
    if type(owner) is np.ndarray and _is_plain(owner):
        offset = _address(values) - _address(owner)
        return build_view, (owner, offset, values.shape, values.strides, values.dtype, values.flags.writeable)
    if not _is_plain(values):
        values = values.copy()
    order = "C" if values.flags.c_contiguous else "F"
    raw = pickle.PickleBuffer(values.reshape(-1, order="A").view(np.uint8).data) if values.size else b""
    return build_array, (raw, values.shape, values.dtype, order, values.flags.writeable)


def _is_plain(values: NDArray[Any]) -> bool:
    """True for an array that is one block of memory."""
    return values.flags.c_contiguous or values.flags.f_contiguous


def _address(values: NDArray[Any]) -> int:
    address: int = values.__array_interface__["data"][0]
    return address


def build_array(raw: Any, shape: tuple[int, ...], dtype: np.dtype[Any], order: Any, writeable: bool) -> NDArray[Any]:
    """An array that owns its memory, no larger than `raw` is."""
    size = _bytes_of(shape, dtype)
    if size != len(raw):
        raise ValueError("an array whose bytes are not those of its shape")
    values: NDArray[Any] = np.empty(shape, dtype, order)
    if values.size and size:
        values.reshape(-1, order="A").view(np.uint8)[:] = np.frombuffer(raw, np.uint8)
    values.flags.writeable = bool(writeable)
    return values


def build_view(
    owner: NDArray[Any],
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    dtype: np.dtype[Any],
    writeable: bool,
) -> NDArray[Any]:
    """The place in `owner` that a view was of; NumPy sees to it that it lies inside."""
    if type(owner) is not np.ndarray or owner.dtype.hasobject or _bytes_of(shape, dtype) > owner.nbytes:
        raise ValueError("a view of what is no such array of numbers")
    block = owner if owner.flags.c_contiguous else owner.T
    values: NDArray[Any] = np.ndarray(shape, dtype, block, offset, strides)
    if values.flags.writeable and not writeable:
        values.flags.writeable = False
    return values


def _bytes_of(shape: Any, dtype: np.dtype[Any]) -> int:
    _check_dtype(dtype)
    if type(shape) is not tuple or not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError("a shape that no array has")
    return math.prod(shape) * int(dtype.itemsize)


def _reduce_dtype(dtype: np.dtype[Any]) -> Any:
    if dtype.subdtype is not None:
        return build_subarray, dtype.subdtype
    if dtype.names is None:
        return build_dtype, (dtype.str,)
    fields: Mapping[str, Any] = dtype.fields or {}
    parts = [fields[name] for name in dtype.names]
    inner, offsets = [part[0] for part in parts], [part[1] for part in parts]
    return build_record, (list(dtype.names), inner, offsets, dtype.itemsize, dtype.isalignedstruct)


def build_dtype(text: str) -> np.dtype[Any]:
    """Of numbers, texts or dates."""
    if not PLAIN_DTYPE.match(text):
        raise ValueError(f"{text[:20]!r} is no type of plain values")
    return np.dtype(text)


def build_subarray(dtype: np.dtype[Any], shape: tuple[int, ...]) -> np.dtype[Any]:
    """Several values in one field."""
    _check_dtype(dtype)
    return np.dtype((dtype, shape))


def build_record(
    names: Sequence[str], dtypes: Sequence[np.dtype[Any]], offsets: Sequence[int], itemsize: int, aligned: bool
) -> np.dtype[Any]:
    """Of records."""
    for dtype in dtypes:
        _check_dtype(dtype)
    described = {"names": names, "formats": dtypes, "offsets": offsets, "itemsize": itemsize}
    return np.dtype(described, align=bool(aligned))  # type: ignore[call-overload, no-any-return]


def build_scalar(dtype: np.dtype[Any], raw: bytes) -> Any:
    """One value of an array."""
    _check_dtype(dtype)
    if len(raw) != dtype.itemsize:
        raise ValueError("a number of the wrong length")
    return np.frombuffer(raw, dtype)[0] if raw else np.zeros(1, dtype)[0]


def _check_dtype(dtype: Any) -> None:
    if not isinstance(dtype, np.dtype) or dtype.hasobject:
        raise ValueError("what is no type of plain values")


# ---- random numbers -------------------------------------------------------------------------------------------------


def _reduce_bit_generator(source: Any) -> Any:
    return build_bit_generator, (type(source).__name__, source.state, source.seed_seq)


def build_generator(source: np.random.BitGenerator) -> np.random.Generator:
    """NumPy's random numbers from a source of bits."""
    if type(source).__name__ not in BIT_GENERATORS:
        raise ValueError("a generator without a source of bits")
    return np.random.Generator(source)


def build_bit_generator(name: str, state: Mapping[str, Any], seed_seq: Any) -> np.random.BitGenerator:
    """A source of bits where it had come to."""
    if name not in BIT_GENERATORS or not isinstance(seed_seq, np.random.SeedSequence):
        raise ValueError("an unknown source of bits")
    source: np.random.BitGenerator = getattr(np.random, name)(seed_seq)
    source.state = state
    return source


def _reduce_seed_sequence(seed: Any) -> Any:
    return build_seed_sequence, (seed.entropy, seed.spawn_key, seed.pool_size, seed.n_children_spawned)


def build_seed_sequence(
    entropy: Any, spawn_key: Sequence[int], pool_size: int, n_children_spawned: int
) -> np.random.SeedSequence:
    """What sources of bits are seeded with."""
    words = entropy if isinstance(entropy, list | tuple) else (entropy,)
    if pool_size > 64 or len(words) + len(spawn_key) > LONGEST_NUMBER or max(map(_bits, words)) > 32 * LONGEST_NUMBER:
        raise ValueError("a seed that no stream has")
    return np.random.SeedSequence(
        entropy, spawn_key=spawn_key, pool_size=pool_size, n_children_spawned=n_children_spawned
    )


def _bits(number: int | None) -> int:
    return 0 if number is None else number.bit_length()


def build_random(state: Any) -> random.Random:
    """Python's random numbers where they had come to."""
    source = random.Random(0)
    source.setstate(state)
    return source


# ---- what the standard library builds by calls ----------------------------------------------------------------------


def _reduce_deque(items: Any) -> Any:
    return build_deque, (items.maxlen,), None, iter(items)


def build_deque(maxlen: int | None) -> deque[Any]:
    """An empty one."""
    return deque(maxlen=maxlen)


def _reduce_defaultdict(items: Any) -> Any:
    factory = items.default_factory
    if factory not in FACTORIES.values():
        return NotImplemented
    return build_defaultdict, (factory.__name__,), None, None, iter(items.items())


def build_defaultdict(factory: str) -> defaultdict[Any, Any]:
    """An empty one that makes empty collections, or zeros."""
    return defaultdict(FACTORIES[factory])


def build_numbers(typecode: str, raw: bytes) -> "array[Any]":
    """Python's own array of numbers."""
    numbers: array[Any] = array(typecode)
    numbers.frombytes(raw)
    return numbers


def build_decimal(text: str) -> Decimal:
    """A number as it is written."""
    if len(text) > LONGEST_NUMBER:
        raise ValueError("a number of too many digits")
    return Decimal(text)


def build_path(text: str) -> Path:
    """A name of a file; nothing is opened."""
    return Path(text)


def build_member(kind: type[Enum], name: str) -> Enum:
    """A member of an enumeration."""
    if not (isinstance(kind, type) and issubclass(kind, Enum)):
        raise ValueError("a member of what is no enumeration")
    return kind[name]


def build_method(owner: Any, name: str) -> MethodType:
    """A method of an object that models hold as a value, and no other: whoever holds it may call it."""
    function = next((vars(kind)[name] for kind in type(owner).__mro__ if name in vars(kind)), None)
    if isinstance(owner, type) or not isinstance(function, FunctionType):
        raise ValueError(f"{name[:40]!r} is no method")
    key = f"{function.__module__}:{function.__qualname__}"
    if key not in METHODS and not is_listed(function.__module__):
        raise NotAdmitted(f"it holds the method {key[:80]!r}, which is not on the list of those that a model holds")
    return MethodType(function, owner)


_REDUCERS: Final[Mapping[type[Any], Callable[[Any], Any]]] = {
    np.random.Generator: lambda thing: (build_generator, (thing.bit_generator,)),
    **{getattr(np.random, name): _reduce_bit_generator for name in BIT_GENERATORS},
    np.random.SeedSequence: _reduce_seed_sequence,
    random.Random: lambda thing: (build_random, (thing.getstate(),)),
    deque: _reduce_deque,
    defaultdict: _reduce_defaultdict,
    array: lambda thing: (build_numbers, (thing.typecode, thing.tobytes())),
    Decimal: lambda thing: (build_decimal, (str(thing),)),
    MethodType: lambda thing: (build_method, (thing.__self__, thing.__func__.__name__)),
}


def build_same(thing: Any) -> Any:
    """Itself: of an object that is stored as the one inside it, its listener being left out."""
    return thing


BUILDERS: Final = (
    build_array, build_view, build_dtype, build_subarray, build_record, build_scalar, build_generator,
    build_bit_generator, build_seed_sequence, build_random, build_deque, build_defaultdict, build_numbers,
    build_decimal, build_path, build_member, build_method, build_same,
)  # fmt: skip
"""All that a checkpoint may call."""


def _by_name(thing: Any) -> Any:
    """What the module of a function knows by the function's name."""
    module = sys.modules.get(getattr(thing, "__module__", ""))
    return getattr(module, getattr(thing, "__qualname__", ""), None)
