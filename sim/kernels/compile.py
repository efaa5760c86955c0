"""How kernels are compiled: the decorators, their options, and where compiled code is kept."""

import hashlib
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numba
from numba import config as numba_config
from numba.core.registry import CPUDispatcher

F = TypeVar("F", bound=Callable[..., Any])
Helper: TypeAlias = Callable[..., Any]
"""A compiled function that another is built with."""

PLAIN = os.environ.get("MARGINQUAKE_PLAIN_NJIT") == "1"
"""Only public numba options: the fallback, which the tests run too."""

ROOT = Path(__file__).resolve().parents[2]


def source_digest() -> str:
    """Hash of every source that may hold kernels: numba's own cache does not notice a change in another file.

    It does keep apart what was compiled from different places, so the place counts too.
    """
    digest = hashlib.sha256(f"{numba.__version__} {ROOT}".encode())
    for folder in ("sim/kernels", "agents"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            source = path.read_bytes()
            if b"marginquake.sim.kernels" in source:
                digest.update(source)
    for name in ("records", "accounts"):
        digest.update((ROOT / "sim" / "core" / f"{name}.py").read_bytes())
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

_OPTIONS: dict[str, Any] = {"error_model": "numpy"}
_INNER: dict[str, Any] = {}
_INLINED: dict[str, Any] = {}


def _supports_private_options() -> bool:
    try:
        numba.njit(_nrt=False, forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)(lambda x: x)
    except Exception:
        return False
    return True


PRIVATE_OPTIONS = not PLAIN and _supports_private_options()
"""Whether kernels are compiled with the options that numba does not promise to keep."""

if PRIVATE_OPTIONS:
    _OPTIONS |= {"_nrt": False, "no_cfunc_wrapper": True}
    _INNER |= {"no_cpython_wrapper": True}
    _INLINED |= {"forceinline": True}


def _compiled(function: F, **options: Any) -> F:
    if not JIT:
        return function
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return numba.njit(**_OPTIONS, **options)(function)  # type: ignore[no-any-return]


class _Inner(CPUDispatcher):  # type: ignore[misc]
    """A compiled function that Python may not call."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Refuse."""
        name = self.py_func.__name__
        raise TypeError(f"{name} is for kernels to call; from Python call a kernel that uses it")


def kernel(function: F) -> F:
    """Compile an entry point: called from Python, once a phase, with a batch."""
    return _compiled(function, cache=True)


def helper(function: F) -> F:
    """Compile a small function that only kernels call; it is inlined into each of them.

    Its machine code is part of theirs, so it gets no entry from Python (a third of the time of compilation) and no
    place in the cache.
    """
    return _guarded(_compiled(function, **_INNER, **_INLINED))


def routine(function: F) -> F:
    """Compile a function that only kernels call, seldom: the call costs more than a helper's, and each kernel less."""
    return _guarded(_compiled(function, **_INNER))


def _guarded(function: F) -> F:
    """Without an entry from Python a call from there would end the process: it is refused instead."""
    if JIT:
        function.__class__ = _Inner  # type: ignore[assignment]
    return function
