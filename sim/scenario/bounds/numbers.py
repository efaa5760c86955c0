"""Every number that a block holds, with its path and its unit: what a bound on all of a kind is checked on."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, final, get_args

from pydantic import BaseModel

from marginquake.sim.core.fields import Unit
from marginquake.sim.scenario.distributions.base import Distribution, trait_fields
from marginquake.sim.scenario.yaml_tree import Path_


@final
@dataclass(frozen=True, slots=True)
class Number:
    """One number.  `unit`: name of its unit (`amount`, `fraction`, `duration`), None for a plain one."""

    path: Path_
    value: float
    unit: str | None

    @property
    def field(self) -> str:
        """The last name of its path: of a list or a distribution, the field that holds it."""
        return next(key for key in reversed(self.path) if isinstance(key, str) and key not in _INNER)


_INNER = ("value", "minimum", "maximum", "mean", "median", "deviation", "low", "high", "values", "sigma")
"""Parameters of distributions: the field is the one above."""


def numbers_of(block: BaseModel, path: Path_ = ()) -> Iterator[Number]:
    """All numbers of a block and of the blocks inside it."""
    for name, info in type(block).model_fields.items():
        key = info.alias or name
        yield from _numbers(getattr(block, name), (*path, key), _unit_of_field(type(block), name))


def _numbers(value: Any, path: Path_, unit: str | None) -> Iterator[Number]:
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, int | float):
        yield Number(path, value, unit)
    elif isinstance(value, Distribution):
        of_the_trait = trait_fields(type(value))
        for name, info in type(value).model_fields.items():
            key = info.alias or name
            yield from _numbers(getattr(value, name), (*path, key), unit if key in of_the_trait else None)
    elif isinstance(value, BaseModel):
        yield from numbers_of(value, path)
    elif isinstance(value, tuple | list):
        for position, item in enumerate(value):
            yield from _numbers(item, (*path, position), unit)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(item, (*path, str(key)), unit)


@cache
def _unit_of_field(kind: type[BaseModel], name: str) -> str | None:
    info = kind.model_fields[name]
    return _unit_in((*info.metadata, info.annotation))


def _unit_in(parts: tuple[Any, ...]) -> str | None:
    """The first unit in an annotation, at any depth."""
    for part in parts:
        if isinstance(part, Unit):
            return part.name
        if isinstance(part, type) and issubclass(part, BaseModel):
            continue
        found = _unit_in(get_args(part))
        if found is not None:
            return found
    return None
