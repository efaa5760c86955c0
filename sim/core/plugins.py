"""User code named in a scenario: `module.path:Class`."""

import importlib
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

from marginquake.sim.core.data_files import file_digest
from marginquake.sim.core.problems import closest


def import_class(name: str) -> type[Any]:
    """The class called `module.path:Class`.  ValueError says why it cannot be had."""
    module_name, _, class_name = name.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), class_name)):
        raise ValueError(f"{name!r} is not of the form module.path:Class")
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


def search_in(folders: Sequence[Path]) -> None:
    """From now on modules are also looked for in `folders`, after everything installed.

    It stays so: user code may import its neighbours late, and worker processes inherit `sys.path`.
    """
    sys.path.extend(folder for folder in dict.fromkeys(map(str, folders)) if folder not in sys.path)
