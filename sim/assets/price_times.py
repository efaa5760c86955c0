"""Times of a price file: which unit they are in, and ns since 1970 (or since the origin of a clock in seconds)."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, final

from marginquake.sim.core.fields import NUMBER, SECOND

UNITS: Final = {"s": SECOND, "ms": 1_000_000, "us": 1_000, "ns": 1}
"""Nanoseconds in one of each."""
EPOCH: Final = "epoch"
"""Numbers since 1970 whose unit changes within the file: each is read by its size."""
ISO: Final = "iso"
"""Dates and times as text, also without separators (20240830)."""
EARLIEST_S: Final = 10**8
"""1973: from here on a number may count ms, us or ns since 1970."""
LATEST_S: Final = 4_102_444_800
"""2100: no later time is taken for one.  The units' ranges do not meet."""
_RANGES: Final = {unit: (EARLIEST_S * SECOND // length, LATEST_S * SECOND // length) for unit, length in UNITS.items()}
_IS_NUMBER = re.compile(rf"\s*{NUMBER}\s*")
_COMPACT = re.compile(r"((?:19|20)\d\d)(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)?)?")
_YEAR_FIRST = re.compile(r"(\d{4})[./](\d\d?)[./](\d\d?)(?!\d)")
_DOTTED_DAY_FIRST = re.compile(r"(\d\d)\.(\d\d)\.(\d{4})(?!\d)")
_SLASHED = re.compile(r"\d\d?[/-]\d\d?[/-]\d{4}|\d\d?/\d\d?/\d\d")
_FINE_FRACTION = re.compile(r"([.,]\d{6})(\d{1,3})\d*")
_LONGEST_INTEGER = 24
"""Digits; longer ones count no time, and Python may refuse to convert them."""
_BEYOND_NS = 10**28
"""Even nanoseconds since 1970 that are taken for seconds are less: by their size they are remarked on."""
_LONGEST_WITHOUT_FRACTION = len("2024-08-05T00:36:00+00:00")
_ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)


@final
class TimeError(ValueError):
    """A time that cannot be read; `place` in the column is that of the text to blame."""

    def __init__(self, place: int, message: str) -> None:
        super().__init__(message)
        self.place = place


def read_times(texts: Sequence[str], unit: str | None) -> tuple[list[int], str]:
    """ns of every text, and the unit they are in: one of `UNITS`, `EPOCH` or `ISO`.

    `unit`: the one that is named; None: judged by the size of the numbers.  Raises TimeError.
    """
    if unit is not None:
        return [_in_unit(text, unit, place) for place, text in enumerate(texts)], unit
    dates: list[int] | None = []
    numbers: list[int] | None = []
    units: dict[str, int] = {}
    for place, text in enumerate(texts):
        date, number = _as_date(text) if dates is not None else None, _by_size(text) if numbers is not None else None
        before = dates is not None, numbers is not None
        dates = dates if dates is None or date is not None else None
        numbers = numbers if numbers is None or number is not None else None
        if date is not None and dates is not None:
            dates.append(date)
        if number is not None and numbers is not None:
            units.setdefault(number[1], place)
            numbers.append(number[0])
        if dates is None and numbers is None:
            raise TimeError(place, _why_not(text, before, texts[0]) if place else _unreadable(text))
    if dates is not None:
        return dates, ISO
    assert numbers is not None
    if len(units) > 1:
        _check_all_since_1970(texts, units)
        return numbers, EPOCH
    return numbers, next(iter(units))


def parse_start(text: str, unit: str) -> int | None:
    """ns of a time that somebody names beside a file whose times are in `unit`; None if it is no time."""
    if unit in UNITS and _IS_NUMBER.fullmatch(text):
        return _scaled(text, unit)
    date = _as_date(text)
    if date is not None:
        return date
    found = _by_size(text)
    return None if found is None else found[0]


def unit_by_size(text: str) -> str | None:
    """The unit in which this number is a time between 1973 and 2100; None if in none."""
    found = _by_size(text)
    is_since_1970 = found is not None and abs(found[0]) >= EARLIEST_S * SECOND
    return found[1] if found is not None and is_since_1970 else None


def format_time(time_ns: int) -> str:
    """`2024-08-05 00:36:00`, with as many decimals as are needed; times before 1973 are counts of seconds."""
    seconds, rest = divmod(time_ns, SECOND)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    if abs(seconds) < EARLIEST_S:
        return f"{seconds}{fraction}s"
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}{fraction}"
    except (ValueError, OverflowError, OSError):
        return f"{seconds}{fraction}s since 1970"


def _in_unit(text: str, unit: str, place: int) -> int:
    found: int | None = None
    if unit == ISO:
        found = _as_date(text)
    elif unit == EPOCH:
        judged = _by_size(text)
        found = judged[0] if judged is not None and unit_by_size(text) is not None else None
    elif _IS_NUMBER.fullmatch(text):
        found = _scaled(text, unit)
    if found is None or abs(found) > _BEYOND_NS:
        meant = {ISO: "no date or time (ISO 8601)", EPOCH: "no number of s, ms, us or ns since 1970"}
        raise TimeError(
            place, f"time {_shown(text)} is {meant.get(unit, f'no number of {unit}')}, which `time_unit` says"
        )
    return found


def _scaled(text: str, unit: str) -> int:
    if text.isdecimal() and len(text) <= _LONGEST_INTEGER:
        return int(text) * UNITS[unit]
    return int((Decimal(text.strip()) * UNITS[unit]).to_integral_value())


def _by_size(text: str) -> tuple[int, str] | None:
    """ns and unit of a number: seconds up to 2100, else the unit in which it lies between 1973 and 2100."""
    if text.isdecimal() and len(text) <= _LONGEST_INTEGER:
        size: Decimal | int = int(text)
    elif _IS_NUMBER.fullmatch(text):
        size = abs(Decimal(text.strip()))
    else:
        return None
    if size <= LATEST_S:
        return _scaled(text, "s"), "s"
    for unit, (least, most) in _RANGES.items():
        if least <= size <= most:
            return _scaled(text, unit), unit
    return None


def _as_date(text: str) -> int | None:
    """ns since 1970 of a date with or without time; UTC unless it says otherwise."""
    plain = text.strip()
    if _IS_NUMBER.fullmatch(plain):
        compact = _COMPACT.fullmatch(plain)
        parts = [int(part) for part in compact.groups() if part is not None] if compact else []
        try:
            return _since_1970(datetime(*parts, tzinfo=UTC)) if parts else None  # type: ignore[misc, arg-type]
        except ValueError:
            return None
    if plain[4:5] == "-" and len(plain) <= _LONGEST_WITHOUT_FRACTION and "." not in plain:
        try:
            moment = datetime.fromisoformat(plain)
        except ValueError:
            pass
        else:
            return _since_1970(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))
    for ending in (" UTC", " GMT"):
        plain = plain.removesuffix(ending)
    plain = _YEAR_FIRST.sub(lambda m: f"{m[1]}-{int(m[2]):02d}-{int(m[3]):02d}", plain, count=1)
    plain = _DOTTED_DAY_FIRST.sub(r"\3-\2-\1", plain, count=1)
    fine = _FINE_FRACTION.search(plain)
    beyond = 0 if fine is None else int(f"{fine[2]:0<3}")
    try:
        moment = datetime.fromisoformat(plain if fine is None else _FINE_FRACTION.sub(r"\1", plain, count=1))
    except ValueError:
        return None
    return _since_1970(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)) + beyond


def _since_1970(moment: datetime) -> int:
    since = moment - _ORIGIN
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds * 1000


def _check_all_since_1970(texts: Sequence[str], units: dict[str, int]) -> None:
    """Numbers in several units are times since 1970, or the file is no file of times."""
    odd = next((place for place, text in enumerate(texts) if unit_by_size(text) is None), None)
    if odd is not None:
        place = odd if odd else min(place for place in units.values() if place)
        raise TimeError(place, _unlike(texts[place], texts[0]))


def _why_not(text: str, before: tuple[bool, bool], first: str) -> str:
    """What is wrong with a text where those before it could be read."""
    could_be = (before[0] and _as_date(text) is not None) or (before[1] and _by_size(text) is not None)
    readable = could_be or _as_date(text) is not None or _by_size(text) is not None
    return _unlike(text, first) if readable else _unreadable(text)


def _unlike(text: str, first: str) -> str:
    return f"time {_shown(text)} is not written as the first one is ({_shown(first)})"


def _unreadable(text: str) -> str:
    if _IS_NUMBER.fullmatch(text):
        return (
            f"time {_shown(text)} cannot be judged: it is no time between 1973 and 2100 in s, ms, us or ns since 1970, "
            "nor a small number of seconds; name its unit, say time_unit: ms"
        )
    if _SLASHED.match(text.strip()):
        return f"time {_shown(text)} is neither seconds nor ISO 8601: day or month first? write 2024-08-05"
    return f"time {_shown(text)} is neither seconds nor ISO 8601 (2024-08-05T00:36:00Z), nor a number of ms, us or ns"


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
