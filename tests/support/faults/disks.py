"""Disks that fail, die, or forget: put in the place of the real one (`disk.instead`)."""

import errno
import io
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from marginquake.sim.core.outside.disk import Disk

Fault = Literal["full", "broken", "short", "dies"]
NUMBERS = {"full": errno.ENOSPC, "broken": errno.EIO}
HIDDEN = re.compile(r"\.(tmp|old)-.+-(?P<token>[0-9a-f]{12})\Z")


class Counted(Disk):
    """The real disk, which looks up before each call."""

    def __init__(self) -> None:
        self.calls = 0

    def before(self, what: str) -> int | None:
        """Called before each call; what it returns is how many bytes a write takes."""
        self.calls += 1
        return None

    def create(self, path: Path) -> io.FileIO:
        self.before("create")
        return CountedFile(self, path)

    def sync(self, path: Path) -> None:
        self.before("sync")
        super().sync(path)

    def rename(self, source: Path, target: Path) -> None:
        self.before("rename")
        super().rename(source, target)

    def link(self, source: Path, target: Path) -> None:
        self.before("link")
        super().link(source, target)

    def make_folder(self, path: Path, mode: int = 0o777) -> None:
        self.before("make_folder")
        super().make_folder(path, mode)

    def delete(self, path: Path) -> None:
        self.before("delete")
        super().delete(path)

    def delete_tree(self, path: Path) -> None:
        self.before("delete_tree")
        super().delete_tree(path)


class CountedFile(io.FileIO):
    """A file whose writes count."""

    def __init__(self, disk: Counted, path: Path) -> None:
        super().__init__(path, "w+")
        self._disk = disk

    def write(self, content: Any) -> int:
        most = self._disk.before("write")
        return super().write(content if most is None else bytes(content)[:most])


class Failing(Counted):
    """Fails at call number `at`, counted from 0, and, where a disk is full, at each one after it that needs room."""

    def __init__(self, at: int, fault: Fault) -> None:
        super().__init__()
        self._at = at
        self._fault: Fault = fault

    def before(self, what: str) -> int | None:
        now, self.calls = self.calls, self.calls + 1
        if self._fault == "full" and now > self._at and what in ("create", "write", "make_folder"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if now != self._at:
            return None
        if self._fault == "dies":
            os._exit(9)
        if self._fault == "short":
            return 1 if what == "write" else None
        if what == "delete_tree":  # does what it can, and says nothing
            return None
        raise OSError(NUMBERS[self._fault], os.strerror(NUMBERS[self._fault]))


# ---- what a loss of power leaves -------------------------------------------------------------------------------------


@dataclass
class Stored:
    """A file or folder: as it is now, and as it is certain to be found again."""

    is_folder: bool
    content: bytearray = field(default_factory=bytearray)
    kept_content: bytes = b""
    names: dict[str, "Stored"] = field(default_factory=dict)
    kept_names: dict[str, "Stored"] = field(default_factory=dict)


View = Literal["all", "names", "kept"]
"""After a kill, everything is there; after a loss of power all names, and of files what was synced, or only that."""


class Remembering(Disk):
    """The real disk, which notes what is done below `root`; `after(n, view)` is what a crash after n calls leaves."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.notes: list[Callable[[Stored], None]] = []
        self._begin = _read(root)

    def _note(self, change: Callable[[Stored], None]) -> None:
        self.notes.append(change)

    def create(self, path: Path) -> io.FileIO:
        parts = self._parts(path)
        self._note(lambda root: _folder(root, parts).names.__setitem__(parts[-1], Stored(is_folder=False)))
        return RememberingFile(self, path, parts)

    def sync(self, path: Path) -> None:
        super().sync(path)
        parts = self._parts(path)

        def change(root: Stored) -> None:
            node = _node(root, parts)
            node.kept_content, node.kept_names = bytes(node.content), dict(node.names)

        self._note(change)

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        old, new = self._parts(source), self._parts(target)
        self._note(lambda root: _folder(root, new).names.__setitem__(new[-1], _folder(root, old).names.pop(old[-1])))

    def link(self, source: Path, target: Path) -> None:
        super().link(source, target)
        old, new = self._parts(source), self._parts(target)
        self._note(lambda root: _folder(root, new).names.__setitem__(new[-1], _node(root, old)))

    def make_folder(self, path: Path, mode: int = 0o777) -> None:
        super().make_folder(path, mode)
        parts = self._parts(path)
        self._note(lambda root: _folder(root, parts).names.__setitem__(parts[-1], Stored(is_folder=True)))

    def delete(self, path: Path) -> None:
        super().delete(path)
        parts = self._parts(path)
        self._note(lambda root: _folder(root, parts).names.__delitem__(parts[-1]))

    def delete_tree(self, path: Path) -> None:
        super().delete_tree(path)
        parts = self._parts(path)
        self._note(lambda root: _folder(root, parts).names.__delitem__(parts[-1]))

    def wrote(self, parts: tuple[str, ...], place: int, content: bytes) -> None:
        """A write that reached the system."""

        def change(root: Stored) -> None:
            node = _node(root, parts)
            node.content[place : place + len(content)] = content

        self._note(change)

    def afterwards(self) -> Iterator[tuple[int, Stored]]:
        """What is there after 0, 1, 2, ... calls."""
        root = _copy(self._begin)
        yield 0, root
        for number, change in enumerate(self.notes, 1):
            change(root)
            yield number, root

    def _parts(self, path: Path) -> tuple[str, ...]:
        return path.absolute().relative_to(self.root.absolute()).parts


class RememberingFile(io.FileIO):
    """Its writes are noted."""

    def __init__(self, disk: Remembering, path: Path, parts: tuple[str, ...]) -> None:
        super().__init__(path, "w+")
        self._disk = disk
        self._parts = parts

    def write(self, content: Any) -> int:
        place = self.tell()
        count = super().write(content)
        self._disk.wrote(self._parts, place, bytes(content)[:count])
        return count


def lay_out(root: Stored, view: View, folder: Path) -> None:
    """Write what a crash leaves into an empty folder.  Claims of the dead lie there, empty: nobody has their locks."""
    for name, node in (root.kept_names if view == "kept" else root.names).items():
        path = folder / name
        if node.is_folder:
            path.mkdir()
            lay_out(node, view, path)
        else:
            path.write_bytes(bytes(node.content) if view == "all" else node.kept_content)
        if (match := HIDDEN.match(name)) is not None and node.is_folder:
            (folder / f".lock-{match['token']}").touch()


def _folder(root: Stored, parts: tuple[str, ...]) -> Stored:
    return _node(root, parts[:-1])


def _node(root: Stored, parts: tuple[str, ...]) -> Stored:
    for name in parts:
        root = root.names[name]
    return root


def _read(path: Path) -> Stored:
    """What is there at the start, all of it synced."""
    if not path.is_dir():
        content = path.read_bytes()
        return Stored(is_folder=False, content=bytearray(content), kept_content=content)
    names = {each.name: _read(each) for each in path.iterdir()}
    return Stored(is_folder=True, names=names, kept_names=dict(names))


def _copy(node: Stored) -> Stored:
    names = {name: _copy(each) for name, each in node.names.items()}
    return Stored(node.is_folder, bytearray(node.content), node.kept_content, names, dict(names))
