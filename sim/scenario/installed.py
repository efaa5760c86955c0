"""Scenario files by name: beside the file or folder that names them, then among those installed with marginquake.

`long_squeeze`, `venues/bybit_linear.yaml`: with or without the ending, from any folder.  A file of the user's own
always comes before an installed one of the same name, and a folder of that name is no file.
"""

import os
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from marginquake.sim.core.problems import Place, Problem, ScenarioError, closest

SUFFIXES: Final = (".yaml", ".yml")


@cache
def installed_folder() -> Path:
    """Where the installed scenarios are, symbolic links resolved."""
    return Path(str(files("marginquake")), "scenarios").resolve()


def written_there(name: str | Path, folder: Path) -> str | None:
    """The name of a file in `folder`, with its ending; None if there is no such file."""
    text = os.fspath(name)
    endings = ("",) if text.endswith(SUFFIXES) else ("", *SUFFIXES)
    return next((text + ending for ending in endings if _is_file(folder / (text + ending))), None)


def find(name: str | Path, folder: Path = Path()) -> Path | None:
    """The file of that name in `folder`, or the installed one; None if there is neither."""
    own = written_there(name, folder)
    if own is not None:
        return folder / own
    path = Path(name)
    if path.is_absolute() or ".." in path.parts:
        return None
    installed = written_there(name, installed_folder())
    return None if installed is None else installed_folder() / installed


def scenario_file(name: str | Path) -> Path:
    """The file that somebody names on the command line or in Python.  Raises ScenarioError if there is none."""
    found = find(name)
    if found is not None:
        return found
    message, suggestion = not_found(name, Path.cwd())
    if os.path.isdir(name):
        message, suggestion = "is a folder, not a scenario file", None
    raise ScenarioError([Problem(Place(os.fspath(name), 0, Path.cwd()), "", message, suggestion=suggestion)])


def not_found(name: str | Path, folder: Path) -> tuple[str, str | None]:
    """What to say of a name that is in neither place: where it was looked for, and the nearest name there is."""
    if os.path.islink(folder / name):
        return "is a symbolic link that leads to no file", None
    if Path(name).is_absolute():
        return "no such file", _near(Path(name), folder)
    return f"no such file in {folder.absolute()} or in {installed_folder()}", _near(Path(name), folder)


def _near(name: Path, folder: Path) -> str | None:
    """The known name whose last part is most like that of `name`; of several, one in the same folder."""
    if not name.name or name.name == "..":
        return None
    ending = name.suffix if name.suffix in SUFFIXES else ""
    known: dict[str, list[Path]] = {}
    for own in _own_files((folder / name).parent):
        known.setdefault(own.stem, []).append(name.with_name(own.name))
    for installed in installed_names():
        known.setdefault(installed.stem, []).append(installed.with_name(installed.stem + ending))
    stem = closest(name.stem if ending else name.name, known)
    if stem is None:
        return None
    return str(next((each for each in known[stem] if each.parent == name.parent), known[stem][0]))


def _own_files(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if entry.suffix in SUFFIXES)
    except (OSError, ValueError):  # ValueError: a name with a NUL character
        return []


def installed_names(pattern: str = "**/*.yaml") -> list[Path]:
    """Names of the installed files, in alphabetical order, relative to their folder."""
    return sorted(path.relative_to(installed_folder()) for path in installed_folder().glob(pattern))


def _is_file(path: Path) -> bool:
    """Anything that can be read as one, a pipe as well."""
    return os.path.exists(path) and not os.path.isdir(path)
