"""A folder of runs may come from anybody: what is refused of it before it is read or written to (docs/trust.md)."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from marginquake.sim.runs.directory import RunDirectoryError
from marginquake.sim.runs.event_log import MARKET

DEEPEST: Final = 3
"""Folders in folders that a run has, at most."""


def check_plain(folder: Path, deepest: int = DEEPEST) -> None:
    """Refuse links, pipes and devices in it: what is read or written there would be somewhere else.

    The folder itself may be a link: that is where the user said.
    """
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return  # whoever reads it says so
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if deepest:
                check_plain(Path(entry), deepest - 1)
        elif not stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
            what = "a link" if entry.is_symlink() else "no file, but a pipe or a device"
            raise RunDirectoryError(
                f"{Path(entry)}: is {what}, which no run directory holds; delete it, or copy there what belongs there"
            )


def check_markets(folder: Path, markets: Iterable[str]) -> None:
    """Refuse names of markets that no scenario can have: files are called by them."""
    for name in markets:
        if MARKET.match(name) is None:
            raise RunDirectoryError(f"{folder}: {name[:80]!r} is no name of a market")
