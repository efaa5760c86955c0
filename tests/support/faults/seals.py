"""Hashes made right again after a file was changed on purpose: what somebody who means harm does, too."""

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

from marginquake.sim.runs import fingerprints
from marginquake.sim.runs.checkpoint import MAGIC


def seal_run(run: Path, **changes: Any) -> None:
    """The manifest with these changes, hashes of the files as they are now, and its own.  A manifest that is no JSON
    any more stays as it is."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        content = json.loads((run / "manifest.json").read_text())
        content |= {"schema_version": 2, **changes, fingerprints.FILES: fingerprints.fingerprints(run)}
        (run / "manifest.json").write_text(json.dumps(fingerprints.with_own_hash(content)))


def sealed_checkpoint(header: bytes, payload: bytes) -> bytes:
    """A checkpoint file of this line of JSON, with its line feed, and this pickle."""
    hashes = [hashlib.sha256(part).hexdigest().encode() for part in (header, payload)]
    return MAGIC + b" ".join(hashes) + b"\n" + header + payload
