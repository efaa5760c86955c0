"""How a trait is read and written: a number, or a mapping by its `distribution`."""

from collections.abc import Callable, Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any, TypeAlias, TypeVar, Union, get_args

from pydantic import (
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
)
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from marginquake.sim.scenario.distributions.base import Distribution, trait_fields
from marginquake.sim.scenario.distributions.registry import DISTRIBUTIONS, find_distribution

T = TypeVar("T")


class _TraitSchema:
    """Tells pydantic to read a trait: a mapping by its `distribution`, anything else as the trait's number type."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Numbers go through T's own schema, alone or inside a distribution; bounds (`Field(gt=0)`) hold for both."""
        number: Any = reduce(or_, (arm for arm in get_args(source) if arm is not Distribution))
        inner = handler.generate_schema(number)
        read = core_schema.with_info_wrap_validator_function(_read_trait, inner)
        bounds = handler(Any)
        dump = core_schema.wrap_serializer_function_ser_schema(_dump_trait, info_arg=True, schema=inner)
        return core_schema.chain_schema([read, bounds], serialization=dump)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """A number or a distribution; `x-trait` lets `scenario_schema` put the parameters in."""
        number = handler(schema["steps"][0])
        names = {"anyOf": [{"enum": list(DISTRIBUTIONS)}, {"type": "string", "pattern": ":"}]}
        mapping = {"type": "object", "properties": {"distribution": names}, "required": ["distribution"]}
        return {"anyOf": [number, mapping], "x-trait": True}


Trait: TypeAlias = Annotated[Union[T, Distribution], _TraitSchema()]  # noqa: UP007
"""`Trait[Amount]`: an amount, or a distribution whose parameters are amounts."""


def _read_trait(value: Any, read_number: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    if isinstance(value, Distribution):
        return value
    if not isinstance(value, Mapping):
        if isinstance(value, bool | list | tuple):
            raise PydanticCustomError("trait", "must be a number, or a mapping with 'distribution'")
        return read_number(value)
    if "distribution" not in value:
        names = ", ".join(DISTRIBUTIONS)
        raise PydanticCustomError("trait", "needs 'distribution': one of {names}", {"names": names})
    try:
        kind = find_distribution(value["distribution"])
    except ValueError as error:
        raise _error_at(("distribution",), "trait", str(error), value["distribution"]) from None
    read, errors = _in_trait_unit(kind, value, read_number)
    try:
        distribution = kind.model_validate(read, context=info.context)
    except ValidationError as error:
        fresh = [e for e in error.errors() if e["loc"][:1] not in {e["loc"][:1] for e in errors}]
        errors += [_line(e["loc"], e["type"], e["msg"], e["input"], e.get("ctx")) for e in fresh]
        distribution = None
    if errors:
        raise ValidationError.from_exception_data(kind.__name__, errors)
    return distribution


def _in_trait_unit(
    kind: type[Distribution], value: Mapping[str, Any], read_number: Callable[[Any], Any]
) -> tuple[dict[str, Any], list[InitErrorDetails]]:
    """The parameters with `2%` and the like turned into numbers by the trait's own schema."""
    read, errors = dict(value), list[InitErrorDetails]()

    def number(item: Any, path: tuple[str | int, ...]) -> Any:
        try:
            return read_number(item)
        except ValidationError as error:
            errors.extend(_line((*path, *e["loc"]), e["type"], e["msg"], item, e.get("ctx")) for e in error.errors())
            return item

    for name in trait_fields(kind) & read.keys():
        item = read[name]
        if isinstance(item, list | tuple):
            read[name] = [number(part, (name, position)) for position, part in enumerate(item)]
        elif item is not None:
            read[name] = number(item, (name,))
    return read, errors


def _line(
    path: tuple[str | int, ...], kind: str, message: str, value: Any, context: dict[str, Any] | None = None
) -> InitErrorDetails:
    context = {key: item for key, item in (context or {}).items() if key != "error"}
    error = PydanticCustomError(kind, "{_message}", {**context, "_message": message})
    return InitErrorDetails(type=error, loc=path, input=value)


def _error_at(path: tuple[str | int, ...], kind: str, message: str, value: Any) -> ValidationError:
    return ValidationError.from_exception_data("trait", [_line(path, kind, message, value)])


def _dump_trait(value: Any, dump_number: Callable[[Any], Any], info: Any) -> Any:
    if not isinstance(value, Distribution):
        return dump_number(value)
    dumped = value.model_dump(mode=info.mode, by_alias=True)
    if info.mode != "json":
        return dumped
    for name in trait_fields(type(value)):
        item = dumped[name]
        if isinstance(item, list | tuple):
            dumped[name] = [dump_number(_whole(part)) for part in item]
        elif item is not None:
            dumped[name] = dump_number(_whole(item))
    return dumped


def _whole(number: float) -> float:
    """Parameters are floats; the dump of a duration wants its ints."""
    return int(number) if number.is_integer() else number
