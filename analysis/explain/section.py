"""A part of an explanation: plain sentences, and a small table where figures say more."""

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class Section:
    """`rows` have as many cells as `headings`; both may be empty.  `leading`: how many sentences say the most."""

    title: str
    sentences: tuple[str, ...]
    headings: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    leading: int = 1
