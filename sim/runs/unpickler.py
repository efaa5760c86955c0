"""Reads the pickle of a model without running anybody's code (docs/trust.md).

A pickle is a program: it may call any function it can name.  This machine knows the instructions that
`sim/runs/model_pickle.py` makes Python write, and of those that name or call something only these: the builders of that
file, and classes on the list in `sim/runs/admitted.py`, whose objects are made empty and given their attributes.  What
is read is at most some times as large as the file, and takes as long as the file is long.
"""

import importlib
import re
import struct
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from enum import Enum
from types import FunctionType
from typing import Any, Final, final

from marginquake.sim.core.plugins import ALLOW_VARIABLE, is_listed
from marginquake.sim.runs import model_pickle
from marginquake.sim.runs.admitted import ADMITTED, NotAdmitted
from marginquake.sim.runs.model_pickle import BUILDERS
from marginquake.sim.runs.object_state import Malformed, checked_key, give_state, is_of_the_user, key_of, shown

MOST_INSTRUCTIONS: Final = 5_000_000
MOST_CALLS: Final = 200_000
"""Of builders.  A model of some markets has 15,000 instructions and 300 calls, however many accounts it has."""
KERNELS: Final = re.compile(r"marginquake\.(sim\.kernels|agents\.toolbox)\.[a-z_]+\Z")
"""Modules whose compiled functions an object may hold."""
_BUILDERS: Final[Mapping[str, Callable[..., Any]]] = {each.__name__: each for each in BUILDERS}


def load(data: bytes) -> Any:
    """The object that `ArrayPickler` has stored.  Raises ValueError and other exceptions for everything else."""
    return _Machine(data).run()


@final
class _Mark:
    """Where on the stack the parts of a collection begin."""


_MARK: Final = _Mark()


@final
class _Machine:
    """The stack, the memo, and where in the data it is."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._at = 0
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: list[Any] = []
        self._empty: dict[int, Any] = {}
        """Objects that were made and not given their attributes yet, by identity."""
        self._calls = 0
        self._array_bytes = 0

    def run(self) -> Any:
        """Follow the instructions to the end."""
        for _ in range(MOST_INSTRUCTIONS):
            code = self._take(1)[0]
            if code == _STOP:
                if len(self._stack) != 1 or self._at != len(self._data):
                    raise Malformed("ends in the middle")
                return self._stack[0]
            instruction = _INSTRUCTIONS.get(code)
            if instruction is None:
                raise Malformed(f"has an instruction {code:#04x}, which no model needs")
            instruction(self)
        raise Malformed("has more parts than a model has")

    # ---- reading ----------------------------------------------------------------------------------------------------

    def _take(self, size: int) -> memoryview:
        end = self._at + size
        if end > len(self._data):
            raise Malformed("is cut off")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def _number(self, form: str) -> Any:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _pop(self) -> Any:
        if not self._stack or (self._marks and len(self._stack) <= self._marks[-1]):
            raise Malformed("takes what is not there")
        return self._stack.pop()

    def _top(self) -> Any:
        if not self._stack or (self._marks and len(self._stack) <= self._marks[-1]):
            raise Malformed("takes what is not there")
        return self._stack[-1]

    def _pop_to_mark(self) -> list[Any]:
        if not self._marks:
            raise Malformed("takes what is not there")
        start = self._marks.pop()
        parts = self._stack[start:]
        del self._stack[start:]
        return parts

    # ---- plain values and collections -------------------------------------------------------------------------------

    def protocol(self) -> None:
        """Its number."""
        if self._take(1)[0] not in (4, 5):
            raise Malformed("is of another protocol")

    def mark(self) -> None:
        """Here something begins."""
        self._marks.append(len(self._stack))

    def pop(self) -> None:
        """Forget the last."""
        self._pop()

    def pop_to_mark(self) -> None:
        """Forget all since the mark."""
        self._pop_to_mark()

    def long_tuple(self) -> None:
        """A tuple of all since the mark."""
        self._stack.append(tuple(self._pop_to_mark()))

    def append(self) -> None:
        """One more item of a list."""
        item = self._pop()
        self._extend([item])

    def appends(self) -> None:
        """More items of a list."""
        items = self._pop_to_mark()
        self._extend(items)

    def _extend(self, items: list[Any]) -> None:
        target = self._top()
        if type(target) is not list and type(target) is not deque:
            raise Malformed("adds to what is no list")
        target.extend(items)

    def set_item(self) -> None:
        """One entry of a mapping."""
        value, key = self._pop(), self._pop()
        self._enter([key, value])

    def set_items(self) -> None:
        """Entries of a mapping."""
        entries = self._pop_to_mark()
        self._enter(entries)

    def _enter(self, entries: list[Any]) -> None:
        target = self._top()
        if type(target) not in (dict, defaultdict) or len(entries) % 2:
            raise Malformed("adds to what is no mapping")
        for key, value in zip(entries[::2], entries[1::2], strict=True):
            target[checked_key(key)] = value

    def add_items(self) -> None:
        """Members of a set."""
        items, target = self._pop_to_mark(), self._top()
        if type(target) is not set:
            raise Malformed("adds to what is no set")
        target.update(map(checked_key, items))

    def frozen_set(self) -> None:
        """A set of all since the mark."""
        self._stack.append(frozenset(map(checked_key, self._pop_to_mark())))

    def memoize(self) -> None:
        """The last will be needed again."""
        self._memo.append(self._top())

    # ---- what is named, called and built ----------------------------------------------------------------------------

    def name(self) -> None:
        """A builder, a class on the list, a compiled function."""
        name, module = self._pop(), self._pop()
        if type(name) is not str or type(module) is not str:
            raise Malformed("names what is no name")
        self._stack.append(_find(module, name))

    def call(self) -> None:
        """A builder, or a class of a module that the user allows."""
        arguments, function = self._pop(), self._pop()
        self._calls += 1
        if type(arguments) is not tuple or self._calls > MOST_CALLS:
            raise Malformed("has calls that no model needs")
        if function in BUILDERS if isinstance(function, FunctionType) else is_of_the_user(function):
            self._count(function, arguments)
            self._stack.append(function(*arguments))
            return
        raise NotAdmitted(f"it calls {shown(function)}, which builds no part of a model")

    def _count(self, function: Any, arguments: tuple[Any, ...]) -> None:
        """Bytes may be read once: the same ones as many arrays would be more than the file holds."""
        for raw in arguments[:2] if function in (model_pickle.build_array, model_pickle.build_numbers) else ():
            self._array_bytes += len(raw) if isinstance(raw, bytes | bytearray) else 0
        if self._array_bytes > len(self._data):
            raise Malformed("has larger arrays than its file")

    def new_object(self) -> None:
        """An empty object of a class on the list; a named tuple comes with its items."""
        arguments, kind = self._pop(), self._pop()
        if not isinstance(kind, type) or issubclass(kind, Enum) or type(arguments) is not tuple:
            raise Malformed("makes an object of no class")
        if issubclass(kind, tuple) and len(arguments) == len(getattr(kind, "_fields", (None, *arguments))):
            self._stack.append(tuple.__new__(kind, arguments))
            return
        if is_of_the_user(kind):
            made = kind.__new__(kind, *arguments)
        elif arguments:
            raise NotAdmitted(f"it makes {shown(kind)} with arguments")
        else:
            made = object.__new__(kind)
        self._empty[id(made)] = made
        self._stack.append(made)

    def build(self) -> None:
        """Give a new object its attributes, once."""
        state, made = self._pop(), self._top()
        if self._empty.pop(id(made), None) is not made:
            raise NotAdmitted(f"it changes {shown(made)}, which it has not made")
        give_state(made, state)


def _find(module: str, name: str) -> Any:
    """What a checkpoint may name."""
    key = f"{module}:{name}"
    if module == model_pickle.__name__ and name in _BUILDERS:
        return _BUILDERS[name]
    if key in ADMITTED or is_listed(module):
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = vars(found).get(part)
            if found is None:
                raise NotAdmitted(f"it names {key}, which is not there")
        if isinstance(found, type) and (is_listed(module) or key_of(found) == key):
            return found
    elif KERNELS.match(module) and name.isidentifier():
        found = vars(importlib.import_module(module)).get(name)
        function = getattr(found, "py_func", found)
        if isinstance(function, FunctionType) and function.__module__ == module:
            return found
    raise NotAdmitted(
        f"it names {key[:80]!r}, which is not on the list of what a checkpoint may hold; if that is a class of your "
        f"own, --allow-code reads it, and so does {ALLOW_VARIABLE}={module[:40]} in the environment"
    )


_Instruction = Callable[[_Machine], None]


def _constant(value: Any) -> _Instruction:
    """An instruction that stands for one value."""
    return lambda machine: machine._stack.append(value)


def _scalar(form: str) -> _Instruction:
    """A number of fixed length."""
    return lambda machine: machine._stack.append(machine._number(form))


def _sized(form: str, read: Callable[[memoryview], Any]) -> _Instruction:
    """A value with its length before it."""
    return lambda machine: machine._stack.append(read(machine._take(machine._number(form))))


def _empty(kind: Callable[[], Any]) -> _Instruction:
    """A new collection."""
    return lambda machine: machine._stack.append(kind())


def _short_tuple(size: int) -> _Instruction:
    """A tuple of the last so many."""

    def make(machine: _Machine) -> None:
        parts = [machine._pop() for _ in range(size)]
        machine._stack.append(tuple(reversed(parts)))

    return make


def _get(form: str) -> _Instruction:
    """What has been memoized."""

    def recall(machine: _Machine) -> None:
        index = machine._number(form)
        if index >= len(machine._memo):
            raise Malformed("recalls what is not there")
        machine._stack.append(machine._memo[index])

    return recall


_STOP: Final = ord(".")
_INSTRUCTIONS: Final[Mapping[int, Callable[[_Machine], None]]] = {
    0x80: _Machine.protocol,
    0x95: lambda machine: machine._number("<Q") and None,  # a frame: where to read ahead to
    ord("N"): _constant(None),
    0x88: _constant(True),
    0x89: _constant(False),
    ord("J"): _scalar("<i"),
    ord("K"): _scalar("<B"),
    ord("M"): _scalar("<H"),
    ord("G"): _scalar(">d"),
    0x8A: _sized("<B", lambda raw: int.from_bytes(raw, "little", signed=True)),
    0x8B: _sized("<I", lambda raw: int.from_bytes(raw, "little", signed=True)),
    0x8C: _sized("<B", lambda raw: str(raw, "utf-8", "surrogatepass")),
    ord("X"): _sized("<I", lambda raw: str(raw, "utf-8", "surrogatepass")),
    0x8D: _sized("<Q", lambda raw: str(raw, "utf-8", "surrogatepass")),
    ord("C"): _sized("<B", bytes),
    ord("B"): _sized("<I", bytes),
    0x8E: _sized("<Q", bytes),
    0x96: _sized("<Q", bytearray),
    ord("]"): _empty(list),
    ord("}"): _empty(dict),
    ord(")"): _empty(tuple),
    0x8F: _empty(set),
    ord("("): _Machine.mark,
    ord("0"): _Machine.pop,
    ord("1"): _Machine.pop_to_mark,
    ord("t"): _Machine.long_tuple,
    0x85: _short_tuple(1),
    0x86: _short_tuple(2),
    0x87: _short_tuple(3),
    ord("a"): _Machine.append,
    ord("e"): _Machine.appends,
    ord("s"): _Machine.set_item,
    ord("u"): _Machine.set_items,
    0x90: _Machine.add_items,
    0x91: _Machine.frozen_set,
    0x94: _Machine.memoize,
    ord("h"): _get("<B"),
    ord("j"): _get("<I"),
    0x93: _Machine.name,
    ord("R"): _Machine.call,
    0x81: _Machine.new_object,
    ord("b"): _Machine.build,
}
"""Those of protocol 5 that a model needs: none that names by number, reads elsewhere, or leaves gaps in the memo."""
