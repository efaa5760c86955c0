"""User code named in a scenario, `module.path:Class`, and who may import it (docs/trust.md)."""

import contextlib
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from enum import Enum
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

from marginquake.sim.core.data_files import file_digest
from marginquake.sim.core.problems import closest

ALLOW_VARIABLE: Final = "MARGINQUAKE_ALLOW_CODE"
"""In the environment: modules, with commas between them, that any file may name.  `a` stands for `a.b` too."""


class Code(Enum):
    """What is done with classes of the user."""

    ALLOWED = "imported"
    """The file is the user's own, or the user has allowed it."""
    REFUSED = "a mistake"
    """The file comes from somebody else, as far as anybody knows."""
    UNREAD = "left unread"
    """The file is only looked at: everything but such classes is checked."""


_CODE: Final[ContextVar[Code]] = ContextVar("code", default=Code.ALLOWED)
_TOLD: Final[ContextVar[Callable[[Sequence[str]], None] | None]] = ContextVar("told", default=None)
_ADMITTED: Final[set[str]] = set()
"""Modules that this process has imported classes from, with leave: their text has run."""


@contextlib.contextmanager
def code(rule: Code, tell: Callable[[Sequence[str]], None] | None = None) -> Iterator[None]:
    """Inside the block classes of the user are treated so.  `tell`: is given names of modules before their import."""
    rule_before = _CODE.set(rule)
    tell_before = _TOLD.set(tell or _TOLD.get())
    try:
        yield
    finally:
        _TOLD.reset(tell_before)
        _CODE.reset(rule_before)


def may_import(name: str) -> bool:
    """Whether the class `module.path:Class` may be imported now."""
    return _CODE.get() is Code.ALLOWED or module_of(name) in _ADMITTED or is_listed(module_of(name))


def is_left_unread(name: str) -> bool:
    """Whether this class is to be passed over without a word of import."""
    return _CODE.get() is Code.UNREAD and ":" in name and not may_import(name)


def is_listed(module: str) -> bool:
    """Whether the environment allows a module, or the package that it is in."""
    listed = {each.strip() for each in os.environ.get(ALLOW_VARIABLE, "").split(",")}
    parts = module.split(".")
    return any(".".join(parts[:n]) in listed for n in range(1, len(parts) + 1))


def module_of(name: str) -> str:
    """The module of `module.path:Class`."""
    return name.partition(":")[0]


def way_to_allow(module: str) -> str:
    """What to do where a module's code is wanted."""
    return f"if you trust it, --allow-code imports it, and so does {ALLOW_VARIABLE}={module} in the environment"


def admitted() -> tuple[str, ...]:
    """The modules whose classes this process has imported, for another process that does a part of its work."""
    return tuple(sorted(_ADMITTED))


def admit(modules: Sequence[str]) -> None:
    """Here too these may be imported: the process that this one works for has leave."""
    _ADMITTED.update(modules)


def tell_of(names: Sequence[str]) -> None:
    """Say which modules these classes are about to be imported from: each once in a process."""
    tell = _TOLD.get()
    fresh = [module for module in dict.fromkeys(map(module_of, filter(may_import, names))) if module not in _ADMITTED]
    if tell is not None and fresh:
        tell(fresh)


def import_class(name: str) -> type[Any]:
    """The class called `module.path:Class`.  ValueError says why it cannot be had."""
    module_name, _, class_name = name.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), class_name)):
        raise ValueError(f"{name!r} is not of the form module.path:Class")
    if not may_import(name):
        raise ValueError(f"{name!r} is code, and this file may be somebody else's; {way_to_allow(module_name)}")
    _ADMITTED.add(module_name)
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise ValueError(
                f"no module named {error.name!r} in the folder of the scenario or the current one"
            ) from None
        raise ValueError(f"importing {module_name!r} failed: {error}") from error
    except Exception as error:
        raise ValueError(f"importing {module_name!r} failed: {type(error).__name__}: {error}") from error
    found = getattr(module, class_name, None)
    if found is None:
        near = closest(class_name, (key for key, value in vars(module).items() if isinstance(value, type)))
        hint = f"; did you mean '{module_name}:{near}'?" if near else ""
        raise ValueError(f"module {module_name!r} has no class {class_name!r}{hint}")
    if not isinstance(found, type):
        raise ValueError(f"{name!r} is not a class")
    if found not in _SOURCES:
        _SOURCES[found] = source_digest_now(found)
    return found


_SOURCES: Final[WeakKeyDictionary[type[Any], str]] = WeakKeyDictionary()
"""Digest of the module's text when the class was imported.  A reloaded module makes a new class."""


def source_digest(kind: type[Any]) -> str:
    """Digest of the text that a class of the user was imported from: Python does not read it again."""
    return _SOURCES.get(kind) or source_digest_now(kind)


def source_digest_now(kind: type[Any]) -> str:
    """Digest of the text of the class's module as it is on disk."""
    return file_digest(inspect.getsourcefile(kind))


def is_outdated(kind: type[Any]) -> bool:
    """Whether the module has been edited since this process imported the class, which goes on as it was."""
    return source_digest(kind) != source_digest_now(kind)


def search_in(folders: Sequence[Path]) -> list[Path]:
    """From now on modules are also looked for in `folders`, after everything installed; which folders that are.

    It stays so: user code may import its neighbours late, and worker processes inherit `sys.path`.  Only where code is
    allowed: a module that the environment allows is looked for where Python looks anyway.
    """
    if _CODE.get() is not Code.ALLOWED:
        return []
    sys.path.extend(folder for folder in dict.fromkeys(map(str, folders)) if folder not in sys.path)
    return list(folders)
