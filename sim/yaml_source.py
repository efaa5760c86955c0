"""YAML as a tree that remembers where everything was written.

One strict loader over PyYAML's nodes: YAML 1.2 core scalars (`1e-4` is a number, `no`, `on` and `12:30` are text),
duplicate keys and merge keys refused, and the file and line of every value kept, also through `extends`.

`extends: other.yaml` (or a list, later ones win) is relative to the file that says it.  Mappings merge key by key,
everything else replaces, and so does a mapping that names another `type` or `distribution`; `null` deletes what was
inherited.  At the top of a file it names whole files; inside a population it names population fragments, whose fields
go under the population's own (there another `type` replaces only itself).
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias, final

import yaml
from yaml.resolver import BaseResolver

from sim.problems import Place, Problem, ScenarioError, closest, shown_path

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
EXTENDS: Final = "extends"
POPULATIONS: Final = "populations"
FILE_KEY: Final = "file"
"""A text under this key is a path, relative to the file in which it is written."""


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


@final
@dataclass(slots=True)
class Source:
    """A file read with everything it extends.

    `unfinished`: paths of populations that lack what they extend, because it could not be read (the problem is told).
    """

    root: Node
    text: str
    files: list[Path]
    problems: list[Problem] = field(default_factory=list)
    unfinished: set[Path_] = field(default_factory=set)


def read_source(path: Path) -> Source:
    """The merged tree of a file and what it extends.  Raises ScenarioError if the file itself yields no mapping."""
    reader = _Reader([], [], set())
    root, text = reader.read(path, os.fspath(path), [])
    if root is None:
        raise ScenarioError(reader.problems)
    return Source(root, text, reader.files, reader.problems, reader.unfinished)


def merge(base: Node, over: Node) -> Node:
    """`over` on top of `base`: mappings merge, all else replaces, null deletes.  Neither is changed."""
    if over.value is None:
        return Node(None, over.place, over.path, deletes=True)
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)) or _is_another_kind(base, over):
        return over
    return _merge_fields(base, over)


def apply_override(source: Source, argument: str) -> None:
    """Put one `--set path=value` into the tree.  The value is a YAML scalar or flow collection; null deletes.

    `populations.NAME.extends=fragment.yaml`, relative to the working directory, lays the fragment over what the file
    says, as a scenario that extends this file would.
    """
    root, problems = source.root, source.problems
    place = Place(f"--set {argument}", 0, Path.cwd())
    path_text, equals, value_text = argument.partition("=")
    keys = path_text.strip().split(".")
    if not equals or not all(keys):
        problems.append(Problem(place, "", "write --set path.to.field=value"))
        return
    if not value_text.strip():
        problems.append(Problem(place, path_text, f"no value; write {path_text}=null to delete the field"))
        return
    value = _parse(value_text, place, problems)
    if value is None:
        return
    reader = _Reader(problems, source.files, source.unfinished)
    if len(keys) == 3 and (keys[0], keys[2]) == (POPULATIONS, EXTENDS):
        _extend_population(root, keys[1], _planted(value, tuple(keys), place), reader)
        return
    _plant(root, keys, value, place, problems)
    if keys[0] == POPULATIONS:
        reader.extend_populations(root.child(POPULATIONS), Path.cwd(), "", [])


def _extend_population(root: Node, name: str, extends: Node, reader: "_Reader") -> None:
    """Lay a fragment over a population of the tree."""
    entries = root.child(POPULATIONS)
    entry = entries.child(name) if entries is not None else None
    if entries is None or entry is None or not isinstance(entries.value, dict):
        reader.problems.append(_no_such_entry([POPULATIONS, name], entries, extends.place))
        return
    fragment = reader.bases(extends, Path.cwd(), "", [], entry.path)
    if fragment is not None:
        entries.value[name] = _merge_fields(entry, fragment) if isinstance(entry.value, dict) else fragment


def _plant(root: Node, keys: list[str], value: Node, place: Place, problems: list[Problem]) -> None:
    """Put a value in its place in the tree, or say why there is no such place."""
    parent, at = root, list[str | int]()
    for depth, key in enumerate(keys):
        here = shown_path(at)
        last = depth == len(keys) - 1
        if isinstance(parent.value, list):
            parent_list, index = parent.value, int(key) if key.isdigit() else -1
            if not 0 <= index < len(parent_list):
                message = f"{here} is a list of {len(parent_list)} items, numbered from 0"
                problems.append(Problem(place, shown_path([*at, key]), message))
                return
            at.append(index)
            if last:
                parent_list[index] = _planted(value, tuple(at), place)
            parent = parent_list[index]
        elif isinstance(parent.value, dict):
            at.append(key)
            if last:
                planted = _planted(value, tuple(at), place)
                planted.deletes = planted.value is None
                parent.value[key] = planted
            elif key not in parent.value:
                if depth == 1 and at[0] in (POPULATIONS, "markets"):
                    problems.append(_no_such_entry(at, parent, place))
                    return
                parent.value[key] = Node({}, place, tuple(at))
            if not last:
                parent = parent.value[key]
                if parent.value is None:
                    parent.value, parent.place = {}, place
        else:
            problems.append(Problem(place, shown_path([*at, key]), f"{here} is {parent.shown()}, which has no fields"))
            return


def absolute_files(root: Node) -> None:
    """Make the paths under `file` keys absolute: each is relative to the file in which it is written."""
    for node in root.walk():
        if node.path[-1:] == (FILE_KEY,) and isinstance(node.value, str) and node.value:
            node.value = os.path.normpath(node.place.folder / node.value)


def dump(data: Mapping[str, Any]) -> str:
    """YAML text that this module's loader reads back as exactly `data`, keys in the given order."""
    return yaml.dump(dict(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


@final
@dataclass(slots=True)
class _Reader:
    """Reads files and what they extend.  Problems are collected; `files` and `unfinished` as in `Source`."""

    problems: list[Problem]
    files: list[Path]
    unfinished: set[Path_]

    def read(self, path: Path, shown: str, descendants: list[Path]) -> tuple[Node | None, str]:
        """A file's own tree on top of those it extends; None with a problem added if it cannot be had."""
        place = Place(shown, 0, path.parent.absolute())
        text = _read_text(path, place, self.problems)
        if text is None:
            return None, ""
        self.files.append(path)
        own = _parse(text, Place(shown, 1, place.folder), self.problems)
        if own is None:
            return None, text
        if own.value is None:
            self._add(place, "the file is empty")
            return None, text
        if not isinstance(own.value, dict):
            kind = "a list" if isinstance(own.value, list) else f"the text or number {own.shown()}"
            first = len(text) - len(re.sub(r"\A(?:\s*(?:#.*)?\n)*", "", text))
            where = Place(shown, text.count("\n", 0, first) + 1, place.folder)
            self._add(where, f"must be a mapping of fields (name: value), but is {kind}")
            return None, text
        extends = own.value.pop(EXTENDS, None)
        family = [*descendants, path.resolve()]
        self.extend_populations(own.value.get(POPULATIONS), path.parent, shown, family)
        base: Node | None = None
        for entry in _extended(extends, self.problems):
            ancestor = self._extended_file(entry, path.parent, shown, family)
            if ancestor is not None:
                base = ancestor if base is None else merge(base, ancestor)
        return own if base is None else merge(base, own), text

    def extend_populations(self, populations: Node | None, folder: Path, shown: str, family: list[Path]) -> None:
        """Put under each population the fragments that it `extends`, and take that word away."""
        if populations is None or not isinstance(populations.value, dict):
            return
        for name, entry in populations.value.items():
            if not isinstance(entry.value, dict) or EXTENDS not in entry.value:
                continue
            fields = {key: child for key, child in entry.value.items() if key != EXTENDS}
            own = Node(fields, entry.place, entry.path)
            fragment = self.bases(entry.value[EXTENDS], folder, shown, family, entry.path)
            populations.value[name] = own if fragment is None else _merge_fields(fragment, own)

    def bases(self, extends: Node, folder: Path, shown: str, family: list[Path], path: Path_) -> Node | None:
        """The fragments that a population at `path` extends, as if written there, later ones on top of earlier ones."""
        merged: Node | None = None
        entries = _extended(extends, self.problems)
        if not entries:
            self.unfinished.add(path)
        for entry in entries:
            fragment = self._extended_file(entry, folder, shown, family)
            if fragment is not None and (fragment.child(POPULATIONS) or fragment.child("markets")):
                message = "is a scenario, not a population fragment; name a file with the fields of one population"
                self.problems.append(Problem(entry.place, shown_path(entry.path), message, entry.shown()))
                fragment = None
            if fragment is None:
                self.unfinished.add(path)
                continue
            moved = _moved(fragment, path)
            merged = moved if merged is None else _merge_fields(merged, moved)
        return merged

    def _extended_file(self, entry: Node, folder: Path, shown: str, family: list[Path]) -> Node | None:
        """The tree of one file named under `extends`; `family`: the file that names it and those that extend that."""
        target = (folder / str(entry.value)).resolve()
        if target in family:
            loop = " -> ".join(p.name for p in (*family[family.index(target) :], target))
            self.problems.append(Problem(entry.place, shown_path(entry.path), f"a file cannot extend itself: {loop}"))
            return None
        if not target.is_file():
            near = closest(target.name, _siblings(target))
            hint = str(Path(str(entry.value)).with_name(near)) if near else None
            self.problems.append(
                Problem(entry.place, shown_path(entry.path), "no such file", entry.shown(), suggestion=hint)
            )
            return None
        target_shown = os.path.normpath(os.path.join(os.path.dirname(shown), str(entry.value)))
        return self.read(target, target_shown, family)[0]

    def _add(self, place: Place, message: str) -> None:
        self.problems.append(Problem(place, "", message))


def _extended(extends: Node | None, problems: list[Problem]) -> list[Node]:
    if extends is None:
        return []
    entries = extends.value if isinstance(extends.value, list) else [extends]
    for entry in entries:
        if not isinstance(entry.value, str) or not entry.value:
            message = "must be a file name or a list of file names"
            problems.append(Problem(entry.place, shown_path(entry.path), message, entry.shown()))
    return [entry for entry in entries if isinstance(entry.value, str) and entry.value]


def _read_text(path: Path, place: Place, problems: list[Problem]) -> str | None:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        near = closest(path.name, _siblings(path))
        hint = os.path.join(os.path.dirname(place.source), near) if near else None
        problems.append(Problem(place, "", "no such file", suggestion=hint))
    except IsADirectoryError:
        problems.append(Problem(place, "", "is a folder, not a scenario file"))
    except OSError as error:
        problems.append(Problem(place, "", f"cannot be read: {error.strerror}"))
    else:
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            message = f"not UTF-8 text (byte 0x{data[error.start]:02x}); save the file as UTF-8"
            problems.append(Problem(Place(place.source, line, place.folder), "", message))
    return None


def _siblings(path: Path) -> list[str]:
    try:
        return [entry.name for entry in path.parent.iterdir() if entry.suffix in (".yaml", ".yml")]
    except OSError:
        return []


def _parse(text: str, place: Place, problems: list[Problem]) -> Node | None:
    """The tree of a YAML text that begins at `place`; None with a problem added on a syntax error."""
    loader = None
    try:
        loader = _Loader(text)
        document = loader.get_single_node()
    except yaml.YAMLError as error:
        problems.append(_syntax_problem(error, text, place))
        return None
    except RecursionError:
        problems.append(Problem(place, "", "nested too deeply"))
        return None
    finally:
        if loader is not None:
            loader.dispose()
    if document is None:
        return Node(None, place, ())
    return _Builder(place, problems).build(document, place, ())


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
        return Problem(where, "", "a tab; YAML indents with spaces")
    if "expected a single document" in str(error) or "another document" in message:
        return Problem(where, "", "a second document ('---'); write one scenario a file")
    if "mapping values are not allowed" in message:
        message += "; is the indentation right, and is a text with ': ' in quotes?"
    if "could not find expected ':'" in message:
        message += "; write 'name: value' with a space after the colon"
    return Problem(where, "", f"not YAML: {message}")


@final
class _Builder:
    """PyYAML nodes -> our nodes, keeping places and collecting problems."""

    def __init__(self, start: Place, problems: list[Problem]) -> None:
        self._start = start
        self._problems = problems
        self._open: set[int] = set()

    def build(self, node: yaml.Node, place: Place, path: Path_) -> Node:
        if id(node) in self._open:
            self._add(place, path, "an alias inside of what it stands for")
            return Node(None, place, path)
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
            if len(text) > 400:
                raise ValueError("a number with more than 400 digits")
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        case "tag:yaml.org,2002:float":
            lowered = text.lower()
            return float(lowered.replace(".inf", "inf").replace(".nan", "nan"))
        case tag:
            raise ValueError(f"the tag {_short_tag(tag)} is not supported; remove it")


def _short_tag(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")


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


class _Loader(_Parser, BaseResolver):
    """Text -> nodes with YAML 1.2 tags."""

    def __init__(self, text: str) -> None:
        _Parser.__init__(self, text)
        BaseResolver.__init__(self)


class _Dumper(yaml.SafeDumper):
    """Quotes whatever YAML 1.1 or 1.2 would take for something other than text; short lists on one line."""

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


def _merge_fields(base: Node, over: Node) -> Node:
    """The fields of two mappings, those of `over` on top."""
    assert isinstance(base.value, dict)
    assert isinstance(over.value, dict)
    merged = dict(base.value)
    for key, child in over.value.items():
        merged[key] = merge(merged[key], child) if key in merged else child
    return Node(merged, over.place, over.path)


def _is_another_kind(base: Node, over: Node) -> bool:
    """Both name a `type` (or `distribution`), and not the same: the old one's fields would make no sense."""
    for key in DISCRIMINATORS:
        old, new = base.child(key), over.child(key)
        if new is None or new.value is None:
            continue
        name = str(base.path[-1]) if base.path and key == "type" else ""
        if (old.value if old is not None else DEFAULT_TYPES.get(name, new.value)) != new.value:
            return True
    return False


def _planted(value: Node, path: Path_, place: Place) -> Node:
    """A value parsed on its own, as if written at `path`."""
    if isinstance(value.value, dict):
        children = {key: _planted(child, (*path, key), place) for key, child in value.value.items()}
        return Node(children, place, path)
    if isinstance(value.value, list):
        return Node([_planted(child, (*path, i), place) for i, child in enumerate(value.value)], place, path)
    return Node(value.value, place, path)


def _moved(node: Node, path: Path_) -> Node:
    """A tree read from a file of its own, as if it stood at `path`; every place stays the one where it is written."""
    if isinstance(node.value, dict):
        children = {key: _moved(child, (*path, key)) for key, child in node.value.items()}
        return Node(children, node.place, path, node.deletes)
    if isinstance(node.value, list):
        items = [_moved(child, (*path, i)) for i, child in enumerate(node.value)]
        return Node(items, node.place, path, node.deletes)
    return Node(node.value, node.place, path, node.deletes)


def _no_such_entry(at: Sequence[str | int], entries: Node | None, place: Place) -> Problem:
    """There is no population (or market) of that name."""
    names = entries.value if entries is not None and isinstance(entries.value, dict) else {}
    near = closest(str(at[1]), names)
    message = f"there is no {str(at[0])[:-1]} {at[1]!r}" + ("" if near else f" in {_listed(names)}")
    return Problem(place, shown_path(at), message, suggestion=near)


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(names) or "this scenario"
