"""A range of one parameter as people write it (amounts, shares, durations, leverage), and values between its ends."""

import math
from dataclasses import dataclass, replace
from typing import Final, Literal, final

from marginquake.sim.core.fields import (
    AMOUNT_UNITS,
    FRACTION_UNITS,
    SECOND,
    format_duration,
    parse_amount,
    parse_duration,
    parse_fraction,
)
from marginquake.sim.core.numbers import short_number, significant

Kind = Literal["number", "amount", "share", "duration", "leverage"]
DIGITS: Final = 8
"""Of a value between the ends; of a duration fewer, since nobody means 1.2345678 s."""
DURATION_DIGITS: Final = 4


@final
@dataclass(frozen=True, slots=True)
class Range:
    """From `low` to `high`; durations in seconds, shares as fractions, amounts in quote units.

    `grid`: values between are whole multiples of it; 0: any.
    """

    low: float
    high: float
    log_scale: bool = False
    kind: Kind = "number"
    grid: float = 0.0

    def value(self, place: float) -> float:
        """The parameter at a share of the way from `low` to `high`."""
        if self.log_scale:
            found = self.low * math.exp(math.log(self.high / self.low) * place)
        else:
            found = self.low + (self.high - self.low) * place
        if self.grid:
            first, last = math.ceil(self.low / self.grid), math.floor(self.high / self.grid)
            return min(max(round(found / self.grid), first), last) * self.grid
        return float(f"{found:.{DURATION_DIGITS if self.kind == 'duration' else DIGITS}g}")

    def place(self, value: float) -> float:
        """Where on the way a value is."""
        if self.log_scale:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def nearest(self, place: float) -> float:
        """The place of the value that is tried for this one: another where values have a grid."""
        return min(max(self.place(self.value(place)), 0.0), 1.0) if self.grid else place

    def written(self, value: float) -> str:
        """As an override."""
        if self.kind == "duration":
            return format_duration(round(value * SECOND))
        return str(round(value)) if self.grid == 1.0 else f"{value:.12g}"

    def shown(self, value: float) -> str:
        """For people: 1.2M, 3.4 %, 2.5s, 20x."""
        if not math.isfinite(value):
            return "beyond the range"
        if self.kind == "share":
            return f"{significant(100.0 * value, 4)} %"
        if self.kind == "duration":
            return f"{significant(value, 4)} s"
        text = short_number(value, 4) if self.kind == "amount" else f"{value:.4g}"
        return f"{text}x" if self.kind == "leverage" else text

    def on_grid(self, grid: float) -> "Range":
        """The same with values on a grid."""
        return replace(self, grid=grid)


def read_range(low: str, high: str, log_scale: bool = False) -> Range:
    """Two ends with their units, such as `100k` and `20M`; ValueError says what is wrong."""
    (first, first_kind), (last, last_kind) = _read(low), _read(high)
    kinds = {first_kind, last_kind} - {"number"}
    if len(kinds) > 1:
        raise ValueError(f"one end is {_article(first_kind)}, the other {_article(last_kind)}")
    kind: Kind = kinds.pop() if kinds else "number"
    if kind == "duration" and any(
        value and each == "number" for value, each in ((first, first_kind), (last, last_kind))
    ):
        raise ValueError("both ends of a range of durations need a unit")
    if not first < last or (log_scale and first <= 0):
        raise ValueError(f"must rise{' from above 0' if log_scale else ''}")
    return Range(first, last, log_scale, kind)


def _read(text: str) -> tuple[float, Kind]:
    said = text.strip()
    if said.endswith("x"):
        try:
            return parse_amount(said.removesuffix("x")), "leverage"
        except ValueError:
            raise ValueError(f"{text}: write a leverage as 20 or 20x") from None
    try:
        value = parse_amount(said)
    except ValueError:
        pass
    else:
        return value, "amount" if said.endswith(tuple(AMOUNT_UNITS)) else "number"
    try:
        value = parse_fraction(said)
    except ValueError:
        pass
    else:
        return value, "share" if said.endswith(tuple(FRACTION_UNITS)) else "number"
    try:
        return parse_duration(said) / SECOND, "duration"
    except ValueError:
        raise ValueError(
            f"{text}: write a number, an amount (20k, 1.5M), a share (5%), a duration (500ms) or 20x"
        ) from None


def _article(kind: Kind) -> str:
    return f"an {kind}" if kind == "amount" else "a leverage" if kind == "leverage" else f"a {kind}"
