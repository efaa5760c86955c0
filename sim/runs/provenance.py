"""What made a run: program, packages, platform, commit, command."""

import functools
import hashlib
import platform
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from marginquake.sim.core.version import MODEL_VERSION, __version__

PACKAGES = ("numpy", "numba", "mesa", "pyarrow", "pydantic")
ROOT = Path(__file__).resolve().parents[2]


def provenance() -> dict[str, Any]:
    """What would be needed to make the same run again, and when this one was made."""
    return {
        "software": "marginquake",
        "software_version": __version__,
        "model_version": MODEL_VERSION,
        "python_version": platform.python_version(),
        "packages": {package: metadata.version(package) for package in PACKAGES},
        "platform": platform.platform(),
        "git_commit": _git_commit(),
        "command": sys.argv,
        "created_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def made_with() -> dict[str, str]:
    """Everything that must be the same for a stored model to go on as if it had never been stored."""
    return {
        "model version": MODEL_VERSION,
        "python": ".".join(platform.python_version_tuple()[:2]),
        **{package: metadata.version(package) for package in PACKAGES},
        "sources of sim and agents": _source_digest(),
    }


@functools.cache
def _source_digest() -> str:
    """Hash of the program's own text, as it was when first asked for; wherever it is installed."""
    digest = hashlib.sha256()
    for folder in ("sim", "agents"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(f"{path.relative_to(ROOT).as_posix()} {path.stat().st_size}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _git_commit() -> str | None:
    """Commit of the checkout that holds this file; `+` if it has changes; None outside of git."""
    if not (ROOT / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None
