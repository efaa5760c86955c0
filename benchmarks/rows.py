"""One line of a benchmark's table: what was measured, beside what it should reach."""

import math
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True)
class Row:
    """A measured figure; `floor` and `stretch` are what it should reach, `note` what must be known to read it.

    A stretch below the floor means that less is better (seconds, bytes); give both then.  `value` is nan where
    nothing could be measured, and `note` says why.
    """

    name: str
    value: float
    unit: str
    floor: float | None = None
    stretch: float | None = None
    note: str = ""

    @property
    def less_is_better(self) -> bool:
        """True for a limit from above."""
        return self.floor is not None and self.stretch is not None and self.stretch < self.floor

    @property
    def verdict(self) -> str:
        """`met`, `missed`, `stretch met`, `not measured`, or nothing where there is no target."""
        if math.isnan(self.value):
            return "not measured"
        if self.floor is None:
            return ""
        if self.stretch is not None and self._reaches(self.stretch):
            return "stretch met"
        return "met" if self._reaches(self.floor) else "missed"

    def _reaches(self, target: float) -> bool:
        return self.value <= target if self.less_is_better else self.value >= target


def missing(name: str, why: str) -> Row:
    """The row of something that cannot be measured here."""
    return Row(name, math.nan, "", note=why)
