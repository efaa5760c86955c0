"""Every change that we make to a disk, in one place: what stands under a name is whole, whatever interrupts.

A single file is written aside, synced, renamed, and its folder synced (`write_whole`, `written_aside`).  A folder of
many files is made under a hidden name, synced whole (`sync_tree`), and renamed (`move`).  The few calls that reach the
system are methods of `Disk`; tests put another one in its place, which fails at the n-th call, or dies there, or keeps
what a loss of power would keep.
"""

import contextlib
import errno
import io
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

NO_SYNC: Final = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES, errno.EPERM, errno.EBADF)
"""What systems answer that cannot sync a folder: there is nothing to be done about it."""
BUFFER: Final = 1 << 20
"""Bytes that are written at once."""


class Disk:
    """The system's own calls.  Not final: tests make disks that fail."""

    def create(self, path: Path) -> io.FileIO:
        """A new file, open for writing and reading, in place of what is there.  A write may take a part only."""
        return io.FileIO(path, "w+")

    def sync(self, path: Path) -> None:
        """What is in a file, or which names are in a folder, outlasts a loss of power from now on."""
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno not in NO_SYNC or not path.is_dir():
                raise
        finally:
            os.close(handle)

    def rename(self, source: Path, target: Path) -> None:
        """Another name, in place of the file, or the empty folder, that has it."""
        os.rename(source, target)

    def link(self, source: Path, target: Path) -> None:
        """A second name; FileExistsError where something has it."""
        os.link(source, target)

    def make_folder(self, path: Path, mode: int = 0o777) -> None:
        """FileExistsError where something has the name."""
        path.mkdir(mode=mode)

    def delete(self, path: Path) -> None:
        """A file or link."""
        path.unlink()

    def delete_tree(self, path: Path) -> None:
        """A folder with all that is in it, as far as that can be done."""
        shutil.rmtree(path, ignore_errors=True)


_disk: Disk = Disk()


@contextlib.contextmanager
def instead(disk: Disk) -> Iterator[None]:
    """During the block everything goes to another disk."""
    global _disk
    before, _disk = _disk, disk
    try:
        yield
    finally:
        _disk = before


def create(path: Path) -> IO[bytes]:
    """A file of a folder that is not under its final name yet.  Whoever makes the folder syncs it."""
    return io.BufferedRandom(_disk.create(path), BUFFER)


def write_within(path: Path, content: bytes | str) -> None:
    """The same, all at once."""
    with create(path) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file, or leave what was there: a half one never stands under its name, whatever interrupts."""
    with written_aside(path) as aside:
        write_within(aside, content)


def write_new(path: Path, content: str) -> None:
    """Write a file where there is none.  Raises FileExistsError, also where another process is faster."""
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    aside = _aside(path)
    try:
        write_within(aside, content)
        _disk.sync(aside)
        try:
            _disk.link(aside, path)
        except FileExistsError:
            raise
        except OSError:  # no second names on this file system
            _disk.rename(aside, path)
    finally:
        remove(aside)
    _disk.sync(path.parent)


@contextlib.contextmanager
def written_aside(*paths: Path) -> Iterator[Any]:
    """Hidden paths to write to, one for each of `paths`, which they become at the end of the block if all went well."""
    asides = [_aside(path) for path in paths]
    try:
        yield asides[0] if len(paths) == 1 else tuple(asides)
        for aside in asides:
            _disk.sync(aside)
        for aside, path in zip(asides, paths, strict=True):
            _disk.rename(aside, path)
        for parent in dict.fromkeys(path.parent for path in paths):
            _disk.sync(parent)
    finally:
        for aside in asides:
            remove(aside)


def rename(source: Path, target: Path) -> None:
    """Rename; whoever does it syncs the folder.  Raises as `os.rename` does."""
    _disk.rename(source, target)


def move(source: Path, target: Path) -> None:
    """Rename, so that it lasts; what is renamed has been synced.  Raises as `os.rename` does."""
    _disk.rename(source, target)
    for parent in dict.fromkeys((target.parent, source.parent)):
        _disk.sync(parent)


def make_folder(path: Path, mode: int = 0o777) -> None:
    """A folder where there is none; FileExistsError where something has the name."""
    _disk.make_folder(path, mode)


def make_folders(path: Path) -> None:
    """A folder with those above it; nothing where it is there."""
    if path.is_dir():
        return
    missing = [each for each in (path, *path.parents) if not os.path.lexists(each)]
    for each in reversed(missing):
        with contextlib.suppress(FileExistsError):  # another process was faster
            _disk.make_folder(each)
    if not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))


def sync(path: Path) -> None:
    """One file, or the names in one folder."""
    _disk.sync(path)


def sync_tree(folder: Path) -> None:
    """Every file in a folder, and every folder in it, itself last."""
    for place, _, names in os.walk(folder, topdown=False):
        for name in sorted(names):
            _disk.sync(Path(place, name))
        _disk.sync(Path(place))


def delete(path: Path) -> None:
    """A file, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        _disk.delete(path)


def remove(path: Path) -> None:
    """A folder, file or link, as far as that can be done; nothing is said of the rest."""
    if path.is_dir() and not path.is_symlink():
        _disk.delete_tree(path)
    elif os.path.lexists(path):
        with contextlib.suppress(OSError):
            _disk.delete(path)


def _aside(path: Path) -> Path:
    """A hidden name beside it; too long a name loses its end, for names have a limit."""
    return path.with_name(f".tmp-{path.name[:200]}-{secrets.token_hex(6)}")
