"""A folder of runs may come from anybody: what nobody may find in it (docs/trust.md)."""

import os
import stat
from pathlib import Path
from typing import Final

DEEPEST: Final = 3
"""Folders in folders that a run has, at most."""


def leads_elsewhere(folder: Path, deepest: int = DEEPEST) -> str | None:
    """What is wrong with the first link, pipe or device in it: what is read or written there is somewhere else.

    The folder itself may be a link: that is where the user said.
    """
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return None  # whoever reads it says so
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            inside = leads_elsewhere(Path(entry), deepest - 1) if deepest else None
            if inside is not None:
                return inside
        elif not stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
            what = "a link" if entry.is_symlink() else "no file, but a pipe or a device"
            way_out = "delete it, or copy there what belongs there"
            return f"{Path(entry)}: is {what}, which no run directory holds; {way_out}"
    return None
