"""Attributes of the objects of a checkpoint: given by what kind of object it is, and checked (docs/trust.md)."""

import dataclasses
import sys
from enum import Enum
from types import MethodType
from typing import Any, Final

from pydantic import BaseModel

from marginquake.sim.core.plugins import is_listed
from marginquake.sim.runs.admitted import ADMITTED, WITH_STATE_OF_THEIR_OWN, NotAdmitted

DEEPEST_KEY: Final = 3
LONGEST_KEY: Final = 16
"""Of tuples in tuples that are keys: looking one up walks through all of it."""
_SIMPLE_KEYS: Final = (str, bytes, bool, type(None))


class Malformed(ValueError):
    """A pickle that this machine does not read: damaged, or not from here."""


def is_of_the_user(kind: Any) -> bool:
    """Whether it is a class of a module that the environment allows."""
    return isinstance(kind, type) and key_of(kind) not in ADMITTED and is_listed(kind.__module__)


def key_of(kind: type[Any]) -> str:
    """As the list has it."""
    return f"{kind.__module__}:{kind.__qualname__}"


def shown(thing: Any) -> str:
    """In a message."""
    return key_of(thing) if isinstance(thing, type) else f"a thing of type {type(thing).__qualname__}"


def give_state(made: Any, state: Any) -> None:
    """Give a new object its attributes."""
    kind = type(made)
    if key_of(kind) in WITH_STATE_OF_THEIR_OWN or (is_of_the_user(kind) and hasattr(made, "__setstate__")):
        _check_parts(state)
        made.__setstate__(state)
    elif issubclass(kind, BaseModel):
        _build_block(made, state)
    elif dataclasses.is_dataclass(kind) and isinstance(state, list):
        _build_record(made, state)
    else:
        _build_plain(made, state)


def checked_key(key: Any, depth: int = 0) -> Any:
    """Refuse keys that take long to look up."""
    kind = type(key)
    if kind in _SIMPLE_KEYS or (kind is int and abs(key) < sys.hash_info.modulus):
        return key
    by_identity: Any = object.__hash__
    if isinstance(key, type | Enum) or kind.__hash__ is by_identity:
        return key
    if kind is tuple and depth < DEEPEST_KEY and len(key) <= LONGEST_KEY:
        for part in key:
            checked_key(part, depth + 1)
        return key
    raise Malformed("has a key that no mapping of a model has")


def _check_parts(state: Any) -> None:
    """What a class takes apart by itself: attributes by name, whose lists hold what can be looked up."""
    if type(state) is not dict or not all(type(name) is str for name in state):
        raise Malformed("gives an object no attributes")
    for value in state.values():
        if type(value) is list:
            for item in value:
                if type(item) is tuple:
                    checked_key(item)


def _build_block(made: BaseModel, state: Any) -> None:
    """A block of a scenario: its fields as they were read."""
    expected = {"__dict__", "__pydantic_extra__", "__pydantic_fields_set__", "__pydantic_private__"}
    fields = type(made).model_fields.keys()
    if type(state) is not dict or state.keys() != expected or not isinstance(state["__dict__"], dict):
        raise Malformed("gives a block no fields")
    if not state["__dict__"].keys() <= fields or not isinstance(state["__pydantic_fields_set__"], set):
        raise Malformed("gives a block fields that it does not have")
    if state["__pydantic_extra__"] or state["__pydantic_private__"]:
        raise Malformed("gives a block more than fields")
    BaseModel.__setstate__(made, state)


def _build_record(made: Any, state: list[Any]) -> None:
    """A frozen record with slots: its fields in order."""
    fields = dataclasses.fields(made)
    if len(fields) != len(state):
        raise Malformed("gives a record other fields")
    for field, value in zip(fields, state, strict=True):
        object.__setattr__(made, field.name, value)


def _build_plain(made: Any, state: Any) -> None:
    """Any other object: attributes by name, in its dictionary and its slots."""
    attributes, slots = state if type(state) is tuple and len(state) == 2 else (state, None)
    for name, value in _named(attributes):
        own = _of_class(type(made), name)
        shadows = hasattr(own, "__get__") and not _is_kept(own)
        if shadows and not (type(value) is MethodType and value.__self__ is made):
            raise NotAdmitted(f"it puts something else in the place of {name[:40]!r} of {shown(type(made))}")
        made.__dict__[sys.intern(name)] = value
    for name, value in _named(slots):
        if type(_of_class(type(made), name)).__name__ != "member_descriptor":
            raise NotAdmitted(f"it gives {shown(type(made))} an attribute {name[:40]!r}")
        object.__setattr__(made, name, value)


def _named(attributes: Any) -> list[tuple[str, Any]]:
    if attributes is None:
        return []
    if type(attributes) is not dict:
        raise Malformed("gives an object no attributes")
    for name in attributes:
        if type(name) is not str or name.startswith("__"):
            raise Malformed("gives an object what is no attribute")
    return list(attributes.items())


def _of_class(kind: type[Any], name: str) -> Any:
    """What a class has under that name; nothing is computed."""
    return next((vars(each)[name] for each in kind.__mro__ if name in vars(each)), None)


def _is_kept(own: Any) -> bool:
    """Whether a class computes it once, and keeps it among the attributes; or has a class as a plain value."""
    return type(own).__name__ == "cached_property"
