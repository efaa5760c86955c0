"""Strict YAML as a tree that remembers file and line of every node, and back again."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, final

import yaml
from yaml.resolver import BaseResolver

from marginquake.sim.core.data_files import CONTENT_KEY
from marginquake.sim.core.problems import Place, Problem, ScenarioError, shown_path
from marginquake.sim.scenario.budget import MAX_DEPTH, Budget, beyond

try:
    from yaml._yaml import CParser as _Parser
except ImportError:  # PyYAML without libyaml: slower, same nodes
    from yaml.composer import Composer
    from yaml.parser import Parser
    from yaml.reader import Reader
    from yaml.scanner import Scanner

    class _Parser(Reader, Scanner, Parser, Composer):  # type: ignore[no-redef]
        def __init__(self, stream: str) -> None:
            Reader.__init__(self, stream)
            Scanner.__init__(self)
            Parser.__init__(self)
            Composer.__init__(self)


Path_: TypeAlias = tuple[str | int, ...]
Scalar: TypeAlias = str | int | float | bool | None
DISCRIMINATORS: Final = ("type", "distribution")
DEFAULT_TYPES: Final[Mapping[str, str]] = {"fundamental": "gbm", "contract": "linear"}
"""What a block without `type` is."""
FILE_KEY: Final = "file"
"""A text under this key is a path, relative to the file in which it is written."""
CONTENT_OF: Final[Mapping[str, Sequence[str]]] = {
    CONTENT_KEY: (FILE_KEY,),
    "points": (FILE_KEY, "start", "format", "time_unit", "time_column", "price_column"),
    "span": (FILE_KEY, "start", "format", "time_unit", "time_column", "price_column"),
}
"""What a resolved scenario writes down about a file's content, and the fields that it depends on."""
_LARGEST_INTEGER: Final = 10**40
"""Beyond every amount and count; Python would go on to numbers that no float can hold."""


@final
@dataclass(slots=True)
class Node:
    """A value, its place, and its path as written.  `deletes`: a null written over something inherited."""

    value: "Scalar | dict[str, Node] | list[Node]"
    place: Place
    path: Path_
    deletes: bool = False

    def plain(self, booleans_as_text: bool = False) -> Any:
        """The bare value, all the way down."""
        if isinstance(self.value, dict):
            return {key: child.plain(booleans_as_text) for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain(booleans_as_text) for child in self.value]
        return self.shown() if booleans_as_text and isinstance(self.value, bool) else self.value

    def child(self, key: str | int) -> "Node | None":
        """The node under a key or index, if there is one."""
        if isinstance(self.value, dict):
            return self.value.get(key) if isinstance(key, str) else None
        if isinstance(self.value, list) and isinstance(key, int):
            return self.value[key] if 0 <= key < len(self.value) else None
        return None

    def walk(self) -> Iterator["Node"]:
        """This node and all below it."""
        yield self
        children = self.value.values() if isinstance(self.value, dict) else self.value
        if isinstance(children, str | int | float | None):
            return
        for child in children:
            yield from child.walk()

    def shown(self) -> str | None:
        """A scalar as a person would write it; None for mappings and lists."""
        match self.value:
            case dict() | list():
                return None
            case None:
                return "null"
            case bool():
                return "true" if self.value else "false"
            case str():
                text = self.value if self.value.strip() == self.value and self.value else repr(self.value)
                return text if len(text) <= 60 else text[:57] + "..."
            case _:
                return repr(self.value)


def dump(data: Mapping[str, Any]) -> str:
    """YAML text that this module's loader reads back as exactly `data`, keys in the given order."""
    return yaml.dump(dict(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def dump_inline(value: Any) -> str:
    """A value on one line, so that `key: <text>` reads back as exactly that value."""
    text: str = yaml.dump(value, Dumper=_InlineDumper, sort_keys=False, allow_unicode=True, width=2**31)
    return text.removesuffix("\n").removesuffix("\n...")


def read_plain(text: str) -> Any:
    """What `dump` wrote, as plain data."""
    node = _parse(text, Place("", 0, Path()), [], Budget())
    return None if node is None else node.plain()


def _parse(text: str, place: Place, problems: list[Problem], budget: Budget) -> Node | None:
    """The tree of a YAML text that begins at `place`; None with a problem added on a syntax error.

    Raises ScenarioError beyond the `budget`.
    """
    loader = None
    try:
        loader = _Loader(text, place, budget.values)
        document = loader.get_single_node()
    except yaml.YAMLError as error:
        problems.append(_syntax_problem(error, text, place))
        return None
    except UnicodeEncodeError:
        problems.append(Problem(place, "", "not YAML: holds bytes that are no text"))
        return None
    finally:
        if loader is not None:
            loader.dispose()
    if document is None:
        return Node(None, place, ())
    return _Builder(place, problems, budget).build(document, place, ())


def _syntax_problem(error: yaml.YAMLError, text: str, place: Place) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    message = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    if mark is None and isinstance(error, yaml.reader.ReaderError):
        position = error.position if isinstance(error.position, int) else 0
        where = Place(place.source, text.count("\n", 0, position) + 1 if place.line else 0, place.folder)
        return Problem(where, "", f"not YAML: the file contains a control character ({message})")
    index = mark.line if mark is not None else 0
    where = Place(place.source, place.line + index if place.line else 0, place.folder)
    lines = text.splitlines()
    line = lines[index] if index < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())] or ("cannot start any token" in message and "\t" in line):
        return Problem(where, "", "a tab; YAML indents with spaces: write those instead")
    if "expected a single document" in str(error) or "another document" in message:
        return Problem(where, "", "a second document ('---'); write one scenario a file")
    if "mapping values are not allowed" in message:
        message += "; is the indentation right, and is a text with ': ' in quotes?"
    if "could not find expected ':'" in message:
        message += "; write 'name: value' with a space after the colon"
    if "found undefined alias" in message:
        message = "an alias (*name) of nothing that was named before (&name)"
    return Problem(where, "", f"not YAML: {message}")


@final
class _Builder:
    """PyYAML nodes -> our nodes, keeping places and collecting problems."""

    def __init__(self, start: Place, problems: list[Problem], budget: Budget) -> None:
        self._start = start
        self._problems = problems
        self._budget = budget
        self._open: set[int] = set()

    def build(self, node: yaml.Node, place: Place, path: Path_) -> Node:
        if id(node) in self._open:
            self._add(place, path, "an alias inside of what it stands for")
            return Node(None, place, path)
        if len(path) > MAX_DEPTH:
            raise _too_deep(place)
        self._budget.spend_text(node.value if isinstance(node, yaml.ScalarNode) else "", place)
        self._open.add(id(node))
        built = Node(self._value(node, path, place), place, path)
        self._open.discard(id(node))
        return built

    def _value(self, node: yaml.Node, path: Path_, place: Place) -> "Scalar | dict[str, Node] | list[Node]":
        if isinstance(node, yaml.MappingNode):
            if node.tag != "tag:yaml.org,2002:map":
                self._add(place, path, f"the tag {_short_tag(node.tag)} is not supported; remove it")
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            if node.tag != "tag:yaml.org,2002:seq":
                self._add(place, path, f"the tag {_short_tag(node.tag)} is not supported; remove it")
            return [self.build(item, self._place(item), (*path, i)) for i, item in enumerate(node.value)]
        try:
            return _scalar(node)
        except ValueError as error:
            self._add(place, path, str(error))
            return None

    def _mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for key_node, value_node in node.value:
            place = self._place(key_node)
            self._budget.spend_text(key_node.value if isinstance(key_node, yaml.ScalarNode) else "", place)
            if not isinstance(key_node, yaml.ScalarNode):
                self._add(place, path, "a field's name must be plain text")
                continue
            key = key_node.value
            if key == "<<" and key_node.tag == _MERGE_TAG:
                self._add(place, (*path, key), "merge keys are not supported; use 'extends: file.yaml'")
            elif key_node.tag != _STR_TAG:
                self._add(place, (*path, key), f"a field's name must be text; write '{key}' in quotes")
            elif key in found:
                first = found[key].place.line
                self._add(place, (*path, key), f"written twice; first in line {first}")
            else:
                found[key] = self.build(value_node, place, (*path, key))
        return found

    def _place(self, node: yaml.Node) -> Place:
        if not self._start.line:
            return self._start
        return Place(self._start.source, self._start.line + node.start_mark.line, self._start.folder)

    def _add(self, place: Place, path: Path_, message: str) -> None:
        self._problems.append(Problem(place, shown_path(path), message))


def _scalar(node: yaml.Node) -> Scalar:
    """A YAML 1.2 core scalar.  The resolver below has already decided which."""
    text: str = node.value
    match node.tag:
        case "tag:yaml.org,2002:str" | "tag:yaml.org,2002:merge":
            return text
        case "tag:yaml.org,2002:null":
            return None
        case "tag:yaml.org,2002:bool":
            if text.lower() not in ("true", "false"):
                raise ValueError(f"{text!r} is not true or false")
            return text.lower() == "true"
        case "tag:yaml.org,2002:int":
            return _integer(text)
        case "tag:yaml.org,2002:float":
            lowered = text.lower()
            if not _FLOAT.fullmatch(text) and lowered not in ("inf", "-inf", "nan"):  # as Python writes them
                raise ValueError("the tag !!float stands before what is no number")
            return float(lowered.replace(".inf", "inf").replace(".nan", "nan"))
        case tag:
            raise ValueError(f"the tag {_short_tag(tag)} is not supported; remove it")


def _integer(text: str) -> int:
    if len(text) <= 100 and _INTEGER.fullmatch(text):
        number = int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        if abs(number) <= _LARGEST_INTEGER:
            return number
    raise ValueError("no whole number of at most 40 digits")


def _short_tag(tag: str) -> str:
    short = tag.replace("tag:yaml.org,2002:", "!!")
    return short if len(short) <= 60 else f"{short[:57]}..."


def _too_deep(place: Place) -> ScenarioError:
    return beyond(place, f"nested more than {MAX_DEPTH} levels deep")


_STR_TAG: Final = "tag:yaml.org,2002:str"
_MERGE_TAG: Final = "tag:yaml.org,2002:merge"
_CORE_SCALARS: Final = (
    ("merge", r"<<", "<"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
)
"""YAML 1.2 core schema (yaml.org/spec/1.2.2, section 10.3.2): tag, pattern, first characters."""


_INTEGER, _FLOAT = (
    re.compile(pattern) for wanted in ("int", "float") for name, pattern, _ in _CORE_SCALARS if name == wanted
)


class _Loader(_Parser, BaseResolver):
    """Text -> nodes with YAML 1.2 tags: at most `most`, and none too deep.  `place`: where the text begins."""

    def __init__(self, text: str, place: Place, most: int) -> None:
        _Parser.__init__(self, text)
        BaseResolver.__init__(self)
        self._place = place
        self._left = Budget(most)
        self._depth = 0

    def descend_resolver(self, current_node: yaml.Node | None, current_index: Any) -> None:
        """PyYAML calls this before each node, so that what is too much is never composed."""
        place = self._place
        if current_node is not None and place.line:
            place = Place(place.source, place.line + current_node.start_mark.line, place.folder)
        self._left.spend(1, place)
        self._depth += 1
        if self._depth > MAX_DEPTH + 1:
            raise _too_deep(place)

    def ascend_resolver(self) -> None:
        """PyYAML calls this after each node."""
        self._depth -= 1


class _Dumper(yaml.SafeDumper):
    """Quotes texts that YAML 1.1 or 1.2 would read as something else; short lists on one line."""

    def ignore_aliases(self, data: Any) -> bool:
        """No anchors in output."""
        return True


for _name, _pattern, _first in _CORE_SCALARS:
    _regexp = re.compile(rf"(?:{_pattern})\Z")
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", _regexp, list(_first))
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", _regexp, list(_first))


def _represent_float(dumper: yaml.SafeDumper, number: float) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:float", repr(number))


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    """In double quotes, and so escaped, if it holds what YAML might take for a line break or drop."""
    odd = any(not char.isprintable() and char != "\n" for char in text)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if odd else None)


def _represent_list(dumper: yaml.SafeDumper, items: list[Any]) -> yaml.Node:
    plain = all(not isinstance(item, list | dict) for item in items)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=plain)


def _represent_mapping(dumper: yaml.SafeDumper, items: dict[str, Any]) -> yaml.Node:
    plain = 0 < len(items) <= 8 and all(
        not isinstance(item, list | dict | str) or _tame(item) for item in items.values()
    )
    return dumper.represent_mapping("tag:yaml.org,2002:map", items, flow_style=plain and len(str(items)) < 90)


def _tame(item: Any) -> bool:
    return isinstance(item, str) and len(item) < 30


_Dumper.add_representer(str, _represent_text)


_Dumper.add_representer(float, _represent_float)


_Dumper.add_representer(list, _represent_list)


_Dumper.add_representer(dict, _represent_mapping)


@final
class _InlineDumper(_Dumper):
    """Everything on one line."""


_InlineDumper.add_representer(
    list, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)
)
_InlineDumper.add_representer(
    dict, lambda dumper, items: dumper.represent_mapping("tag:yaml.org,2002:map", items, flow_style=True)
)
