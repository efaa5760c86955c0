"""One registry for every family of rules: a name, or `module:Class`, becomes a class with its YAML block.

    MARK_RULES: Final = Registry("mark rule", MarkRule, {"last": LastPrice, ...}, default="median_of_three")
    mark: Annotated[MarkConfig, MARK_RULES]        # a field of a block: reads and writes any rule of the family

A rule's YAML block is the class in its `config_type`, or its nested class `Config`; it holds what every rule of the
family has, and what this one reads besides.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final, Generic, TypeVar, final

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError, PydanticKnownError, core_schema

from marginquake.sim.core.fields import Block
from marginquake.sim.core.plugins import import_class, is_left_unread
from marginquake.sim.core.problems import closest


class RuleBlock(Block):
    """A rule's YAML block: what says its name, and what the rule reads."""

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """What is wrong between fields, each right by itself: field, message, value as text."""
        return iter(())


class Rule:
    """What all rules have in common.  Abstract: families subclass it, rules are final.

    A rule with parameters of its own says them in a nested `class Config(<the family's block>)`.
    """

    config_type: ClassVar[type[Any]]
    """Its YAML block."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "Config" in cls.__dict__:
            cls.config_type = cls.__dict__["Config"]


AnyRule = TypeVar("AnyRule", bound=type[Any])


@final
class Registry(Mapping[str, AnyRule], Generic[AnyRule]):
    """The rules of one family by name; also the mark of a field that holds the block of one of them.

    `family`: in messages ("mark rule").  `base`: what every rule is a subclass of.  `key`: the field of the block that
    names the rule.  `default`: the rule of a block that names none; without it the name must be there.
    `may_be_a_name`: the field may be the bare name, and is written as one where the block holds nothing else.
    """

    def __init__(
        self,
        family: str,
        base: type[Any],
        rules: Mapping[str, AnyRule],
        key: str = "rule",
        default: str | None = None,
        may_be_a_name: bool = False,
    ) -> None:
        self.family = family
        self.base = base
        self.key = key
        self.default = default
        self.may_be_a_name = may_be_a_name
        self._rules = dict(rules)
        self._names = {rule: name for name, rule in rules.items()}
        FAMILIES.append(self)

    def __getitem__(self, name: str) -> AnyRule:
        return self._rules[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rules)

    def __len__(self) -> int:
        return len(self._rules)

    def add(self, name: str, rule: AnyRule) -> None:
        """From now on `name` means this class, in this process.  `module:Class` needs no such call."""
        if self._rules.get(name, rule) is not rule:
            raise ValueError(f"{name!r} is a {self.family} already: {self._rules[name].__qualname__}")
        self._rules[name] = self._checked(name, rule)

    def find(self, name: object) -> AnyRule:
        """The class of a name, or of `module:Class`.  ValueError says which names there are."""
        if isinstance(name, str) and name in self._rules:
            return self._rules[name]
        if isinstance(name, str) and ":" in name:
            return self._unread() if is_left_unread(name) else self._checked(name, import_class(name))
        raise ValueError(f"there is no such {self.family}; one of {', '.join(self)}, or module:Class")

    def _checked(self, name: str, found: type[Any]) -> AnyRule:
        """A class from outside, if it can be a rule of this family: said when a scenario is read, not when it runs."""
        if not issubclass(found, self.base):
            raise ValueError(f"{name!r} is no {self.family}: it is not a subclass of {self.base.__name__}")
        lacking = sorted(getattr(found, "__abstractmethods__", ()))
        if lacking:
            raise ValueError(f"{name!r} is no {self.family} yet: it lacks {', '.join(lacking)}")
        block = getattr(self.base, "config_type", None)
        if block is not None and not issubclass(found.config_type, block):
            raise ValueError(f"the block of {name!r} must be a subclass of {block.__name__}")
        return found  # type: ignore[return-value]

    def _unread(self) -> AnyRule:
        """Stands for a class that is not imported: what every rule of the family has is read, and all else passes."""
        block = getattr(self.base, "config_type", self.base)
        lax = {"model_config": ConfigDict(extra="ignore"), "__module__": __name__}
        missing = dict.fromkeys(getattr(self.base, "__abstractmethods__", ()), _never)
        if issubclass(self.base, BaseModel):
            return type("Unread", (self.base,), {**lax, **missing})  # type: ignore[return-value]
        config = type("UnreadBlock", (block,), lax)
        return type("Unread", (self.base,), {**missing, "config_type": config})  # type: ignore[return-value]

    def nearest(self, name: object) -> str | None:
        """A known name that may have been meant."""
        return closest(name, self) if isinstance(name, str) and ":" not in name else None

    def config(self, name: str, **fields: Any) -> Any:
        """The block of a rule, from Python."""
        return self._read({self.key: name, **fields}, None)

    def make(self, config: Any, *arguments: Any) -> Any:
        """The rule that a block asks for."""
        return self.find(getattr(config, self.key))(config, *arguments)

    def rule(self, name: str, *arguments: Any, **fields: Any) -> Any:
        """A rule by its name, from Python: `MARK_RULES.rule("hyperliquid", period=3 * SECOND)`."""
        return self.make(self.config(name, **fields), *arguments)

    def readers(self, field: str) -> list[str]:
        """Names of the rules that read a field of their family's block."""
        return [name for name, rule in self._rules.items() if field in field_names(rule.config_type)]

    def is_of_another(self, field: str) -> bool:
        """Whether a field that this rule does not read is one that another rule of the family reads: then it may stand
        in the block, for a preset may say it.  Not in families by `type`, whose blocks take nothing over."""
        return self.key != "type" and bool(self.readers(field))

    # ---- as the mark of a field -------------------------------------------------------------------------------------

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        """Any rule's block is read by that rule's class and written whole."""
        return core_schema.with_info_plain_validator_function(
            lambda value, info: self._read(value, info.context),
            serialization=core_schema.plain_serializer_function_ser_schema(self._write, info_arg=True),
        )

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> Any:
        """A reference to the family's part of the schema, which `sim.scenario.schema` writes."""
        return {"x-family": self.family}

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def _read(self, value: Any, context: Any) -> Any:
        if isinstance(value, str) and self.may_be_a_name:
            value = {self.key: value}
        if isinstance(value, BaseModel):
            if type(value) is self.find(getattr(value, self.key)).config_type:
                return value
            # a block made in Python: its fields are read already, so that they are not read again as written
            value, context = {name: getattr(value, name) for name in value.model_fields_set}, None
        if not isinstance(value, Mapping):
            raise PydanticKnownError("dict_type")
        name = value.get(self.key, self.default)
        if name is None:
            raise _error_at(self.key, "string_type" if self.key in value else "missing", value.get(self.key, value))
        try:
            rule = self.find(name)
        except ValueError as why:
            raise _error_at(self.key, PydanticCustomError("rule", "{why}", {"why": str(why)}), name) from None
        own = field_names(rule.config_type)
        kept = {key: item for key, item in value.items() if key in own or not self.is_of_another(key)}
        return rule.config_type.model_validate(kept, context=context)

    def _write(self, value: Any, info: Any) -> Any:
        dumped = value.model_dump(mode=info.mode, by_alias=bool(info.by_alias), context=info.context)
        name = dumped.get(self.key)
        rule = self._rules.get(name)
        if rule is not None and rule not in self._names:  # registered in this process: other processes find the class
            dumped[self.key] = self._full_name(rule)
        return dumped[self.key] if self.may_be_a_name and dumped.keys() == {self.key} else dumped

    @staticmethod
    def _full_name(rule: type[Any]) -> str:
        return f"{rule.__module__}:{rule.__qualname__}"


FAMILIES: Final[list[Registry[Any]]] = []
"""Every registry there is, in the order in which they were made."""


def register(name: str, rule: type[Any]) -> None:
    """Give one's own rule a name in this process: it goes to the family that it is a subclass of."""
    for family in FAMILIES:
        if issubclass(rule, family.base):
            family.add(name, rule)
            return
    raise ValueError(f"{rule.__qualname__} is no rule: subclass one of {', '.join(f.base.__name__ for f in FAMILIES)}")


def _never(*_: Any, **__: Any) -> Any:
    raise NotImplementedError("a class that was left unread")


def field_names(block: type[BaseModel]) -> list[str]:
    """A block's fields as written in YAML."""
    return [field.alias or name for name, field in block.model_fields.items()]


def _error_at(key: str, error: Any, value: Any) -> ValidationError:
    return ValidationError.from_exception_data("rule", [InitErrorDetails(type=error, loc=(key,), input=value)])
