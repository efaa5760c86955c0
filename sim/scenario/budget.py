"""How much one scenario may hold, with all that it extends: what is more was not written by a person, or is an attack.

Aliases and `extends` let a file of some lines stand for more than fits into memory; so everything is counted as it
comes out, each time that it is used.
"""

from dataclasses import dataclass
from typing import Final, final

from marginquake.sim.core.problems import Place, Problem, ScenarioError

MAX_BYTES: Final = 4 * 2**20
"""Of the text of all files together."""
MAX_FILES: Final = 100
MAX_DEPTH: Final = 50
"""Levels of fields and lists in each other."""
MAX_VALUES: Final = 100_000
"""Fields and items, counted where aliases and `extends` have put them."""
CHARACTERS_A_VALUE: Final = 40
"""A text counts as one value, and one more for each so many characters."""
VALUES_A_FILE: Final = 100
"""What a file that is named counts, besides what is in it: to look for one takes as long."""
MAX_ENTRIES: Final = 1000
"""Populations, or markets, of one scenario."""


@final
@dataclass(slots=True)
class Budget:
    """What is left to one scenario.  Whatever goes beyond ends the reading with a ScenarioError at its place."""

    values: int = MAX_VALUES
    bytes: int = MAX_BYTES
    files: int = MAX_FILES

    def spend(self, values: int, place: Place) -> None:
        """Count fields, items and texts."""
        self.values -= values
        if self.values < 0:
            raise beyond(
                place,
                f"more than {MAX_VALUES:,} values, each alias and each file extended counted as what it stands for; "
                "put tables into CSV files",
            )

    def spend_text(self, text: str, place: Place) -> None:
        """Count one text."""
        self.spend(1 + len(text) // CHARACTERS_A_VALUE, place)

    def spend_bytes(self, count: int, place: Place) -> None:
        """Count text before it is parsed."""
        self.bytes -= count
        if self.bytes < 0:
            raise beyond(place, f"more than {MAX_BYTES // 2**20} MB of text")

    def spend_file(self, place: Place) -> None:
        """Count a file that is read."""
        self.files -= 1
        if self.files < 0:
            raise beyond(place, f"more than {MAX_FILES} files extend each other")


def beyond(place: Place, message: str) -> ScenarioError:
    """The error that ends the reading."""
    return ScenarioError([Problem(place, "", message)])
