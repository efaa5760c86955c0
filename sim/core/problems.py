"""Problems and warnings of a scenario, with what is needed to mend them: place, field, value, way out."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from marginquake.sim.core.outside.edges import one_line


@final
@dataclass(frozen=True, slots=True)
class Place:
    """Where something is written: a line of a file as the user named it, or (line 0) a `--set` argument."""

    source: str
    line: int
    folder: Path

    def __str__(self) -> str:
        source = clipped(self.source, 500)
        return f"{source}:{self.line}" if self.line else source


@final
@dataclass(frozen=True, slots=True)
class Problem:
    """One error.  `value` is the offending value as text, or None where the field itself is the trouble."""

    place: Place
    path: str
    message: str
    value: str | None = None
    suggestion: str | None = None

    def __str__(self) -> str:
        parts = [str(self.place), clipped(self.path), f"value {clipped(self.value)}" if self.value is not None else ""]
        text = ": ".join(part for part in (*parts, self.message) if part)
        return one_line(f"{text}; did you mean {self.suggestion!r}?" if self.suggestion else text)


MAX_TOLD: Final = 100
"""Problems that are told; nobody mends more at once."""
WARNINGS: Final[Mapping[str, str]] = {
    "implausible_shock": "a declared shock is larger than any that a market has had in such a time",
    "implausible_size": "a volatility, drift, jump or fee is far beyond what markets have",
    "after_the_end": "a shock begins or goes on after the end of the run",
    "longer_than_the_run": "a period, delay or window is longer than the run, so that what it is for never comes",
    "ladder_end": "chance may take the price to an end of the ladder",
    "coarse_tick": "one tick is more than 1 % of the price",
    "leverage_cut": "accounts want more leverage than the venue allows",
    "no_market_maker": "nobody quotes both sides of the book",
    "no_background_flow": "nobody trades but for a reason",
    "no_effect": "a setting does nothing, given the others",
    "account_book": "a file of accounts has rows that cannot be, columns that are not read, or prices of another day",
    "price_file": "a price file is read in a unit that its times do not look like, or its prices act too early",
    "edited_class": "the module of a class of the user's was edited after Python had imported it",
    "unread_class": "a class of the user's is code, and was not imported: what only it reads was not checked",
    "liquidated_at_once": "more than a fifth of a crowd is liquidated within the first minute",
    "fuel_halves": "the fuel ratio halves within a quarter of an hour in which nothing happens outside",
    "depth_far_off": "D1 measured is less than half of depth_1pct, or more than twice",
    "at_ladder_end": "the price has been at an end of the ladder",
}
"""Every warning by name, and what it says; docs/warnings.md has the reasons."""


@final
@dataclass(frozen=True, slots=True)
class ScenarioWarning:
    """What is valid but hardly meant.  It stops nothing, unless `--strict` is given.

    `name`: a key of `WARNINGS`.  `field`: as written, `populations.longs.leverage`.  `value`: as text,
    None where the field itself is the trouble.  `way_out`: what to write instead; "" where the message says it.
    """

    name: str
    place: Place
    field: str
    message: str
    way_out: str
    value: str | None = None

    def __post_init__(self) -> None:
        if self.name not in WARNINGS:
            raise ValueError(f"there is no warning {self.name!r}")

    @property
    def file(self) -> str:
        """The file as the user named it, or the `--set` argument."""
        return self.place.source

    @property
    def line(self) -> int:
        """Line in `file`; 0 for a `--set` argument."""
        return self.place.line

    def __str__(self) -> str:
        way_out = f"; {self.way_out}" if self.way_out else ""
        value = f"value {clipped(self.value)}" if self.value is not None else ""
        parts = [str(self.place), "warning", clipped(self.field), value]
        return one_line(f"{': '.join(part for part in (*parts, self.message) if part)}{way_out} [{self.name}]")

    def plain(self) -> dict[str, Any]:
        """As the run's manifest keeps it."""
        return {
            "name": self.name,
            "file": self.file,
            "line": self.line,
            "field": self.field,
            "value": self.value,
            "message": self.message,
            "way_out": self.way_out,
            "text": str(self),
        }


@final
class ScenarioError(ValueError):
    """Everything that is wrong with a scenario at once; its text has one line a problem."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        told = list(dict.fromkeys(problems))
        if len(told) > MAX_TOLD + 1:
            rest = len(told) - MAX_TOLD
            told[MAX_TOLD:] = [Problem(told[MAX_TOLD].place, "", f"and {rest:,} more problems, here and elsewhere")]
        self.problems = tuple(told)
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[type["ScenarioError"], tuple[tuple[Problem, ...]]]:
        return ScenarioError, (self.problems,)


def clipped(text: str, most: int = 200) -> str:
    """The beginning of a text that nobody would read to its end."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like `word`, if any is like it: `activty` -> `activity`, `Mark` -> `mark`."""
    words = list(known)
    folded = {candidate.casefold(): candidate for candidate in words}
    if word.casefold() in folded and word not in words:
        return folded[word.casefold()]
    near = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    if near:
        return folded[near[0]]
    longer = [candidate for candidate in words if len(word) > 2 and candidate.casefold().startswith(word.casefold())]
    return longer[0] if len(longer) == 1 else None


def shown_path(path: Iterable[str | int]) -> str:
    """`populations.longs.leverage`, list items by their index."""
    return ".".join(str(part) for part in path)
