"""What the current folder may not decide: it can be one that somebody else sent (docs/trust.md)."""

import os
from pathlib import Path
from typing import Final

from marginquake.sim.cli.common import UserError
from marginquake.sim.core.plugins import ALLOW_VARIABLE

READ_BY_LIBRARIES: Final = {
    ".numba_config.yaml": "numba would take compiled code from where it says",
    "matplotlibrc": "matplotlib evaluates expressions in it",
}
"""Files that a library of ours reads from the current folder, and that can make it run code."""


def keep_out() -> None:
    """Worker processes do not look for modules in the current folder first, as Python does by itself."""
    os.environ["PYTHONSAFEPATH"] = "1"


def check() -> None:
    """Refuse to work in a folder that would configure our libraries, unless the user has said that it may."""
    listed = {each.strip() for each in os.environ.get(ALLOW_VARIABLE, "").split(",")}
    for name, why in READ_BY_LIBRARIES.items():
        if Path(name).is_file() and name not in listed:
            raise UserError(
                f"{Path.cwd() / name}: {why}; work in another folder, or allow it with {ALLOW_VARIABLE}={name} in the "
                "environment"
            )
