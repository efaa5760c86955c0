"""What a section of the report is made of: words, charts, tables and pictures.  How they look is the template's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from marginquake.analysis.frames.market import MarketFrames
from marginquake.analysis.frames.run_frames import RunFrames


@final
@dataclass(frozen=True)
class Chart:
    """A chart that JavaScript draws: `kind` names a function in analysis/templates/*.js, `data` is what it is given.

    `data` is JSON-able; long columns are packed (`analysis.presentation.page.pack`).  `title` is read out where
    nothing is
    drawn; `caption` says what to look for.
    """

    kind: str
    title: str
    data: Mapping[str, Any]
    caption: str = ""


@final
@dataclass(frozen=True)
class Table:
    """A table that is there without JavaScript too.

    `spans`: per row the stretch of time (s) that a click shows in the charts, None for none.  `words`: how many columns
    at the left are words; the others are numbers, set right.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    spans: Sequence[tuple[float, float] | None] = ()
    words: int = 1


@final
@dataclass(frozen=True)
class Content:
    """What one section shows of one market, in this order.

    `missing` says what the run does not hold and what it takes to have it; `aside` is small print at the end.
    """

    lead: str = ""
    sentences: Sequence[str] = ()
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()
    missing: str = ""
    aside: str = ""


@final
@dataclass(frozen=True)
class Section:
    """One entry of the registry: `content` is asked only where `applies` is true."""

    name: str
    title: str
    applies: Callable[[RunFrames, MarketFrames], bool]
    content: Callable[[RunFrames, MarketFrames], Content]


def always(run: RunFrames, market: MarketFrames) -> bool:
    """For sections that every run has."""
    return True
