"""What a scenario file may import, by where it lies and by what the user says (docs/trust.md)."""

from pathlib import Path
from typing import Final

from marginquake.sim.core.plugins import Code

RESOLVED: Final = "scenario.resolved.yaml"
OF_A_RUN: Final = ("manifest.json", "checkpoint", "sweep.json")
"""Any of these beside a file says that it lies in the folder of a run or a sweep."""


def rule_for(file: Path, allow_code: bool | None) -> Code:
    """`allow_code`: what the user says; None leaves it to the place: a file is the user's own, unless it is a run's."""
    allowed = not is_of_a_run(file) if allow_code is None else allow_code
    return Code.ALLOWED if allowed else Code.REFUSED


def is_of_a_run(file: Path) -> bool:
    """Whether a scenario lies in a run directory, whoever made that; links are followed."""
    for path in (file, file.resolve()):
        if path.name == RESOLVED or any((path.parent / each).exists() for each in OF_A_RUN):
            return True
    return False
