"""Numba kernels: arrays and records in, counts out; they raise nothing and allocate nothing.

`kernel` is the one decorator of the project. It turns off reference counting of array arguments (worth a factor
of 4 to 20 when small helpers pass arrays around) and inlines helpers into their callers.
"""

import hashlib
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba import config as numba_config

F = TypeVar("F", bound=Callable[..., Any])

PLAIN = os.environ.get("MARGINQUAKE_PLAIN_NJIT") == "1"
"""Only public numba options: the fallback, which the tests run too."""

ROOT = Path(__file__).resolve().parents[2]


def source_digest() -> str:
    """Hash of every source that may hold kernels: numba's own cache does not notice a change in another file.

    It does keep apart what was compiled from different places, so the place counts too.
    """
    digest = hashlib.sha256(f"{numba.__version__} {ROOT}".encode())
    for folder in ("sim/kernels", "agents"):
        for path in sorted((ROOT / folder).glob("*.py")):
            source = path.read_bytes()
            if b"sim.kernels" in source:
                digest.update(source)
    digest.update((ROOT / "sim" / "records.py").read_bytes())
    digest.update((ROOT / "sim" / "accounts.py").read_bytes())
    return digest.hexdigest()[:16]


def cache_directory() -> Path:
    """Where compiled kernels live between runs: one folder per version of the kernel sources."""
    base = os.environ.get("MARGINQUAKE_CACHE") or os.path.join(os.path.expanduser("~"), ".cache", "marginquake")
    suffix = "-checked" if numba_config.BOUNDSCHECK else ""
    suffix += "-plain" if PLAIN else ""
    return Path(base) / f"kernels-{source_digest()}{suffix}"


JIT = not numba_config.DISABLE_JIT
if JIT and not os.environ.get("NUMBA_CACHE_DIR"):
    numba_config.CACHE_DIR = str(cache_directory())

_OPTIONS: dict[str, Any] = {"cache": True, "error_model": "numpy"}


def _supports_private_options() -> bool:
    try:
        numba.njit(_nrt=False, forceinline=True)(lambda x: x)
    except Exception:
        return False
    return True


if not PLAIN and _supports_private_options():
    _OPTIONS |= {"_nrt": False}
    _HELPER: dict[str, Any] = {"forceinline": True}
else:
    _HELPER = {}


def kernel(function: F) -> F:
    """Compile an entry point: called from Python, once a phase, with a batch."""
    if not JIT:
        return function
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return numba.njit(**_OPTIONS)(function)  # type: ignore[no-any-return]


def helper(function: F) -> F:
    """Compile a small function that only kernels call; it is inlined into each of them."""
    if not JIT:
        return function
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return numba.njit(**_OPTIONS, **_HELPER)(function)  # type: ignore[no-any-return]
