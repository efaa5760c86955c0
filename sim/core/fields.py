"""How a field of a scenario is written: blocks, and numbers with units."""

import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import PydanticCustomError, core_schema

WRITTEN: Final[Mapping[str, bool]] = {"written": True}
"""Validation context of values that a person wrote in a file or on the command line."""
DURATION_UNITS: Final[Mapping[str, int]] = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "min": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
"""Nanoseconds in one of each."""
FRACTION_UNITS: Final[Mapping[str, Decimal]] = {"%": Decimal("0.01"), "bps": Decimal("0.0001")}
AMOUNT_UNITS: Final[Mapping[str, Decimal]] = {"k": Decimal(1000), "M": Decimal(10**6), "bn": Decimal(10**9)}
MAX_DURATION_NS: Final = 2**62
NUMBER = r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?"
"""Plain digits only: other scripts' digits look like letters to a reader, and like numbers to Python."""
LONGEST_NUMBER: Final = 100
"""Characters; longer texts are no number that anybody wrote."""
_WRITTEN_NUMBER = re.compile(rf"\s*({NUMBER})\s*([^\W\d_][^\d:]*?|%)?\s*")
_CLOCK = re.compile(r"\s*(-)?(?:(\d{1,7}):)?(\d{1,7}):(\d\d(?:\.\d{1,9})?)\s*", re.ASCII)
_PARTS = re.compile(r"\s*[-+]?[0-9]+(?:\.[0-9]*)?\s*[a-zµμ]+\s*")


def parse_duration(text: str) -> int:
    """Nanoseconds of a text such as `2ms`.  ValueError says what to write instead."""
    number, unit = _split(text, _DURATION_HELP)
    if unit == "":
        if number == 0:
            return 0
        raise ValueError(f"a duration needs a unit; {_duration_hint(number)}")
    unit = {"µs": "us", "μs": "us"}.get(unit, unit)
    if unit not in DURATION_UNITS:
        known = ", ".join(DURATION_UNITS)
        hint = _DURATION_SLIPS.get(unit.lower())
        raise ValueError(f"unknown unit {unit!r} of time; {f'write {hint}' if hint else f'one of {known}'}")
    nanoseconds = number * DURATION_UNITS[unit]
    if abs(nanoseconds) > MAX_DURATION_NS:
        raise ValueError("longer than the clock can count (146 years)")
    if nanoseconds != int(nanoseconds):
        raise ValueError("not a whole number of nanoseconds")
    return int(nanoseconds)


def parse_time(text: str) -> int:
    """Nanoseconds of a time on the command line: a duration, as many of them in a row, or a clock as our output has it.

    `90s`, `1h 30min`, `3:10` (minutes and seconds), `1:03:10`, `-0:05`.
    """
    if len(text) > LONGEST_NUMBER:
        raise ValueError(f"must be {_DURATION_HELP}")
    clock = _CLOCK.fullmatch(text)
    if clock is not None:
        sign, hours, minutes, seconds = clock.groups()
        if (hours is not None and int(minutes) > 59) or float(seconds) >= 60:
            raise ValueError("a time such as 3:10 is minutes:seconds, 1:03:10 hours:minutes:seconds")
        whole = 3600 * int(hours or 0) + 60 * int(minutes)
        nanoseconds = whole * DURATION_UNITS["s"] + parse_duration(f"{seconds}s")
        if nanoseconds > MAX_DURATION_NS:
            raise ValueError("longer than the clock can count (146 years)")
        return -nanoseconds if sign else nanoseconds
    parts = _PARTS.findall(text)
    is_one = _WRITTEN_NUMBER.fullmatch(text) is not None
    if not is_one and parts and "".join(parts) == text and not any("-" in part for part in parts[1:]):
        sign = -1 if parts[0].strip().startswith("-") else 1
        return sign * sum(abs(parse_duration(part)) for part in parts)
    return parse_duration(text)


def format_duration(nanoseconds: int) -> str:
    """The shortest text that `parse_duration` reads back: 90_000_000_000 is `90s`."""
    if nanoseconds == 0:
        return "0s"
    unit = max((u for u, size in DURATION_UNITS.items() if nanoseconds % size == 0), key=lambda u: DURATION_UNITS[u])
    return f"{nanoseconds // DURATION_UNITS[unit]}{unit}"


def parse_fraction(text: str) -> float:
    """A fraction from `0.01`, `60%` or `5bps` (1 bps = 0.0001)."""
    number, unit = _split(text, _FRACTION_HELP)
    if unit in ("", *FRACTION_UNITS):
        return _finite(number * FRACTION_UNITS.get(unit, Decimal(1)), _FRACTION_HELP)
    hint = {"bp": "bps", "basis points": "bps", "percent": "%", "pct": "%"}.get(unit.lower(), "one of %, bps")
    raise ValueError(f"unknown unit {unit!r} of a fraction; write {hint}")


def parse_amount(text: str) -> float:
    """A sum in quote currency from `1e6`, `20k`, `1.5M` or `2bn`."""
    number, unit = _split(text, _AMOUNT_HELP)
    if unit in ("", *AMOUNT_UNITS):
        return _finite(number * AMOUNT_UNITS.get(unit, Decimal(1)), _AMOUNT_HELP)
    hint = {"K": "k", "m": "M for millions", "mn": "M", "mm": "M", "mio": "M", "b": "bn"}
    slip = hint.get(unit) or hint.get(unit.lower(), "one of k, M, bn")
    raise ValueError(f"unknown unit {unit!r} of an amount; write {slip}")


_DURATION_HELP = "a duration: 100ms, 1.5s, 30min, 4h or 1d"
_FRACTION_HELP = "a fraction: 0.01, 1% or 100bps"
_AMOUNT_HELP = "an amount: 1e6, 20k, 1.5M or 2bn"
_DURATION_SLIPS: Final[Mapping[str, str]] = {
    "m": "min for minutes, ms for milliseconds",
    **dict.fromkeys(("msec", "msecs", "millis", "milliseconds"), "ms"),
    **dict.fromkeys(("usec", "microseconds"), "us"),
    **dict.fromkeys(("sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("mins", "minute", "minutes"), "min"),
    **dict.fromkeys(("hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("day", "days"), "d"),
    **dict.fromkeys(("w", "week", "weeks"), "it in days (1 week = 7d)"),
}


def _split(text: str, meant: str) -> tuple[Decimal, str]:
    match = _WRITTEN_NUMBER.fullmatch(text) if len(text) <= LONGEST_NUMBER else None
    if match is None:
        raise ValueError(f"must be {meant}")
    return Decimal(match[1]), match[2] or ""


def _finite(number: Decimal, meant: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"must be {meant}")
    return value


def _duration_hint(number: Decimal | float) -> str:
    """A bare 0.1 was probably seconds."""
    seconds = f"{number:g}s"
    try:
        spelled = format_duration(parse_duration(seconds))
    except ValueError:
        return "write 100ms or 0.1s"
    return f"write {spelled} or {seconds}" if spelled != seconds else f"write {seconds} for seconds"


@dataclass(frozen=True, slots=True)
class Unit:
    """What tells pydantic how to read, dump and describe one kind of number with units."""

    name: str
    parse: Callable[[str], float]
    help: str
    pattern: str
    examples: tuple[str | float, ...]
    whole: bool = False
    dump: Callable[[int], str] | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """The plain number's schema (which keeps the bounds), our reading in front of it, our spelling when dumped."""
        serialization = None
        if self.dump is not None:
            serialization = core_schema.plain_serializer_function_ser_schema(self.dump, when_used="json")
        return core_schema.with_info_before_validator_function(self.read, handler(source), serialization=serialization)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """A number, or a text with a unit; a duration has no bare number but 0.  `scenario_schema` uses `x-unit`."""
        number: dict[str, Any] = {"const": 0} if self.whole else {"type": "number"}
        text = {"type": "string", "pattern": self.pattern}
        return {"anyOf": [number, text], "examples": list(self.examples), "x-unit": self.name}

    def read(self, value: Any, info: ValidationInfo) -> float:
        """The number meant by `value`; errors say what to write."""
        try:
            if isinstance(value, str):
                return self.parse(value)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"must be {self.help}")
            if not math.isfinite(value):
                raise ValueError(f"must be {self.help}")
            if self.whole and value != 0 and info.context is WRITTEN:
                raise ValueError(f"a duration needs a unit; {_duration_hint(value)}")
            if self.whole and value != int(value):
                raise ValueError("not a whole number of nanoseconds")
        except ValueError as error:
            raise PydanticCustomError("unit", "{reason}", {"reason": str(error)}) from None
        return int(value) if self.whole else value


_DURATION_PATTERN = rf"^\s*{NUMBER}\s*(ns|us|µs|ms|s|min|h|d)\s*$|^\s*0\s*$"
DURATION = Unit(
    "duration", parse_duration, _DURATION_HELP, _DURATION_PATTERN, ("100ms", "1s", "4h"), True, format_duration
)
FRACTION = Unit("fraction", parse_fraction, _FRACTION_HELP, rf"^\s*{NUMBER}\s*(%|bps)?\s*$", (0.01, "1%", "5bps"))
AMOUNT = Unit("amount", parse_amount, _AMOUNT_HELP, rf"^\s*{NUMBER}\s*(k|M|bn)?\s*$", (1e6, "20k", "1.5M", "2bn"))
Duration = Annotated[int, DURATION]
"""Int nanoseconds; written `10ns`, `500us`, `2ms`, `1s`, `30min`, `4h`, `1d` or 0."""
Fraction = Annotated[float, FRACTION]
"""Float; written 0.01, `1%` or `100bps`."""
Amount = Annotated[float, AMOUNT]
"""Float in quote currency; written 1e6, `20k`, `1.5M` or `2bn`."""


def _existing_file(value: str, info: ValidationInfo) -> str:
    if info.context is WRITTEN and not os.path.isfile(value):
        raise PydanticCustomError("no_file", "no such file")
    return value


DataFile = Annotated[str, AfterValidator(_existing_file)]
"""Path of an input file.  In a field called `file` the loader makes it absolute: it is relative to the scenario file
in which it is written."""
SECOND = 1_000_000_000
"""Nanoseconds."""


@dataclass(frozen=True, slots=True)
class Idle:
    """Fields of a block that do nothing in some cases: who writes one of them then is warned.

    `when`: true in such a case; it is given the block and the market that the block belongs to.  `fields`: as written;
    `adl.price` is one of a block inside.  `why`: in words, after "has no effect: ".
    """

    fields: tuple[str, ...]
    when: Callable[[Any, Any], bool]
    why: str


class Block(BaseModel):
    """A typo is an error, never a default; a loaded block never changes.

    `idle`: which of its fields do nothing when.  Those of the classes that it is derived from count as well.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    idle: ClassVar[tuple[Idle, ...]] = ()

    @classmethod
    def all_idle(cls) -> Iterator[Idle]:
        """`idle` of this class and of those it is derived from."""
        for each in cls.__mro__:
            yield from vars(each).get("idle", ())
