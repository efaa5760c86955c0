"""Input files of a scenario, known by their content: what is filed is what was read.

A block that names a file also holds the sha256 of what was in it when the scenario was read.  Whoever reads the file
later asks for exactly that content, and may cache what is made of it by that digest: a path is no key, since the file
behind it may change.
"""

import hashlib
import os
from pathlib import Path
from typing import Final, final

from marginquake.sim.core.outside.bounded_files import read_bounded

CONTENT_KEY: Final = "sha256"
"""The field beside `file` that holds the digest of the content."""
_NOT_TEXT: Final = (
    (b"PAR1", "is a Parquet file; write it as CSV"),
    (b"PK", "is a spreadsheet or a zip file; unpack it, or export it as CSV"),
    (b"\x1f\x8b", "is compressed; unpack it first"),
    (b"\xd0\xcf\x11\xe0", "is a spreadsheet; export it as CSV"),
)
"""How files begin that people take for CSV, and what to do with them."""


def why_not_text(content: bytes) -> str | None:
    """What a file is that is no text at all, and the way out; None where nothing says so."""
    return next((what for beginning, what in _NOT_TEXT if content.startswith(beginning)), None)


@final
class DataFileChanged(ValueError):
    """The file does not hold what it held when the scenario was read."""


def content_digest(file: str | Path) -> str:
    """sha256 of what is in the file now, as hexadecimal digits.  Raises OSError if it cannot be read."""
    return hashlib.sha256(read_bounded(file)).hexdigest()


def file_digest(file: str | None) -> str:
    """`sha256:` and the digest of what is in the file now; its name where there is no such file."""
    return f"sha256:{content_digest(file)}" if file is not None and os.path.isfile(file) else str(file)


def read_content(file: str | Path, sha256: str) -> bytes:
    """The bytes of the file, if they are those with this digest.  Raises DataFileChanged, or OSError."""
    data = read_bounded(file)
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise DataFileChanged(changed_message(file, sha256, found))
    return data


def changed_message(file: str | Path, sha256: str, found: str) -> str:
    """What to say of a file that held the content `sha256` and now holds `found`."""
    return (
        f"{file} has changed since the scenario was read: its sha256 was {_short(sha256)}, now it is {_short(found)}; "
        f"bring the old content back, or take out `{CONTENT_KEY}` to use the new one"
    )


def has_changed(file: str | Path, sha256: str) -> bool:
    """Whether the file is gone, or holds something else."""
    try:
        return content_digest(file) != sha256
    except OSError:
        return True


def _short(digest: str) -> str:
    return f"{digest[:12]}..." if len(digest) > 12 else repr(digest)
