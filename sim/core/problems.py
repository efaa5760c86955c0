"""Problems of a scenario, with what is needed to mend them: place, field, value, way out."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final


@final
@dataclass(frozen=True, slots=True)
class Place:
    """Where something is written: a line of a file as the user named it, or (line 0) a `--set` argument."""

    source: str
    line: int
    folder: Path

    def __str__(self) -> str:
        return f"{self.source}:{self.line}" if self.line else self.source


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
        parts = [str(self.place), self.path, f"value {self.value}" if self.value is not None else ""]
        text = ": ".join(part for part in (*parts, self.message) if part)
        return f"{text}; did you mean {self.suggestion!r}?" if self.suggestion else text


@final
class ScenarioError(ValueError):
    """Everything that is wrong with a scenario at once; its text has one line a problem."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[type["ScenarioError"], tuple[tuple[Problem, ...]]]:
        return ScenarioError, (self.problems,)


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
