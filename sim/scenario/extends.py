"""From files to one tree: `extends`, fragments of populations, overrides; every node keeps its place."""

import os
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

from marginquake.sim.core.data_files import CONTENT_KEY
from marginquake.sim.core.outside.bounded_files import read_bounded
from marginquake.sim.core.problems import Place, Problem, ScenarioError, closest, shown_path
from marginquake.sim.scenario import installed
from marginquake.sim.scenario.budget import MAX_DEPTH, VALUES_A_FILE, Budget
from marginquake.sim.scenario.yaml_tree import CONTENT_OF, DEFAULT_TYPES, DISCRIMINATORS, FILE_KEY, Node, Path_, _parse

EXTENDS: Final = "extends"
POPULATIONS: Final = "populations"


@final
@dataclass(slots=True)
class Source:
    """A file read with everything it extends.

    `unfinished`: paths of populations that lack what they extend, because it could not be read (the problem is told).
    `budget`: what overrides may still add.  `extended`: files by the name they are shown by, where each is named, and
    its fields.
    """

    root: Node
    text: str
    budget: Budget
    problems: list[Problem] = field(default_factory=list)
    unfinished: set[Path_] = field(default_factory=set)
    extended: dict[str, tuple[Node, set[str]]] = field(default_factory=dict)

    def told(self, problems: Sequence[Problem], known: Container[str]) -> list[Problem]:
        """Problems as they may be told.  Of a file that is extended and has hardly a `known` field it is told that it
        is none of ours, where it is named, and not what stands in it: it may be anybody's."""
        foreign = {
            shown: named
            for shown, (named, fields) in self.extended.items()
            if 2 * sum(name in known for name in fields) < len(fields)
        }
        message = "is no scenario and no fragment of one: most of its fields are unknown"
        return [
            problem
            if (named := foreign.get(problem.place.source)) is None
            else Problem(named.place, shown_path(named.path), message, named.shown())
            for problem in problems
        ]


def read_source(path: Path) -> Source:
    """The merged tree of a file and what it extends.

    Raises ScenarioError if the file itself yields no mapping, or all together is more than `budget` allows.
    """
    reader = _Reader([], set(), Budget())
    root, text = reader.read(path, os.fspath(path), [], None)
    if root is None:
        raise ScenarioError(reader.problems)
    return Source(root, text, reader.budget, reader.problems, reader.unfinished, reader.extended)


def merge(base: Node, over: Node) -> Node:
    """`over` on top of `base`: mappings merge, all else replaces, null deletes.  Neither is changed."""
    if over.value is None:
        return Node(None, over.place, over.path, deletes=True)
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)) or _is_another_kind(base, over):
        return over
    return _merge_fields(base, over)


def apply_override(source: Source, argument: str) -> None:
    """Put one `--set path=value` into the tree.  The value is a YAML scalar or flow collection; null deletes.

    `populations.NAME.extends=fragment.yaml`, relative to the working directory or installed, lays the fragment over
    what the file says, as a scenario that extends this file would.
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
    if len(keys) > MAX_DEPTH:
        problems.append(Problem(place, "", f"names a field more than {MAX_DEPTH} levels deep"))
        return
    source.budget.spend_bytes(len(argument), place)
    value = _parse(value_text, place, problems, source.budget)
    if value is None:
        return
    reader = _Reader(problems, source.unfinished, source.budget, extended=source.extended)
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
            parent_list, index = parent.value, int(key) if re.fullmatch("[0-9]{1,9}", key) else -1
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
                _forget_content(parent.value, {key})
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


@final
@dataclass(slots=True)
class _Reader:
    """Reads files and what they extend, each once.  Problems are collected; fields as in `Source`.

    `known`: what has been read, whole with all that it extends, and how many values it has; None where it was not to be
    had.  Nothing in there is ever changed: who puts it below a population copies it.
    """

    problems: list[Problem]
    unfinished: set[Path_]
    budget: Budget
    known: dict[Path, tuple[Node, int] | None] = field(default_factory=dict)
    extended: dict[str, tuple[Node, set[str]]] = field(default_factory=dict)

    def read(
        self, path: Path, shown: str, descendants: list[Path], named: Node | None
    ) -> tuple[Node | None, str]:  # fmt: skip
        """A file's own tree on top of those it extends; None with a problem added if it cannot be had.

        `named`: where a file names it; None if somebody does on the command line.
        """
        place = Place(shown, 0, path.parent.absolute())
        self.budget.spend_file(place if named is None else named.place)
        text = self._text_of(path, place, named)
        if text is None:
            return None, ""
        own = _parse(text, Place(shown, 1, place.folder), self.problems, self.budget)
        if own is None:
            return None, text
        if own.value is None:
            self._add(place, "the file is empty")
            return None, text
        if not isinstance(own.value, dict):
            kind = "a list" if isinstance(own.value, list) else "a text or number"
            first = len(text) - len(re.sub(r"\A(?:\s*(?:#.*)?\n)*", "", text))
            where = Place(shown, text.count("\n", 0, first) + 1, place.folder)
            self._add(where, f"must be a mapping of fields (name: value), but is {kind}")
            return None, text
        extends = own.value.pop(EXTENDS, None)
        if named is not None:
            self.extended[shown] = named, set(own.value)
        family = [*descendants, Path(os.path.realpath(path))]
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
        self.budget.spend(VALUES_A_FILE, entry.place)
        name = str(entry.value)
        found = installed.find(name, folder)
        if found is None:
            message, near = installed.not_found(name, folder)
            self.problems.append(Problem(entry.place, shown_path(entry.path), message, entry.shown(), suggestion=near))
            return None
        target = Path(os.path.realpath(found))
        if target in family:
            loop = " -> ".join(p.name for p in (*family[family.index(target) :], target))
            self.problems.append(Problem(entry.place, shown_path(entry.path), f"a file cannot extend itself: {loop}"))
            return None
        if target not in self.known:
            own = installed.written_there(name, folder)
            as_named = None if own is None else os.path.normpath(os.path.join(os.path.dirname(shown), own))
            tree = self.read(target, as_named or str(target), family, entry)[0]
            self.known[target] = None if tree is None else (tree, sum(1 for _ in tree.walk()))
        known = self.known[target]
        if known is None:
            return None
        self.budget.spend(known[1], entry.place)
        return known[0]

    def _text_of(self, path: Path, place: Place, named: Node | None) -> str | None:
        """The text of a file; None with a problem added, where it is named, if it has none."""
        try:
            data = read_bounded(path, self.budget.bytes)
        except FileNotFoundError:
            near = closest(path.name, _siblings(path))
            hint = os.path.join(os.path.dirname(place.source), near) if near else None
            self.problems.append(Problem(place, "", "no such file", suggestion=hint))
            return None
        except OSError as error:
            is_folder = isinstance(error, IsADirectoryError)
            why = "is a folder, not a scenario file" if is_folder else f"cannot be read: {error.strerror}"
            if named is None:
                self._add(place, why)
            else:
                self.problems.append(Problem(named.place, shown_path(named.path), why, named.shown()))
            return None
        self.budget.spend_bytes(len(data), place)
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            message = f"not UTF-8 text (byte 0x{data[error.start]:02x}); save the file as UTF-8"
            self._add(Place(place.source, line, place.folder), message)
            return None

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


def _siblings(path: Path) -> list[str]:
    try:
        return [entry.name for entry in path.parent.iterdir() if entry.suffix in (".yaml", ".yml")]
    except OSError:
        return []


def _merge_fields(base: Node, over: Node) -> Node:
    """The fields of two mappings, those of `over` on top."""
    assert isinstance(base.value, dict)
    assert isinstance(over.value, dict)
    merged = dict(base.value)
    _forget_content(merged, over.value)
    for key, child in over.value.items():
        merged[key] = merge(merged[key], child) if key in merged else child
    return Node(merged, over.place, over.path)


def _forget_content(fields: dict[str, Node], over: Container[str]) -> None:
    """Take out what a resolved scenario says of a file's content, if another file or way to read it comes over it."""
    if CONTENT_KEY in fields:
        for said, depends_on in CONTENT_OF.items():
            if any(name in over for name in depends_on):
                fields.pop(said, None)


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
