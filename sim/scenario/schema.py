"""JSON Schema of scenario files, for editors: completion, hover texts, red lines.

`load_scenario` is the judge; the schema cannot see through `extends`, so it never asks for a field to be there
(except in list items, which are not merged).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core import SchemaSerializer, core_schema

from marginquake.sim.rules.registry import FAMILIES, Registry, field_names
from marginquake.sim.scenario.config import NAME, MarketConfig, ScenarioHead
from marginquake.sim.scenario.distributions import DISTRIBUTIONS, Distribution, trait_fields
from marginquake.sim.scenario.scenario import population_types

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
USER_CLASS: Final = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
Json = dict[str, Any]


def scenario_schema(registry: Mapping[str, type[Any]]) -> Json:
    """Schema of a scenario file whose populations may have the types of `registry` (or be classes of the user)."""
    configs = {name: participant.config_type for name, participant in sorted(population_types(registry).items())}
    models: list[type[BaseModel]] = [ScenarioHead, MarketConfig, *dict.fromkeys(configs.values())]
    by_model, shared = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/$defs/{model}", schema_generator=_Generator
    )
    definitions: Json = shared["$defs"]
    references = {model: by_model[(model, "validation")]["$ref"] for model in models}
    head = _take(definitions, references[ScenarioHead])
    market = _take(definitions, references[MarketConfig])
    del market["properties"]["name"]
    definitions["Market"] = {"type": ["object", "null"], **_without(market, "title", "type")}
    definitions["Population"] = _population({name: references[config] for name, config in configs.items()})
    definitions["Files"] = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    for config in configs.values():
        fields = definitions[references[config].removeprefix("#/$defs/")]["properties"]
        fields["extends"] = {"$ref": "#/$defs/Files"}
    schema: Json = {
        "$schema": DIALECT,
        "title": "marginquake scenario",
        "description": "One market question: markets, who trades in them, what is recorded.",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "extends": {
                "description": "File or files this one builds on, relative to it; null deletes what they say",
                "$ref": "#/$defs/Files",
            },
            **head["properties"],
            **market["properties"],
            "markets": {
                "description": "Several markets by name; each is merged over the blocks at the top level",
                "type": "object",
                "propertyNames": {"pattern": NAME},
                "additionalProperties": {"$ref": "#/$defs/Market"},
            },
            "populations": {
                "description": "Who trades: participants by name",
                "type": "object",
                "propertyNames": {"pattern": NAME},
                "additionalProperties": {"$ref": "#/$defs/Population"},
            },
            "python_path": {
                "description": "Folders with your own classes, besides the current one and the scenario's",
                "$ref": "#/$defs/Files",
            },
        },
        "$defs": definitions,
    }
    _add_families(schema, definitions)
    _tidy(schema)
    units: Json = {}
    _name_shared_parts(schema, units)
    for number in dict.fromkeys(re.findall(r"#/\$defs/([a-z]+)_distribution", str(schema))):
        units[f"{number}_distribution"] = _distributions(number)
    definitions.update(units)
    return _sorted_definitions(schema)


def _add_families(schema: Json, definitions: Json) -> None:
    """Fields that hold the block of a family's rule refer to the family, described under `$defs`, families within
    families too."""
    by_name = {family.family: family for family in FAMILIES}
    wanted = list(_families_in(schema))
    for name in wanted:
        family = by_name[name]
        described = _alternatives(family, definitions) if family.key == "type" else _family(family, definitions)
        definitions[_definition_name(name)] = described
        wanted += [inner for inner in _families_in(described) if inner not in wanted]
    _refer(schema)


def _families_in(part: Any) -> Iterator[str]:
    """Names of the families that fields of this part hold."""
    if isinstance(part, dict):
        if "x-family" in part:
            yield part["x-family"]
        for value in part.values():
            yield from _families_in(value)
    elif isinstance(part, list):
        for value in part:
            yield from _families_in(value)


def _refer(part: Any) -> None:
    if isinstance(part, dict):
        if "x-family" in part:
            part["$ref"] = f"#/$defs/{_definition_name(part.pop('x-family'))}"
        for value in part.values():
            _refer(value)
    elif isinstance(part, list):
        for value in part:
            _refer(value)


def _definition_name(family: str) -> str:
    return "".join(word.capitalize() for word in family.split())


def _family(family: Registry[Any], definitions: Json) -> Json:
    """A family's block: the fields of all its rules, for one that another rule reads is accepted; of a class of the
    user anything."""
    name: Json = {"anyOf": [{"enum": list(family)}, {"type": "string", "pattern": USER_CLASS}]}
    if family.default is not None:
        name["default"] = family.default
    fields: Json = {}
    for rule in family.values():
        for field, described in _block(rule.config_type, definitions)["properties"].items():
            readers = family.readers(field)
            if field != family.key and len(readers) < len(family):
                described["description"] = f"{', '.join(readers)}: {described.get('description', field)}"
            fields.setdefault(field, described)
    fields[family.key] = {**name, "description": f"Which {family.family}, or module.path:Class of your own"}
    block = {
        "type": "object",
        "properties": fields,
        "if": {"properties": {family.key: {"pattern": USER_CLASS}}, "required": [family.key]},
        "then": True,
        "else": {"propertyNames": {"enum": list(fields)}},
    }
    return {"anyOf": [*name["anyOf"], block]} if family.may_be_a_name else block


def _alternatives(family: Registry[Any], definitions: Json) -> Json:
    """A block of one of several types, or of a class of the user."""
    arms = []
    for rule in family.values():
        kind = rule.config_type
        definitions[kind.__name__] = _block(kind, definitions)
        arms.append({"$ref": f"#/$defs/{kind.__name__}"})
    own = {"type": "object", "properties": {"type": {"type": "string", "pattern": USER_CLASS}}, "required": ["type"]}
    return {"anyOf": [*arms, own]}


def _block(kind: type[BaseModel], definitions: Json) -> Json:
    """One block; what it refers to joins the definitions."""
    described: Json = kind.model_json_schema(ref_template="#/$defs/{model}", schema_generator=_Generator)
    definitions.update(described.pop("$defs", {}))
    assert set(described["properties"]) == set(field_names(kind))
    return _without(described, "title")


class _Generator(GenerateJsonSchema):
    """Defaults as a person would write them (`100ms`), and only where they are short."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> Json:
        """pydantic's, with our spelling of the default."""
        described = super().default_schema(schema)
        if "default" not in described:
            return described
        try:
            default = SchemaSerializer(schema["schema"]).to_python(schema["default"], mode="json")
        except Exception:
            default = described["default"]
        if isinstance(default, dict) or (isinstance(default, list) and any(isinstance(i, dict) for i in default)):
            return _without(described, "default")
        return {**described, "default": default}


def _population(references: Mapping[str, str]) -> Json:
    """A population's fields depend on its `type`; without one it changes an inherited population."""
    kinds = {"anyOf": [{"enum": list(references)}, {"type": "string", "pattern": USER_CLASS}]}
    return {
        "type": ["object", "null"],
        "properties": {
            "extends": {"description": "Population fragment or fragments under these fields", "$ref": "#/$defs/Files"},
            "type": {**kinds, "description": "Participant type, or module.path:Class of your own"},
        },
        "allOf": [_if_named("type", name, {"$ref": reference}) for name, reference in references.items()],
    }


def _distributions(number: str) -> Json:
    """All distributions with parameters in the unit called `number`."""
    return {
        "type": "object",
        "properties": {
            "distribution": {
                "description": "Shape of the trait over accounts",
                "anyOf": [{"enum": list(DISTRIBUTIONS)}, {"type": "string", "pattern": USER_CLASS}],
            }
        },
        "required": ["distribution"],
        "allOf": [_if_named("distribution", name, _distribution(kind, number)) for name, kind in DISTRIBUTIONS.items()],
    }


def _distribution(kind: type[Distribution], number: str) -> Json:
    schema = kind.model_json_schema(schema_generator=_Generator)
    quantity = {"$ref": f"#/$defs/{number}"}
    for name in trait_fields(kind):
        old = schema["properties"][name]
        described = {key: old[key] for key in ("description", "default") if key in old and old[key] is not None}
        many = {"type": "array", "items": quantity, "minItems": 1}
        schema["properties"][name] = {**(many if old.get("type") == "array" else quantity), **described}
    _tidy(schema)
    return _without(schema, "title")


def _if_named(key: str, name: str, then: Json) -> Json:
    return {"if": {"properties": {key: {"const": name}}, "required": [key]}, "then": then}


def _take(definitions: Json, reference: str) -> Json:
    taken: Json = definitions.pop(reference.removeprefix("#/$defs/"))
    return taken


def _without(schema: Json, *keys: str) -> Json:
    return {key: value for key, value in schema.items() if key not in keys}


def _tidy(schema: Json) -> None:
    """Drop pydantic's titles of fields and its `required`; one of several becomes any of them."""
    list_items: set[str] = set()
    _collect_list_items(schema, list_items)
    _tidy_part(schema, list_items, "")


def _collect_list_items(part: Any, found: set[str]) -> None:
    if isinstance(part, dict):
        items = part.get("items")
        if isinstance(items, dict) and "$ref" in items:
            found.add(items["$ref"].removeprefix("#/$defs/"))
        for value in part.values():
            _collect_list_items(value, found)
    elif isinstance(part, list):
        for value in part:
            _collect_list_items(value, found)


def _tidy_part(part: Any, list_items: set[str], name: str) -> None:
    if isinstance(part, list):
        for value in part:
            _tidy_part(value, list_items, "")
    if not isinstance(part, dict):
        return
    properties = part.get("properties")
    if isinstance(properties, dict):
        for field in properties.values():
            if isinstance(field, dict):
                field.pop("title", None)
        if name not in list_items and part.get("additionalProperties") is False:
            part.pop("required", None)
    for bound in ("gt", "ge", "lt", "le"):
        if not isinstance(part.get(bound), dict):
            part.pop(bound, None)
    if "oneOf" in part and isinstance(part["oneOf"], list):
        part["anyOf"] = part.pop("oneOf")
    for key, value in part.items():
        if key == "$defs":
            for definition, content in value.items():
                content.pop("title", None)
                _tidy_part(content, list_items, definition)
        elif key not in ("default", "examples"):
            _tidy_part(value, list_items, "")


def _name_shared_parts(part: Any, units: Json) -> None:
    """Each unit and each trait's distributions are described once, under `$defs`."""
    if isinstance(part, list):
        for value in part:
            _name_shared_parts(value, units)
    if not isinstance(part, dict):
        return
    if part.pop("x-trait", None):
        number, mapping = part["anyOf"]
        name = number.get("x-unit", number.get("type", "number"))
        if "x-unit" not in number:
            units[name] = {"type": name}
        mapping.clear()
        mapping["$ref"] = f"#/$defs/{name}_distribution"
    unit = part.pop("x-unit", None)
    if unit is not None:
        units[unit] = {key: part.pop(key) for key in ("anyOf", "examples")}
        part["$ref"] = f"#/$defs/{unit}"
        return
    for value in list(part.values()):
        _name_shared_parts(value, units)


def _sorted_definitions(schema: Json) -> Json:
    schema["$defs"] = dict(sorted(schema["$defs"].items()))
    return schema
