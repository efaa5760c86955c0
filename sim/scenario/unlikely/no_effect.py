"""Settings that do nothing in this scenario: each block says itself which of its fields do nothing when (`idle`)."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from marginquake.sim.core.fields import Idle
from marginquake.sim.core.problems import ScenarioWarning
from marginquake.sim.scenario.unlikely.look import MarketLook
from marginquake.sim.scenario.yaml_tree import Path_


def check(look: MarketLook) -> Iterator[ScenarioWarning]:
    """One warning a case, at its first field that is written; a field at its default is left alone."""
    yield from _within(look, look.market, ())
    for name, (_, config) in look.populations.items():
        yield from _within(look, config, ("populations", name))
    if look.market.fuel_ratio is not None and not _may_seed(look):
        yield look.warn(
            "no_effect",
            ("fuel_ratio",),
            "has no effect: nobody holds positions at the start whose size could be solved for",
            "add a crowd (`type: retail`) whose `scalable` is true, or remove it",
        )


def _within(look: MarketLook, block: Any, path: Path_) -> Iterator[ScenarioWarning]:
    all_idle = getattr(type(block), "all_idle", None)
    for idle in all_idle() if all_idle is not None else ():
        if idle.when(block, look.market):
            yield from _idle(look, block, path, idle)
    for name in type(block).model_fields:
        child = getattr(block, name)
        key = _written_as(type(block), name)
        if isinstance(child, BaseModel):
            yield from _within(look, child, (*path, key))
        elif isinstance(child, tuple):
            for position, item in enumerate(child):
                if isinstance(item, BaseModel):
                    yield from _within(look, item, (*path, key, position))


def _idle(look: MarketLook, block: Any, path: Path_, idle: Idle) -> Iterator[ScenarioWarning]:
    said = []
    for field in idle.fields:
        where = (*path, *field.split("."))
        if look.is_written(where) and not _is_default(block, field.split(".")):
            said.append((where, field))
    if said:
        (first, _), *others = said
        nor = (
            f", nor {'have' if len(others) > 1 else 'has'} {', '.join(field for _, field in others)}" if others else ""
        )
        yield look.warn("no_effect", first, f"has no effect{nor}: {idle.why}", "remove it, or change that")


def _may_seed(look: MarketLook) -> bool:
    """Whether anybody may hold positions at the start that can be scaled; True where a class does not say."""
    for kind, config in look.populations.values():
        needs = getattr(kind, "needs_other_side", None)
        if getattr(kind, "provides", None) is None or needs is None:
            return True
        if needs(config) and getattr(config, "scalable", True):
            return True
    return False


def _is_default(block: Any, keys: list[str]) -> bool:
    for key in keys[:-1]:
        block = getattr(block, key)
    name = next((name for name in type(block).model_fields if _written_as(type(block), name) == keys[-1]), None)
    if name is None:
        return True
    default = type(block).model_fields[name].get_default(call_default_factory=True, validated_data={})
    return default is not PydanticUndefined and bool(getattr(block, name) == default)


def _written_as(block: type[BaseModel], name: str) -> str:
    return block.model_fields[name].alias or name
