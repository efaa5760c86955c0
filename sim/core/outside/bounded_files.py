"""Reading files that somebody else wrote: never without end, and never more than is of use.

Everything refused is an `OSError` whose `strerror` says why in words, so that whoever reads a file tells all failures
in one way.
"""

import errno
import os
import select
import stat
import time
from pathlib import Path
from typing import Final, final

MAX_DATA_BYTES: Final = 512 * 2**20
"""Of one input file: account books of millions of rows and years of candles are smaller."""
PATIENCE_S: Final = 10.0
"""How long to wait for whoever writes into a pipe."""
_PIECE: Final = 2**20


@final
class FileRefused(OSError):
    """A file that is not read; `strerror` is the sentence."""

    def __init__(self, why: str, file: str | os.PathLike[str]) -> None:
        super().__init__(errno.EINVAL, why, os.fspath(file))


def read_bounded(file: str | Path, most: int = MAX_DATA_BYTES) -> bytes:
    """The content of a file or pipe of at most `most` bytes.  Raises OSError; folders and devices are refused."""
    try:
        handle = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except ValueError:
        raise FileRefused("no file has a NUL character in its name", file) from None
    try:
        status = os.fstat(handle)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(file))
        is_pipe = stat.S_ISFIFO(status.st_mode)
        if not is_pipe and not stat.S_ISREG(status.st_mode):
            raise FileRefused("is a device, not a file", file)
        if status.st_size > most:
            raise FileRefused(f"holds more than {_size(most)}", file)
        return _read(handle, file, most, is_pipe)
    finally:
        os.close(handle)


def _read(handle: int, file: str | Path, most: int, is_pipe: bool) -> bytes:
    content = bytearray()
    give_up = time.monotonic() + PATIENCE_S
    while len(content) <= most:
        if is_pipe and not select.select([handle], [], [], max(0.0, give_up - time.monotonic()))[0]:
            raise FileRefused(f"is a pipe that nobody has written to its end for {PATIENCE_S:g} s", file)
        piece = os.read(handle, min(_PIECE, most + 1 - len(content)))
        if not piece:
            return bytes(content)
        content += piece
    raise FileRefused(f"holds more than {_size(most)}", file)


def _size(count: int) -> str:
    return f"{count // 2**20:,} MB" if count >= 2**20 else f"{count:,} bytes"
