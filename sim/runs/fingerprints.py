"""What was written is what is read: hashes of a run's files in its manifest, and documents that hold their own.

`manifest.json` lists every file that a later command believes, with its size and SHA-256; pictures (`figures/`,
`report.html`) are drawn again from those, and results of twins hold their own hash.  A document's own hash is over all
that it holds otherwise.  Runs of before `SCHEMA_VERSION` 2 have neither, and are read without.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pyarrow as pa

MANIFEST: Final = "manifest.json"
FILES: Final = "files"
"""Field of the manifest: hash and size by path."""
OWN: Final = "sha256"
"""Field of a document: the hash of all others."""
HASHED_SINCE: Final = 2
"""The first `schema_version` of documents that hold their own hash."""
NOT_LISTED: Final = ("figures", "report.html", "counterfactuals", "checkpoint", "checkpoint.new", MANIFEST)
"""Of a run directory: pictures, what holds its own hash, what only an unfinished run has, and the list."""
_PIECE: Final = 1 << 20


def fingerprint(file: Path) -> dict[str, Any]:
    """Size in bytes and SHA-256 of a file."""
    digest, size = hashlib.sha256(), 0
    with file.open("rb") as content:
        while piece := content.read(_PIECE):
            digest.update(piece)
            size += len(piece)
    return {"bytes": size, "sha256": digest.hexdigest()}


def files_of(folder: Path) -> Iterator[str]:
    """Paths of the files that a run's manifest lists, by name."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if name.parts[0] not in NOT_LISTED and not name.parts[0].startswith(".") and path.is_file():
            yield name.as_posix()


def fingerprints(folder: Path) -> dict[str, dict[str, Any]]:
    """For the manifest of a run that is complete but for it."""
    return {name: fingerprint(folder / name) for name in files_of(folder)}


def with_own_hash(content: Mapping[str, Any]) -> dict[str, Any]:
    """A document with its hash as its last field."""
    rest = {key: value for key, value in content.items() if key != OWN}
    return {**rest, OWN: _hash(rest)}


def is_as_written(content: Mapping[str, Any]) -> bool:
    """Whether a document holds what it was written with; one of before there were hashes says nothing against it."""
    if OWN not in content:
        version = content.get("schema_version")
        return isinstance(version, int) and version < HASHED_SINCE
    return bool(content[OWN] == _hash({key: value for key, value in content.items() if key != OWN}))


def difference(folder: Path, name: str, manifest: Mapping[str, Any]) -> str:
    """What is wrong with a file of a run, in words; empty where nothing is, or where the manifest does not list it."""
    listed = manifest.get(FILES)
    said = listed.get(name) if isinstance(listed, dict) else None
    if not isinstance(said, dict):
        return ""
    try:
        status = (folder / name).stat()
    except OSError:
        return "is missing"
    if status.st_size != said.get("bytes"):
        return f"has {status.st_size:,} bytes, and had {said.get('bytes'):,} when the run was made"
    if _known(folder / name, status.st_mtime_ns, status.st_ino) != said.get("sha256"):
        return "has changed since the run was made"
    return ""


@lru_cache(maxsize=4096)
def _known(file: Path, modified_ns: int, number: int) -> str:
    """The hash of a file that has been looked at before and has not been written since."""
    return str(fingerprint(file)["sha256"])


def table_with_own_hash(table: "pa.Table") -> "pa.Table":
    """A table whose metadata hold the hash of its cells."""
    return table.replace_schema_metadata({OWN: _hash_of_cells(table)})


def table_is_as_written(table: "pa.Table") -> bool:
    """Whether its cells are what was written; a table of before says nothing against it."""
    written = (table.schema.metadata or {}).get(OWN.encode())
    return written is None or written.decode("ascii", "replace") == _hash_of_cells(table)


def stored_table_is_as_written(file: Path) -> bool:
    """The same of a Parquet file, which may be no table any more."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return table_is_as_written(pq.ParquetFile(file).read())
    except (OSError, ValueError, pa.ArrowException):
        return False


def _hash_of_cells(table: "pa.Table") -> str:
    return _hash({name: table.column(name).to_pylist() for name in table.column_names})


def _hash(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
