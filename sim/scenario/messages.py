"""pydantic's errors -> our problems: the place in the file, the field as written, the value, the way out."""

import re
from collections.abc import Iterable, Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from marginquake.sim.core.fields import FRACTION, WRITTEN, format_duration, parse_duration
from marginquake.sim.core.problems import MAX_TOLD, Problem, closest, shown_path
from marginquake.sim.rules.registry import Registry
from marginquake.sim.scenario.distributions import Distribution, find_distribution
from marginquake.sim.scenario.synonyms import meant_by
from marginquake.sim.scenario.yaml_tree import Node, Path_

_BOUNDS: Final = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_KINDS: Final = (
    (r"int_.*", "must be a whole number"),
    (r"float_.*|decimal_.*", "must be a number"),
    (r"finite_number", "must be a finite number"),
    (r"bool_.*", "must be true or false"),
    (r"string_type", "must be text"),
    (r"(tuple|list|set|frozen_set)_type", "must be a list: [a, b, c]"),
    (r"model_type|model_attributes_type|dict_type|mapping_type|dataclass_type", "must be a mapping of fields"),
)
_QUOTED = re.compile(r"'([^']*)'")
_ALTERNATIVES = re.compile(r"\^\(([\w|]+)\)\$")
LIST_AT_MOST: Final = 12
"""An unknown field that is like no known one lists the known ones, if they are no more than this."""


def problems_of(error: ValidationError, model: type[BaseModel], tree: Node) -> list[Problem]:
    """What is wrong with `tree`, which did not fit `model`.  One problem a place."""
    at_path: dict[Path_, list[Problem]] = {}
    short: list[tuple[Path_, Problem]] = []
    for details in error.errors(include_url=False)[:MAX_TOLD]:
        node, path = locate(tree, details)
        if details["type"] == "too_short" and isinstance(node.value, list) and node.value:
            short.append((path, _problem(details, model, tree, node, path)))
            continue
        at_path.setdefault(path, []).append(_problem(details, model, tree, node, path))
    for path, problem in short:
        # pydantic counts only the items that are right: where what is wrong with the others is said, that is enough
        if not any(other[: len(path)] == path for other in at_path):
            at_path[path] = [problem]
    return [_joined(problems) for problems in at_path.values()]


def locate(tree: Node, details: ErrorDetails) -> tuple[Node, Path_]:
    """The node an error is about and its path as written; for a missing field, the node that lacks it.

    pydantic's location also names arms of unions, which nobody wrote: parts that lead nowhere are skipped.
    """
    node, kind = tree, details["type"]
    for position, part in enumerate(details["loc"]):
        child = node.child(part)
        if child is not None:
            node = child
        elif kind == "missing" and position == len(details["loc"]) - 1:
            return node, (*node.path, part)
    if kind.startswith("union_tag"):
        node = node.child("type") or node
    return node, node.path


def numbers_written_as_booleans(model: type[BaseModel], tree: Node, given: Mapping[str, Any]) -> list[Problem]:
    """`accounts: true` would pass as 1.  As texts, booleans still pass for booleans, and for nothing else."""
    if not any(isinstance(node.value, bool) for node in tree.walk()):
        return []
    try:
        model.model_validate({**tree.plain(booleans_as_text=True), **given}, context=WRITTEN)
    except ValidationError as error:
        found = [(locate(tree, details)[0], details["type"]) for details in error.errors(include_url=False)]
        return [
            Problem(node.place, shown_path(node.path), "must be a number", node.shown())
            for node, kind in found
            if isinstance(node.value, bool) and kind.startswith(("int_", "float_"))
        ]
    return []


def field_names(model: type[BaseModel]) -> list[str]:
    """A model's fields as written in YAML."""
    return [field.alias or name for name, field in model.model_fields.items()]


def unknown_field(node: Node, key_node: Node, known: list[str]) -> Problem:
    """`key_node` stands under `node`, where only `known` fields may."""
    key = str(key_node.path[-1])
    meant, hint = meant_by(key, key_node.path[:-1], known)
    if meant is not None:
        return Problem(key_node.place, shown_path(key_node.path), "unknown field", suggestion=meant)
    taken = node.value if isinstance(node.value, dict) else {}
    # a field that the file has already is no way out of a line of the file; `--set` may well mean to change it
    near = closest(key, [name for name in known if name not in taken or not key_node.place.line])
    message = "unknown field"
    if near is None and hint is not None:
        message += f"; {hint}"
    elif near is None and len(known) <= LIST_AT_MOST:
        message += f"; known are {', '.join(known)}"
    return Problem(key_node.place, shown_path(key_node.path), message, suggestion=near)


def _problem(details: ErrorDetails, model: type[BaseModel], tree: Node, node: Node, path: Path_) -> Problem:
    shown = shown_path(path)
    match details["type"]:
        case "missing":
            return Problem(node.place, shown, "missing, and it has no default")
        case "union_tag_not_found":
            return Problem(node.place, shown_path((*path, "type")), "missing, and it has no default")
        case "extra_forbidden":
            parent, owner = _owner(model, tree, node)
            return unknown_field(parent, node, field_names(owner) if owner is not None else [])
    if node.value is None and details["input"] is None:
        return Problem(node.place, shown, "empty; write a value, or remove the line")
    message, suggestion = _message(details, node)
    if details["type"] in _BOUNDS and _is_fraction(model, tree, node):
        message, suggestion = _percent_meant(message, details, node)
    return Problem(node.place, shown, message, node.shown(), suggestion)


def _percent_meant(message: str, details: ErrorDetails, node: Node) -> tuple[str, str | None]:
    """`long_share: 60` is 6000 %: 60 % was meant, if that would do."""
    context = details.get("ctx", {})
    most = next((context[key] for key in ("lt", "le") if key in context), None)
    if most is None:
        return message, None
    if isinstance(node.value, dict):
        bare = [item.value for item in node.walk() if isinstance(item.value, int | float)]
        return f"{message}; a bare number is a share of 1, percent is written 60%" if any(
            not isinstance(number, bool) and number > 1 for number in bare
        ) else message, None
    number = node.value if isinstance(node.value, int | float) else None
    if isinstance(number, bool) or number is None:
        return message, None
    fits = number / 100 < most or (number / 100 == most and "le" in context)
    return message, f"{number:g}%" if number >= 1 and fits else None


def _is_fraction(model: type[BaseModel], tree: Node, node: Node) -> bool:
    """Whether a node was read as a number that may be written in percent, or as a distribution of such."""
    if not node.path:
        return False
    _, owner = _owner(model, tree, node)
    name = next((part for part in reversed(node.path) if isinstance(part, str)), "")
    field = next((f for key, f in owner.model_fields.items() if name in (key, f.alias)), None) if owner else None
    return field is not None and FRACTION in _marks(field.annotation, field.metadata)


def _marks(annotation: Any, metadata: Iterable[Any] = ()) -> Iterator[Any]:
    """Everything that an annotation is annotated with, at any depth."""
    yield from metadata
    if get_origin(annotation) is Annotated:
        yield from get_args(annotation)[1:]
    for inner in get_args(annotation):
        if not isinstance(inner, str | int | float):
            yield from _marks(inner)


def _message(details: ErrorDetails, node: Node) -> tuple[str, str | None]:
    kind, context = details["type"], details.get("ctx", {})
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        bound = _like(context[key], node)
        if isinstance(node.value, dict):
            end = "minimum" if key in ("gt", "ge") else "maximum"
            return f"all values of the distribution must be {words} {bound}; set its {end}", None
        return f"must be {words} {bound}", None
    if kind == "literal_error" or kind == "enum":
        return _one_of(_QUOTED.findall(str(context.get("expected", ""))), node)
    if kind == "union_tag_invalid":
        return _one_of(_QUOTED.findall(str(context["expected_tags"])), node)
    if kind == "string_pattern_mismatch":
        alternatives = _ALTERNATIVES.fullmatch(str(context["pattern"]))
        if alternatives:
            return _one_of(alternatives[1].split("|"), node)
        if node.path[-1:] == ("name",):
            return "must begin with a letter or digit and hold only letters, digits, '_', '-' and '.'", None
        return f"must match {context['pattern']}", None
    if kind in ("too_short", "too_long"):
        words, count = ("at least", "min_length") if kind == "too_short" else ("at most", "max_length")
        return f"must have {words} {context[count]} item(s), has {context['actual_length']}", None
    for pattern, message in _KINDS:
        if re.fullmatch(pattern, kind):
            return message, None
    text = re.sub(r"^(Value error|Assertion failed), ", "", details["msg"])
    return re.sub(r"^Input should", "must", text), None


def _one_of(names: list[str], node: Node) -> tuple[str, str | None]:
    near = closest(node.value, names) if isinstance(node.value, str) else None
    return f"must be {' or '.join(names) if len(names) <= 2 else 'one of ' + ', '.join(names)}", near


def _like(bound: Any, node: Node) -> str:
    """A bound in the unit of the value: durations count in nanoseconds inside."""
    if isinstance(node.value, str) and bound:
        try:
            parse_duration(node.value)
            return format_duration(int(bound))
        except ValueError:
            pass
    return f"{bound:g}" if isinstance(bound, float) else str(bound)


def _joined(problems: list[Problem]) -> Problem:
    """Several arms of a union said no to the same value: say what each would have taken."""
    messages = list(dict.fromkeys(problem.message for problem in problems))
    suggestion = next((problem.suggestion for problem in problems if problem.suggestion), None)
    first = problems[0]
    rest = [message.removeprefix("must be ") for message in messages[1:]]
    return Problem(first.place, first.path, ", or ".join([messages[0], *rest]), first.value, suggestion)


def _owner(model: type[BaseModel], tree: Node, target: Node) -> tuple[Node, type[BaseModel] | None]:
    """The mapping that holds `target` directly, and the model it was read as."""

    def search(node: Node, annotation: Any) -> tuple[Node, type[BaseModel] | None] | None:
        owner = _model_of(annotation, node)
        if isinstance(node.value, dict):
            for key, child in node.value.items():
                if child is target:
                    return node, owner
                found = search(child, _field_annotation(owner, annotation, key))
                if found is not None:
                    return found
        elif isinstance(node.value, list):
            for item in node.value:
                found = search(item, _item_annotation(annotation))
                if found is not None:
                    return found
        return None

    return search(tree, model) or (tree, None)


def _arms(annotation: Any) -> Iterator[Any]:
    """The alternatives of an annotation: unions opened, `Annotated` peeled."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _arms(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for arm in get_args(annotation):
            yield from _arms(arm)
    else:
        yield annotation


def _model_of(annotation: Any, node: Node) -> type[BaseModel] | None:
    """The model a mapping is read as; among several, the one whose `type` it names."""
    family = _family_of(annotation)
    if family is not None:
        name = node.child(family.key)
        try:
            found: type[BaseModel] = family.find(name.value if name is not None else family.default).config_type
        except ValueError:
            return None
        return found
    models = [arm for arm in _arms(annotation) if isinstance(arm, type) and issubclass(arm, BaseModel)]
    if Distribution in models:
        name = node.child("distribution")
        try:
            return find_distribution(name.value if name is not None else None)
        except ValueError:
            return None
    if len(models) > 1:
        kind = node.child("type")
        for model in models:
            field = model.model_fields.get("type")
            if field is not None and kind is not None and field.default == kind.value:
                return model
    return models[0] if models else None


def _family_of(annotation: Any) -> Registry[Any] | None:
    """The family whose rules' blocks an annotation takes, if any."""
    if get_origin(annotation) is not Annotated:
        return None
    return next((mark for mark in get_args(annotation)[1:] if isinstance(mark, Registry)), None)


def _field_annotation(owner: type[BaseModel] | None, annotation: Any, key: str) -> Any:
    if owner is not None:
        fields = owner.model_fields.items()
        field = next((field for name, field in fields if key in (name, field.alias)), None)
        if field is None:
            return None
        families = tuple(mark for mark in field.metadata if isinstance(mark, Registry))
        return Annotated[field.annotation, *families] if families else field.annotation
    return next((get_args(arm)[1] for arm in _arms(annotation) if get_origin(arm) is dict), None)


def _item_annotation(annotation: Any) -> Any:
    return next((get_args(arm)[0] for arm in _arms(annotation) if get_origin(arm) in (tuple, list)), None)
